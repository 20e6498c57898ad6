/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload - one at a time
 */
#include "proxy/process/reload.h"

#include "proxy/process/check.h"
#include "proxy/process/notify.h"
#include "wire/log.h"

#include <stdlib.h>
#include <time.h>

enum { WORDS_MAX = 65536, JSON_MAX = 2 * WORDS_MAX };

static const double check_s = 30.0;
static const double workers_s = 30.0;

struct queue {
	size_t n;
	struct control_ask *ask[CONTROL_CLIENTS_MAX];
	bool wanted; /* by a signal, too */
};

struct result {
	bool ok;
	int64_t at; /* 0: never */
	uint64_t revision;
	struct text mistakes;
	struct text warnings;
	char mistakes_mem[WORDS_MAX];
	char warnings_mem[4096];
};

struct reload {
	struct loop *loop;
	struct supervisor *supervisor;
	const char *path;
	void (*on_conf)(void *ctx);
	void *ctx;
	bool busy;
	struct check *check;
	ev_timer timer; /* of the check */
	struct queue now;
	struct queue later;
	struct result result; /* under way while busy */
	char json[JSON_MAX];
};

static void begin(struct reload *r);

/* ---- the answer ---- */

/* Each line of LINES as a JSON string. */
static void
write_lines(struct text *json, const char *key, struct slice lines)
{
	bool first = true;

	text_fmt(json, ",\"%s\":[", key);
	while (lines.n > 0) {
		struct slice line = slice_cut(&lines, '\n');

		if (line.n == 0)
			continue;
		if (!first)
			text_char(json, ',');
		first = false;
		text_char(json, '"');
		text_json(json, line);
		text_char(json, '"');
	}
	text_char(json, ']');
}

static void
write_result(const struct result *is, bool with_time, struct text *json)
{
	text_char(json, '{');
	if (with_time)
		text_fmt(json, "\"at\":%lld,", (long long)is->at);
	text_fmt(json, "\"ok\":%s,\"revision\":%llu", is->ok ? "true" : "false",
	    (unsigned long long)is->revision);
	write_lines(json, "warnings", text_slice(&is->warnings));
	write_lines(json, "mistakes", text_slice(&is->mistakes));
	text_char(json, '}');
}

void
reload_write(const struct reload *r, struct text *json)
{
	if (r->result.at == 0)
		text_put(json, SLICE("null"));
	else
		write_result(&r->result, true, json);
}

static void
log_lines(enum log_level level, struct slice lines)
{
	while (lines.n > 0) {
		struct slice line = slice_cut(&lines, '\n');

		if (line.n)
			log_say(level, "reload", "%.*s", SLICE_FMT(line));
	}
}

static void
answer_all(struct reload *r)
{
	struct text json = text_over(r->json, sizeof(r->json));

	write_result(&r->result, false, &json);
	if (json.overflow) {
		text_reset(&json);
		text_fmt(&json,
		    "{\"ok\":%s,\"revision\":%llu,\"warnings\":[],"
		    "\"mistakes\":[\"too many to be told here: see byway config check\"]}",
		    r->result.ok ? "true" : "false", (unsigned long long)r->result.revision);
	}
	for (size_t i = 0; i < r->now.n; i++)
		control_answer(r->now.ask[i], text_slice(&json));
	r->now = (struct queue){ 0 };
}

static void
end(struct reload *r)
{
	struct result *is = &r->result;

	is->ok = is->mistakes.n == 0;
	is->at = (int64_t)time(NULL);
	is->revision = supervisor_conf(r->supervisor)->revision;
	log_lines(LOG_WARNING, text_slice(&is->warnings));
	log_lines(LOG_ERROR, text_slice(&is->mistakes));
	if (is->ok)
		log_say(LOG_NOTICE, "reload", "reload ok rev=%llu",
		    (unsigned long long)is->revision);
	else
		log_say(LOG_ERROR, "reload",
		    "reload failed, the old configuration is kept rev=%llu",
		    (unsigned long long)is->revision);
	notify_send("READY=1");
	answer_all(r);
	r->busy = false;
	if (r->later.n > 0 || r->later.wanted)
		begin(r);
}

/* ---- the steps ---- */

