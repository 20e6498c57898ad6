/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - who gets which connection (pool_upstream.c: how upstreams come and go)
 */
#include "relay/pool/pool.h"

#include "relay/web/api.h"
#include "relay/transaction.h"
#include "relay/verdict/retry_after.h"
#include "relay/pool/native.h"
#include "relay/smtp/smtp.h"
#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

/* Before a provider closes an unused connection, we do; and where others wait for it, soon. */
static const double idle_margin_s = 5;
static const double idle_full_s = 1;
static const double share_s = 2; /* how long one may keep a connection that others wait for */

static struct smtp *
conn_of(struct link *l)
{
	return LINKED(l, struct smtp, link);
}

static struct relay_txn *
waiter_of(struct link *l)
{
	return LINKED(l, struct relay_txn, waits);
}

/* ---- where a connection is ------------------------------------------------------------------- */

void
pool_move(struct smtp *c, struct list *to)
{
	if (c->at)
		list_remove(c->at, &c->link);
	c->at = to;
	if (to)
		list_push(to, &c->link);
	c->up->used = loop_now(c->up->r->loop);
}

static struct shaping *
shaping_of(struct upstream *u)
{
	const struct relay *r = u->r;
	uint64_t key = UINT64_C(1) << 63;

	if (u->joined)
		return &u->shaping;
	u->joined = true;
	for (const char *p = u->route; *p; p++)
		key = (key * 31 + (unsigned char)*p) | UINT64_C(1) << 63;
	/* A server of ours may have another credential after any reload. */
	if (u->native)
		shape_join(&u->shaping, r->shape, r->worker, key, r->conf->revision);
	else
		shape_join(&u->shaping, r->shape, r->worker, shape_key(u->profile), u->version);
	return &u->shaping;
}

void
pool_token_waits(struct upstream *u, bool waits)
{
	shape_token_waits(shaping_of(u), waits);
}

static unsigned
connections(const struct upstream *u)
{
	return u->connecting.n + u->idle.n + u->leased.n + u->calls.n;
}

/* Over all workers; 0: none. An MTA's is each worker's own. */
static unsigned
limit_of(const struct upstream *u)
{
	if (u->native)
		return 0;
	return u->connections_max ? u->connections_max : u->preset->limits.connections;
}

/* Of this worker. */
static unsigned
connections_max(const struct upstream *u)
{
	unsigned limit = limit_of(u);
	unsigned max = u->native && u->connections_max ? u->connections_max
	    : limit                                    ? limit
	                                               : u->r->conf->upstream.max_connections;

	return max ? max : 1;
}

static unsigned
messages_max(const struct upstream *u)
{
	unsigned max = u->messages_max;
	unsigned learned = shape_messages(&u->shaping);

	if (!max && u->preset)
		max = u->preset->limits.messages;
	if (!max)
		max = u->r->conf->upstream.messages_per_connection;
	return learned && (!max || learned < max) ? learned : max;
}

static double
age_max(const struct upstream *u)
{
	double max = u->r->conf->upstream.max_age_s;
	unsigned theirs = u->preset ? u->preset->limits.age_s : 0;

	return theirs && theirs < max ? theirs : max;
}

uint64_t
pool_recipients_max(const struct upstream *u)
{
	return u->preset ? u->preset->limits.recipients : 0;
}

uint64_t
pool_size_max(const struct upstream *u)
{
	return u->preset ? u->preset->limits.size : 0;
}

static bool
is_spent(const struct smtp *c)
{
	const struct upstream *u = c->up;
	unsigned max = messages_max(u);

	return u->retired || c->conf_revision != u->r->conf->revision ||
	    (max && c->messages >= max) || loop_now(u->r->loop) - c->born > age_max(u);
}

void
pool_purge(struct upstream *u)
{
	while (u->idle.n)
		smtp_quit(conn_of(list_first(&u->idle)));
}

static struct smtp *
open_connection(struct upstream *u, bool check)
{
	/* Who has one leaves the next to a worker that has none and could get none. */
	bool mine = connections(u) == 0 || !shape_others_want(shaping_of(u));
	bool counted = mine && shape_enter(shaping_of(u), limit_of(u), loop_now(u->r->loop));
	struct smtp *c = counted || check ? smtp_open(u, check) : NULL;

	if (!c && counted)
		shape_leave(&u->shaping);
	if (!c)
		return NULL;
	c->counted = counted;
	pool_ref(u);
	pool_move(c, check ? &u->dying : &u->connecting);
	u->r->opened++;
	return c;
}

