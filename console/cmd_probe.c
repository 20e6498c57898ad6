/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <signal.h>
#include <stdio.h>

#include "console/ask.h"
#include "console/ctl.h"
#include "console/kind_profile.h"
#include "console/out.h"
#include "relay/probe.h"
#include "wire/crypto.h"
#include "wire/log.h"
#include "wire/tls.h"

/*
 * byway profile test: the relay's own dialogue with a profile's server, also with values that are
 * not stored yet
 */

enum { WRONG_MAX = 16 * 1024, QUICK_S = 10 };

/* What is tried: its secrets, and whether it is the stored profile as it is. */
struct trial {
	bool stored;
	struct credential cred;
	struct secret refresh;
};

static int
wrong_values(struct cli *c, const struct text *wrong)
{
	struct slice rest = text_slice(wrong);
	struct slice line = slice_cut(&rest, '\n');

	return cli_usage(c, "%.*s", SLICE_FMT(line));
}

/* The stored password, where what is tested is still the place that it was given for. */
static int
stored_password(struct store *s, const struct admin_profile *row, struct credential *cred)
{
	enum admin_result r =
	    admin_profile_unseal(s->admin, kind_key_of(s->cli, &kind_profile, row), &cred->plain);

	cred->given = r == ADMIN_OK;
	return r == ADMIN_OK ? EX_OK : store_fail(s, r);
}

static enum admin_result
stored_refresh_token(struct store *s, const struct admin_profile *row, struct secret *token_r)
{
	return admin_profile_unseal_refresh_token(s->admin, kind_key_of(s->cli, &kind_profile, row),
	    token_r);
}

static bool
needs_password(const struct admin_profile *p)
{
	return p->auth == PROFILE_PASSWORD && (*p->username || p->transport == TRANSPORT_API);
}

static int
read_profile(struct store *s, struct object *o, void *row, struct trial *t)
{
	struct credential *cred = &t->cred;
	struct cli *c = s->cli;
	const struct kind *k = o->kind;
	struct text wrong = text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX);
	enum admin_result r = c->args_n ? kind_get(s, k, o->key, row) : ADMIN_MISSING;
	const struct admin_profile *p = row;
	const char *why = NULL;
	bool stored = false;
	bool same = false;

	if (r == ADMIN_OK) {
		const struct object *was = object_of(c, k, row);

		if (cli_has(c, "domain"))
			return cli_usage(c,
			    "--domain is for a profile that is not there yet: say --username");
		if (!object_read(c, o, row, "--", &wrong))
			return wrong_values(c, &wrong);
		same = !object_moves(was, object_of(c, k, row));
		stored = object_has_password(was) && same;
		t->stored = same;
	} else if (r != ADMIN_MISSING ||
	    (c->args_n && !cli_has(c, "host") && !cli_has(c, "provider"))) {
		return store_fail(s, r);
	} else {
		why = kind_set_key(c, k, row, o->key);
		if (why)
			return cli_usage(c, "%s", why);
		if (!object_fresh(c, o, row, "--", &wrong))
			return wrong_values(c, &wrong);
	}
	why = profile_doubt(c, p);
	if (why)
		cli_note(c, "%s", why);
	if (p->has_refresh_token && !same)
		return cli_usage(c,
		    "the refresh token was given for the stored host, port, TLS mode and token endpoint: it is tried nowhere else");
	if (p->has_refresh_token && (r = stored_refresh_token(s, p, &t->refresh)) != ADMIN_OK)
		return store_fail(s, r);
	if (stored && !ask_has_password(c))
		return stored_password(s, p, cred);
	return ask_password(c, needs_password(p), o->key, cred);
}

