/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - from the fork to the last session
 *
 * What it is told comes over the channel. A reload builds everything new first (configuration,
 * vault, lanes with their TLS contexts); only when nothing can fail any more is it put in place.
 * Vaults that were replaced live on for a while, because a job on a thread may hold one.
 */
#include "conf/directory/directory_token.h"
#include "proxy/process/worker.h"

#include "proxy/process/channel.h"
#include "proxy/desk/desk.h"
#include "proxy/process/lane.h"
#include "proxy/limits/quota.h"
#include "proxy/reply.h"
#include "proxy/dialogue/session.h"
#include "wire/buf.h"
#include "wire/confine.h"
#include "wire/crypto.h"
#include "wire/id.h"
#include "wire/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

static const double goodbye_s = 1.0; /* for last words when sessions are closed by force */

enum {
	THREADS = 4,       /* SQLite and crypt */
	RELAY_THREADS = 2, /* apart, so that a long conversion keeps no log-in waiting */
	JOBS_MAX = 1024,
	RETIRED_S = 300,
};

struct retired {
	struct vault *vault;
	struct retired *next;
};

struct running {
	struct worker w;
	const struct worker_options *o;
	struct work *relay_work;
	struct lanes *lanes;
	struct channel master;
	ev_timer drain; /* to the end of server.drain_timeout_s, then of goodbye_s */
	bool killed;
	ev_timer retire;
	struct retired *retired;
};

/* ---- the end ---- */

/* A session that has ended may still be sending its last reply: it holds its lane as long. */
static void
stop_when_idle(void *ctx)
{
	struct running *r = ctx;

	if (r->w.draining && sessions_count(r->w.sessions) == 0 && !lanes_in_use(r->lanes))
		loop_stop(r->w.loop);
}

static void
set_drain(struct running *r, double seconds)
{
	ev_timer_stop(loop_ev(r->w.loop), &r->drain);
	ev_timer_set(&r->drain, seconds, 0.);
	ev_timer_start(loop_ev(r->w.loop), &r->drain);
}

static void
kill_all(struct running *r)
{
	r->killed = true;
	sessions_kill(r->w.sessions);
	set_drain(r, goodbye_s);
}

static void
on_drain_over(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct running *r = t->data;
	size_t left = sessions_count(r->w.sessions);

	(void)ev;
	(void)revents;
	if (r->killed) {
		loop_stop(r->w.loop);
		return;
	}
	if (left > 0)
		log_say(LOG_WARNING, "stop",
		    "%zu sessions did not end within drain_timeout and are closed", left);
	kill_all(r);
}

static void
drain(struct running *r)
{
	if (r->w.draining)
		return;
	r->w.draining = true;
	lanes_stop(r->lanes);
	log_say(LOG_INFO, "stop", "draining %zu sessions", sessions_count(r->w.sessions));
	sessions_drain(r->w.sessions);
	set_drain(r, (double)r->w.conf->server.drain_timeout_s);
}

static void
kill_now(struct running *r)
{
	drain(r);
	if (!r->killed)
		kill_all(r);
}

/* ---- reload ---- */

static void
on_retire(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct running *r = t->data;
	struct retired *x;

	(void)ev;
	(void)revents;
	while ((x = r->retired)) {
		r->retired = x->next;
		vault_close(x->vault);
		free(x);
	}
}

static void
retire(struct running *r, struct retired *slot, struct vault *v)
{
	slot->vault = v;
	slot->next = r->retired;
	r->retired = slot;
	ev_timer_stop(loop_ev(r->w.loop), &r->retire);
	ev_timer_set(&r->retire, (double)RETIRED_S, 0.);
	ev_timer_start(loop_ev(r->w.loop), &r->retire);
}

static void
put_in_place(struct running *r, struct conf *conf, struct vault *vault)
{
	directory_reconf(r->w.directory, conf, vault);
	relay_reconf(r->w.relay, conf, vault);
	callouts_reconf(r->w.callouts, conf);
	counters_reconf(r->w.counters, conf);
	conf_unref(r->w.conf);
	r->w.conf = conf;
	r->w.vault = vault;
	reply_use(conf);
	log_set_level(conf->log.level);
}

static bool
reload(struct running *r, struct text *why)
{
	struct retired *slot = calloc(1, sizeof(*slot));
	struct conf *conf = slot ? conf_load(r->o->conf_path, false, why) : NULL;
	struct vault *old = r->w.vault;
	struct vault *vault = conf ? vault_open(conf->vault.key_file, why) : NULL;

	if (!vault || !lanes_conf(r->lanes, conf, why)) {
		vault_close(vault);
		conf_unref(conf);
		free(slot);
		if (why->n == 0)
			text_put(why, SLICE("out of memory"));
		return false;
	}
	put_in_place(r, conf, vault);
	retire(r, slot, old);
	return true;
}

