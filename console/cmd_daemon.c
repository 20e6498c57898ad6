/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/option.h"
#include "console/ctl.h"
#include "console/daemon.h"
#include "console/file.h"

enum { QUICK_S = 10, RELOAD_S = 120 };

/* ---- where it listens ------------------------------------------------------------------------ */

/* The value of [server] control_socket in a file that is wrong elsewhere; NULL where it says
 * none. */
static const char *
scan(struct cli *c, const char *content)
{
	struct slice rest = slice_str(content), section = slice_str("");

	while (rest.n > 0) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));

		if (line.n > 2 && line.p[0] == '[')
			section = slice_of(line.p + 1, line.n - 2);
		if (!slice_eq(section, SLICE("server")))
			continue;

		struct slice key = slice_trim(slice_cut(&line, '='));

		if (slice_eq(key, SLICE("control_socket")))
			return cli_dup(c, slice_trim(line));
	}
	return NULL;
}

/* A running daemon must answer, and end, while its file is broken: it goes on with the one
 * before. */
static const char *
socket_path(struct cli *c)
{
	char mem[1024];
	struct text mistakes = text_over(mem, sizeof(mem));
	struct conf *conf = conf_load(c->config, false, &mistakes);
	const char *why, *content, *path, *slash = strrchr(c->config, '/');

	if (conf) {
		path = cli_dup(c, slice_str(conf->server.control_socket));
		conf_unref(conf);
		return path;
	}
	content = file_read(c, c->config, &why);
	path = content ? scan(c, content) : NULL;
	if (!path)
		return option_find(SECTION_SERVER, SLICE("control_socket"))->fallback;
	if (*path == '/' || !slash)
		return path;
	return cli_print(c, "%.*s/%s", (int)(slash - c->config), c->config, path);
}

/* The daemon's word for it: its answer, or the exit status after having said why there is none. */
int
daemon_ask(struct cli *c, const char *word, unsigned seconds, struct slice *answer_r)
{
	const char *why = NULL, *path = cli_value(c, "socket");

	if (ctl_ask(c, path ? path : socket_path(c), word, seconds, answer_r, &why) != CTL_OK)
		return cli_fail(c, EX_UNAVAILABLE, "%s", why);

	struct slice ok = ctl_find(*answer_r, "ok");

	if (!slice_eq(ok, SLICE("true")) && !slice_eq(ok, SLICE("false")))
		return cli_fail(c, EX_PROTOCOL, "the daemon's answer is not understood");
	return EX_OK;
}

void
daemon_print(struct slice answer)
{
	fwrite(answer.p, 1, answer.n, stdout);
	fputc('\n', stdout);
}

static void
gather_lines(struct cli *c, struct slice array, struct text *out)
{
	struct slice line;

	while (ctl_next(&array, &line))
		text_fmt(out, "%s\n", ctl_text(c, line));
}

/* ---- reload ---------------------------------------------------------------------------------- */

static int
refused(struct cli *c, struct slice answer)
{
	struct text lines = text_over(cli_alloc(c, answer.n + 2), answer.n + 2);
	struct slice error = ctl_find(answer, "error");

	gather_lines(c, ctl_find(answer, "mistakes"), &lines);
	if (error.n > 0)
		return cli_fail(c, EX_UNAVAILABLE, "the daemon says: %s", ctl_text(c, error));
	return cli_fail_lines(c, EX_CONFIG, text_slice(&lines),
	    "the reload was refused; the old configuration goes on (revision %llu)",
	    (unsigned long long)ctl_u64(ctl_find(answer, "revision")));
}

static void
say_warnings(struct cli *c, struct slice answer)
{
	struct slice warnings = ctl_find(answer, "warnings"), line;

	while (ctl_next(&warnings, &line))
		cli_note(c, "Note: %s", ctl_text(c, line));
}

int
cmd_reload(struct cli *c)
{
	struct slice answer = slice_str("");
	int status;

	status = daemon_ask(c, "reload", RELOAD_S, &answer);
	if (status != EX_OK)
		return status;
	if (!ctl_true(ctl_find(answer, "ok")))
		return refused(c, answer);
	if (c->json) {
		daemon_print(answer);
		return EX_OK;
	}
	say_warnings(c, answer);
	printf("reloaded (revision %llu)\n",
	    (unsigned long long)ctl_u64(ctl_find(answer, "revision")));
	return EX_OK;
}

