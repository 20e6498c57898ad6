/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape - slots of relaxed atomics, found by open addressing, and a column of counts for each
 * worker
 *
 *      | size, workers | slot 0 ... slot SLOTS-1 | column of worker 0: connections[SLOTS],
 *      wants[SLOTS] | column 1 ...
 *
 * What each tenant of an upstream holds has no slot, for tenants are many and never end: it is
 * counted in one cell of each of two rows, picked by its hash, and the smaller one is believed
 * (count-min sketch). Who shares both cells with another is taken to hold what that one holds: one
 * in 2^30 for each that sends.
 *
 * Pages that no upstream has touched take no memory. Numbers of one slot may be some microseconds
 * apart; nothing here depends on two of them.
 */
#include "relay/pool/shape.h"

#include "wire/text.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
	SLOTS = 1 << 15,
	PROBES = 64,
	LENT_ROWS = 2,
	LENT = 1 << 15,
	LINE = 64,
	REFUSALS_MAX = 3,
	MS = 1000,
};

static const double breaker_s = 300;
static const double breaker_max_s = 3600;
static const double try_s = 30;
static const double cap_s = 60;
static const double hold_s = 10; /* where no time was named: doubling to */
static const double hold_max_s = 300;

/* Times are milliseconds of the loop's clock. */
struct shape_slot {
	_Alignas(LINE) _Atomic uint64_t key; /* 0: free */
	_Atomic uint64_t version;
	_Atomic uint32_t refusals;
	_Atomic bool worked; /* this version of the credential, at least once */
	_Atomic uint32_t cap;
	_Atomic uint32_t messages;
	_Atomic uint32_t hold_s;   /* the last one that nobody named */
	_Atomic int64_t closed_ms; /* how long the breaker was open last */
	_Atomic int64_t closed_until, try_until, cap_until, hold_until;
	_Atomic int64_t due_us; /* when the next message would be due at an even pace */

	_Atomic uint32_t writer; /* of the rest: worker + 1; 0: nobody */
	uint32_t class;
	bool early;
	int64_t said_at, good_at, failing_since; /* unix seconds; 0: never */
	char line[SHAPE_LINE_MAX + 1];
};

struct column {
	_Atomic uint32_t connections[SLOTS];
	_Atomic uint8_t wants[SLOTS];
	_Atomic uint8_t token_waits[SLOTS];
	_Atomic uint16_t lent[LENT_ROWS][LENT];
};

struct shape {
	size_t size;
	unsigned workers;
	struct dead dead;
	struct offers offers;
	struct shape_slot slot[SLOTS];
	struct column column[];
};

#define READ(at)         atomic_load_explicit(at, memory_order_relaxed)
#define WRITE(at, value) atomic_store_explicit(at, value, memory_order_relaxed)

static int64_t
ms_of(double s)
{
	return (int64_t)(s * MS);
}

/* ---- the mapping ----------------------------------------------------------------------------- */

struct shape *
shape_open(unsigned workers)
{
	size_t size = sizeof(struct shape) + workers * sizeof(struct column);
	struct shape *s;

	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
	    0);
	if (s == MAP_FAILED)
		return NULL;
	s->size = size;
	s->workers = workers;
	return s;
}

void
shape_close(struct shape *s)
{
	if (s)
		munmap(s, s->size);
}

struct dead *
shape_dead(struct shape *s)
{
	return &s->dead;
}

struct offers *
shape_offers(struct shape *s)
{
	return &s->offers;
}

bool
shape_hear_offer(struct shape *s, struct slice words)
{
	return offers_hear(&s->offers, words);
}

bool
shape_load_offers(struct shape *s, const char *path)
{
	return offers_load(&s->offers, path);
}

bool
shape_save_offers(const struct shape *s, const char *path)
{
	return offers_save(&s->offers, path);
}

uint64_t
shape_offers_changes(const struct shape *s)
{
	return READ(&s->offers.changes);
}