static void
answer_reload(struct running *r, uint32_t serial)
{
	static char mem[CHANNEL_WORDS_MAX];
	struct text why = text_over(mem, sizeof(mem));
	bool ok = reload(r, &why);

	if (!ok)
		log_say(LOG_ERROR, "reload", "the old configuration is kept: %s", mem);
	(void)!channel_say(&r->master, ok ? CHANNEL_DONE : CHANNEL_FAILED, serial,
	    text_slice(&why));
}

/* ---- the master's words ---- */

static void
on_desk(void *ctx, uint32_t serial, struct slice json)
{
	struct running *r = ctx;

	(void)!channel_say(&r->master, CHANNEL_DONE, serial, json);
}

static void
answer_status(struct running *r, uint32_t serial)
{
	char mem[CHANNEL_WORDS_MAX];
	char part[CHANNEL_WORDS_MAX - 256];
	struct text out = text_over(mem, sizeof(mem));
	struct text relay = text_over(part, sizeof(part));

	text_fmt(&out, "\"revision\":%llu,\"worst_us\":%llu,\"log_lost\":%llu,\"relay\":{",
	    (unsigned long long)r->w.conf->revision, (unsigned long long)loop_worst_us(r->w.loop),
	    (unsigned long long)log_lost());
	relay_status(r->w.relay, &relay);
	if (!relay.overflow)
		text_put(&out, text_slice(&relay));
	text_put(&out, SLICE("},\"counters\":{"));
	counters_status(r->w.counters, &out);
	text_char(&out, '}');
	(void)!channel_say(&r->master, CHANNEL_DONE, serial, text_slice(&out));
}

static void
on_master(void *owner, enum channel_verb verb, uint32_t serial, struct slice words)
{
	struct running *r = owner;

	switch (verb) {
	case CHANNEL_RELOAD:
		answer_reload(r, serial);
		break;
	case CHANNEL_STATUS:
		answer_status(r, serial);
		break;
	case CHANNEL_ASK:
		desk_ask(r->w.desk, serial, words);
		break;
	case CHANNEL_REOPEN:
		if (!log_reopen())
			log_say(LOG_ERROR, "log", "the log cannot be opened anew");
		break;
	case CHANNEL_COVER:
	case CHANNEL_UNCOVER:
		lanes_cover(r->lanes, (int)serial, verb == CHANNEL_COVER);
		break;
	case CHANNEL_DRAIN:
		drain(r);
		break;
	case CHANNEL_KILL:
		kill_now(r);
		break;
	case CHANNEL_GONE:
		if (!r->w.draining)
			log_say(LOG_ERROR, "stop", "the master is gone");
		drain(r);
		break;
	case CHANNEL_UP:
	case CHANNEL_DONE:
	case CHANNEL_FAILED:
	default:
		break;
	}
}

/* ---- life ---- */

static bool
open_libraries(struct text *why)
{
	if (!crypto_init()) {
		text_put(why, SLICE("the cryptographic library does not start"));
		return false;
	}
	return tls_init(why);
}

static void
on_token_kept(void *ctx, uint64_t profile, bool good)
{
	struct worker *w = ctx;

	relay_token_kept(w->relay, profile, good);
}

/* A provider has replaced a refresh token. */
static bool
on_token(void *ctx, const struct relay_token *t)
{
	struct worker *w = ctx;
	struct token_order o = { .profile = t->profile, .was = t->was, .is = t->is };

	return directory_keep_token(w->directory, &o, on_token_kept);
}

