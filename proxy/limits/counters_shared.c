/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_shared - partitions of records under robust locks
 *
 *      | common | partition 0 ... n-1: lock, used, index[INDEX] -> record | records of partition 0 | 1 | ...
 *
 * Records are taken in order, so that few series touch few pages; the index is open addressing. A
 * series that nobody can ask for any more gives its place to the next one that meets it.
 */
#include "proxy/limits/counters_shared.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { RECORDS = 256, INDEX = 512, EMPTY = 0 };

struct partition {
	pthread_mutex_t lock;
	uint32_t used;
	uint16_t index[INDEX]; /* record + 1; 0: empty */
};

struct counters_shared {
	size_t size; /* of the mapping */
	size_t mask; /* partitions - 1 */
	struct counters_common common;
	struct counters_record *records;
	struct partition partition[];
};

static bool
lock_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	bool ok;

	if (pthread_mutexattr_init(&a) != 0)
		return false;
	ok = pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0 &&
	    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0 &&
	    pthread_mutex_init(m, &a) == 0;
	pthread_mutexattr_destroy(&a);
	return ok;
}

/* A worker that died with the lock leaves numbers that are one step off at most. */
static void
lock(pthread_mutex_t *m)
{
	int e = pthread_mutex_lock(m);

	if (e == EOWNERDEAD)
		e = pthread_mutex_consistent(m);
	assert(e == 0);
}

struct counters_shared *
counters_shared_open(unsigned series)
{
	size_t partitions = 1;

	while (partitions * RECORDS < series)
		partitions *= 2;
	size_t head = sizeof(struct counters_shared) + partitions * sizeof(struct partition);
	size_t at = (head + 63) & ~(size_t)63;
	size_t size = at + partitions * RECORDS * sizeof(struct counters_record);
	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	struct counters_shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	s->size = size;
	s->mask = partitions - 1;
	s->records = (struct counters_record *)(void *)((char *)s + at);
	bool ok = lock_init(&s->common.restoring);

	for (size_t i = 0; ok && i < partitions; i++)
		ok = lock_init(&s->partition[i].lock);
	if (!ok ||
	    getrandom(&s->common.life, sizeof(s->common.life), 0) !=
	        (ssize_t)sizeof(s->common.life)) {
		munmap(s, size);
		return NULL;
	}
	s->common.life |= 1;
	return s;
}

void
counters_shared_close(struct counters_shared *s)
{
	if (s)
		munmap(s, s->size);
}

struct counters_common *
counters_common(struct counters_shared *s)
{
	return &s->common;
}

static uint64_t
hash(char kind, uint64_t id)
{
	uint64_t h = id * 0x9e3779b97f4a7c15U + (unsigned char)kind;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9U;
	h = (h ^ h >> 27) * 0x94d049bb133111ebU;
	return h ^ h >> 31;
}

/* ---- series ---- */

static bool
is_stale(const struct counters_record *r, uint64_t now_ms)
{
	return ((uint64_t)r->latest + r->keep + 2) * r->grain_s * 1000 < now_ms;
}

static struct counters_record *
record_at(struct counters_shared *s, size_t p, size_t i)
{
	return &s->records[p * RECORDS + i];
}

/* A record of this partition that has had its time, or the next unused one; RECORDS where there is
 * none. */
static unsigned
find_place(struct counters_shared *s, size_t p, uint64_t now_ms)
{
	struct partition *part = &s->partition[p];

	if (part->used < RECORDS)
		return part->used++;
	for (unsigned i = 0; i < RECORDS; i++)
		if (is_stale(record_at(s, p, i), now_ms))
			return i;
	return RECORDS;
}

static void
enter(struct partition *part, const struct counters_record *r, unsigned i)
{
	size_t at = hash(r->kind, r->id) >> 32;

	while (part->index[at % INDEX] != EMPTY)
		at++;
	part->index[at % INDEX] = (uint16_t)(i + 1);
}

