/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/counters_batch.h"

#include <assert.h>

/* Keys that one order may need: an hour, a month, a rate, with their edges. */
enum { ORDER_OPS = 160 };

enum { RECENT_MS = 1000, STALE_MS = 60000, HOUR_S = 3600 };

void
batch_begin(struct counters_batch *b, struct counters_shared *s, unsigned server, uint64_t now_ms)
{
	b->shared = s;
	b->server = server;
	b->epoch = atomic_load(&counters_common(s)->server[server].epoch);
	b->now_ms = now_ms;
	b->floors = now_ms < atomic_load(&counters_common(s)->server[server].since_ms) + FLOOR_MS;
	b->lost = b->stale = false;
	b->ops_n = b->orders_n = 0;
	memset(b->index, 0, sizeof(b->index));
}

/* ---- ops ---- */

static size_t
place(char kind, uint64_t id, uint32_t period)
{
	uint64_t h = (id * 0x9e3779b97f4a7c15U + period) * 31 + (unsigned char)kind;

	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9U;
	return (size_t)(h >> 40) % BATCH_INDEX;
}

static bool
is_set(uint64_t bits, uint32_t period)
{
	return bits >> period % COUNTERS_RING & 1;
}

static struct counters_op *
find_named(struct counters_batch *b, char kind, uint64_t id, uint32_t period, bool make)
{
	size_t at = place(kind, id, period);

	for (; b->index[at]; at = (at + 1) % BATCH_INDEX) {
		struct counters_op *op = &b->op[b->index[at] - 1];

		if (op->id == id && op->period == period && op->kind == kind)
			return op;
	}
	if (!make)
		return NULL;
	assert(b->ops_n < BATCH_OPS);
	struct counters_op *op = &b->op[b->ops_n++];

	*op = (struct counters_op){
		.kind = kind,
		.id = id,
		.period = period,
	};
	b->index[at] = (uint16_t)b->ops_n;
	return op;
}

static struct counters_op *
find_op(struct counters_batch *b, const struct counters_record *r, uint32_t period, bool make)
{
	struct counters_op *op = find_named(b, r->kind, r->id, period, make);

	if (op && make) {
		op->ttl_s = (r->keep + 2) * r->grain_s + HOUR_S;
		op->create = !is_set(r->made, period);
	}
	return op;
}

/* The record's PUSHED and FINAL are about the batch's epoch from now on. False: the record is
 * further on than we are. */
static bool
enter_epoch(struct counters_batch *b, struct counters_record *r)
{
	if (r->epoch == b->epoch)
		return true;
	if (r->epoch > b->epoch) {
		b->stale = true;
		return false;
	}
	bool there =
	    r->restored && atomic_load(&counters_common(b->shared)->server[b->server].refilled);

	for (size_t i = 0; i < COUNTERS_RING; i++)
		r->cell[i].pushed = there ? r->cell[i].own : 0;
	r->restored = false;
	r->dirty = true;
	r->final = r->made = 0;
	r->asked_ms = 0;
	r->epoch = b->epoch;
	return true;
}

bool
batch_sync(struct counters_batch *b, struct counters_record *r)
{
	bool any = false;

	if (!enter_epoch(b, r))
		return false;
	for (uint32_t i = 0; i <= r->keep && i < COUNTERS_RING && i <= r->latest; i++) {
		struct counters_cell *c = &r->cell[(r->latest - i) % COUNTERS_RING];
		struct counters_op *op;

		if (c->own == c->pushed)
			continue;
		op = find_op(b, r, r->latest - i, true);
		op->synced += (int64_t)c->own - (int64_t)c->pushed;
		op->by += (int64_t)c->own - (int64_t)c->pushed;
		c->pushed = c->own;
		any = true;
	}
	return any;
}

static bool
is_final(const struct counters_record *r, uint32_t period)
{
	return r->latest - period < COUNTERS_RING && is_set(r->final, period);
}

