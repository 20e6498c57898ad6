/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - who gets which connection (pool_upstream.c: how upstreams come and go; pool_heard.c: what
 * their answers mean for those who come next)
 */
#include "relay/pool/pool.h"

#include "relay/web/api.h"
#include "relay/transaction.h"
#include "relay/pool/native.h"
#include "relay/smtp/smtp.h"
#include "wire/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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
	if (to != &c->up->leased)
		pool_return(c->up, &c->holder);
	c->at = to;
	if (to)
		list_push(to, &c->link);
	c->up->used = loop_now(c->up->r->loop);
}

struct shaping *
pool_shaping(struct upstream *u)
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
	shape_token_waits(pool_shaping(u), waits);
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

/* Who must not make others wait: at ours an account, at a profile one of its users. */
static uint64_t
tenant_of(const struct upstream *u, const struct relay_txn *t)
{
	return u->native ? t->account : t->user;
}

/* Connections that lie idle or are being made are free: whoever may have them gets them. */
static struct share
share_of(struct upstream *u)
{
	const struct shaping *h = pool_shaping(u);
	unsigned limit = shape_limit(h, limit_of(u), loop_now(u->r->loop));
	struct share s = { .all = connections_max(u) };
	unsigned used = u->line.held;

	if (limit && limit <= s.all) {
		unsigned everywhere = shape_connections(h);
		unsigned here = connections(u);

		s.all = limit;
		s.over = h;
		used += everywhere > here ? everywhere - here : 0;
	}
	s.free = s.all > used ? s.all - used : 0;
	return s;
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
	bool mine = connections(u) == 0 || !shape_others_want(pool_shaping(u));
	bool counted = mine && shape_enter(pool_shaping(u), limit_of(u), loop_now(u->r->loop));
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
	struct share s = share_of(u);
	ev_tstamp now = loop_now(u->r->loop);
	unsigned i = 0;

	(void)ev;
	(void)revents;
	pool_ref(u);
	list_each_safe(l, after, &u->line.waiting) {
		struct relay_txn *t = waiter_of(l);
		/* The first ones are being connected for, which has limits of its own. */
		bool served = i < u->connecting.n && line_may(t, &s);

		i += served;
		if (t->waits_until > now || (served && !transaction_may_hop(t)))
			continue;
		pool_leave(u, t);
		transaction_unserved(t, &v);
	}
	if (u->line.waiting.n)
		pool_feed(u);
	else
		ev_timer_stop(loop_ev(u->r->loop), &u->patience);
	pool_unref(u);
}

static bool
wait_in_line(struct upstream *u, struct relay_txn *t)
{
	static const double hop_s = 2;
	double wait_s = u->r->conf->upstream.wait_s;

	if (!line_join(&u->line, tenant_of(u, t), t, loop_now(u->r->loop)))
		return false;
	if (transaction_may_hop(t) && wait_s > hop_s)
		wait_s = hop_s;
	t->waits_until = loop_now(u->r->loop) + wait_s;
	if (t->not_before > loop_now(u->r->loop))
		t->waits_until += t->not_before - loop_now(u->r->loop);
	if (!ev_is_active(&u->patience))
		ev_timer_again(loop_ev(u->r->loop), &u->patience);
	return true;
}

void
pool_leave(struct upstream *u, struct relay_txn *t)
{
	line_leave(&u->line, t);
	if (!u->line.waiting.n)
		shape_want(&u->shaping, false);
}

struct holder *
pool_lend(struct upstream *u, struct relay_txn *t)
{
	struct holder *h = line_lend(&u->line, t);

	shape_lend(&u->shaping, h->tenant);
	if (!u->line.waiting.n)
		shape_want(&u->shaping, false);
	return h;
}

void
pool_return(struct upstream *u, struct holder **h)
{
	if (!*h)
		return;
	shape_return(&u->shaping, (*h)->tenant);
	line_return(*h);
	*h = NULL;
}