/* ---- the waiting line ------------------------------------------------------------------------ */

void
pool_on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct upstream *u = w->data;
	struct relay_verdict v = transaction_verdict(VERDICT_BUSY);
	ev_tstamp now = loop_now(u->r->loop);
	unsigned i = 0;

	(void)ev;
	(void)revents;
	pool_ref(u);
	list_each_safe(l, after, &u->waiting) {
		struct relay_txn *t = waiter_of(l);
		/* The first ones are being connected for, which has limits of its own. */
		bool served = i++ < u->connecting.n;

		if (t->waits_until > now || (served && !transaction_may_hop(t)))
			continue;
		pool_leave(u, t);
		transaction_unserved(t, &v);
	}
	if (u->waiting.n)
		pool_feed(u);
	else
		ev_timer_stop(loop_ev(u->r->loop), &u->patience);
	pool_unref(u);
}

static void
wait_in_line(struct upstream *u, struct relay_txn *t)
{
	static const double hop_s = 2;
	double wait_s = u->r->conf->upstream.wait_s;

	t->line_at = &u->waiting;
	list_append(&u->waiting, &t->waits);
	if (transaction_may_hop(t) && wait_s > hop_s)
		wait_s = hop_s;
	t->waits_until = loop_now(u->r->loop) + wait_s;
	if (t->not_before > loop_now(u->r->loop))
		t->waits_until += t->not_before - loop_now(u->r->loop);
	if (!ev_is_active(&u->patience))
		ev_timer_again(loop_ev(u->r->loop), &u->patience);
}

void
pool_leave(struct upstream *u, struct relay_txn *t)
{
	if (t->line_at != &u->waiting)
		return;
	list_remove(&u->waiting, &t->waits);
	t->line_at = NULL;
	if (!u->waiting.n)
		shape_want(&u->shaping, false);
}

/* How many of those who wait may go now: turns are given in the order of the line. */
static unsigned
due(const struct upstream *u)
{
	unsigned n = 0;

	for (struct link *l = u->waiting.head.next; l != &u->waiting.head; l = l->next) {
		if (waiter_of(l)->not_before > loop_now(u->r->loop))
			break;
		n++;
	}
	return n;
}

static void
lease(struct smtp *c, struct relay_txn *t)
{
	pool_leave(c->up, t);
	pool_move(c, &c->up->leased);
	transaction_leased(t, c);
	smtp_lease(c, t);
}

/* An idle one that may be used; those that may not are sent away. */
static struct smtp *
take_idle(struct upstream *u)
{
	while (u->idle.n) {
		struct smtp *c = conn_of(list_first(&u->idle));

		if (!is_spent(c) && stream_is_open(&c->s))
			return c;
		smtp_quit(c);
	}
	return NULL;
}

/* An API needs no connection of ours: a transaction may go where there are not too many. */
static void
feed_api(struct upstream *u)
{
	while (due(u) && connections(u) < connections_max(u)) {
		struct relay_txn *t = waiter_of(list_first(&u->waiting));
		struct api *a;

		if (!shape_enter(shaping_of(u), limit_of(u), loop_now(u->r->loop)))
			break;
		a = api_open(u, t);
		if (!a) {
			shape_leave(&u->shaping);
			break;
		}
		pool_leave(u, t);
		transaction_leased_api(t, a);
	}
}

/* Serves the line from what is idle, and opens what is missing. */
void
pool_feed(struct upstream *u)
{
	struct smtp *c;

	if (u->api) {
		feed_api(u);
		return;
	}
	while (due(u) && (c = take_idle(u)) != NULL)
		lease(c, waiter_of(list_first(&u->waiting)));
	while (due(u) > u->connecting.n && connections(u) < connections_max(u))
		if (!open_connection(u, false))
			break;
	shape_want(shaping_of(u), u->waiting.n && connections(u) == 0);
}

