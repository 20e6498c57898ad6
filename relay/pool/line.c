/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/line.h"

#include "relay/pool/shape.h"
#include "relay/transaction.h"

#include <stdlib.h>

static struct relay_txn *
txn_of(struct link *turn)
{
	return LINKED(turn, struct relay_txn, turn);
}

static struct holder *
holder_of(struct link *turn)
{
	return LINKED(turn, struct holder, turn);
}

void
line_init(struct line *l, struct holders *all)
{
	l->all = all;
	l->held = 0;
	list_init(&l->waiting);
	list_init(&l->ring);
	list_init(&l->later);
}

/* ---- holders --------------------------------------------------------------------------------- */

static struct holder **
bucket(const struct line *l, uint64_t tenant)
{
	uint64_t key = shape_mix(tenant ^ shape_mix((uint64_t)(uintptr_t)l));

	return &l->all->bucket[key % HOLDER_BUCKETS];
}

static struct holder *
find(struct line *l, uint64_t tenant)
{
	struct holder **at = bucket(l, tenant);
	struct holder *h = *at;

	while (h && (h->tenant != tenant || h->line != l))
		h = h->next;
	if (h || !(h = calloc(1, sizeof(*h))))
		return h;
	h->line = l;
	h->tenant = tenant;
	list_init(&h->waiting);
	h->next = *at;
	*at = h;
	return h;
}

static void
unref(struct holder *h)
{
	struct holder **at = bucket(h->line, h->tenant);

	assert(h->refs > 0);
	if (--h->refs > 0)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	free(h);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void
stand(struct relay_txn *t)
{
	struct holder *h = t->holder;

	t->turn_at = &h->waiting;
	list_append(&h->waiting, &t->turn);
	if (h->waiting.n == 1)
		list_append(&h->line->ring, &h->turn);
}

bool
line_join(struct line *l, uint64_t tenant, struct relay_txn *t, ev_tstamp now)
{
	assert(!t->holder);
	t->holder = find(l, tenant);
	if (!t->holder)
		return false;
	t->holder->refs++;
	list_append(&l->waiting, &t->waits);
	if (t->not_before > now) {
		t->turn_at = &l->later;
		list_append(&l->later, &t->turn);
	} else {
		stand(t);
	}
	return true;
}

/* T waits no more; the reference of its holder is the caller's. */
static struct holder *
take_out(struct line *l, struct relay_txn *t)
{
	struct holder *h = t->holder;

	t->holder = NULL;
	list_remove(&l->waiting, &t->waits);
	list_remove(t->turn_at, &t->turn);
	if (t->turn_at == &h->waiting && !h->waiting.n)
		list_remove(&l->ring, &h->turn);
	t->turn_at = NULL;
	return h;
}

void
line_leave(struct line *l, struct relay_txn *t)
{
	if (t->holder)
		unref(take_out(l, t));
}

/* A hold and a pace tell times that only grow, so the first one's comes first. */
void
line_wake(struct line *l, ev_tstamp now)
{
	while (l->later.n && txn_of(list_first(&l->later))->not_before <= now) {
		struct relay_txn *t = txn_of(list_first(&l->later));

		list_remove(&l->later, &t->turn);
		stand(t);
	}
}

/* ---- turns ----------------------------------------------------------------------------------- */

static unsigned
held_by(const struct holder *h, const struct share *s)
{
	return s->over ? shape_lent(s->over, h->tenant) : h->held;
}

/* How many more one may have that holds HELD. */
static unsigned
allowance(unsigned held, const struct share *s)
{
	unsigned most = LINE_RATIO * s->free;
	unsigned more = most > held ? (most - held) / (LINE_RATIO + 1) : 0;

	return more == 0 && held == 0 && s->free > 0 ? 1 : more;
}

struct relay_txn *
line_next(const struct line *l, const struct share *s)
{
	unsigned quarter = s->all > 4 ? s->all / 4 : 1;
	struct holder *other = NULL;

	if (s->free == 0)
		return NULL;
	for (struct link *at = l->ring.head.next; at != &l->ring.head; at = at->next) {
		struct holder *h = holder_of(at);
		unsigned held = held_by(h, s);

		if (!allowance(held, s))
			continue;
		if (held < quarter)
			return txn_of(list_first(&h->waiting));
		if (!other)
			other = h;
	}
	return other ? txn_of(list_first(&other->waiting)) : NULL;
}

bool
line_may(const struct relay_txn *t, const struct share *s)
{
	return t->holder && allowance(held_by(t->holder, s), s) > 0;
}

unsigned
line_wants(const struct line *l, const struct share *s, unsigned max)
{
	unsigned sum = 0;

	if (s->free == 0)
		return 0;
	for (struct link *at = l->ring.head.next; at != &l->ring.head && sum < max; at = at->next) {
		const struct holder *h = holder_of(at);
		unsigned may = allowance(held_by(h, s), s);

		sum += may < h->waiting.n ? may : h->waiting.n;
	}
	return sum < max ? sum : max;
}

struct holder *
line_lend(struct line *l, struct relay_txn *t)
{
	struct holder *h = take_out(l, t);

	h->held++;
	l->held++;
	if (h->waiting.n) {
		list_remove(&l->ring, &h->turn);
		list_append(&l->ring, &h->turn);
	}
	return h;
}

void
line_return(struct holder *h)
{
	assert(h->held > 0 && h->line->held > 0);
	h->held--;
	h->line->held--;
	unref(h);
}