/* The index anew: records have changed their names. */
static void
reindex(struct counters_shared *s, size_t p)
{
	struct partition *part = &s->partition[p];

	memset(part->index, 0, sizeof(part->index));
	for (unsigned i = 0; i < part->used; i++)
		enter(part, record_at(s, p, i), i);
}

/* NULL: there is none. */
static struct counters_record *
look_up(struct counters_shared *s, size_t p, char kind, uint64_t id)
{
	struct partition *part = &s->partition[p];
	size_t at = hash(kind, id) >> 32;

	for (; part->index[at % INDEX] != EMPTY; at++) {
		struct counters_record *r = record_at(s, p, part->index[at % INDEX] - 1U);

		if (r->id == id && r->kind == kind)
			return r;
	}
	return NULL;
}

static struct counters_record *
find(struct counters_shared *s, size_t p, const struct counters_line *line, uint64_t group,
    uint64_t now_ms)
{
	struct partition *part = &s->partition[p];
	struct counters_record *r = look_up(s, p, line->kind, line->id);

	if (r)
		return r;
	bool fresh = part->used < RECORDS;
	unsigned i = find_place(s, p, now_ms);

	assert(line->grain_s > 0);

	if (i == RECORDS) {
		atomic_fetch_add_explicit(&s->common.full, 1, memory_order_relaxed);
		return NULL;
	}
	r = record_at(s, p, i);
	*r = (struct counters_record){
		.id = line->id,
		.kind = line->kind,
		.group = group,
		.grain_s = line->grain_s,
		.latest = (uint32_t)(now_ms / 1000 / line->grain_s),
	};
	if (fresh)
		enter(part, r, i);
	else
		reindex(s, p);
	return r;
}

/* ---- locks ---- */

static void
add_lock(struct counters_hold *h, size_t p)
{
	unsigned i = 0;

	while (i < h->locks_n && h->lock[i] < p)
		i++;
	if (i < h->locks_n && h->lock[i] == p)
		return;
	for (unsigned k = h->locks_n++; k > i; k--)
		h->lock[k] = h->lock[k - 1];
	h->lock[i] = p;
}

bool
counters_hold(struct counters_shared *s, const struct counters_order *o, uint64_t now_ms,
    struct counters_hold *h)
{
	h->shared = s;
	h->locks_n = 0;
	for (unsigned i = 0; i < o->lines_n; i++)
		add_lock(h, hash(o->line[i].kind, o->line[i].id) & s->mask);
	for (unsigned i = 0; i < h->locks_n; i++)
		lock(&s->partition[h->lock[i]].lock);
	for (unsigned i = 0; i < o->lines_n; i++) {
		const struct counters_line *line = &o->line[i];

		h->record[i] =
		    find(s, hash(line->kind, line->id) & s->mask, line, o->group, now_ms);
		if (!h->record[i]) {
			counters_release(h);
			return false;
		}
		h->record[i]->server = (uint8_t)o->server;
		uint32_t keep = line->keep > line->span ? line->keep : line->span;

		if (h->record[i]->keep < keep)
			h->record[i]->keep = keep;
	}
	return true;
}

bool
counters_hold_named(struct counters_shared *s, char kind, uint64_t id, struct counters_hold *h)
{
	size_t p = hash(kind, id) & s->mask;

	h->shared = s;
	h->locks_n = 0;
	add_lock(h, p);
	lock(&s->partition[p].lock);
	h->record[0] = look_up(s, p, kind, id);
	if (!h->record[0])
		counters_release(h);
	return h->record[0] != NULL;
}

void
counters_release(struct counters_hold *h)
{
	while (h->locks_n > 0)
		pthread_mutex_unlock(&h->shared->partition[h->lock[--h->locks_n]].lock);
}

/* ---- periods ---- */

static void
clear_cell(struct counters_record *r, uint32_t period)
{
	r->cell[period % COUNTERS_RING] = (struct counters_cell){ 0 };
	r->final &= ~(UINT64_C(1) << period % COUNTERS_RING);
	r->made &= ~(UINT64_C(1) << period % COUNTERS_RING);
}

static void
go_on(struct counters_record *r, uint32_t period)
{
	uint32_t steps = period - r->latest;

	for (uint32_t i = 0; i < steps && i < COUNTERS_RING; i++)
		clear_cell(r, period - i);
	r->latest = period;
}