static void
fail(struct reload *r, const char *why)
{
	text_put(&r->result.mistakes, slice_str(why));
	text_char(&r->result.mistakes, '\n');
	end(r);
}

static void
on_workers(void *ctx)
{
	struct reload *r = ctx;

	for (unsigned w = 0; w < supervisor_workers(r->supervisor); w++) {
		struct slice words;
		enum supervisor_answer is =
		    supervisor_answer(r->supervisor, SUPERVISOR_RELOAD, w, &words);
		enum supervisor_state state = supervisor_view(r->supervisor, w).state;

		if (is == SUPERVISOR_FAILED)
			text_fmt(&r->result.mistakes,
			    "worker %u keeps the old configuration: %.*s\n", w,
			    SLICE_FMT(slice_trim(words)));
		else if (is == SUPERVISOR_NONE &&
		    (state == SUPERVISOR_UP || state == SUPERVISOR_DRAINING))
			text_fmt(&r->result.mistakes, "worker %u did not answer\n", w);
	}
	end(r);
}

static void
on_checked(void *ctx, bool ok, struct slice said)
{
	struct reload *r = ctx;
	struct conf *conf;

	r->check = NULL;
	ev_timer_stop(loop_ev(r->loop), &r->timer);
	check_words(said, INSPECT_WARNING, &r->result.warnings);
	if (!ok) {
		check_words(said, INSPECT_CROSS, &r->result.mistakes);
		end(r);
		return;
	}
	conf = conf_load(r->path, false, &r->result.mistakes);
	if (!conf) {
		if (r->result.mistakes.n == 0)
			fail(r, "out of memory");
		else
			end(r);
		return;
	}
	conf_needs_restart(supervisor_conf(r->supervisor), conf, &r->result.warnings);
	supervisor_set_conf(r->supervisor, conf);
	conf_unref(conf);
	r->on_conf(r->ctx);
	supervisor_ask(r->supervisor, SUPERVISOR_RELOAD, workers_s, on_workers, r);
}

static void
on_check_too_slow(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct reload *r = t->data;

	(void)ev;
	(void)revents;
	check_stop(r->check);
	r->check = NULL;
	fail(r, "the check of the configuration takes too long");
}

static void
begin(struct reload *r)
{
	r->busy = true;
	r->now = r->later;
	r->later = (struct queue){ 0 };
	text_reset(&r->result.mistakes);
	text_reset(&r->result.warnings);
	notify_reloading();
	r->check = check_start(r->loop, r->path, on_checked, r);
	if (!r->check) {
		fail(r, "no process or memory for the check");
		return;
	}
	ev_timer_set(&r->timer, check_s, 0.);
	ev_timer_start(loop_ev(r->loop), &r->timer);
}

void
reload_ask(struct reload *r, struct control_ask *ask)
{
	if (!ask)
		r->later.wanted = true;
	else if (r->later.n < CONTROL_CLIENTS_MAX)
		r->later.ask[r->later.n++] = ask;
	else
		control_answer(ask,
		    SLICE("{\"ok\":false,\"error\":\"too many wait for a reload\"}"));
	if (!r->busy)
		begin(r);
}

/* ---- life ---- */

struct reload *
reload_open(struct loop *l, struct supervisor *supervisor, const char *path,
    void (*on_conf)(void *ctx), void *ctx)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = l;
	r->supervisor = supervisor;
	r->path = path;
	r->on_conf = on_conf;
	r->ctx = ctx;
	r->result.mistakes = text_over(r->result.mistakes_mem, sizeof(r->result.mistakes_mem));
	r->result.warnings = text_over(r->result.warnings_mem, sizeof(r->result.warnings_mem));
	ev_timer_init(&r->timer, on_check_too_slow, 0., 0.);
	r->timer.data = r;
	return r;
}

void
reload_close(struct reload *r)
{
	if (!r)
		return;
	check_stop(r->check);
	ev_timer_stop(loop_ev(r->loop), &r->timer);
	free(r);
}

void
reload_abandon(struct reload *r)
{
	if (!r)
		return;
	check_abandon(r->check);
	r->check = NULL;
}

bool
reload_is_busy(const struct reload *r)
{
	return r->busy;
}
