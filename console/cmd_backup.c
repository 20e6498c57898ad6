/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/directory/backup.h"
#include "conf/vault/parcel.h"
#include "console/ask.h"
#include "console/file.h"
#include "console/out.h"
#include "wire/crypto.h"

/*
 * byway backup FILE, byway restore FILE --to DIR
 *
 * What is in a backup: the directory, byway.ini and conf.d/ as they stand, the names of the
 * certificates (not their keys), and the key ring sealed with a passphrase.
 */

enum { ITEMS_MAX = 256, INI_ROOM = 4096 };

static const char ring_item[] = "vault.key", manifest_item[] = "manifest", ini_item[] = "byway.ini";

/* ---- make ------------------------------------------------------------------------------------ */

struct making {
	struct cli *cli;
	const struct conf *conf;
	struct backup_item items[ITEMS_MAX];
	size_t n;
	bool with_ring;
};

static int
add(struct making *m, const char *name, const char *path)
{
	const char *why = NULL;
	const char *content = file_read(m->cli, path, &why);

	if (!content)
		return cli_fail(m->cli, EX_NOINPUT, "%s", why);
	if (m->n == ITEMS_MAX)
		return cli_fail(m->cli, EX_CONFIG, "more files in conf.d than a backup takes (%d)",
		    (int)ITEMS_MAX);
	m->items[m->n++] = (struct backup_item){ name, slice_str(content) };
	return EX_OK;
}

static int
is_ini(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot && strcmp(dot, ".ini") == 0;
}

/* byway.ini and conf.d beside it. */
static int
add_configuration(struct making *m)
{
	struct cli *c = m->cli;
	const char *slash = strrchr(c->config, '/');
	const char *folder =
	    cli_print(c, "%.*sconf.d", slash ? (int)(slash + 1 - c->config) : 0, c->config);
	struct dirent **all = NULL;
	int status = add(m, ini_item, c->config);
	int n = scandir(folder, &all, is_ini, alphasort);

	for (int i = 0; i < n; i++) {
		if (status == EX_OK)
			status = add(m, cli_print(c, "conf.d/%s", all[i]->d_name),
			    cli_print(c, "%s/%s", folder, all[i]->d_name));
		free(all[i]);
	}
	free(all);
	return status;
}

static void
add_manifest(struct making *m)
{
	struct cli *c = m->cli;
	struct text t = text_over(cli_alloc(c, 65536), 65536);
	char when[32];
	struct tm tm;
	time_t now = time(NULL);

	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	text_fmt(&t, "byway %s\nmade %s\nof %s\nname %s\n", BYWAY_VERSION, when, c->config,
	    m->conf->server.name);
	for (size_t i = 0; i < m->conf->certificates_n; i++)
		text_fmt(&t, "certificate %s %s %s\n", m->conf->certificates[i].name,
		    m->conf->certificates[i].chain_file, m->conf->certificates[i].key_file);
	text_fmt(&t, "ring %s\n", m->with_ring ? "sealed" : "left out");
	m->items[m->n++] = (struct backup_item){ manifest_item, text_slice(&t) };
}

/* The passphrase from where it is said; NOT_SAID_R: from nowhere. TWICE: a typing mistake would
 * lock the ring away. */
static int
ask_passphrase(struct cli *c, bool twice, struct credential *cred, bool *not_said_r)
{
	const char *file = cli_value(c, "passphrase-file");
	const char *env = getenv("BYWAY_PASSPHRASE");
	char why[512] = "";

	*not_said_r = false;
	if (file)
		return secret_read_file(&cred->plain, file, false, why, sizeof(why))
		    ? EX_OK
		    : cli_fail(c, EX_NOINPUT, "%s", why);
	if (env && *env)
		return secret_init(&cred->plain, slice_str(env))
		    ? EX_OK
		    : cli_fail(c, EX_OSERR, "out of memory");
	if (ask_can(c))
		return ask_passphrase_at(c, twice, cred);
	*not_said_r = true;
	return EX_OK;
}

