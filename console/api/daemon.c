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

static void
ask(struct call *c, const char *word, unsigned seconds)
{
	struct slice answer = slice_str(""), rest, name, value;
	const char *why = NULL;

	if (ctl_ask(&c->cli, c->store->conf->server.control_socket, word, seconds, &answer, &why) !=
	    CTL_OK) {
		call_problem(c, 503, "daemon", NULL, "%s", why);
		return;
	}
	value = ctl_find(answer, "error");
	if (value.n > 0) {
		why = ctl_text(&c->cli, value);
		call_problem(c, strncmp(why, "there is no", 11) == 0 ? 404 : 503, "daemon", NULL,
		    "%s", why);
		return;
	}
	call_begin(c);
	for (rest = answer; ctl_member(&rest, &name, &value);)
		json_raw(&c->out, cli_dup(&c->cli, name), value);
	call_end(c, 200);
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
call_explain(struct call *c)
{
	static const char *const query[] = { "to", NULL };
	const char *name, *to;
	char mem[ADDRESS_MAX + 1] = "";

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	to = call_query(c, "to");
	if (to && !address_normal(slice_str(to), mem)) {
		call_problem(c, 422, "invalid", "to", "to: an address is wanted");
		return;
	}
	name = subject(c);
	if (name)
		ask(c, cli_print(&c->cli, "explain %s%s%s", name, to ? " " : "", mem), ASK_S);
}