/* Whose turn it is; NULL: nobody's who may have one more. */
static struct relay_txn *
next_of(struct upstream *u)
{
	struct share s;

	line_wake(&u->line, loop_now(u->r->loop));
	if (!u->line.ring.n)
		return NULL;
	s = share_of(u);
	return line_next(&u->line, &s);
}

/* Those who could be served wait for more connections than are on their way. */
static bool
wants_more(struct upstream *u)
{
	struct share s;

	line_wake(&u->line, loop_now(u->r->loop));
	if (u->line.ring.n == 0 || connections(u) >= connections_max(u))
		return false;
	s = share_of(u);
	return line_wants(&u->line, &s, u->connecting.n + 1) > u->connecting.n;
}

static void
lease(struct smtp *c, struct relay_txn *t)
{
	assert(!c->holder);
	c->holder = pool_lend(c->up, t);
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
	struct relay_txn *t;

	while (connections(u) < connections_max(u) && (t = next_of(u)) != NULL) {
		struct api *a;

		if (!shape_enter(pool_shaping(u), limit_of(u), loop_now(u->r->loop)))
			break;
		a = api_open(u, t);
		if (!a) {
			shape_leave(&u->shaping);
			break;
		}
		transaction_leased_api(t, a);
	}
}

/* Serves the line from what is idle, and opens what is missing. */
void
pool_feed(struct upstream *u)
{
	struct relay_txn *t;
	struct smtp *c;

	if (u->api) {
		feed_api(u);
		return;
	}
	while ((t = next_of(u)) != NULL && (c = take_idle(u)) != NULL)
		lease(c, t);
	while (wants_more(u) && open_connection(u, false))
		;
	shape_want(pool_shaping(u), u->line.waiting.n && connections(u) == 0);
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
	char mem[48];

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
	(void)snprintf(mem, sizeof(mem), "none for another %.0f s", wait);
	pool_say(u, LOG_INFO, "no turn", slice_str(mem));
	transaction_unserved(t, &v);
	return false;
}

void
pool_want(struct upstream *u, struct relay_txn *t)
{
	struct relay_verdict v;

	u->used = loop_now(u->r->loop);
	(void)pool_shaping(u);
	if (!take_turn(u, t))
		return;
	if (!take_idle(u) && shape_is_broken(&u->shaping, loop_now(u->r->loop))) {
		v = transaction_verdict(VERDICT_AUTH);
		transaction_unserved(t, &v);
	} else if (!wait_in_line(u, t)) {
		v = transaction_verdict(VERDICT_NO_MEMORY);
		transaction_unserved(t, &v);
	} else {
		pool_feed(u);
	}
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
	struct relay_txn *t;

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
	if ((t = next_of(u)) != NULL)
		lease(c, t);
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
	struct relay_txn *t;

	pool_return(u, &c->holder);
	if (is_spent(c) || stream_in(&c->s).n || is_wanted_elsewhere(c)) {
		smtp_quit(c);
		pool_feed(u);
		return;
	}
	if ((t = next_of(u)) != NULL) {
		lease(c, t);
		return;
	}
	c->reused = true;
	pool_move(c, &u->idle);
	if (u->r->conf->upstream.idle_s == 0)
		smtp_quit(c);
	else
		stream_deadline(&c->s, idle_max(u));
}

/* It speaks for all who have no attempt of their own; where others are connected, for one. */
void
pool_turn_away(struct upstream *u, const struct relay_verdict *v)
{
	bool lonely = u->leased.n + u->idle.n == 0;

	pool_ref(u);
	while (u->line.waiting.n > u->connecting.n) {
		struct relay_txn *t = next_of(u);

		if (!t)
			t = waiter_of(list_first(&u->line.waiting));
		pool_leave(u, t);
		transaction_unserved(t, v);
		if (!lonely)
			break;
	}
	pool_feed(u);
	pool_unref(u);
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