/* What LINE must read, and what it adds. */
static void
add_line(struct counters_batch *b, struct counters_order *o, unsigned i, struct counters_record *r)
{
	struct counters_line *line = &o->line[i];
	uint32_t first, last;

	counters_range(line, r, b->now_ms, &first, &last);
	(void)counters_cell(r, line->at, true);
	for (uint32_t p = first; p <= last; p++) {
		if (is_final(r, p) && !o->exact && p != line->at) {
			o->trusted = true;
			continue;
		}
		find_op(b, r, p, true)->read = true;
	}
	if (o->verb == COUNTERS_RESET) {
		for (uint32_t p = first; p <= last; p++)
			find_op(b, r, p, true)->zero = true;
		return;
	}
	if (o->verb != COUNTERS_RESERVE || !line->adds)
		return;
	struct counters_op *op = find_op(b, r, line->at, true);

	op->read = true;
	op->by += o->n;
	op->mine += o->n;
}

static bool
is_bare(const struct counters_order *o)
{
	return o->verb >= COUNTERS_BARE_ADD;
}

static void
add_bare(struct counters_batch *b, struct counters_order *o)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_line *line = &o->line[i];

		line->at = (uint32_t)(b->now_ms / 1000 / line->grain_s);
		for (uint32_t k = o->verb == COUNTERS_BARE_ADD ? 1 : line->span; k-- > 0;) {
			struct counters_op *op =
			    find_named(b, line->kind, line->id, line->at - k, true);

			op->ttl_s = (line->span + 1) * line->grain_s;
			op->read = op->read || o->verb == COUNTERS_BARE_READ;
			op->zero = op->zero || o->verb == COUNTERS_BARE_RESET;
			if (o->verb != COUNTERS_BARE_ADD)
				continue;
			op->create = true;
			op->by += o->n;
		}
	}
}

static void
settle_bare(struct counters_batch *b, struct counters_order *o)
{
	o->verdict = COUNTERS_FITS;
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_line *line = &o->line[i];

		line->used = 0;
		for (uint32_t k = 0; k < line->span; k++) {
			const struct counters_op *op =
			    find_named(b, line->kind, line->id, line->at - k, false);

			line->used += op ? op->value : 0;
		}
	}
}

static void
forget(struct counters_record *r)
{
	memset(r->cell, 0, sizeof(r->cell));
	memset(r->told, 0, sizeof(r->told));
	r->final = 0;
	r->dirty = true;
}

bool
batch_add(struct counters_batch *b, struct counters_order *o)
{
	struct counters_hold h;

	if (b->orders_n == BATCH_ORDERS || b->ops_n + ORDER_OPS > BATCH_OPS)
		return false;
	b->order[b->orders_n++] = o;
	o->trusted = o->again = false;
	if (is_bare(o)) {
		add_bare(b, o);
		return true;
	}
	if (!counters_hold(b->shared, o, b->now_ms, &h))
		return true; /* settle finds no place for it either */
	for (unsigned i = 0; i < o->lines_n && !b->stale; i++) {
		if (o->verb == COUNTERS_RESET)
			forget(h.record[i]);
		(void)batch_sync(b, h.record[i]);
		if (!b->stale && o->verb != COUNTERS_SYNC)
			add_line(b, o, i, h.record[i]);
	}
	counters_release(&h);
	return true;
}

/* ---- verdicts ---- */

/* What the server holds of a number, less what this batch's orders have added to it. */
static uint64_t
base_of(struct counters_batch *b, struct counters_record *r, struct counters_op *op)
{
	struct counters_cell *c = counters_cell(r, op->period, false);

	if (op->known)
		return op->base;
	op->known = true;
	op->base = op->value > op->mine ? op->value - op->mine : 0;
	if (!c)
		return op->base;
	/* A number that was there and has gone: the server forgets. Else numbers only fall, to
	 * 0. */
	b->lost = b->lost || (!op->create && !op->found && !op->zero);
	/* What is not there may not have been put back yet, or have found no memory: what was known
	 * counts. */
	if ((b->floors || !op->found) && !op->zero && op->base < c->seen)
		op->base = c->seen;
	return op->base;
}

