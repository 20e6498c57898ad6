/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory and what it needs of the rest: its file, a schema of this program's, the keys that
 * open what it holds, the servers that its accounts send through.
 */
#include "conf/check/inspect.h"

#include "conf/directory/admin.h"
#include "conf/vault/vault.h"

static void
say_credentials(struct inspect *in, const struct admin_survey *found)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	if (found->closed == 0) {
		inspect_say(in, INSPECT_GOOD, TOPIC_RING, "opens all %llu sealed credentials",
		    (unsigned long long)found->sealed);
		return;
	}
	text_fmt(&t,
	    "does not open %llu of %llu sealed credentials: put the missing keys back into it, or give "
	    "those profiles their passwords again (byway key reseal names them)",
	    (unsigned long long)found->closed, (unsigned long long)found->sealed);
	inspect_say_of(in, INSPECT_WARNING, TOPIC_RING, "vault", NULL, "key_file", mem);
}

static void
say_pool(struct inspect *in, const struct admin_survey *found)
{
	unsigned long long n = found->native;

	if (in->conf->mtas_n > 0)
		inspect_say(in, INSPECT_GOOD, TOPIC_POOL, "%zu server%s", in->conf->mtas_n,
		    in->conf->mtas_n == 1 ? "" : "s");
	else if (n == 0)
		inspect_say(in, INSPECT_GOOD, TOPIC_POOL,
		    "there is no [mta], and no account needs one yet");
	else
		inspect_say(in, INSPECT_WARNING, TOPIC_POOL,
		    "there is no [mta]: %llu account%s without an SMTP provider of their own hear \"554 5.3.5 "
		    "No outgoing server is set up for your account\"",
		    n, n == 1 ? "" : "s");
}

/* False: it was to be done, and could not. */
static bool
migrate(struct inspect *in, struct vault *v)
{
	const char *path = in->conf->directory.path;
	char mem[INSPECT_LINE_MAX];
	char words[INSPECT_LINE_MAX];
	struct text done = text_over(words, sizeof(words));
	struct text why = text_over(mem, sizeof(mem));
	enum admin_result r = admin_migrate(path, v, &done, &why);

	in->busy = r == ADMIN_BUSY;
	if (r == ADMIN_OK)
		inspect_say_lines(in, INSPECT_GOOD, TOPIC_SCHEMA, text_slice(&done));
	else
		inspect_say_of(in, INSPECT_CROSS, TOPIC_DIRECTORY, "directory", NULL, "path", mem);
	return r == ADMIN_OK;
}

/* As it is, or as the migration has left it where one was asked for. */
static bool
survey(struct inspect *in, struct vault *v, struct admin_survey *found)
{
	const char *path = in->conf->directory.path;
	char mem[INSPECT_LINE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	bool ok = admin_survey(path, v, found, &why);

	if (ok && (found->is_behind || found->old > 0 || found->is_plain) &&
	    (in->what & INSPECT_MIGRATE) && !in->crossed) {
		if (!migrate(in, v))
			return false;
		ok = admin_survey(path, v, found, &why);
	}
	if (!ok)
		inspect_say_of(in, INSPECT_CROSS, TOPIC_DIRECTORY, "directory", NULL, "path", mem);
	return ok;
}

/* A start has mended it where that can be done. */
static void
say_plain(struct inspect *in)
{
	inspect_say_of(in, INSPECT_WARNING, TOPIC_DIRECTORY, "directory", NULL, "path",
	    in->what & INSPECT_MIGRATE
	        ? "the file cannot have a write-ahead log here: who reads and who writes wait for each "
	          "other; put it on a file system of this machine"
	        : "the file has no write-ahead log (it was restored by other means than byway "
	          "restore?): who reads and who writes wait for each other; the next start, or "
	          "bywayd --migrate, gives it one");
}

static void
say_directory(struct inspect *in, struct vault *v, const struct admin_survey *found)
{
	const char *path = in->conf->directory.path;

	if (found->is_plain && !found->is_behind)
		say_plain(in);
	if (found->is_behind || found->old > 0)
		inspect_say(in, INSPECT_GOOD, TOPIC_DIRECTORY,
		    "%s: whole, of an earlier version (schema %lld); the next start (or bywayd --migrate) brings it to this one's, after a copy",
		    path, (long long)found->schema);
	else
		inspect_say(in, INSPECT_GOOD, TOPIC_DIRECTORY, "%s: whole, schema %lld", path,
		    (long long)found->schema);
	if (found->is_behind)
		return;
	if (v)
		say_credentials(in, found);
	say_pool(in, found);
}

void
inspect_directory(struct inspect *in, bool with_vault)
{
	char mem[INSPECT_LINE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct admin_survey found;
	/* Where it cannot be opened the configuration has said so. */
	struct vault *v = with_vault ? vault_open(in->conf->vault.key_file, &why) : NULL;

	if (survey(in, v, &found))
		say_directory(in, v, &found);
	vault_close(v);
}
