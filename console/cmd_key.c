/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/ctl.h"
#include "wire/crypto.h"

/*
 * byway key: the ring of keys that credentials are sealed with
 *
 * rotate: a new key goes into the ring, the running daemon reads the ring anew, and only then is
 * everything sealed with the new key: so there is no moment at which a worker meets a credential
 * that it cannot open.
 */

enum { RELOAD_S = 120, BROKEN_MAX = 64 * 1024 };

/* ---- list ------------------------------------------------------------------------------------ */

static void
list_keys(struct cli *c, struct slice ring, const char *current)
{
	static const char *const titles[] = { "key", "use", NULL };
	struct table t = table_begin(c, titles);
	struct json j = json_begin();

	if (c->json)
		json_open(&j, NULL, '[');
	while (ring.n > 0) {
		struct slice line = slice_trim(slice_cut(&ring, '\n'));
		const char *id = cli_dup(c, slice_head(line, slice_find(line, ' ')));
		bool seals = strcmp(id, current) == 0;

		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (c->json) {
			json_open(&j, NULL, '{');
			json_str(&j, "id", slice_str(id));
			json_bool(&j, "current", seals);
			json_close(&j, '}');
		} else {
			table_row(&t, (const char *[]){ id, seals ? "seals and opens" : "opens" });
		}
	}
	if (c->json) {
		json_close(&j, ']');
		json_end(&j);
	}
	table_end(&t);
}

int
cmd_key_list(struct cli *c)
{
	char why[512] = "";
	struct secret ring = { 0 };
	struct store s;
	int status = store_open(c, STORE_VAULT, &s);

	if (status != EX_OK)
		return status;
	if (secret_read_file(&ring, s.conf->vault.key_file, false, why, sizeof(why)))
		list_keys(c, secret_peek(&ring), vault_current(s.vault));
	else
		status = cli_fail(c, EX_NOPERM, "%s", why);
	secret_fini(&ring);
	store_close(&s);
	return status;
}

/* ---- rotate, reseal -------------------------------------------------------------------------- */

/* True where no daemon runs, or it has read the ring anew. */
static bool
tell_daemon(struct store *s, bool *running_r, const char **why_r)
{
	struct slice answer = slice_str("");
	enum ctl_result r =
	    ctl_ask(s->cli, s->conf->server.control_socket, "reload", RELOAD_S, &answer, why_r);

	*running_r = r != CTL_ABSENT;
	if (r == CTL_ABSENT)
		return true;
	if (r == CTL_OK && ctl_true(ctl_find(answer, "ok")))
		return true;
	if (r == CTL_OK)
		*why_r = "it refused to reload; `byway reload` tells why";
	return false;
}

static int
reseal(struct cli *c, const char *done_what, bool running)
{
	struct reseal_count count = { 0 };
	struct text names = text_over(cli_alloc(c, BROKEN_MAX), BROKEN_MAX);
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_VAULT, &s);
	enum admin_result r;

	if (status != EX_OK)
		return status;
	r = admin_reseal(s.admin, &count, &names);
	if (r != ADMIN_OK) {
		status = store_fail(&s, r);
	} else if (count.broken > 0) {
		status = cli_fail_lines(c, EX_DATAERR, text_slice(&names),
		    "%llu credential%s could not be opened and stay as they are; give them their passwords again",
		    (unsigned long long)count.broken, count.broken == 1 ? "" : "s");
	} else if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "done", slice_str(done_what));
		json_str(&j, "key", slice_str(vault_current(s.vault)));
		json_u64(&j, "sealed", count.done);
		json_bool(&j, "daemon", running);
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("%s: key %s, %llu credential%s sealed with it%s\n", done_what,
		    vault_current(s.vault), (unsigned long long)count.done,
		    count.done == 1 ? "" : "s",
		    running ? ", the daemon has it" : "; no daemon runs here");
	}
	store_close(&s);
	return status;
}

int
cmd_key_rotate(struct cli *c)
{
	struct text why = text_over(cli_alloc(c, 1024), 1024);
	const char *refusal = NULL;
	bool running = false, told;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_VAULT, &s);

	if (status != EX_OK)
		return status;
	if (!vault_add_key(s.conf->vault.key_file, &why)) {
		store_close(&s);
		return cli_fail(c, EX_CANTCREAT, "%s", why.mem);
	}
	told = tell_daemon(&s, &running, &refusal);
	store_close(&s);
	if (!told)
		return cli_fail(c, EX_UNAVAILABLE,
		    "a key was added, but nothing was sealed with it: the daemon has not read it (%s); "
		    "then run `byway key reseal`",
		    refusal);
	return reseal(c, "rotated", running);
}

int
cmd_key_reseal(struct cli *c)
{
	const char *refusal = NULL;
	bool running = false, told;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_VAULT, &s);

	if (status != EX_OK)
		return status;
	told = tell_daemon(&s, &running, &refusal);
	store_close(&s);
	if (!told)
		return cli_fail(c, EX_UNAVAILABLE, "nothing was sealed anew: %s", refusal);
	return reseal(c, "sealed anew", running);
}