void
shape_clear(struct shape *s, unsigned w)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint32_t writer = w + 1;

		/* Reading first leaves untouched pages untouched. */
		if (READ(&s->column[w].connections[i]))
			WRITE(&s->column[w].connections[i], 0);
		if (READ(&s->column[w].wants[i]))
			WRITE(&s->column[w].wants[i], 0);
		if (READ(&s->column[w].token_waits[i]))
			WRITE(&s->column[w].token_waits[i], 0);
		if (READ(&s->slot[i].writer) == writer)
			WRITE(&s->slot[i].writer, 0);
	}
	for (size_t i = 0; i < LENT_ROWS * (size_t)LENT; i++)
		if (READ(&s->column[w].lent[i / LENT][i % LENT]))
			WRITE(&s->column[w].lent[i / LENT][i % LENT], 0);
}

/* splitmix64's last steps. */
uint64_t
shape_mix(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static uint32_t
find(struct shape *s, uint64_t key, bool add)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		uint32_t at = (uint32_t)(shape_mix(key) + i) % SLOTS;
		uint64_t was = READ(&s->slot[at].key);

		if (was == key)
			return at;
		if (was)
			continue;
		if (!add)
			break;
		if (atomic_compare_exchange_strong(&s->slot[at].key, &was, key) || was == key)
			return at;
	}
	return SLOTS;
}

uint64_t
shape_key(uint64_t profile)
{
	return profile + 1;
}

void
shape_join(struct shaping *h, struct shape *all, unsigned worker, uint64_t key, uint64_t version)
{
	uint32_t at = find(all, key, true);
	uint64_t was;

	*h = (struct shaping){ .worker = worker, .version = version };
	if (at == SLOTS)
		return;
	h->all = all;
	h->at = at;
	h->slot = &all->slot[at];
	was = READ(&h->slot->version);
	while (was < version) {
		if (!atomic_compare_exchange_weak(&h->slot->version, &was, version))
			continue;
		WRITE(&h->slot->refusals, 0);
		WRITE(&h->slot->worked, false);
		WRITE(&h->slot->closed_ms, 0);
		WRITE(&h->slot->closed_until, 0);
		WRITE(&h->slot->try_until, 0);
		WRITE(&h->slot->hold_until, 0);
		break;
	}
}

bool
shape_look(struct shaping *h, struct shape *all, uint64_t key, uint64_t version)
{
	uint32_t at = find(all, key, false);

	if (at == SLOTS || READ(&all->slot[at].version) != version)
		return false;
	*h = (struct shaping){ .all = all, .slot = &all->slot[at], .at = at, .version = version };
	return true;
}

/* ---- connections ----------------------------------------------------------------------------- */

unsigned
shape_connections(const struct shaping *h)
{
	unsigned sum = 0;

	if (!h->all)
		return 0;
	for (unsigned w = 0; w < h->all->workers; w++)
		sum += READ(&h->all->column[w].connections[h->at]);
	return sum;
}

unsigned
shape_limit(const struct shaping *h, unsigned limit, double now)
{
	unsigned cap = h->all ? READ(&h->slot->cap) : 0;

	if (cap && READ(&h->slot->cap_until) > ms_of(now) && (!limit || cap < limit))
		return cap;
	return limit;
}

/* Counted first, so that two who come together cannot both be the last. */
bool
shape_enter(const struct shaping *h, unsigned limit, double now)
{
	_Atomic uint32_t *mine;

	if (!h->all)
		return true;
	mine = &h->all->column[h->worker].connections[h->at];
	atomic_fetch_add(mine, 1);
	limit = shape_limit(h, limit, now);
	if (!limit || shape_connections(h) <= limit)
		return true;
	atomic_fetch_sub(mine, 1);
	return false;
}

void
shape_leave(const struct shaping *h)
{
	if (h->all)
		atomic_fetch_sub(&h->all->column[h->worker].connections[h->at], 1);
}