/* ---- reopen, drain --------------------------------------------------------------------------- */

static int
simple(struct cli *c, const char *word, const char *done)
{
	struct slice answer = slice_str("");
	int status = daemon_ask(c, word, QUICK_S, &answer);

	if (status != EX_OK)
		return status;
	if (!ctl_true(ctl_find(answer, "ok")))
		return refused(c, answer);
	if (c->json)
		daemon_print(answer);
	else
		printf("%s\n", done);
	return EX_OK;
}

int
cmd_reopen(struct cli *c)
{
	return simple(c, "reopen", "log files opened anew");
}

int
cmd_drain(struct cli *c)
{
	return simple(c, "drain",
	    "draining: no new connections; the daemon ends when what is under way is done");
}

/* ---- status ---------------------------------------------------------------------------------- */

static const char *
span(struct cli *c, uint64_t s)
{
	if (s < 120)
		return cli_print(c, "%llu s", (unsigned long long)s);
	if (s < 7200)
		return cli_print(c, "%llu min", (unsigned long long)s / 60);
	if (s < 172800)
		return cli_print(c, "%llu h", (unsigned long long)s / 3600);
	return cli_print(c, "%llu days", (unsigned long long)s / 86400);
}

static void
print_workers(struct cli *c, struct slice workers)
{
	static const char *const titles[] = { "worker", "pid", "state", "sessions", "deaths",
		"revision", "slowest turn", NULL };
	struct table t = table_begin(c, titles);
	struct slice w;

	while (ctl_next(&workers, &w)) {
		bool answered = ctl_true(ctl_find(w, "answered"));

		table_row(&t,
		    (const char *[]){ ctl_text(c, ctl_find(w, "number")),
		        ctl_text(c, ctl_find(w, "pid")), ctl_text(c, ctl_find(w, "state")),
		        ctl_text(c, ctl_find(w, "sessions")), ctl_text(c, ctl_find(w, "deaths")),
		        answered ? ctl_text(c, ctl_find(w, "revision")) : "no answer",
		        answered ? cli_print(c, "%s us", ctl_text(c, ctl_find(w, "worst_us")))
		                 : "" });
	}
	fputc('\n', stdout);
	table_end(&t);
}

/* What is not zero, or everything with --all. */
static void
print_numbers(struct cli *c, struct slice members)
{
	static const char *const titles[] = { "count", "", NULL };
	struct table t = table_begin(c, titles);
	struct slice key, value;

	while (ctl_member(&members, &key, &value))
		if (cli_has(c, "all") || !slice_eq(value, SLICE("0")))
			table_row(&t, (const char *[]){ cli_dup(c, key), cli_dup(c, value) });
	if (t.rows > 0)
		fputc('\n', stdout);
	table_end(&t);
}

static void
print_reload(struct cli *c, struct slice reload)
{
	struct slice mistakes = ctl_find(reload, "mistakes"), line;

	if (reload.n == 0 || reload.p[0] != '{')
		return;
	if (ctl_true(ctl_find(reload, "ok")))
		return;
	printf("\nThe last reload was refused; the configuration before it goes on:\n");
	while (ctl_next(&mistakes, &line)) {
		fputs("  ", stdout);
		out_plain(stdout, slice_str(ctl_text(c, line)));
		fputc('\n', stdout);
	}
}

int
cmd_status(struct cli *c)
{
	struct slice answer = slice_str("");
	int status = daemon_ask(c, "status", QUICK_S, &answer);

	if (status != EX_OK)
		return status;
	if (!ctl_true(ctl_find(answer, "ok")))
		return refused(c, answer);
	if (c->json) {
		daemon_print(answer);
		return EX_OK;
	}
	printf("byway %s, %s for %s, pid %s, revision %s of %s\n",
	    ctl_text(c, ctl_find(answer, "version")), ctl_text(c, ctl_find(answer, "state")),
	    span(c, ctl_u64(ctl_find(answer, "uptime_s"))), ctl_text(c, ctl_find(answer, "pid")),
	    ctl_text(c, ctl_find(answer, "revision")), ctl_text(c, ctl_find(answer, "config")));
	print_workers(c, ctl_find(answer, "workers"));
	print_numbers(c, ctl_find(answer, "gauges"));
	print_numbers(c, ctl_find(answer, "counters"));
	print_reload(c, ctl_find(answer, "reload"));
	return EX_OK;
}