static bool
open_all(struct running *r, struct text *why)
{
	const struct worker_options *o = r->o;
	struct worker *w = &r->w;
	uint32_t node = 0;

	if (!open_libraries(why) || !crypto_random(&node, sizeof(node)))
		return false;
	id_init(o->number, node);
	if (!(w->loop = loop_open()) ||
	    !(w->work = work_open(w->loop, "work", THREADS, JOBS_MAX)) ||
	    !(r->relay_work = work_open(w->loop, "relay", RELAY_THREADS, JOBS_MAX)))
		return false;
	if (!(w->vault = vault_open(w->conf->vault.key_file, why)))
		return false;
	if (!(w->directory = directory_open(w->loop, w->work, w->conf, w->vault, w, why)))
		return false;
	directory_share(w->directory, scoreboard_hashing(w->board), o->number);
	w->relay = relay_new(w->loop, r->relay_work, w->conf, w->vault, &session_relay_events, w);
	if (w->relay)
		relay_on_token(w->relay, on_token);
	if (!w->relay || !(w->mail_domains = mail_domains_open(w->loop, relay_dns(w->relay), w)) ||
	    !(w->callouts = callouts_open(w->loop, w->relay, w->conf, sender_on_callout, w)) ||
	    !(w->counters = counters_open(w->loop, w->work, w->conf, o->counters, why)) ||
	    !(w->quota = quota_open(w->loop, w->counters, session_on_quota, w)) ||
	    !(w->sessions = sessions_open(w)) || !(w->desk = desk_open(w, on_desk, r)))
		return false;
	relay_share(w->relay, o->shape, o->number);
	if (!relay_convert_by(w->relay, o->parsers_fd))
		return false;
	r->lanes = lanes_open(w, o->sockets, o->sockets_n, o->ticket_seed);
	return r->lanes && lanes_conf(r->lanes, w->conf, why);
}

/* Before there are threads: files are written where the database is, and the log. */
static void
confine_files(const struct running *r)
{
	const struct conf *c = r->w.conf;
	const char *const files[] = { c->directory.path,
		strcmp(c->log.path, "-") ? c->log.path : NULL };

	if (!confine_writes(files, sizeof(files) / sizeof(files[0])) && r->w.number == 0)
		log_say(LOG_INFO, "start",
		    "this kernel does not confine where files are written: %s", strerror(errno));
}

static void
confine_calls(const struct running *r)
{
	if (!confine_worker() && r->w.number == 0)
		log_say(LOG_WARNING, "start",
		    "no system call filter here (%s): a worker that is taken over can do more",
		    strerror(errno));
}

/* The threads end first: what they answer still finds everything there. */
static void
close_all(struct running *r)
{
	struct worker *w = &r->w;

	if (w->work)
		work_close(w->work);
	if (r->relay_work)
		work_close(r->relay_work);
	mail_domains_close(w->mail_domains);
	callouts_close(w->callouts);
	channel_close(&r->master);
	desk_close(w->desk);
	w->desk = NULL;
	lanes_stop(r->lanes);
	sessions_close(w->sessions);
	relay_free(w->relay);
	counters_close(w->counters);
	quota_close(w->quota);
	directory_close(w->directory);
	lanes_close(r->lanes);
	on_retire(NULL, &r->retire, 0);
	ev_timer_stop(loop_ev(w->loop), &r->drain);
	ev_timer_stop(loop_ev(w->loop), &r->retire);
	/* Buried objects may hold lanes, and lanes the configuration. */
	loop_close(w->loop);
	vault_close(w->vault);
	reply_use(NULL);
	conf_unref(w->conf);
	buf_pool_trim();
}

static void
run(struct running *r)
{
	struct worker *w = &r->w;

	ev_timer_init(&r->drain, on_drain_over, 0., 0.);
	r->drain.data = r;
	ev_timer_init(&r->retire, on_retire, 0., 0.);
	r->retire.data = r;
	channel_open(&r->master, w->loop, r->o->control_fd, on_master, r);
	loop_at_turn_end(w->loop, stop_when_idle, r);
	confine_calls(r);
	lanes_start(r->lanes);
	if (!channel_say(&r->master, CHANNEL_UP, 0, SLICE("")))
		log_say(LOG_WARNING, "start", "the master does not listen");
	log_say(LOG_INFO, "start", "worker %u is up", w->number);
	loop_run(w->loop);
}

int
worker_run(const struct worker_options *o)
{
	static struct running r;
	char mem[2048] = "";
	struct text why = text_over(mem, sizeof(mem));
	char name[16];

	(void)snprintf(name, sizeof(name), "worker %u", o->number);
	log_child(name);
	(void)snprintf(name, sizeof(name), "bywayd/%u", o->number);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	r.o = o;
	r.w.number = o->number;
	r.w.board = o->board;
	r.w.conf = conf_ref(o->conf);
	reply_use(r.w.conf);
	confine_files(&r);
	if (!open_all(&r, &why)) {
		/* What was opened goes with the process. */
		log_say(LOG_ERROR, "start", "worker %u cannot start: %s", o->number,
		    mem[0] ? mem : "out of memory or descriptors");
		log_flush();
		_exit(EX_UNAVAILABLE);
	}
	run(&r);
	close_all(&r);
	log_say(LOG_INFO, "stop", "worker %u ends", o->number);
	log_flush();
	return 0;
}
