/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - who gets which connection (pool_upstream.c: how upstreams come and go)
 */
#include "relay/pool.h"

#include "relay/api.h"
#include "relay/errand.h"
#include "relay/native.h"
#include "relay/smtp.h"
#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>

enum { REFUSALS_MAX = 3 };

static const double breaker_s = 300;
static const double breaker_max_s = 3600;
static const double cap_s = 60;

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

/* ---- where a connection is ---------------------------------------------------------------------- */

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

static unsigned
connections(const struct upstream *u)
{
	return u->connecting.n + u->idle.n + u->leased.n + u->calls.n;
}

static unsigned
connections_max(const struct upstream *u)
{
	unsigned max = u->connections_max ? u->connections_max : u->r->conf->upstream.max_connections;

	if (u->cap && u->cap_until > loop_now(u->r->loop) && u->cap < max)
		return u->cap;
	return max ? max : 1;
}

static bool
is_spent(const struct smtp *c)
{
	const struct upstream *u = c->up;
	const struct conf *conf = u->r->conf;
	unsigned max = u->messages_max ? u->messages_max : conf->upstream.messages_per_connection;

	return u->retired || c->conf_revision != conf->revision || (max && c->messages >= max) ||
	    loop_now(u->r->loop) - c->born > conf->upstream.max_age_s;
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
	struct smtp *c = smtp_open(u, check);

	if (!c)
		return NULL;
	pool_ref(u);
	pool_move(c, check ? &u->dying : &u->connecting);
	u->r->opened++;
	return c;
}

/* ---- the waiting line --------------------------------------------------------------------------- */

void
pool_on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct upstream *u = w->data;
	struct relay_verdict v = errand_verdict(VERDICT_BUSY);
	ev_tstamp now = loop_now(u->r->loop);
	unsigned i = 0;

	(void)ev;
	(void)revents;
	pool_ref(u);
	list_each_safe(l, after, &u->waiting) {
		struct relay_txn *t = waiter_of(l);
		/* The first ones are being connected for, which has limits of its own. */
		bool served = i++ < u->connecting.n;

		if (t->waits_until > now || (served && !errand_may_hop(t)))
			continue;
		pool_leave(u, t);
		errand_unserved(t, &v);
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
	if (errand_may_hop(t) && wait_s > hop_s)
		wait_s = hop_s;
	t->waits_until = loop_now(u->r->loop) + wait_s;
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
}

static void
lease(struct smtp *c, struct relay_txn *t)
{
	pool_leave(c->up, t);
	pool_move(c, &c->up->leased);
	errand_leased(t, c);
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
	while (u->waiting.n && connections(u) < connections_max(u)) {
		struct relay_txn *t = waiter_of(list_first(&u->waiting));
		struct api *a = api_open(u, t);

		if (!a)
			break;
		pool_leave(u, t);
		errand_leased_api(t, a);
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
	while (u->waiting.n && (c = take_idle(u)) != NULL)
		lease(c, waiter_of(list_first(&u->waiting)));
	while (u->waiting.n > u->connecting.n && connections(u) < connections_max(u))
		if (!open_connection(u, false))
			break;
}

static bool
breaker_is_open(const struct upstream *u)
{
	if (u->refusals < REFUSALS_MAX)
		return false;
	return loop_now(u->r->loop) < u->closed_until || u->connecting.n + u->calls.n > 0;
}

void
pool_want(struct upstream *u, struct relay_txn *t)
{
	struct smtp *c = take_idle(u);

	u->used = loop_now(u->r->loop);
	if (c) {
		lease(c, t);
		return;
	}
	if (breaker_is_open(u)) {
		struct relay_verdict v = errand_verdict(VERDICT_AUTH);

		errand_unserved(t, &v);
		return;
	}
	wait_in_line(u, t);
	pool_feed(u);
}

void
pool_check(struct upstream *u)
{
	struct relay_verdict v = errand_verdict(VERDICT_NO_MEMORY);

	if (!open_connection(u, true))
		native_failed(u->endpoint, &v);
}

/* ---- what connections tell ---------------------------------------------------------------------- */

/* The credential was taken. */
static void
reset_breaker(struct upstream *u)
{
	u->refusals = 0;
	u->closed_s = 0;
}

void
pool_ready(struct smtp *c)
{
	struct upstream *u = c->up;

	c->ready = true;
	reset_breaker(u);
	if (u->endpoint)
		native_alive(u->endpoint);
	if (c->check) {
		smtp_quit(c);
		return;
	}
	pool_move(c, &u->leased);
	if (u->waiting.n)
		lease(c, waiter_of(list_first(&u->waiting)));
	else
		pool_back(c);
}

void
pool_back(struct smtp *c)
{
	struct upstream *u = c->up;

	if (is_spent(c) || stream_in(&c->s).n) {
		smtp_quit(c);
		pool_feed(u);
		return;
	}
	if (u->waiting.n) {
		lease(c, waiter_of(list_first(&u->waiting)));
		return;
	}
	c->reused = true;
	pool_move(c, &u->idle);
	if (u->r->conf->upstream.idle_s == 0)
		smtp_quit(c);
	else
		stream_deadline(&c->s, u->r->conf->upstream.idle_s);
}

static void
trip_breaker(struct upstream *u)
{
	if (++u->refusals < REFUSALS_MAX)
		return;
	u->closed_s = u->closed_s > 0 ? u->closed_s * 2 : breaker_s;
	if (u->closed_s > breaker_max_s)
		u->closed_s = breaker_max_s;
	u->closed_until = loop_now(u->r->loop) + u->closed_s;
	log_say(LOG_WARNING, "upstream",
	    "%s: the credential was refused %u times in a row; next try in %.0f s", u->route,
	    u->refusals, u->closed_s);
}

/* The upstream takes no more connections than those that it has: that is a limit, not a failure. */
static bool
is_full(struct upstream *u, const struct relay_verdict *v)
{
	unsigned has = u->leased.n + u->idle.n;

	if (has == 0 || (v->class != VERDICT_RATE && v->class != VERDICT_CONNECT) || !v->upstream.n)
		return false;
	u->cap = has;
	u->cap_until = loop_now(u->r->loop) + cap_s;
	return true;
}

void
pool_failed(struct upstream *u, bool check, const struct relay_verdict *v)
{
	u->r->failed++;
	if (v->class == VERDICT_AUTH)
		trip_breaker(u);
	bool full = is_full(u, v);

	if (u->endpoint && full)
		native_alive(u->endpoint);
	else if (u->endpoint)
		native_failed(u->endpoint, v);
	if (check || full)
		return;

	/* It speaks for all who have no attempt of their own; where others are connected, for one. */
	bool lonely = u->leased.n + u->idle.n == 0;

	pool_ref(u);
	while (u->waiting.n > u->connecting.n) {
		struct relay_txn *t = waiter_of(list_first(&u->waiting));

		pool_leave(u, t);
		errand_unserved(t, v);
		if (!lonely)
			break;
	}
	pool_feed(u);
	pool_unref(u);
}

void
pool_answered(struct upstream *u, const struct relay_verdict *v, unsigned retry_s)
{
	(void)retry_s;
	u->used = loop_now(u->r->loop);
	if (v->class == VERDICT_AUTH)
		trip_breaker(u);
	else if (v->upstream.n)
		reset_breaker(u);
}

void
pool_gone(struct smtp *c)
{
	struct upstream *u = c->up;

	pool_move(c, NULL);
	if (c->ready && !u->r->closing)
		pool_feed(u);
	pool_unref(u);
}