/* How long T has to wait for its turn; false, with T told, where that is too long. */
static bool
take_turn(struct upstream *u, struct relay_txn *t)
{
	ev_tstamp now = loop_now(u->r->loop);
	double max = u->r->conf->upstream.hold_wait_s;
	double held = shape_held(&u->shaping, now);
	double wait = held;
	unsigned per_minute = u->per_minute;
	struct relay_verdict v;

	if (!per_minute && u->preset)
		per_minute = u->preset->limits.per_minute;
	t->not_before = 0;
	if (held <= max && shape_pace(&u->shaping, per_minute, max, now, &wait)) {
		if (held > wait)
			wait = held;
		if (wait > 0)
			t->not_before = now + wait;
		return true;
	}
	v = transaction_verdict(VERDICT_RATE);
	log_say(LOG_INFO, "upstream", "%s: no turn for another %.0f s", u->route, wait);
	transaction_unserved(t, &v);
	return false;
}

void
pool_want(struct upstream *u, struct relay_txn *t)
{
	struct smtp *c;

	u->used = loop_now(u->r->loop);
	(void)shaping_of(u);
	if (!take_turn(u, t))
		return;
	if (!u->waiting.n && t->not_before == 0 && (c = take_idle(u)) != NULL) {
		lease(c, t);
		return;
	}
	if (shape_is_broken(&u->shaping, loop_now(u->r->loop))) {
		struct relay_verdict v = transaction_verdict(VERDICT_AUTH);

		transaction_unserved(t, &v);
		return;
	}
	wait_in_line(u, t);
	pool_feed(u);
}

void
pool_check(struct upstream *u)
{
	if (!open_connection(u, true))
		native_spared(u->endpoint);
}

/* ---- what connections tell ------------------------------------------------------------------- */

void
pool_ready(struct smtp *c)
{
	struct upstream *u = c->up;

	c->ready = true;
	smtp_settled(c);
	shape_welcome(&u->shaping);
	if (u->endpoint)
		native_alive(u->endpoint);
	if (c->check) {
		smtp_quit(c);
		return;
	}
	pool_move(c, &u->leased);
	if (due(u))
		lease(c, waiter_of(list_first(&u->waiting)));
	else
		pool_back(c);
}

/* Another worker has none, and no more can be had. */
static bool
is_wanted_elsewhere(const struct smtp *c)
{
	struct upstream *u = c->up;
	ev_tstamp now = loop_now(u->r->loop);

	return c->messages && shape_is_full(&u->shaping, limit_of(u), now) &&
	    shape_others_want(&u->shaping) && (connections(u) > 1 || now - c->born > share_s);
}

static double
idle_max(const struct upstream *u)
{
	double idle = u->r->conf->upstream.idle_s;
	double theirs = u->preset ? u->preset->limits.idle_s : 0;

	if (theirs > 0 && idle > theirs - idle_margin_s)
		idle = theirs - idle_margin_s;
	if (idle > idle_full_s && shape_is_full(&u->shaping, limit_of(u), loop_now(u->r->loop)))
		idle = idle_full_s;
	return idle;
}

void
pool_back(struct smtp *c)
{
	struct upstream *u = c->up;

	if (is_spent(c) || stream_in(&c->s).n || is_wanted_elsewhere(c)) {
		smtp_quit(c);
		pool_feed(u);
		return;
	}
	if (due(u)) {
		lease(c, waiter_of(list_first(&u->waiting)));
		return;
	}
	c->reused = true;
	pool_move(c, &u->idle);
	if (u->r->conf->upstream.idle_s == 0)
		smtp_quit(c);
	else
		stream_deadline(&c->s, idle_max(u));
}

enum verdict_class
pool_doubt(struct upstream *u, enum verdict_class class)
{
	return class == VERDICT_AUTH && shape_doubts(shaping_of(u)) ? VERDICT_AUTH_DOUBT : class;
}

static bool is_refusal(enum verdict_class class)
{
	return class == VERDICT_AUTH || class == VERDICT_AUTH_DOUBT;
}

static void
trip_breaker(struct upstream *u)
{
	double closed = shape_refused(shaping_of(u), loop_now(u->r->loop));

	if (closed > 0)
		log_say(LOG_WARNING, "upstream",
		    "%s: the credential was refused again and again; next try in %.0f s", u->route,
		    closed);
}

/* The upstream takes no more connections than those that it has, ours in all workers: that is a
 * limit, not a failure. */
