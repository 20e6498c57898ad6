/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running daemon is asked and told, through its control socket (console/ctl.h): its own
 * JSON is the answer.
 */
#include "conf/conf.h"
#include "console/api/call.h"
#include "console/ctl.h"

enum { QUICK_S = 5, RELOAD_S = 120 };

static void
ask(struct call *c, const char *word, unsigned seconds)
{
	static const char *const none[] = { NULL };
	struct slice answer = slice_str(""), name, value;
	const char *why = NULL;

	if (!call_check_query(c, none) || !call_check_empty(c))
		return;
	if (ctl_ask(&c->cli, c->store->conf->server.control_socket, word, seconds, &answer, &why) !=
	    CTL_OK) {
		call_problem(c, 503, "daemon", NULL, "%s", why);
		return;
	}
	call_begin(c);
	while (ctl_member(&answer, &name, &value))
		json_raw(&c->out, cli_dup(&c->cli, name), value);
	call_end(c, 200);
}

void
call_status(struct call *c)
{
	ask(c, "status", QUICK_S);
}

void
call_reload(struct call *c)
{
	ask(c, "reload", RELOAD_S);
}