/* The clock went back further than the ring reaches: what counted last counts on, in the period
 * that is now. */
static void
go_back(struct counters_record *r, uint32_t period)
{
	struct counters_record was = *r;

	memset(r->cell, 0, sizeof(r->cell));
	for (uint32_t i = 0; i < r->keep && i < COUNTERS_RING; i++) {
		struct counters_cell *c = &r->cell[(period - i) % COUNTERS_RING];

		*c = was.cell[(was.latest - i) % COUNTERS_RING];
		c->pushed = 0;
	}
	r->latest = period;
	r->final = r->made = 0;
}

struct counters_cell *
counters_cell(struct counters_record *r, uint32_t period, bool advance)
{
	if (period > r->latest) {
		if (!advance)
			return NULL;
		go_on(r, period);
	}
	return r->latest - period < COUNTERS_RING ? &r->cell[period % COUNTERS_RING] : NULL;
}

void
counters_range(struct counters_line *line, const struct counters_record *r, uint64_t now_ms,
    uint32_t *first_r, uint32_t *last_r)
{
	uint64_t grain_ms = (uint64_t)line->grain_s * 1000;
	uint64_t into = now_ms % grain_ms;

	line->at = (uint32_t)(now_ms / grain_ms);
	*first_r = line->at - (line->span - 1);
	*last_r = line->at;
	if (!line->slides)
		return;
	if (into < COUNTERS_SKEW_MS)
		--*first_r;
	if (into >= grain_ms - COUNTERS_SKEW_MS)
		++*last_r;
	/* Our own clock has gone back: what it wrote ahead of itself still counts. */
	if (r->latest > *last_r)
		*last_r = r->latest;
}

/* When so much of FIRST.. has left the window that NEED is free. */
static uint64_t
free_at(const struct counters_line *line, struct counters_record *r, uint32_t first, uint32_t last,
    uint64_t need)
{
	uint64_t left = 0;

	for (uint32_t p = first; p <= last; p++) {
		const struct counters_cell *c = counters_cell(r, p, false);

		left += c ? c->seen : 0;
		if (left >= need)
			return ((uint64_t)p + line->span) * line->grain_s;
	}
	return 0;
}

bool
counters_judge_line(struct counters_line *line, struct counters_record *r, uint32_t n,
    uint64_t now_ms)
{
	uint32_t first, last;

	line->at = (uint32_t)(now_ms / 1000 / line->grain_s);
	if (r->latest > line->at && r->latest - line->at >= COUNTERS_RING - line->span)
		go_back(r, line->at);
	counters_range(line, r, now_ms, &first, &last);
	line->used = line->ours = 0;
	line->free_s = 0;
	for (uint32_t p = first; p <= last; p++) {
		const struct counters_cell *c = counters_cell(r, p, false);

		line->used += c ? c->seen : 0;
		line->ours += c ? c->own : 0;
	}
	bool fits = line->cap == 0 || line->used + n <= line->cap;

	if (line->slides && !fits)
		line->free_s = free_at(line, r, first, last, line->used + n - line->cap);
	return fits;
}

/* When the next unit frees, for who only reads. */
static void
see_next(struct counters_line *line, struct counters_record *r, uint64_t now_ms)
{
	uint32_t first, last;

	if (!line->slides || line->used == 0)
		return;
	counters_range(line, r, now_ms, &first, &last);
	line->free_s = free_at(line, r, first, last, 1);
}

void
counters_judge(struct counters_order *o, struct counters_hold *h, uint64_t now_ms)
{
	o->verdict = COUNTERS_FITS;
	for (unsigned i = 0; o->verb == COUNTERS_READ && i < o->lines_n; i++) {
		(void)counters_judge_line(&o->line[i], h->record[i], 0, now_ms);
		see_next(&o->line[i], h->record[i], now_ms);
	}
	for (unsigned i = 0; o->verb != COUNTERS_READ && i < o->lines_n; i++) {
		if (counters_judge_line(&o->line[i], h->record[i], o->n, now_ms) ||
		    o->verdict == COUNTERS_OVER)
			continue;
		o->verdict = COUNTERS_OVER;
		o->over = i;
	}
}

