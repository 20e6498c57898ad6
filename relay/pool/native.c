/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/native.h"

#include "wire/log.h"

#include <stdlib.h>

enum { BACK_OFF_MAX = 10 };

static struct endpoint *
best(struct native *n, uint64_t tried, bool weighted)
{
	struct endpoint *best_e = NULL;
	long sum = 0;

	for (unsigned i = 0; i < n->n; i++) {
		struct endpoint *e = &n->at[i];

		if (e->dead || tried >> i & 1 || (e->weight > 0) != weighted)
			continue;
		long weight = weighted ? (long)e->weight : 1;

		e->current += weight;
		sum += weight;
		if (!best_e || e->current > best_e->current)
			best_e = e;
	}
	if (best_e)
		best_e->current -= sum;
	return best_e;
}

/* Of the dead, the one that was left alone longest. */
static struct endpoint *
least_dead(struct native *n, uint64_t tried)
{
	struct endpoint *found = NULL;

	for (unsigned i = 0; i < n->n; i++)
		if (n->at[i].dead && !(tried >> i & 1) && (!found || n->at[i].until < found->until))
			found = &n->at[i];
	return found;
}

struct upstream *
native_pick(struct native *n, uint64_t *tried)
{
	struct endpoint *e = best(n, *tried, true);

	if (!e)
		e = best(n, *tried, false);
	if (!e)
		e = least_dead(n, *tried);
	if (!e)
		return NULL;
	*tried |= UINT64_C(1) << (e - n->at);
	return e->up;
}

bool
native_has_other(const struct native *n, uint64_t tried)
{
	for (unsigned i = 0; i < n->n; i++)
		if (!n->at[i].dead && !(tried >> i & 1))
			return true;
	return false;
}

void
native_alive(struct endpoint *e)
{
	e->checking = false;
	e->failures = 0;
	e->seen = loop_now(e->up->r->loop);
	if (e->dead)
		log_say(LOG_NOTICE, "native", "%s is alive", e->up->route);
	e->dead = false;
}

void
native_spared(struct endpoint *e)
{
	ev_tstamp now = loop_now(e->up->r->loop);

	e->checking = false;
	if (e->dead)
		e->until = now + 1;
	else
		e->seen = now;
}

void
native_failed(struct endpoint *e, const struct relay_verdict *v)
{
	struct relay *r = e->up->r;
	unsigned factor = e->failures < 4 ? 1U << e->failures : BACK_OFF_MAX;
	double dead_s = r->conf->native.dead_s;

	e->checking = false;
	if (factor > BACK_OFF_MAX)
		factor = BACK_OFF_MAX;
	if (!e->dead)
		log_say(LOG_WARNING, "native", "%s is dead: %s", e->up->route,
		    verdict_word(v->class));
	e->dead = true;
	e->failures++;
	e->until = loop_now(r->loop) + (dead_s > 0 ? dead_s : 1) * factor;
}

/* One look at each: whether it is due. */
static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct native *n = w->data;
	ev_tstamp now = loop_now(n->r->loop);

	(void)ev;
	(void)revents;
	for (unsigned i = 0; i < n->n; i++) {
		struct endpoint *e = &n->at[i];
		ev_tstamp due = e->dead ? e->until : e->seen + n->r->conf->native.check_s;

		/* Traffic is the best of checks. */
		if (e->up->used > e->seen && !e->dead && e->up->leased.n)
			e->seen = e->up->used;
		if (e->checking || now < due)
			continue;
		e->checking = true;
		pool_check(e->up);
	}
}

struct native *
native_open(struct relay *r)
{
	struct native *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->r = r;
	for (size_t i = 0; i < r->conf->mtas_n && n->n < ENDPOINTS_MAX; i++) {
		struct endpoint *e = &n->at[n->n];

		e->up = pool_mta(r, &r->conf->mtas[i], e);
		if (!e->up) {
			native_close(n);
			return NULL;
		}
		e->weight = r->conf->mtas[i].weight;
		n->n++;
	}
	if (r->conf->mtas_n > ENDPOINTS_MAX)
		log_say(LOG_WARNING, "native", "only the first %d [mta] sections are used",
		    ENDPOINTS_MAX);
	ev_timer_init(&n->tick, on_tick, 0.05, 1);
	n->tick.data = n;
	if (n->n)
		ev_timer_start(loop_ev(r->loop), &n->tick);
	return n;
}

void
native_close(struct native *n)
{
	if (!n)
		return;
	ev_timer_stop(loop_ev(n->r->loop), &n->tick);
	for (unsigned i = 0; i < n->n; i++) {
		struct upstream *u = n->at[i].up;

		pool_retire(u);
		u->endpoint = NULL;
		pool_unref(u);
	}
	free(n);
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* What those have in common that are DEAD, or are not. */
static struct relay_offer
common(const struct native *n, bool dead)
{
	struct relay_offer all = { 0 };

	for (unsigned i = 0; i < n->n; i++) {
		struct relay_offer o = pool_offered(n->at[i].up);

		if (n->at[i].dead != dead || !o.known)
			continue;
		if (!all.known) {
			all = o;
			continue;
		}
		all.size = smaller(all.size, o.size);
		all.recipients = smaller(all.recipients, o.recipients);
		all.eight_bit = all.eight_bit && o.eight_bit;
		all.smtputf8 = all.smtputf8 && o.smtputf8;
		all.dsn = all.dsn && o.dsn;
		all.chunking = all.chunking && o.chunking;
	}
	return all;
}

/* Of the living; where none lives, of those that will be back. */
struct relay_offer
native_offers(const struct native *n)
{
	struct relay_offer o = common(n, false);

	return o.known ? o : common(n, true);
}