static int
seal_ring(struct making *m, const struct secret *passphrase)
{
	struct cli *c = m->cli;
	char why[512] = "";
	struct secret ring = { 0 };
	struct text parcel = text_over(cli_alloc(c, PARCEL_MAX), PARCEL_MAX);

	if (passphrase->n == 0)
		return cli_fail(c, EX_DATAERR, "the passphrase is empty");
	if (!secret_read_file(&ring, m->conf->vault.key_file, false, why, sizeof(why)))
		return cli_fail(c, EX_NOPERM,
		    "%s; run this as root or as the daemon's user, or say --without-ring", why);
	bool ok = parcel_seal(passphrase, secret_peek(&ring), &parcel);

	secret_fini(&ring);
	if (!ok)
		return cli_fail(c, EX_SOFTWARE, "the key ring could not be sealed");
	m->items[m->n++] = (struct backup_item){ ring_item, text_slice(&parcel) };
	m->with_ring = true;
	return EX_OK;
}

static int
add_ring(struct making *m)
{
	struct credential cred = { 0 };
	bool not_said = true;
	int status = EX_OK;

	if (!cli_has(m->cli, "without-ring"))
		status = ask_passphrase(m->cli, true, &cred, &not_said);
	if (status == EX_OK && !not_said)
		status = seal_ring(m, &cred.plain);
	credential_fini(&cred);
	return status;
}

static int
make(struct making *m, const char *file)
{
	struct cli *c = m->cli;
	struct text why = text_over(cli_alloc(c, INI_ROOM), INI_ROOM);
	int status = add_ring(m);

	if (status == EX_OK)
		status = add_configuration(m);
	if (status != EX_OK)
		return status;
	if (m->n == ITEMS_MAX)
		return cli_fail(c, EX_CONFIG, "more files in conf.d than a backup takes");
	add_manifest(m);
	if (!backup_make(m->conf->directory.path, file, m->items, m->n, &why))
		return cli_fail(c, EX_CANTCREAT, "%s", why.mem);
	if (c->json)
		printf("{\"done\": \"backed up\", \"ring\": %s}\n",
		    m->with_ring ? "true" : "false");
	else
		printf("backed up to %s%s\n", file,
		    m->with_ring ? ", with the key ring under the passphrase" : "");
	if (!m->with_ring)
		cli_note(c,
		    "Warning: the key ring is not in it. Without a copy of %s no stored credential can be opened again; say --passphrase-file FILE to have it sealed into the backup.",
		    m->conf->vault.key_file);
	return EX_OK;
}

int
cmd_backup(struct cli *c)
{
	struct making *m = cli_alloc(c, sizeof(*m));
	int status = EX_OK;
	struct conf *conf;

	if (!crypto_init())
		return cli_fail(c, EX_SOFTWARE, "the cryptographic library did not start");
	if (!(conf = store_conf(c, false, &status)))
		return status;
	m->cli = c;
	m->conf = conf;
	status = make(m, c->args[0]);
	conf_unref(conf);
	return status;
}

/* ---- and back -------------------------------------------------------------------------------- */

struct restoring {
	struct cli *cli;
	const char *file, *to;
	struct backup_item items[ITEMS_MAX]; /* copies */
	size_t n;
	struct secret ring;
	bool has_ring;
};

static bool
keep_item(void *ctx, const struct backup_item *item)
{
	struct restoring *r = ctx;

	if (r->n == ITEMS_MAX)
		return false;
	r->items[r->n++] = (struct backup_item){ cli_dup(r->cli, slice_str(item->name)),
		slice_str(cli_dup(r->cli, item->content)) };
	return true;
}

static const struct backup_item *
find_item(const struct restoring *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->items[i].name, name) == 0)
			return &r->items[i];
	}
	return NULL;
}