/* N more in every line that adds, seen and own. */
static void
admit(struct counters_order *o, struct counters_hold *h)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_cell *c;

		if (!o->line[i].adds)
			continue;
		c = counters_cell(h->record[i], o->line[i].at, true);
		if (!c)
			continue;
		c->seen += o->n;
		c->own += o->n;
		h->record[i]->dirty = true;
	}
}

static uint32_t
less(uint32_t v, uint32_t by)
{
	return v > by ? v - by : 0;
}

/* N less in every line that adds, seen and own. */
static void
take_back(const struct counters_order *o, struct counters_hold *h, uint32_t n)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_cell *c;

		if (!o->line[i].adds)
			continue;
		c = counters_cell(h->record[i], o->line[i].at, false);
		if (!c)
			continue;
		c->seen = less(c->seen, n);
		c->own = less(c->own, n);
		h->record[i]->dirty = true;
	}
}

/* ---- orders ---- */

static void
reset(struct counters_order *o, struct counters_hold *h)
{
	for (unsigned i = 0; i < o->lines_n; i++) {
		struct counters_record *r = h->record[i];

		memset(r->cell, 0, sizeof(r->cell));
		memset(r->told, 0, sizeof(r->told));
		r->dirty = true;
	}
}

enum counters_verdict
counters_shared_do(struct counters_shared *s, struct counters_order *o, uint64_t now_ms)
{
	struct counters_hold h;

	if (!counters_hold(s, o, now_ms, &h))
		return o->verdict = COUNTERS_LOST;
	if (o->verb == COUNTERS_RESET)
		reset(o, &h);
	counters_judge(o, &h, now_ms);
	if (o->verb == COUNTERS_RESERVE && o->verdict == COUNTERS_FITS)
		admit(o, &h);
	counters_release(&h);
	return o->verdict;
}

enum counters_verdict
counters_shared_add(struct counters_shared *s, struct counters_order *o, uint64_t now_ms)
{
	struct counters_hold h;

	if (!counters_hold(s, o, now_ms, &h))
		return o->verdict = COUNTERS_LOST;
	counters_judge(o, &h, now_ms);
	if (o->verb == COUNTERS_RESERVE)
		admit(o, &h);
	counters_release(&h);
	return o->verdict = COUNTERS_FITS;
}

void
counters_shared_refund(struct counters_shared *s, const struct counters_order *o, uint32_t n,
    uint64_t now_ms)
{
	struct counters_hold h;

	if (!counters_hold(s, o, now_ms, &h))
		return;
	take_back(o, &h, n);
	counters_release(&h);
}

bool
counters_shared_tell(struct counters_shared *s, const struct counters_line *line, unsigned slot,
    uint32_t period, unsigned level, uint64_t now_ms)
{
	struct counters_order o = { .lines_n = 1, .line = { *line } };
	struct counters_hold h;
	bool news;

	assert(slot < 2);
	if (!counters_hold(s, &o, now_ms, &h))
		return false;
	struct counters_record *r = h.record[0];

	if (r->told_in[slot] != period) {
		r->told_in[slot] = period;
		r->told[slot] = 0;
	}
	news = level > r->told[slot];
	if (news)
		r->told[slot] = (uint8_t)level;
	counters_release(&h);
	return news;
}

bool
counters_each(struct counters_shared *s, size_t *at, counters_each_fn *fn, void *ctx)
{
	while (*at / RECORDS <= s->mask) {
		struct partition *part = &s->partition[*at / RECORDS];
		bool more = true;

		lock(&part->lock);
		if (*at % RECORDS < part->used)
			more = fn(ctx, record_at(s, *at / RECORDS, *at % RECORDS));
		else
			*at += RECORDS - *at % RECORDS - 1; /* the next partition */
		pthread_mutex_unlock(&part->lock);
		if (!more)
			return false;
		++*at;
	}
	return true;
}