void
shape_cap(const struct shaping *h, unsigned n, double now)
{
	if (!h->all)
		return;
	WRITE(&h->slot->cap, n);
	WRITE(&h->slot->cap_until, ms_of(now + cap_s));
}

bool
shape_is_full(const struct shaping *h, unsigned limit, double now)
{
	if (!h->all)
		return false;
	limit = shape_limit(h, limit, now);
	return limit && shape_connections(h) >= limit;
}

/* Its cell in ROW. */
static size_t
cell(const struct shaping *h, uint64_t tenant, unsigned row)
{
	return shape_mix(tenant + shape_mix(((uint64_t)h->at << 1) + row)) % LENT;
}

void
shape_lend(const struct shaping *h, uint64_t tenant)
{
	for (unsigned row = 0; h->all && row < LENT_ROWS; row++)
		atomic_fetch_add(&h->all->column[h->worker].lent[row][cell(h, tenant, row)], 1);
}

void
shape_return(const struct shaping *h, uint64_t tenant)
{
	for (unsigned row = 0; h->all && row < LENT_ROWS; row++)
		atomic_fetch_sub(&h->all->column[h->worker].lent[row][cell(h, tenant, row)], 1);
}

unsigned
shape_lent(const struct shaping *h, uint64_t tenant)
{
	unsigned least = UINT_MAX;

	if (!h->all)
		return 0;
	for (unsigned row = 0; row < LENT_ROWS; row++) {
		size_t at = cell(h, tenant, row);
		unsigned sum = 0;

		for (unsigned w = 0; w < h->all->workers; w++)
			sum += READ(&h->all->column[w].lent[row][at]);
		if (sum < least)
			least = sum;
	}
	return least;
}

void
shape_want(const struct shaping *h, bool wants)
{
	if (h->all && READ(&h->all->column[h->worker].wants[h->at]) != wants)
		WRITE(&h->all->column[h->worker].wants[h->at], wants);
}

bool
shape_others_want(const struct shaping *h)
{
	if (!h->all)
		return false;
	for (unsigned w = 0; w < h->all->workers; w++)
		if (w != h->worker && READ(&h->all->column[w].wants[h->at]))
			return true;
	return false;
}

void
shape_token_waits(const struct shaping *h, bool waits)
{
	if (h->all && READ(&h->all->column[h->worker].token_waits[h->at]) != waits)
		WRITE(&h->all->column[h->worker].token_waits[h->at], waits);
}

void
shape_learn_messages(const struct shaping *h, unsigned n)
{
	if (h->all)
		WRITE(&h->slot->messages, n);
}

unsigned
shape_messages(const struct shaping *h)
{
	return h->all ? READ(&h->slot->messages) : 0;
}

/* ---- pace ------------------------------------------------------------------------------------ */

void
shape_hold(const struct shaping *h, double seconds, bool named, double now)
{
	if (!h->all)
		return;
	if (!named) {
		uint32_t was = READ(&h->slot->hold_s);

		/* Those who were under way when it began add nothing. */
		if (READ(&h->slot->hold_until) > ms_of(now))
			return;
		seconds = was ? 2.0 * was : hold_s;
		if (seconds > hold_max_s)
			seconds = hold_max_s;
		WRITE(&h->slot->hold_s, (uint32_t)seconds);
	}
	if (READ(&h->slot->hold_until) < ms_of(now + seconds))
		WRITE(&h->slot->hold_until, ms_of(now + seconds));
}

double
shape_held(const struct shaping *h, double now)
{
	int64_t left = h->all ? READ(&h->slot->hold_until) - ms_of(now) : 0;

	return left > 0 ? (double)left / MS : 0;
}

/* GCRA: a fifth of a minute's messages may come at once, the rest evenly, so that no minute holds
 * more than PER_MINUTE. */