/* The numbers that were read into the record. */
static void
learn(struct counters_batch *b, const struct counters_order *o, struct counters_record *r,
    uint32_t first, uint32_t last)
{
	uint64_t grain_ms = (uint64_t)r->grain_s * 1000;

	if (r->epoch != b->epoch)
		return;
	for (uint32_t p = first; p <= last; p++) {
		if (is_final(r, p) && !o->exact)
			continue; /* it was not read */
		struct counters_op *op = find_op(b, r, p, false);
		struct counters_cell *c = counters_cell(r, p, false);

		if (!op || !c)
			continue;
		c->seen = (uint32_t)base_of(b, r, op);
		if (op->found)
			r->made |= UINT64_C(1) << p % COUNTERS_RING;
		if (!b->floors && ((uint64_t)p + 1) * grain_ms + SETTLE_MS < b->now_ms)
			r->final |= UINT64_C(1) << p % COUNTERS_RING;
	}
}

static void
let_in(struct counters_batch *b, struct counters_order *o, struct counters_hold *h)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h->record[i];
		struct counters_cell *c = counters_cell(r, o->line[i].at, false);
		struct counters_op *op = find_op(b, r, o->line[i].at, false);

		if (!o->line[i].adds || !c || !op)
			continue;
		op->base += o->n;
		c->seen = (uint32_t)op->base;
		c->own += o->n;
		if (r->epoch == b->epoch)
			c->pushed += o->n;
		r->dirty = true;
	}
}

/* The server has what O added; the next sync takes it back. */
static void
turn_away(struct counters_batch *b, struct counters_order *o, struct counters_hold *h)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h->record[i];
		struct counters_cell *c = counters_cell(r, o->line[i].at, false);

		if (o->line[i].adds && c && r->epoch == b->epoch)
			c->pushed += o->n;
	}
}

/* What O was to be added to could not be made: the server has no memory left. */
static bool
is_full(struct counters_batch *b, const struct counters_order *o, const struct counters_hold *h)
{
	if (o->verb != COUNTERS_RESERVE)
		return false;
	for (unsigned i = 0; i < o->lines_n; i++) {
		const struct counters_op *op = find_op(b, h->record[i], o->line[i].at, false);

		if (!o->line[i].adds || !op || op->found)
			continue;
		b->lost = b->lost || !op->create; /* or it was there, and has gone */
		return true;
	}
	return false;
}

static void
settle(struct counters_batch *b, struct counters_order *o, enum counter_loss loss)
{
	struct counters_hold h;

	if (!counters_hold(b->shared, o, b->now_ms, &h)) {
		o->verdict = COUNTERS_LOST;
		return;
	}
	if (is_full(b, o, &h)) {
		counters_release(&h);
		batch_decide_here(b->shared, o, loss, b->now_ms);
		return;
	}
	for (unsigned i = 0; i < o->lines_n; i++) {
		uint32_t first, last;

		counters_range(&o->line[i], h.record[i], b->now_ms, &first, &last);
		learn(b, o, h.record[i], first, last);
		if (h.record[i]->epoch == b->epoch)
			h.record[i]->asked_ms = b->now_ms;
	}
	counters_judge(o, &h, b->now_ms);
	if (o->verb == COUNTERS_RESERVE && o->verdict == COUNTERS_FITS)
		let_in(b, o, &h);
	else if (o->verb == COUNTERS_RESERVE)
		turn_away(b, o, &h);
	counters_release(&h);
	o->again = o->verdict == COUNTERS_OVER && (o->verb == COUNTERS_RESERVE || o->trusted) &&
	    (o->verb == COUNTERS_RESERVE || o->verb == COUNTERS_LOOK);
}

void
batch_settle(struct counters_batch *b, enum counter_loss loss)
{
	for (unsigned i = 0; i < b->orders_n; i++) {
		if (is_bare(b->order[i]))
			settle_bare(b, b->order[i]);
		else if (b->order[i]->verb != COUNTERS_SYNC)
			settle(b, b->order[i], loss);
	}
}