static bool
is_full(struct upstream *u, const struct relay_verdict *v)
{
	unsigned has = shape_connections(&u->shaping);
	const char *said = v->upstream.n ? v->upstream.p : "";

	if (has == 0 || !v->upstream.n ||
	    !(v->class == VERDICT_CONNECT ||
	        (v->class == VERDICT_RATE &&
	            memmem(said, v->upstream.n, "onnection", strlen("onnection")) != NULL)))
		return false;
	shape_cap(&u->shaping, has, loop_now(u->r->loop));
	return true;
}

/* A rate holds in any case; a quota only until a time that is named, and not where clients are to
 * hear that it is refused. SECONDS: as the upstream named them apart; 0: perhaps in its words. */
static void
hold(struct upstream *u, enum verdict_class class, struct slice said, uint64_t seconds, bool early)
{
	uint64_t max = u->r->conf->upstream.hold_max_s;
	ev_tstamp now = loop_now(u->r->loop);
	bool named = seconds > 0 || hold_named(said, (int64_t)time(NULL), &seconds);

	if (class != VERDICT_RATE && !(class == VERDICT_QUOTA && named && !u->refuse_quota))
		return;
	/* Where there are connections, one more was too much: is_full()'s business. */
	if (early && !named && shape_connections(&u->shaping) > 1)
		return;
	if (seconds > max)
		seconds = max;
	shape_hold(&u->shaping, (double)seconds, named, now);
	log_say(LOG_NOTICE, "upstream", "%s: held for %.0f s", u->route,
	    shape_held(&u->shaping, now));
}

/* What it says of recipients and of content is not about its health. */
static void
note(struct upstream *u, enum verdict_class class, struct slice line, bool early)
{
	const struct shape_said said = {
		.class = class,
		.line = line,
		.failing = verdict_is_route_trouble(class),
		.early = early,
		.unix_s = (int64_t)time(NULL),
	};

	if (class == VERDICT_OK)
		shape_thank(shaping_of(u), loop_now(u->r->loop));
	if (class == VERDICT_OK || said.failing)
		shape_note(shaping_of(u), &said);
}

void
pool_heard(struct upstream *u, enum verdict_class class, const struct reply *r, const char *why,
    bool early)
{
	char mem[VERDICT_TEXT_MAX];
	struct text line = text_over(mem, sizeof(mem));

	if (r)
		verdict_said(&line, r, slice_str(u->username));
	else
		text_put(&line, slice_str(why));
	note(u, class, text_slice(&line), early);
	if (r)
		hold(u, class, text_slice(&line), 0, early);
}

void
pool_failed(struct upstream *u, bool check, const struct relay_verdict *v)
{
	u->r->failed++;
	/* Those who wait go on waiting: the line asks again. */
	if (v->class == VERDICT_NO_MEMORY) {
		if (check && u->endpoint)
			native_spared(u->endpoint);
		return;
	}
	if (is_refusal(v->class))
		trip_breaker(u);
	bool full = is_full(u, v);

	if (u->endpoint && full)
		native_alive(u->endpoint);
	else if (u->endpoint)
		native_failed(u->endpoint, v);
	if (check || full)
		return;

	/* It speaks for all who have no attempt of their own; where others are connected, for
	 * one. */
	bool lonely = u->leased.n + u->idle.n == 0;

	pool_ref(u);
	while (u->waiting.n > u->connecting.n) {
		struct relay_txn *t = waiter_of(list_first(&u->waiting));

		pool_leave(u, t);
		transaction_unserved(t, v);
		if (!lonely)
			break;
	}
	pool_feed(u);
	pool_unref(u);
}

void
pool_answered(struct upstream *u, const struct relay_verdict *v, unsigned retry_s)
{
	u->used = loop_now(u->r->loop);
	note(u, v->class, v->upstream.n ? v->upstream : v->text, false);
	if (is_refusal(v->class))
		trip_breaker(u);
	else if (v->upstream.n)
		shape_welcome(shaping_of(u));
	hold(u, v->class, v->upstream, retry_s, false);
}

void
pool_succeed(struct smtp *c, struct smtp *next)
{
	next->counted = c->counted;
	c->counted = false;
	pool_ref(c->up);
	pool_move(next, c->at);
	c->up->r->opened++;
}

void
pool_gone(struct smtp *c)
{
	struct upstream *u = c->up;

	pool_move(c, NULL);
	if (c->counted)
		shape_leave(&u->shaping);
	if (c->ready && !u->r->closing)
		pool_feed(u);
	pool_unref(u);
}
