/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running daemon is asked and told, through its control socket (console/ctl.h): its own
 * JSON is the answer.
 */
#include "conf/conf.h"
#include "conf/directory/admin_names.h"
#include "console/api/call.h"
#include "console/ctl.h"

enum { QUICK_S = 5, ASK_S = 15, RELOAD_S = 120 };

static const char *const none[] = { NULL };

/* False after a problem was said. */
static bool
hear(struct call *c, const char *word, unsigned seconds, struct slice *answer_r)
{
	const char *why = NULL;
	struct slice error;

	if (ctl_ask(&c->cli, c->store->conf->server.control_socket, word, seconds, answer_r,
	        &why) != CTL_OK) {
		call_problem(c, 503, "daemon", NULL, "%s", why);
		return false;
	}
	error = ctl_find(*answer_r, "error");
	if (error.n == 0)
		return true;
	why = ctl_text(&c->cli, error);
	call_problem(c, strncmp(why, "there is no", 11) == 0 ? 404 : 503, "daemon", NULL, "%s",
	    why);
	return false;
}

/* The daemon's answer; of its members only ONLY, where that is not NULL. */
static void
pass_on(struct call *c, struct slice answer, const char *only)
{
	struct slice name, value;

	call_begin(c);
	while (ctl_member(&answer, &name, &value))
		if (!only || slice_eq(name, slice_str(only)))
			json_raw(&c->out, cli_dup(&c->cli, name), value);
	call_end(c, 200);
}

static void
ask(struct call *c, const char *word, unsigned seconds)
{
	struct slice answer = slice_str("");

	if (hear(c, word, seconds, &answer))
		pass_on(c, answer, NULL);
}

void
call_status(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		ask(c, "status", QUICK_S);
}

void
call_reload(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		ask(c, "reload", RELOAD_S);
}

void
call_drain(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		ask(c, "drain", QUICK_S);
}

/* The mailbox or the account of the path, as the directory writes it: nothing else of what a caller
 * says comes into a line of the control socket. NULL after a problem was said. */
static const char *
subject(struct call *c)
{
	struct admin_account a = { 0 };
	struct admin_mailbox m = { 0 };

	if (c->op->kind == &kind_mailbox)
		return call_find_mailbox(c, &m) ? m.address : NULL;
	return call_find_account(c, &a) ? a.name : NULL;
}

static void
ask_about(struct call *c, const char *word)
{
	const char *name;

	if (!call_check_query(c, none) || !call_check_empty(c))
		return;
	name = subject(c);
	if (name)
		ask(c, cli_print(&c->cli, "%s %s", word, name), ASK_S);
}

void
call_usage(struct call *c)
{
	ask_about(c, "usage");
}

void
call_limits_reset(struct call *c)
{
	ask_about(c, "limits reset");
}

void
call_refusals(struct call *c)
{
	struct slice answer = slice_str("");
	struct admin_account a = { 0 };

	if (call_check_query(c, none) && call_check_empty(c) && call_find_account(c, &a) &&
	    hear(c, cli_print(&c->cli, "usage %s", a.name), ASK_S, &answer))
		pass_on(c, answer, "refusals");
}

void
call_health(struct call *c)
{
	const char *key = cli_print(&c->cli, "%s/%s", c->names[0], c->names[1]);
	void *row = cli_alloc(&c->cli, kind_profile.of->size);
	const struct admin_profile *p = row;
	enum admin_result r;

	if (!call_check_query(c, none) || !call_check_empty(c))
		return;
	r = kind_get(c->store, &kind_profile, key, row);
	if (r == ADMIN_OK)
		ask(c,
		    cli_print(&c->cli, "profile %llu %s", (unsigned long long)p->id,
		        kind_key_of(&c->cli, &kind_profile, row)),
		    QUICK_S);
	else
		call_failed(c, r == ADMIN_INVALID ? ADMIN_MISSING : r);
}

/* ---- explain --------------------------------------------------------------------------------- */

/* Of the mailbox c->names[1]. */
static void
explain(struct call *c)
{
	const char *to = call_query(c, "to");
	char mem[ADDRESS_MAX + 1] = "";
	struct admin_mailbox m = { 0 };

	if (to && !address_normal(slice_str(to), mem)) {
		call_problem(c, 422, "invalid", "to", "to: an address is wanted");
		return;
	}
	if (call_find_mailbox(c, &m))
		ask(c, cli_print(&c->cli, "explain %s%s%s", m.address, to ? " " : "", mem), ASK_S);
}

void
call_explain(struct call *c)
{
	static const char *const query[] = { "to", NULL };

	if (call_check_query(c, query) && call_check_empty(c))
		explain(c);
}

void
call_explain_account(struct call *c)
{
	static const char *const query[] = { "mailbox", "to", NULL };
	const char *mailbox;

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	mailbox = call_query(c, "mailbox");
	if (!mailbox) {
		call_problem(c, 422, "invalid", "mailbox", "mailbox: say which one");
		return;
	}
	c->names[1] = mailbox;
	c->names_n = 2;
	explain(c);
}