/* ---- without the server ---- */

void
batch_decide_here(struct counters_shared *s, struct counters_order *o, enum counter_loss loss,
    uint64_t now_ms)
{
	o->again = false;
	if (is_bare(o)) {
		o->verdict = COUNTERS_LOST;
		return;
	}
	switch (loss) {
	case COUNTER_LOSS_LOCAL:
		(void)counters_shared_do(s, o, now_ms);
		break;
	case COUNTER_LOSS_CLOSED:
		o->verdict = COUNTERS_LOST;
		break;
	case COUNTER_LOSS_OPEN:
		(void)counters_shared_add(s, o, now_ms);
		break;
	}
	if (o->verb == COUNTERS_READ)
		(void)counters_shared_do(s, o, now_ms);
}

void
batch_undo(struct counters_batch *b)
{
	for (unsigned i = 0; i < b->ops_n; i++) {
		const struct counters_op *op = &b->op[i];
		struct counters_order o = { .lines_n = 1, .server = b->server };
		struct counters_hold h;
		struct counters_cell *c;

		if (op->synced == 0)
			continue;
		o.line[0] = (struct counters_line){ .kind = op->kind, .id = op->id, .grain_s = 1 };
		if (!counters_hold(b->shared, &o, b->now_ms, &h))
			continue;
		c = counters_cell(h.record[0], op->period, false);
		if (c && h.record[0]->epoch == b->epoch)
			c->pushed = (uint32_t)((int64_t)c->pushed - op->synced);
		counters_release(&h);
	}
}

/* What O added may have arrived: then it has been pushed, and nobody pushes it again. */
static void
take_as_sent(struct counters_batch *b, struct counters_order *o, struct counters_hold *h)
{
	if (o->verb != COUNTERS_RESERVE || o->verdict != COUNTERS_FITS)
		return;
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h->record[i];
		struct counters_cell *c = counters_cell(r, o->line[i].at, false);

		if (o->line[i].adds && c && r->epoch == b->epoch)
			c->pushed += o->n;
	}
}

void
batch_fail(struct counters_batch *b, bool sent, enum counter_loss loss)
{
	if (!sent)
		batch_undo(b);
	for (unsigned i = 0; i < b->orders_n; i++) {
		struct counters_order *o = b->order[i];
		struct counters_hold h;

		if (o->verb != COUNTERS_SYNC)
			batch_decide_here(b->shared, o, loss, b->now_ms);
		if (!sent || is_bare(o) || !counters_hold(b->shared, o, b->now_ms, &h))
			continue;
		take_as_sent(b, o, &h);
		counters_release(&h);
	}
}

/* ---- looks ---- */

bool
batch_look(struct counters_shared *s, struct counters_order *o, uint64_t now_ms)
{
	struct counters_hold h;
	bool good = true;

	if (!counters_hold(s, o, now_ms, &h)) {
		o->verdict = COUNTERS_LOST;
		return true;
	}
	counters_judge(o, &h, now_ms);
	for (unsigned i = 0; i < o->lines_n; i++) {
		const struct counters_line *line = &o->line[i];
		uint64_t age = now_ms - h.record[i]->asked_ms;
		bool far = line->cap == 0 || line->used + o->n <= line->cap / 2;

		if (line->cap > 0 && age > (far ? STALE_MS : RECENT_MS))
			good = false;
	}
	counters_release(&h);
	return good && o->verdict == COUNTERS_FITS;
}

bool
batch_is_far(struct counters_shared *s, const struct counters_order *o, uint64_t now_ms)
{
	struct counters_hold h;
	bool far = true;

	if (!counters_hold(s, o, now_ms, &h))
		return false;
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_line line = o->line[i];

		(void)counters_judge_line(&line, h.record[i], o->n, now_ms);
		far = far &&
		    (line.cap == 0 ||
		        (line.used + o->n <= line.cap / 2 &&
		            now_ms - h.record[i]->asked_ms <= STALE_MS));
	}
	counters_release(&h);
	return far;
}
