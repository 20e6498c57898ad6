/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/counters_batch.h"

#include <assert.h>

/* Keys that one order may need: an hour, a month, a rate, with their edges. */
enum { ORDER_OPS = 160 };

enum { RECENT_MS = 1000, STALE_MS = 60000, HOUR_S = 3600 };

void
batch_begin(struct counters_batch *b, struct counters_shared *s, unsigned server, uint64_t now_ms)
{
	assert(b->state == BATCH_CLOSED);
	b->state = BATCH_OPEN;
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
	/* One that no worker has met is a checkpoint's, and of a clock that was wrong. */
	if (r->epoch > b->epoch &&
	    r->epoch <= atomic_load(&counters_common(b->shared)->server[b->server].epoch)) {
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
	r->asked_ms = r->doubt_ms = 0;
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
		op->claimed += (int64_t)c->own - (int64_t)c->pushed;
		op->by += (int64_t)c->own - (int64_t)c->pushed;
		c->pushed = c->own;
		any = true;
	}
	return any;
}

void
batch_answer(struct counters_batch *b, unsigned i, uint64_t value, uint32_t reset_s)
{
	struct counters_op *op = &b->op[i];
	uint64_t largest = atomic_load(&counters_common(b->shared)->largest_cap);
	uint64_t most = 2 * (op->cap > largest ? op->cap : largest);

	if (most < BELIEVED_MIN)
		most = BELIEVED_MIN;
	if (op->cap == 0 || most > UINT32_MAX)
		most = UINT32_MAX;
	op->absurd = value > most;
	op->found = !op->absurd;
	op->value = op->found ? value : 0;
	op->reset_s = reset_s <= b->now_ms / 1000 + EPOCH_AHEAD_MS / 1000 ? reset_s : 0;
}

static bool
is_final(const struct counters_record *r, uint32_t period)
{
	return r->latest - period < COUNTERS_RING && is_set(r->final, period);
}

static struct counters_op *
read_op(struct counters_batch *b, struct counters_record *r, uint32_t period, uint64_t cap)
{
	struct counters_op *op = find_op(b, r, period, true);
	const struct counters_cell *c = counters_cell(r, period, false);

	if (!op->read)
		op->pushed = c ? c->pushed : 0;
	op->read = true;
	if (op->cap < cap)
		op->cap = cap;
	return op;
}

