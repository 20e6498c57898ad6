/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recent - sets of rows, each with a sequence that is odd while its row is written
 */
#include "proxy/desk/recent.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

enum { SETS = 256, WAYS = 4, LINE_SETS = 128, TRIES = 4 };

struct refusal_cell {
	_Atomic uint32_t sequence;
	struct recent_refusal row;
};

struct line_cell {
	_Atomic uint32_t sequence;
	struct recent_line row;
};

struct column {
	struct refusal_cell refusal[SETS][WAYS];
	struct line_cell line[LINE_SETS][WAYS];
};

struct recent {
	size_t size;
	unsigned workers;
	_Atomic uint64_t order; /* of what was written last */
	struct column column[];
};

void
recent_put(char *field, size_t size, struct slice s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;

	/* Not in the middle of a character. */
	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(field, s.p, n);
	memset(field + n, 0, size - n);
}

/* FNV-1a: who fills a set hides old rows from people, no more. */
static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	const unsigned char *at = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * 1099511628211u;
	return h;
}

/* One that a dead worker left odd is odd still. */
static void
begin_write(_Atomic uint32_t *sequence)
{
	uint32_t was = atomic_load_explicit(sequence, memory_order_relaxed);

	atomic_store_explicit(sequence, was | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void
end_write(_Atomic uint32_t *sequence)
{
	uint32_t was = atomic_load_explicit(sequence, memory_order_relaxed);

	atomic_store_explicit(sequence, was + 1, memory_order_release);
}

/* A whole copy of N octets at FROM, or none. */
static bool
copy_out(const _Atomic uint32_t *sequence, const void *from, void *to, size_t n)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);

		if (before == 0)
			return false;
		if (before % 2)
			continue;
		memcpy(to, from, n);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

/* ---- refusals ---- */

static bool
is_same(const struct recent_refusal *a, const struct recent_refusal *b)
{
	return a->account == b->account && strcmp(a->cause, b->cause) == 0 &&
	    strcmp(a->sender, b->sender) == 0;
}

void
recent_refused(struct recent *r, unsigned w, const struct recent_refusal *row, int64_t now_s)
{
	uint64_t h = mix(14695981039346656037u, &row->account, sizeof(row->account));
	struct refusal_cell *set, *at;

	assert(w < r->workers);
	h = mix(h, row->cause, strlen(row->cause));
	h = mix(h, row->sender, strlen(row->sender));
	set = r->column[w].refusal[h % SETS];
	at = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (is_same(&set[i].row, row)) {
			at = &set[i];
			break;
		}
		if (set[i].row.last_s < at->row.last_s)
			at = &set[i];
	}
	struct recent_refusal next = *row;
	bool again = at->row.count > 0 && is_same(&at->row, row);

	next.first_s = again ? at->row.first_s : now_s;
	next.count = again ? at->row.count + 1 : 1;
	next.last_s = now_s;
	next.order = atomic_fetch_add(&r->order, 1) + 1;
	begin_write(&at->sequence);
	at->row = next;
	end_write(&at->sequence);
}

void
recent_each(const struct recent *r, uint64_t account, struct slice sender, recent_refusal_fn *fn,
    void *ctx)
{
	for (unsigned w = 0; w < r->workers; w++)
		for (size_t i = 0; i < SETS * WAYS; i++) {
			const struct refusal_cell *cell = &r->column[w].refusal[i / WAYS][i % WAYS];
			struct recent_refusal row;

			if (!copy_out(&cell->sequence, &cell->row, &row, sizeof(row)) ||
			    row.count == 0)
				continue;
			if (row.account != account && (row.account != 0 || sender.n == 0))
				continue;
			if (sender.n > 0 &&
			    !slice_eq_nocase(slice_str(row.sender),
			        slice_head(sender, sizeof(row.sender) - 1)))
				continue;
			fn(ctx, &row);
		}
}

/* ---- lines ---- */

void
recent_said(struct recent *r, unsigned w, const struct recent_line *line, bool good, int64_t now_s)
{
	uint64_t h = mix(14695981039346656037u, &line->account, sizeof(line->account));
	struct line_cell *set, *at;

	assert(w < r->workers);
	h = mix(h, &line->profile, sizeof(line->profile));
	set = r->column[w].line[h % LINE_SETS];
	at = set;
	for (size_t i = 0; i < WAYS; i++) {
		const struct recent_line *l = &set[i].row;
		int64_t age = l->sent_s > l->failed_s ? l->sent_s : l->failed_s;
		int64_t least =
		    at->row.sent_s > at->row.failed_s ? at->row.sent_s : at->row.failed_s;

		if (l->sent + l->failed > 0 && l->account == line->account &&
		    l->profile == line->profile) {
			at = &set[i];
			break;
		}
		if (age < least)
			at = &set[i];
	}
	struct recent_line next = *line;
	bool again = at->row.account == line->account && at->row.profile == line->profile;

	next.order = atomic_fetch_add(&r->order, 1) + 1;
	next.sent = again ? at->row.sent : 0;
	next.failed = again ? at->row.failed : 0;
	next.sent_s = again ? at->row.sent_s : 0;
	next.failed_s = again ? at->row.failed_s : 0;
	next.failed_order = again ? at->row.failed_order : 0;
	if (good) {
		next.sent++;
		next.sent_s = now_s;
		recent_put(next.class, sizeof(next.class), slice_str(again ? at->row.class : ""));
	} else {
		next.failed++;
		next.failed_s = now_s;
		next.failed_order = next.order;
	}
	begin_write(&at->sequence);
	at->row = next;
	end_write(&at->sequence);
}

static void
add(struct recent_line *sum, const struct recent_line *one)
{
	struct recent_line last = one->order > sum->order ? *one : *sum;
	const struct recent_line *failure = one->failed_order > sum->failed_order ? one : sum;

	last.failed_order = failure->failed_order;
	memcpy(last.class, failure->class, sizeof(last.class));
	last.sent = sum->sent + one->sent;
	last.failed = sum->failed + one->failed;
	last.sent_s = sum->sent_s > one->sent_s ? sum->sent_s : one->sent_s;
	last.failed_s = sum->failed_s > one->failed_s ? sum->failed_s : one->failed_s;
	*sum = last;
}

bool
recent_line(const struct recent *r, uint64_t account, uint64_t profile, struct recent_line *line_r)
{
	*line_r = (struct recent_line){ .account = account, .profile = profile };
	for (unsigned w = 0; w < r->workers; w++)
		for (size_t i = 0; i < LINE_SETS * WAYS; i++) {
			const struct line_cell *cell = &r->column[w].line[i / WAYS][i % WAYS];
			struct recent_line l;

			if (copy_out(&cell->sequence, &cell->row, &l, sizeof(l)) &&
			    l.account == account && l.profile == profile)
				add(line_r, &l);
		}
	return line_r->sent + line_r->failed > 0;
}

/* ---- life ---- */

struct recent *
recent_open(unsigned workers)
{
	size_t size = sizeof(struct recent) + workers * sizeof(struct column);
	struct recent *r;

	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	r = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	r->size = size;
	r->workers = workers;
	return r;
}

void
recent_close(struct recent *r)
{
	if (r)
		munmap(r, r->size);
}