bool
shape_pace(const struct shaping *h, unsigned per_minute, double max, double now, double *wait_r)
{
	int64_t at = (int64_t)(now * 1e6);
	unsigned burst = per_minute / 5;
	int64_t each;
	int64_t due;

	*wait_r = 0;
	if (!h->all || per_minute == 0)
		return true;
	each = INT64_C(60000000) / (per_minute - burst);
	due = READ(&h->slot->due_us);
	for (;;) {
		int64_t from = due > at ? due : at;
		int64_t wait = from - at - each * burst;

		*wait_r = wait > 0 ? (double)wait * 1e-6 : 0;
		if (*wait_r > max)
			return false;
		if (atomic_compare_exchange_weak(&h->slot->due_us, &due, from + each))
			return true;
	}
}

/* ---- the breaker ----------------------------------------------------------------------------- */

/* A session may still hold the profile as it was before its credential changed. */
static bool
is_mine(const struct shaping *h)
{
	return h->all && READ(&h->slot->version) == h->version;
}

double
shape_refused(const struct shaping *h, double now)
{
	int64_t closed;

	if (!is_mine(h))
		return 0;
	if (atomic_fetch_add(&h->slot->refusals, 1) + 1 < REFUSALS_MAX ||
	    READ(&h->slot->closed_until) > ms_of(now))
		return 0;
	closed = READ(&h->slot->closed_ms) * 2;
	if (closed == 0)
		closed = ms_of(breaker_s);
	if (closed > ms_of(breaker_max_s))
		closed = ms_of(breaker_max_s);
	WRITE(&h->slot->closed_ms, closed);
	WRITE(&h->slot->closed_until, ms_of(now) + closed);
	WRITE(&h->slot->try_until, 0);
	return (double)closed / MS;
}

bool
shape_doubts(const struct shaping *h)
{
	return is_mine(h) && READ(&h->slot->worked) && READ(&h->slot->refusals) + 1 < REFUSALS_MAX;
}

unsigned
shape_refusals(const struct shaping *h)
{
	return is_mine(h) ? READ(&h->slot->refusals) : 0;
}

double
shape_closed(const struct shaping *h, double now)
{
	int64_t left = 0;

	if (shape_refusals(h) >= REFUSALS_MAX)
		left = READ(&h->slot->closed_until) - ms_of(now);
	return left > 0 ? (double)left / MS : 0;
}

bool
shape_is_broken(const struct shaping *h, double now)
{
	int64_t until;

	if (!is_mine(h) || READ(&h->slot->refusals) < REFUSALS_MAX)
		return false;
	if (READ(&h->slot->closed_until) > ms_of(now))
		return true;
	until = READ(&h->slot->try_until);
	if (until > ms_of(now))
		return true;
	return !atomic_compare_exchange_strong(&h->slot->try_until, &until, ms_of(now + try_s));
}

void
shape_welcome(const struct shaping *h)
{
	if (!is_mine(h))
		return;
	if (!READ(&h->slot->worked))
		WRITE(&h->slot->worked, true);
	if (READ(&h->slot->refusals)) {
		WRITE(&h->slot->refusals, 0);
		WRITE(&h->slot->closed_ms, 0);
		WRITE(&h->slot->closed_until, 0);
		WRITE(&h->slot->try_until, 0);
	}
	/* What kept it from being reached is over; what it said about messages is not. */
	if (h->slot->early)
		h->slot->failing_since = 0;
}

void
shape_thank(const struct shaping *h, double now)
{
	if (h->all && READ(&h->slot->hold_s) && READ(&h->slot->hold_until) <= ms_of(now))
		WRITE(&h->slot->hold_s, 0);
}

/* ---- what it said ---------------------------------------------------------------------------- */

