/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>
#include <time.h>

#include "console/ctl.h"
#include "console/daemon.h"

/*
 * byway explain, usage, limits, forgive: what the running daemon knows of one mailbox or account
 */

enum { ASK_S = 15, WORDS_MAX = 900 };

/* The daemon's answer to "WORD NAME MORE"; names have no blanks. */
static int
ask(struct cli *c, const char *word, const char *name, const char *more, struct slice *answer_r)
{
	int status;

	if (!slice_is_text(slice_str(name)) || strpbrk(name, " \t") || strlen(name) > WORDS_MAX / 3)
		return cli_fail(c, EX_USAGE, "'%s' cannot be a mailbox or an account", name);
	if (more &&
	    (!slice_is_text(slice_str(more)) || strpbrk(more, " \t") ||
	        strlen(more) > WORDS_MAX / 3))
		return cli_fail(c, EX_USAGE, "'%s' cannot be an address", more);
	status =
	    daemon_ask(c, cli_print(c, "%s %s%s%s", word, name, more ? " " : "", more ? more : ""),
	        ASK_S, answer_r);
	if (status != EX_OK || ctl_true(ctl_find(*answer_r, "ok")))
		return status;

	const char *why = ctl_text(c, ctl_find(*answer_r, "error"));

	return cli_fail(c, strncmp(why, "there is no", 11) == 0 ? EX_NOUSER : EX_UNAVAILABLE, "%s",
	    why);
}

static const char *
member(struct cli *c, struct slice object, const char *key)
{
	return ctl_text(c, ctl_find(object, key));
}

static bool
is_null(struct slice value)
{
	return value.n == 0 || slice_eq(value, SLICE("null"));
}

static const char *
when(struct cli *c, uint64_t s)
{
	char mem[64];
	time_t at = (time_t)s;
	struct tm tm;

	if (s == 0 || !gmtime_r(&at, &tm) ||
	    strftime(mem, sizeof(mem), "%Y-%m-%d %H:%M UTC", &tm) == 0)
		return "";
	return cli_dup(c, slice_str(mem));
}

/* ---- explain --------------------------------------------------------------------------------- */

/* "554 5.7.7 This mailbox is paused" */
static const char *
reply_words(struct cli *c, struct slice reply)
{
	const char *enhanced = member(c, reply, "enhanced");

	return cli_print(c, "%s %s%s%s", member(c, reply, "code"), enhanced, *enhanced ? " " : "",
	    member(c, reply, "text"));
}

static void
print_wide(const char *label, const char *words)
{
	printf("    %-9s", label);
	out_plain(stdout, slice_str(words));
	fputc('\n', stdout);
}

static void
print_check(struct cli *c, struct slice check)
{
	const char *status = member(c, check, "status");
	struct slice reply = ctl_find(check, "reply");
	bool good = strcmp(status, "ok") == 0;

	out_paint(c, good ? 'g' : strcmp(status, "fail") == 0 ? 'r' : 'y');
	printf("%2s  %-5s", member(c, check, "number"), status);
	out_paint(c, '\0');
	printf(" %s\n", member(c, check, "title"));
	print_wide("", member(c, check, "finding"));
	if (good)
		return;
	if (!is_null(reply))
		print_wide("heard:", reply_words(c, reply));
	if (!is_null(ctl_find(check, "todo")))
		print_wide("to do:", member(c, check, "todo"));
}

static void
print_explanation(struct cli *c, struct slice answer)
{
	struct slice checks = ctl_find(answer, "checks"), check;
	struct slice failing = ctl_find(answer, "failing"), smtp = ctl_find(answer, "smtp");
	struct slice account = ctl_find(answer, "account");
	uint64_t first = is_null(failing) ? 0 : ctl_u64(failing);

	printf("%s", member(c, answer, "name"));
	if (!is_null(account))
		printf(": account %s, plan %s, route %s", ctl_text(c, account),
		    member(c, answer, "plan"),
		    is_null(ctl_find(answer, "route")) ? "none" : member(c, answer, "route"));
	printf("\n");
	if (!is_null(smtp))
		printf("It hears now: %s\n", reply_words(c, smtp));
	else if (first)
		printf("Its mail does not go now: the route is in the way.\n");
	else
		printf("Nothing stands against its mail here.\n");
	while (ctl_next(&checks, &check)) {
		bool note = strcmp(member(c, check, "status"), "note") == 0;

		/* The first that fails is almost always the cause; where none does, what is worth
		 * knowing. */
		if (!cli_has(c, "all") &&
		    (first ? ctl_u64(ctl_find(check, "number")) != first : !note))
			continue;
		fputc('\n', stdout);
		print_check(c, check);
	}
	if (!cli_has(c, "all"))
		printf("\nAll ten checks: byway explain %s --all\n", member(c, answer, "name"));
}

static bool
would_go(struct slice answer)
{
	return is_null(ctl_find(answer, "failing")) && is_null(ctl_find(answer, "smtp"));
}