static void
zero_op(struct counters_batch *b, const struct counters_record *r, uint32_t period)
{
	struct counters_op *op = find_op(b, r, period, true);

	op->zero = true;
	op->reset_s = r->reset_s;
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
		read_op(b, r, p, line->cap);
	}
	if (o->verb == COUNTERS_RESET) {
		for (uint32_t p = first; p <= last; p++)
			zero_op(b, r, p);
		return;
	}
	if (o->verb != COUNTERS_RESERVE || !line->adds)
		return;
	struct counters_op *op = read_op(b, r, line->at, line->cap);

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
	bool moves = o->verb == COUNTERS_BARE_ADD || o->verb == COUNTERS_BARE_TAKE;

	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_line *line = &o->line[i];

		if (o->verb != COUNTERS_BARE_TAKE)
			line->at = (uint32_t)(b->now_ms / 1000 / line->grain_s);
		for (uint32_t k = moves ? 1 : line->span; k-- > 0;) {
			struct counters_op *op =
			    find_named(b, line->kind, line->id, line->at - k, true);

			op->ttl_s = (line->span + 1) * line->grain_s;
			op->read = op->read || o->verb == COUNTERS_BARE_READ;
			op->zero = op->zero || o->verb == COUNTERS_BARE_RESET;
			if (!moves)
				continue;
			op->create = true;
			op->by += o->verb == COUNTERS_BARE_ADD ? (int64_t)o->n : -(int64_t)o->n;
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

/* Somebody has set it all to 0. */
static void
forget(struct counters_record *r, uint32_t reset_s)
{
	memset(r->cell, 0, sizeof(r->cell));
	memset(r->told, 0, sizeof(r->told));
	r->final = 0;
	r->dirty = true;
	r->reset_s = reset_s;
}

static void
note_caps(struct counters_batch *b, const struct counters_order *o)
{
	_Atomic uint64_t *largest = &counters_common(b->shared)->largest_cap;

	for (unsigned i = 0; i < o->lines_n; i++) {
		uint64_t known = atomic_load_explicit(largest, memory_order_relaxed);

		while (o->line[i].cap > known &&
		    !atomic_compare_exchange_weak(largest, &known, o->line[i].cap))
			;
	}
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
	note_caps(b, o);
	if (!counters_hold(b->shared, o, b->now_ms, &h))
		return true; /* settle finds no place for it either */
	for (unsigned i = 0; i < o->lines_n && !b->stale; i++) {
		if (o->verb == COUNTERS_RESET)
			forget(h.record[i], (uint32_t)(b->now_ms / 1000));
		(void)batch_sync(b, h.record[i]);
		if (!b->stale && o->verb != COUNTERS_SYNC)
			add_line(b, o, i, h.record[i]);
	}
	counters_release(&h);
	return true;
}

/* ---- verdicts ---- */

/* This node alone has put more there. What other workers do meanwhile may look so for a moment. */
static bool
is_less(const struct counters_batch *b, const struct counters_cell *c, const struct counters_op *op)
{
	uint32_t ours = op->pushed < c->pushed ? op->pushed : c->pushed;

	return !b->floors && op->found && op->value < op->mine + ours;
}

/* What the server holds of a number, less what this batch's orders have added to it. */
static uint64_t
base_of(struct counters_batch *b, struct counters_record *r, struct counters_op *op)
{
	struct counters_cell *c = counters_cell(r, op->period, false);

	if (op->known)
		return op->base;
	op->known = true;
	op->base = op->value > op->mine ? op->value - op->mine : 0;
	if (!c || op->zero)
		return op->base;
	/* A number that was there and has gone: the server forgets. Else numbers only fall, to
	 * 0. */
	b->lost = b->lost || op->absurd || (!op->create && !op->found);
	/* What is not there may not have been put back yet, or have found no memory: what was known
	 * counts. */
	if ((b->floors || !op->found || is_less(b, c, op)) && op->base < c->seen)
		op->base = c->seen;
	return op->base;
}

static void
note_doubt(struct counters_batch *b, struct counters_record *r, bool less)
{
	if (!less)
		r->doubt_ms = 0;
	else if (r->doubt_ms == 0)
		r->doubt_ms = b->now_ms;
	else if (b->now_ms >= r->doubt_ms + DOUBT_MS)
		b->lost = true;
}

/* Another node has set it all to 0: what this one remembers as its own is not to come back. */
static void
learn_reset(struct counters_batch *b, struct counters_record *r, uint32_t first, uint32_t last)
{
	for (uint32_t p = first; p <= last; p++) {
		const struct counters_op *op = find_op(b, r, p, false);

		if (op && op->reset_s > r->reset_s)
			forget(r, op->reset_s);
	}
}

/* The numbers that were read into the record. */
static void
learn(struct counters_batch *b, const struct counters_order *o, struct counters_record *r,
    uint32_t first, uint32_t last)
{
	uint64_t grain_ms = (uint64_t)r->grain_s * 1000;
	bool less = false;

	if (r->epoch != b->epoch)
		return;
	learn_reset(b, r, first, last);
	for (uint32_t p = first; p <= last; p++) {
		if (is_final(r, p) && !o->exact)
			continue; /* it was not read */
		struct counters_op *op = find_op(b, r, p, false);
		struct counters_cell *c = counters_cell(r, p, false);

		if (!op || !c)
			continue;
		less = less || is_less(b, c, op);
		c->seen = (uint32_t)base_of(b, r, op);
		if (op->found)
			r->made |= UINT64_C(1) << p % COUNTERS_RING;
		if (!b->floors && ((uint64_t)p + 1) * grain_ms + SETTLE_MS < b->now_ms)
			r->final |= UINT64_C(1) << p % COUNTERS_RING;
	}
	note_doubt(b, r, less);
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

/* What the server has of what O added is pushed; of one that was turned away, the next sync takes
 * it back. */
static void
count_as_pushed(struct counters_batch *b, const struct counters_order *o, struct counters_hold *h)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h->record[i];
		struct counters_cell *c = counters_cell(r, o->line[i].at, false);
		const struct counters_op *op = find_op(b, r, o->line[i].at, false);

		if (o->line[i].adds && c && op && op->found && r->epoch == b->epoch)
			c->pushed += o->n;
	}
}