/* Nothing but byway.ini and names in conf.d: a backup writes nowhere else. */
static bool
is_configuration(const char *name)
{
	if (strncmp(name, "conf.d/", 7) == 0)
		return name[7] && name[7] != '.' && !strchr(name + 7, '/');
	return strcmp(name, ini_item) == 0;
}

/* INI with the paths of what is restored beside it. */
static struct slice
moved(struct restoring *r, struct slice ini)
{
	struct cli *c = r->cli;
	size_t room = ini.n + INI_ROOM + 2 * strlen(r->to);
	struct text out = text_over(cli_alloc(c, room), room);
	struct slice section = SLICE("");

	while (ini.n > 0) {
		struct slice line = slice_cut(&ini, '\n'), rest = line;
		struct slice key = slice_trim(slice_cut(&rest, '='));
		struct slice head = slice_trim(line);

		if (head.n > 2 && head.p[0] == '[')
			section = slice_of(head.p + 1, slice_find(head, ']') - 1);
		if (slice_eq(section, SLICE("directory")) && slice_eq(key, SLICE("path")))
			text_fmt(&out, "path = %s/directory.db\n", r->to);
		else if (slice_eq(section, SLICE("vault")) && slice_eq(key, SLICE("key_file")))
			text_fmt(&out, "key_file = %s/vault.key\n", r->to);
		else
			text_fmt(&out, "%.*s\n", SLICE_FMT(line));
	}
	return text_slice(&out);
}

/* Also where it is no folder that can be read. */
static bool
holds_something(const char *folder)
{
	struct dirent **all = NULL;
	int n = scandir(folder, &all, NULL, alphasort);

	for (int i = 0; i < n; i++)
		free(all[i]);
	free(all);
	return n < 0 || n > 2; /* itself and its parent */
}

/* Absent, or a folder with nothing in it. */
static int
make_empty(struct restoring *r)
{
	struct cli *c = r->cli;

	if (mkdir(r->to, 0750) == 0 || (errno == EEXIST && !holds_something(r->to)))
		return EX_OK;
	if (errno != EEXIST && access(r->to, F_OK) != 0)
		return cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", r->to, strerror(errno));
	return cli_fail(c, EX_CANTCREAT, "%s is not empty: name another folder", r->to);
}

static int
open_ring(struct restoring *r)
{
	struct cli *c = r->cli;
	const struct backup_item *item = find_item(r, ring_item);
	struct credential cred = { 0 };
	bool not_said = false;
	int status;

	if (!item || cli_has(c, "without-ring"))
		return EX_OK;
	status = ask_passphrase(c, false, &cred, &not_said);
	if (status == EX_OK && not_said)
		status = cli_usage(c,
		    "the key ring in it is sealed: say --passphrase-file FILE, or --without-ring");
	else if (status == EX_OK && !parcel_open(&cred.plain, item->content, &r->ring))
		status = cli_fail(c, EX_NOPERM,
		    "the passphrase does not open the key ring; nothing was restored");
	else if (status == EX_OK)
		r->has_ring = true;
	credential_fini(&cred);
	return status;
}

static int
write_files(struct restoring *r)
{
	struct cli *c = r->cli;

	for (size_t i = 0; i < r->n; i++) {
		const char *path = cli_print(c, "%s/%s", r->to, r->items[i].name);

		if (!is_configuration(r->items[i].name))
			continue;
		if (strncmp(r->items[i].name, "conf.d/", 7) == 0)
			(void)mkdir(cli_print(c, "%s/conf.d", r->to), 0750);
		if (!file_create(path, moved(r, r->items[i].content), 0640))
			return cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", path,
			    strerror(errno));
	}
	const char *ring = cli_print(c, "%s/vault.key", r->to);

	/* Its last line end went with reading. */
	if (r->has_ring && !file_create(ring, secret_peek(&r->ring), 0600))
		return cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", ring, strerror(errno));
	return EX_OK;
}