/* What the daemon would know of it, but for what is sealed. */
static struct profile
profile_of(const struct admin_profile *row)
{
	struct profile p = { .id = row->id };

	columns_copy(snapshot_profile, &p, entity_profile.columns, row);
	return p;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void
print_certificate(const struct probe_report *r)
{
	if (*r->certificate)
		printf("certificate: %s (%s)\n", r->certificate,
		    r->verified ? "verified" : "not verified");
}

static void
print_report(struct cli *c, const struct profile *p, const struct probe_report *r)
{
	static const char colours[] = { 'b', 'b', 'g', 'r' };

	for (enum probe_step i = 0; i < PROBE_STEPS; i++) {
		const struct probe_row *row = &r->rows[i];

		if (row->state == PROBE_NOT_REACHED || !probe_has(p, i))
			continue;
		out_paint(c, colours[row->state]);
		printf("%-9s %-7s", probe_word(i), probe_state_word(row->state));
		out_paint(c, '\0');
		printf(" %7.0f ms  %s\n", row->ms, row->said);
	}
	print_certificate(r);
	if (*r->capabilities)
		printf("offers: %s\n", r->capabilities);
	if (*r->transcript && cli_has(c, "transcript"))
		printf("\n%s\n", r->transcript);
	if (r->good && r->rows[PROBE_REQUEST].state == PROBE_SKIPPED)
		printf("The API is reached (%.0f ms); the key was not tried.\n", r->ms);
	else if (r->good)
		printf("The profile works (%.0f ms).\n", r->ms);
	else
		printf("It fails at %s. %s\n", probe_word(r->failed), r->action);
}

static void
write_steps(struct json *j, const struct profile *p, const struct probe_report *r)
{
	json_open(j, "steps", '[');
	for (enum probe_step i = 0; i < PROBE_STEPS; i++) {
		if (!probe_has(p, i))
			continue;
		json_open(j, NULL, '{');
		json_str(j, "step", slice_str(probe_word(i)));
		json_str(j, "state", slice_str(probe_state_word(r->rows[i].state)));
		json_u64(j, "us", (uint64_t)(r->rows[i].ms * 1e3));
		json_str(j, "said", slice_str(r->rows[i].said));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
write_report(const struct profile *p, const struct probe_report *r)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_bool(&j, "ok", r->good);
	json_u64(&j, "us", (uint64_t)(r->ms * 1e3));
	json_str(&j, "peer", slice_str(r->peer));
	write_steps(&j, p, r);
	json_str(&j, "certificate", slice_str(r->certificate));
	json_bool(&j, "verified", r->verified);
	json_str(&j, "capabilities", slice_str(r->capabilities));
	if (!r->good) {
		json_str(&j, "failed", slice_str(probe_word(r->failed)));
		json_str(&j, "class", slice_str(verdict_word(r->class)));
		json_str(&j, "action", slice_str(r->action));
	}
	json_str(&j, "transcript", slice_str(r->transcript));
	json_close(&j, '}');
	json_end(&j);
}

/* ---- the test -------------------------------------------------------------------------------- */

static const char *
sender(struct cli *c, const struct admin_profile *row)
{
	const char *from = cli_value(c, "from");

	if (from)
		return from;
	return strchr(row->username, '@') ? row->username : cli_value(c, "to");
}

struct keeper {
	struct store *s;
	const struct admin_profile *row;
};

/* The one that is stored is dead from now on. */
static bool
keep_refresh_token(void *ctx, const struct secret *refresh)
{
	const struct keeper *k = ctx;

	return admin_profile_set_refresh_token(k->s->admin,
	           kind_key_of(k->s->cli, &kind_profile, k->row), refresh) == ADMIN_OK;
}

/* The operator's own server may be anywhere, this machine too; the guard is for customers'
 * hosts. */
static void
allow_all(struct conf *conf)
{
	static struct net all[] = { { .family = 4 }, { .family = 6 } };

	conf->upstream.allow_networks = all;
	conf->upstream.allow_networks_n = sizeof(all) / sizeof(all[0]);
}

/* The workers need not find out by themselves (P9); where no daemon runs they will. */
static void
tell_daemon(struct cli *c, const struct store *s, const struct probe_report *r)
{
	const char *path = cli_value(c, "socket");
	const char *why = NULL;
	struct slice said;

	if (!path)
		path = s->conf->server.control_socket;
	if (*r->offer && *path &&
	    ctl_ask(c, path, cli_print(c, "offer %s", r->offer), QUICK_S, &said, &why) ==
	        CTL_FAILED)
		cli_note(c, "the daemon was not told what the server offers: %s", why);
}

static int
probe(struct store *s, const struct admin_profile *row, const struct trial *t)
{
	struct cli *c = s->cli;
	struct profile p = profile_of(row);
	struct keeper keeper = { s, row };
	struct probe_report *r = cli_alloc(c, sizeof(*r));
	const struct probe_order o = {
		.conf = s->conf,
		.profile = &p,
		.password = &t->cred.plain,
		.refresh = &t->refresh,
		.keep = keep_refresh_token,
		.ctx = &keeper,
		.from = sender(c, row),
		.to = cli_value(c, "to"),
		.check_only = cli_has(c, "check-only"),
	};
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));

	if (!crypto_init() || !tls_init(&why))
		return cli_fail(c, EX_SOFTWARE, "the TLS library did not start: %s", mem);
	if (cli_has(c, "own"))
		allow_all(s->conf);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	log_set_level(LOG_ERROR);
	if (!probe_run(&o, r))
		return cli_fail(c, EX_USAGE,
		    "the test cannot begin: are --from and --to addresses?");
	if (t->stored)
		tell_daemon(c, s, r);
	if (c->json)
		write_report(&p, r);
	else
		print_report(c, &p, r);
	return r->good ? EX_OK : EX_UNAVAILABLE;
}

int
cmd_profile_test(struct cli *c)
{
	struct object *o = object_said(c, &kind_profile, c->args_n ? c->args[0] : "new/profile");
	struct trial t = { 0 };
	struct store s = { 0 };
	void *row = cli_alloc(c, kind_profile.of->size);
	int status = store_open(c, STORE_DIRECTORY | STORE_VAULT_MAYBE, &s);

	if (status != EX_OK)
		return status;
	if (c->args_n && cli_has(c, "own"))
		status = cli_usage(c, "--own is for a server that no profile names");
	else if (!c->args_n && !cli_has(c, "host") && !cli_has(c, "provider"))
		status = cli_usage(c, "name a profile, or say --host or --provider");
	if (status == EX_OK)
		status = object_read_files(c, o);
	if (status == EX_OK)
		status = read_profile(&s, o, row, &t);
	if (status == EX_OK)
		status = probe(&s, row, &t);
	credential_fini(&t.cred);
	secret_fini(&t.refresh);
	store_close(&s);
	return status;
}
