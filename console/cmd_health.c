/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>
#include <time.h>

#include "console/ctl.h"
#include "console/out.h"

/*
 * byway profile health: what the daemon's workers know together of a profile's server
 */

enum { QUICK_S = 10, WIDE = 14 };

static const char *
time_of(struct cli *c, struct slice value)
{
	char mem[32] = "never";
	time_t at = (time_t)ctl_u64(value);
	struct tm tm;

	if (at && gmtime_r(&at, &tm))
		(void)strftime(mem, sizeof(mem), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return cli_dup(c, slice_str(mem));
}

static void
print_seconds(struct cli *c, const char *name, struct slice value, const char *none)
{
	uint64_t s = ctl_u64(value);

	out_pair(c, WIDE, name, s ? cli_print(c, "%llu s", (unsigned long long)s) : none);
}

static void
print_health(struct cli *c, const char *key, struct slice said)
{
	out_pair(c, WIDE, "profile", key);
	if (!ctl_true(ctl_find(said, "known"))) {
		out_pair(c, WIDE, "state", "not used since the daemon started");
		return;
	}
	bool failing = ctl_u64(ctl_find(said, "failing_since")) > 0;

	out_pair(c, WIDE, "state", ctl_text(c, ctl_find(said, "state")));
	if (failing)
		out_pair(c, WIDE, "failing since", time_of(c, ctl_find(said, "failing_since")));
	if (ctl_find(said, "todo").n)
		out_pair(c, WIDE, "to do", ctl_text(c, ctl_find(said, "todo")));
	out_pair(c, WIDE, "last message", time_of(c, ctl_find(said, "good")));
	out_pair(c, WIDE, "last word", ctl_text(c, ctl_find(said, "line")));
	out_pair(c, WIDE, "said", time_of(c, ctl_find(said, "said")));
	out_pair(c, WIDE, "connections", ctl_text(c, ctl_find(said, "connections")));
	out_pair(c, WIDE, "refused logins", ctl_text(c, ctl_find(said, "refusals")));
	print_seconds(c, "breaker open", ctl_find(said, "closed_s"), "no");
	if (ctl_true(ctl_find(said, "refresh_token_unstored")))
		out_pair(c, WIDE, "refresh token",
		    "a new one could not be stored yet: see the log");
	print_seconds(c, "held", ctl_find(said, "held_s"), "no");
}

static int
ask(struct cli *c, const char *path, const char *key, uint64_t id)
{
	const char *why = NULL;
	struct slice said;
	enum ctl_result r = ctl_ask(c, path,
	    cli_print(c, "profile %llu %s", (unsigned long long)id, key), QUICK_S, &said, &why);

	if (r == CTL_ABSENT)
		return cli_fail(c, EX_UNAVAILABLE, "the daemon does not run (%s)", path);
	if (r != CTL_OK)
		return cli_fail(c, EX_UNAVAILABLE, "%s", why);
	if (c->json)
		printf("%.*s\n", SLICE_FMT(slice_trim(said)));
	else
		print_health(c, key, said);
	return EX_OK;
}

int
cmd_profile_health(struct cli *c)
{
	const char *path = cli_value(c, "socket");
	void *row = cli_alloc(c, kind_profile.of->size);
	const struct admin_profile *p = row;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = kind_get(&s, &kind_profile, c->args[0], row);

	if (r == ADMIN_OK)
		status = ask(c, path ? path : s.conf->server.control_socket, c->args[0], p->id);
	else
		status = store_fail(&s, r);
	store_close(&s);
	return status;
}