/* What O was to be added to could not be made: the server has no memory left. */
static bool
is_full(struct counters_batch *b, const struct counters_order *o, const struct counters_hold *h)
{
	bool full = false;

	for (unsigned i = 0; o->verb == COUNTERS_RESERVE && i < o->lines_n; i++) {
		const struct counters_op *op = find_op(b, h->record[i], o->line[i].at, false);

		if (!o->line[i].adds || !op || op->found)
			continue;
		/* Or it was there, and has gone. */
		b->lost = b->lost || op->absurd || !op->create;
		full = true;
	}
	return full;
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
		count_as_pushed(b, o, &h);
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
		count_as_pushed(b, o, &h);
	counters_release(&h);
	o->again = o->verdict == COUNTERS_OVER && (o->verb == COUNTERS_RESERVE || o->trusted) &&
	    (o->verb == COUNTERS_RESERVE || o->verb == COUNTERS_LOOK);
}

void
batch_settle(struct counters_batch *b, enum counter_loss loss)
{
	assert(b->state == BATCH_OPEN);
	b->state = BATCH_CLOSED;
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
	o->here = true;
	if (is_bare(o)) {
		o->verdict = COUNTERS_LOST;
		return;
	}
	if (o->verb == COUNTERS_READ || o->verb == COUNTERS_RESET) {
		(void)counters_shared_do(s, o, now_ms);
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
}

/* What the server has of OP's number is more, or less, than its cell says. */
static void
correct(struct counters_batch *b, const struct counters_op *op, int64_t by)
{
	struct counters_hold h;
	struct counters_cell *c;

	if (by == 0 || !counters_hold_named(b->shared, op->kind, op->id, &h))
		return;
	c = counters_cell(h.record[0], op->period, false);
	if (c && h.record[0]->epoch == b->epoch) {
		int64_t pushed = (int64_t)c->pushed + by;

		c->pushed = (uint32_t)(pushed > 0 ? pushed : 0);
		h.record[0]->dirty = true;
	}
	counters_release(&h);
}

void
batch_undo(struct counters_batch *b)
{
	assert(b->state == BATCH_OPEN);
	b->state = BATCH_CLOSED;
	for (unsigned i = 0; i < b->ops_n; i++)
		correct(b, &b->op[i], -b->op[i].claimed);
}

static void
decide_all(struct counters_batch *b, enum counter_loss loss)
{
	for (unsigned i = 0; i < b->orders_n; i++)
		if (b->order[i]->verb != COUNTERS_SYNC)
			batch_decide_here(b->shared, b->order[i], loss, b->now_ms);
}

void
batch_unsent(struct counters_batch *b, enum counter_loss loss)
{
	batch_undo(b);
	decide_all(b, loss);
}

/* What O adds is pushed, if it arrived: nobody is to push it again. */
static void
take_as_sent(struct counters_batch *b, const struct counters_order *o)
{
	struct counters_hold h;

	if (is_bare(o) || o->verb != COUNTERS_RESERVE || o->verdict != COUNTERS_FITS ||
	    !counters_hold(b->shared, o, b->now_ms, &h))
		return;
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h.record[i];
		struct counters_cell *c = counters_cell(r, o->line[i].at, false);
		struct counters_op *op = find_op(b, r, o->line[i].at, false);

		if (!o->line[i].adds || !c || !op || r->epoch != b->epoch)
			continue;
		c->pushed += o->n;
		op->mine -= o->n;
	}
	counters_release(&h);
}

void
batch_leave(struct counters_batch *b, enum counter_loss loss)
{
	assert(b->state == BATCH_OPEN);
	b->state = BATCH_CLOSED;
	decide_all(b, loss);
	for (unsigned i = 0; i < b->orders_n; i++)
		take_as_sent(b, b->order[i]);
	for (unsigned i = 0; i < b->ops_n; i++)
		if (b->op[i].by != 0 || b->op[i].zero)
			b->state = BATCH_UNKNOWN;
}

void
batch_arrived(struct counters_batch *b)
{
	assert(b->state == BATCH_UNKNOWN);
	b->state = BATCH_CLOSED;
	for (unsigned i = 0; i < b->ops_n; i++)
		correct(b, &b->op[i], (int64_t)b->op[i].mine);
}

void
batch_forget(struct counters_batch *b)
{
	assert(b->state == BATCH_UNKNOWN);
	b->state = BATCH_CLOSED;
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
