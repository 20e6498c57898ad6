/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status - gather, write, answer
 */
#include "proxy/desk/status.h"

#include "wire/log.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_ROOM = 262144 }; /* beside what the workers say */

static const double workers_s = 0.5;

struct status {
	struct status_options o;
	size_t n;
	struct control_ask *ask[CONTROL_CLIENTS_MAX];
};

static const char *const state_words[] = {
	[SUPERVISOR_DEAD] = "dead",
	[SUPERVISOR_STARTING] = "starting",
	[SUPERVISOR_UP] = "up",
	[SUPERVISOR_DRAINING] = "draining",
};

static void
write_worker(const struct status *s, unsigned w, struct text *out)
{
	struct supervisor_view v = supervisor_view(s->o.supervisor, w);
	struct slice words;
	bool answered =
	    supervisor_answer(s->o.supervisor, SUPERVISOR_STATUS, w, &words) == SUPERVISOR_DONE;

	text_fmt(out, "%s{\"number\":%u,\"pid\":%lld,\"state\":\"%s\",\"generation\":%u,",
	    w ? "," : "", w, (long long)v.pid, state_words[v.state], v.generation);
	text_fmt(out, "\"started\":%lld,\"sessions\":%lld,\"deaths\":%u,\"answered\":%s",
	    (long long)v.started, (long long)scoreboard_gauge_of(s->o.board, w, GAUGE_SESSIONS),
	    v.deaths, answered ? "true" : "false");
	if (answered) {
		text_char(out, ',');
		text_put(out, words);
	}
	text_char(out, '}');
}

static void
write_board(const struct status *s, struct text *out)
{
	text_put(out, SLICE("\"counters\":{"));
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		text_fmt(out, "%s\"%s\":%llu", c ? "," : "", scoreboard_counter_word(c),
		    (unsigned long long)scoreboard_counter(s->o.board, c));
	text_put(out, SLICE("},\"gauges\":{"));
	for (enum gauge g = 0; g < GAUGE_COUNT; g++)
		text_fmt(out, "%s\"%s\":%lld", g ? "," : "", scoreboard_gauge_word(g),
		    (long long)scoreboard_sum(s->o.board, g));
	text_put(out, SLICE("},"));
}

static void
write_all(const struct status *s, struct text *out)
{
	int64_t now = (int64_t)time(NULL);

	text_fmt(out, "{\"ok\":true,\"version\":\"%s\",\"pid\":%lld,\"started\":%lld,",
	    BYWAY_VERSION, (long long)getpid(), (long long)s->o.started);
	text_fmt(out, "\"uptime_s\":%lld,\"state\":\"%s\",\"revision\":%llu,",
	    (long long)(now - s->o.started), s->o.state(s->o.ctx),
	    (unsigned long long)supervisor_conf(s->o.supervisor)->revision);
	text_json_member(out, "config", s->o.conf_path);
	text_json_member(out, "user", s->o.user);
	text_put(out, SLICE("\"workers\":["));
	for (unsigned w = 0; w < supervisor_workers(s->o.supervisor); w++)
		write_worker(s, w, out);
	text_put(out, SLICE("],"));
	write_board(s, out);
	text_fmt(out, "\"log_lost\":%llu,\"reload\":", (unsigned long long)log_lost());
	reload_write(s->o.reload, out);
	text_char(out, '}');
}

static void
on_workers(void *ctx)
{
	struct status *s = ctx;
	size_t size = HEAD_ROOM + supervisor_workers(s->o.supervisor) * (CHANNEL_WORDS_MAX + 256);
	char *mem = malloc(size);
	struct text out = text_over(mem, mem ? size : 0);

	if (mem)
		write_all(s, &out);
	for (size_t i = 0; i < s->n; i++)
		control_answer(s->ask[i],
		    mem && !out.overflow ? text_slice(&out)
		                         : SLICE("{\"ok\":false,\"error\":\"out of memory\"}"));
	s->n = 0;
	free(mem);
}

struct status *
status_open(const struct status_options *o)
{
	struct status *s = calloc(1, sizeof(*s));

	if (s)
		s->o = *o;
	return s;
}

void
status_ask(struct status *s, struct control_ask *ask)
{
	if (s->n == CONTROL_CLIENTS_MAX) {
		control_answer(ask, SLICE("{\"ok\":false,\"error\":\"too many ask at once\"}"));
		return;
	}
	s->ask[s->n++] = ask;
	if (!supervisor_is_asking(s->o.supervisor, SUPERVISOR_STATUS))
		supervisor_ask(s->o.supervisor, SUPERVISOR_STATUS, workers_s, on_workers, s);
}

void
status_close(struct status *s)
{
	free(s);
}