/* As byway init does, where we are root and that user is here. */
static int
give_to_user(struct restoring *r)
{
	struct cli *c = r->cli;
	struct text why = text_over(cli_alloc(c, 65536), 65536);
	struct conf *conf = conf_load(cli_print(c, "%s/%s", r->to, ini_item), false, &why);
	const struct passwd *pw = conf && conf->server.user ? getpwnam(conf->server.user) : NULL;
	static const char *const names[] = { "", "/directory.db", "/vault.key" };

	for (size_t i = 0; pw && geteuid() == 0 && i < sizeof(names) / sizeof(*names); i++) {
		const char *path = cli_print(c, "%s%s", r->to, names[i]);

		if (access(path, F_OK) == 0 && chown(path, pw->pw_uid, pw->pw_gid) != 0) {
			conf_unref(conf);
			return cli_fail(c, EX_CANTCREAT, "cannot give %s away: %s", path,
			    strerror(errno));
		}
	}
	/* The configuration is root's; the daemon may read it. */
	if (pw && geteuid() == 0 &&
	    chown(cli_print(c, "%s/%s", r->to, ini_item), 0, pw->pw_gid) != 0)
		cli_note(c, "cannot give %s/%s to the group of %s: %s", r->to, ini_item,
		    pw->pw_name, strerror(errno));
	conf_unref(conf);
	return EX_OK;
}

static void
say_restored(struct restoring *r)
{
	struct cli *c = r->cli;
	const struct backup_item *manifest = find_item(r, manifest_item);
	struct slice rest = manifest ? manifest->content : SLICE("");

	if (c->json) {
		printf("{\"done\": \"restored\", \"ring\": %s}\n", r->has_ring ? "true" : "false");
		return;
	}
	printf("restored to %s\n", r->to);
	while (rest.n > 0) {
		struct slice line = slice_cut(&rest, '\n');

		if (slice_starts(line, SLICE("certificate "))) {
			fputs("not in a backup, and needed: ", stdout);
			out_plain(stdout, line);
			fputc('\n', stdout);
		}
	}
	if (!r->has_ring)
		cli_note(c,
		    "Warning: without the key ring: put your copy to %s/vault.key (mode 0600), or make a new one with `byway init --dir %s` and give each profile its password again.",
		    r->to, r->to);
	printf("Next: byway -c %s/byway.ini check\n", r->to);
}

static int
restore(struct restoring *r)
{
	struct cli *c = r->cli;
	struct text why = text_over(cli_alloc(c, INI_ROOM), INI_ROOM);
	int status;

	if (!backup_each(r->file, keep_item, r, &why))
		return cli_fail(c, EX_DATAERR, "%s",
		    why.n ? why.mem : "more files in it than a backup has");
	status = open_ring(r);
	if (status == EX_OK)
		status = make_empty(r);
	if (status == EX_OK)
		status = write_files(r);
	if (status == EX_OK && !backup_take(r->file, cli_print(c, "%s/directory.db", r->to), &why))
		status = cli_fail(c, EX_CANTCREAT, "%s", why.mem);
	if (status == EX_OK)
		status = give_to_user(r);
	if (status == EX_OK)
		say_restored(r);
	return status;
}

int
cmd_restore(struct cli *c)
{
	struct restoring *r = cli_alloc(c, sizeof(*r));
	char *to = NULL;
	const char *said = cli_value(c, "to");
	int status;

	if (!said)
		return cli_usage(c, "--to DIR says where to");
	if (!crypto_init())
		return cli_fail(c, EX_SOFTWARE, "the cryptographic library did not start");
	*r = (struct restoring){ .cli = c, .file = c->args[0], .to = said };
	if (*said != '/' && (to = getcwd(NULL, 0)))
		r->to = cli_print(c, "%s/%s", to, said);
	free(to);
	status = restore(r);
	secret_fini(&r->ring);
	return status;
}