int
cmd_explain(struct cli *c)
{
	struct slice answer = slice_str("");
	int status = ask(c, "explain", c->args[0], cli_value(c, "to"), &answer);

	if (status != EX_OK)
		return status;
	if (c->json)
		daemon_print(answer);
	else
		print_explanation(c, answer);
	return would_go(answer) ? EX_OK : EX_UNAVAILABLE;
}

/* ---- usage ----------------------------------------------------------------------------------- */

static const char *
percent(struct cli *c, uint64_t used, uint64_t cap)
{
	return cap ? cli_print(c, "%llu %%", (unsigned long long)(used * 100 / cap)) : "";
}

static void
print_limits(struct cli *c, struct slice limits)
{
	static const char *const titles[] = { "limit", "used", "of", "", "next room", "all free at",
		NULL };
	struct table t = table_begin(c, titles);
	struct slice l;

	if (is_null(limits)) {
		printf("The counters cannot be asked now.\n");
		return;
	}
	while (ctl_next(&limits, &l)) {
		uint64_t cap = ctl_u64(ctl_find(l, "cap"));

		table_row(&t,
		    (const char *[]){ member(c, l, "limit"), member(c, l, "used"),
		        cap ? member(c, l, "cap") : "no limit",
		        percent(c, ctl_u64(ctl_find(l, "used")), cap),
		        when(c, ctl_u64(ctl_find(l, "next"))),
		        when(c, ctl_u64(ctl_find(l, "resets"))) });
	}
	table_end(&t);
}

static void
print_refusals(struct cli *c, struct slice refusals)
{
	static const char *const titles[] = { "refused for", "code", "count", "last", "sender",
		"recipient", "words", "id", NULL };
	struct table t = table_begin(c, titles);
	struct slice r;

	while (ctl_next(&refusals, &r))
		table_row(&t,
		    (const char *[]){ member(c, r, "cause"), member(c, r, "code"),
		        member(c, r, "count"), when(c, ctl_u64(ctl_find(r, "last"))),
		        member(c, r, "sender"), member(c, r, "to"), member(c, r, "words"),
		        member(c, r, "id") });
	if (t.rows > 0)
		fputc('\n', stdout);
	table_end(&t);
}

static void
print_profiles(struct cli *c, struct slice profiles)
{
	static const char *const titles[] = { "upstream", "state", "sent", "failed", "last sent",
		"last failed", "last words", NULL };
	struct table t = table_begin(c, titles);
	struct slice p;

	while (ctl_next(&profiles, &p)) {
		const char *state = member(c, p, "state");

		if (ctl_u64(ctl_find(p, "retry_s")) > 0)
			state =
			    cli_print(c, "%s, asked again in %s s", state, member(c, p, "retry_s"));
		table_row(&t,
		    (const char *[]){ member(c, p, "name"), state, member(c, p, "sent"),
		        member(c, p, "failed"), when(c, ctl_u64(ctl_find(p, "last_sent"))),
		        when(c, ctl_u64(ctl_find(p, "last_failed"))), member(c, p, "said") });
	}
	if (t.rows > 0)
		fputc('\n', stdout);
	table_end(&t);
}

static void
print_usage_head(struct cli *c, struct slice answer)
{
	struct slice state = ctl_find(answer, "mailbox_state");

	printf("%s %s", member(c, answer, "kind"), member(c, answer, "name"));
	if (!is_null(state))
		printf(" (%s): account %s", ctl_text(c, state), member(c, answer, "account"));
	printf(" (%s), plan %s\n\n", member(c, answer, "state"), member(c, answer, "plan"));
}

static int
show(struct cli *c, const char *word)
{
	struct slice answer = slice_str("");
	int status = ask(c, word, c->args[0], NULL, &answer);

	if (status != EX_OK)
		return status;
	if (c->json) {
		daemon_print(answer);
		return EX_OK;
	}
	print_usage_head(c, answer);
	print_limits(c, ctl_find(answer, "limits"));
	print_refusals(c, ctl_find(answer, "refusals"));
	print_profiles(c, ctl_find(answer, "profiles"));
	return EX_OK;
}

int
cmd_usage(struct cli *c)
{
	return show(c, "usage");
}

int
cmd_limits_show(struct cli *c)
{
	return show(c, "limits show");
}

static int
simple(struct cli *c, const char *word, const char *done)
{
	struct slice answer = slice_str("");
	int status = ask(c, word, c->args[0], NULL, &answer);

	if (status != EX_OK)
		return status;
	if (c->json)
		daemon_print(answer);
	else
		printf("%s %s\n", c->args[0], done);
	return EX_OK;
}

int
cmd_limits_reset(struct cli *c)
{
	return simple(c, "limits reset", "starts again from zero");
}

int
cmd_forgive(struct cli *c)
{
	return simple(c, "forgive", "may be tried again from everywhere");
}