/* One writer at a time; who finds another at it has nothing better to say. */
void
shape_note(const struct shaping *h, const struct shape_said *said)
{
	struct shape_slot *s = h->slot;
	uint32_t nobody = 0;
	size_t n = said->line.n < SHAPE_LINE_MAX ? said->line.n : SHAPE_LINE_MAX;

	if (!h->all || !atomic_compare_exchange_strong(&s->writer, &nobody, h->worker + 1))
		return;
	s->class = said->class;
	s->said_at = said->unix_s;
	if (n)
		memcpy(s->line, said->line.p, n);
	s->line[n] = '\0';
	s->early = said->failing && said->early;
	if (!said->failing) {
		s->good_at = said->unix_s;
		s->failing_since = 0;
	} else if (!s->failing_since) {
		s->failing_since = said->unix_s;
	}
	atomic_store(&s->writer, 0);
}

static void
put_time(struct text *json, const char *name, int64_t unix_s)
{
	text_fmt(json, ",\"%s\":", name);
	if (unix_s)
		text_fmt(json, "%lld", (long long)unix_s);
	else
		text_put(json, SLICE("null"));
}

static int64_t
left_s(int64_t until, int64_t now)
{
	return until > now ? (until - now + MS - 1) / MS : 0;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * MS + ts.tv_nsec / 1000000;
}

static void
put_slot(const struct shape_slot *s, struct text *json)
{
	int64_t now = now_ms();
	int64_t closed = 0;

	if (READ(&s->refusals) >= REFUSALS_MAX)
		closed = left_s(READ(&s->closed_until), now);
	text_fmt(json, ",\"refusals\":%u,\"closed_s\":%lld,\"held_s\":%lld", READ(&s->refusals),
	    (long long)closed, (long long)left_s(READ(&s->hold_until), now));
	text_fmt(json, ",\"connections_learned\":%u,\"messages_learned\":%u",
	    READ(&s->cap_until) > now ? READ(&s->cap) : 0, READ(&s->messages));
	if (s->said_at) {
		text_put(json, SLICE(",\"class\":\""));
		text_put(json, slice_str(verdict_word((enum verdict_class)s->class)));
		text_put(json, SLICE("\",\"line\":\""));
		text_json(json, slice_of(s->line, strnlen(s->line, SHAPE_LINE_MAX)));
		text_char(json, '"');
	}
	put_time(json, "said", s->said_at);
	put_time(json, "good", s->good_at);
	put_time(json, "failing_since", s->failing_since);
}

/* "refused", "held" or "failing", and what to do: in the words of explain. */
static void
put_state(const struct shape_slot *s, struct slice name, struct text *json)
{
	int64_t now = now_ms();
	char mem[512];
	struct text todo = text_over(mem, sizeof(mem));
	const char *state = "good";
	enum verdict_class class = (enum verdict_class)s->class;

	if (READ(&s->refusals) >= REFUSALS_MAX && READ(&s->closed_until) > now) {
		state = "refused";
		class = VERDICT_AUTH;
	} else if (READ(&s->hold_until) > now) {
		state = "held";
		class = VERDICT_RATE;
	} else if (s->failing_since) {
		state = "failing";
	}
	text_fmt(json, ",\"state\":\"%s\"", state);
	if (strcmp(state, "good") == 0 || class >= VERDICT_CLASS_COUNT)
		return;
	verdict_advise(class, name, &todo);
	text_put(json, SLICE(",\"todo\":\""));
	text_json(json, text_slice(&todo));
	text_char(json, '"');
}

void
shape_profile(struct shape *s, uint64_t profile, struct slice name, struct text *json)
{
	uint32_t at = find(s, shape_key(profile), false);
	unsigned sum = 0;
	bool waits = false;

	if (at == SLOTS) {
		text_put(json, SLICE("\"known\":false"));
		return;
	}
	for (unsigned w = 0; w < s->workers; w++)
		sum += READ(&s->column[w].connections[at]);
	for (unsigned w = 0; w < s->workers; w++)
		waits = waits || READ(&s->column[w].token_waits[at]);
	text_fmt(json, "\"known\":true,\"connections\":%u,\"refresh_token_unstored\":%s", sum,
	    waits ? "true" : "false");
	put_slot(&s->slot[at], json);
	put_state(&s->slot[at], name, json);
}
