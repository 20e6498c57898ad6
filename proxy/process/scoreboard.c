/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scoreboard - columns of relaxed atomics, and a count-min sketch for each kind of key
 *
 *      | key, workers | column 0: counters, gauges, address[2][CELLS], account[2][CELLS] | column 1 ...
 *
 * A key meets one cell of each row, by the two halves of its hash. What is counted for it is the
 * smaller of the two rows' sums over all columns: other keys can only add to a cell, so the answer
 * is never below the truth. Pages of the sketch that nobody touches take no memory.
 */
#include "proxy/process/scoreboard.h"

#include "conf/directory/hashing.h"
#include "proxy/limits/guess.h"
#include "proxy/desk/recent.h"
#include "wire/net.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { ROWS = 2, CELLS = 1 << 15, LINE = 64 };

struct sketch {
	_Atomic uint32_t cell[ROWS][CELLS];
};

struct column {
	_Alignas(LINE) _Atomic uint64_t counter[COUNTER_COUNT];
	_Alignas(LINE) _Atomic int64_t gauge[GAUGE_COUNT];
	_Alignas(LINE) struct sketch address;
	struct sketch account;
};

struct scoreboard {
	size_t size; /* of the mapping */
	unsigned workers;
	struct guess *guess;
	struct hashing *hashing;
	struct recent *recent;
	uint64_t key[2];
	struct column column[];
};

static const struct {
	const char *word;
	const char *help;
} counters[] = {
#define COUNTER(name, word, help) { word, help },
#include "proxy/process/counter.def"
#undef COUNTER
#define REPLY(id, code, enhanced, bad, ref, text, todo) \
	{ NULL, "replies of this row of the catalogue" },
#include "conf/reply.def"
#undef REPLY
}, gauges[] = {
#define GAUGE(name, word, help) { word, help },
#include "proxy/process/gauge.def"
#undef GAUGE
};

static uint64_t
rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 of one 64-bit word and a length octet: clients choose their addresses, and must not
 * be able to choose whose cells they meet. */
static uint64_t
hash(const uint64_t key[2], uint64_t word, uint8_t kind)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575U,
		key[1] ^ 0x646f72616e646f6dU,
		key[0] ^ 0x6c7967656e657261U,
		key[1] ^ 0x7465646279746573U,
	};
	const uint64_t words[2] = { word, (uint64_t)kind << 56 };

	for (size_t i = 0; i < 2; i++) {
		v[3] ^= words[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (size_t i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct scoreboard *
scoreboard_open(unsigned workers)
{
	size_t size = sizeof(struct scoreboard) + workers * sizeof(struct column);
	struct scoreboard *b;

	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return NULL;
	b->size = size;
	b->workers = workers;
	b->guess = guess_open();
	b->hashing = hashing_open(workers);
	b->recent = recent_open(workers);
	if (!b->guess || !b->hashing || !b->recent ||
	    getrandom(b->key, sizeof(b->key), 0) != (ssize_t)sizeof(b->key)) {
		scoreboard_close(b);
		return NULL;
	}
	return b;
}

void
scoreboard_close(struct scoreboard *b)
{
	if (!b)
		return;
	guess_close(b->guess);
	hashing_close(b->hashing);
	recent_close(b->recent);
	munmap(b, b->size);
}

struct guess *
scoreboard_guess(const struct scoreboard *b)
{
	return b->guess;
}

struct hashing *
scoreboard_hashing(const struct scoreboard *b)
{
	return b->hashing;
}

struct recent *
scoreboard_recent(const struct scoreboard *b)
{
	return b->recent;
}

unsigned
scoreboard_workers(const struct scoreboard *b)
{
	return b->workers;
}

static void
clear_sketch(struct sketch *s)
{
	for (size_t row = 0; row < ROWS; row++) {
		for (size_t i = 0; i < CELLS; i++) {
			/* Reading first leaves untouched pages untouched. */
			if (atomic_load_explicit(&s->cell[row][i], memory_order_relaxed))
				atomic_store_explicit(&s->cell[row][i], 0, memory_order_relaxed);
		}
	}
}

void
scoreboard_clear_gauges(struct scoreboard *b, unsigned w)
{
	assert(w < b->workers);
	for (size_t g = 0; g < GAUGE_COUNT; g++)
		atomic_store_explicit(&b->column[w].gauge[g], 0, memory_order_relaxed);
	clear_sketch(&b->column[w].address);
	clear_sketch(&b->column[w].account);
	hashing_clear(b->hashing, w);
}

/* One writer a column: a load and a store do, and no lock prefix is paid for. */
void
scoreboard_count(struct scoreboard *b, unsigned w, enum counter c, uint64_t by)
{
	assert(w < b->workers && c < COUNTER_COUNT);
	_Atomic uint64_t *at = &b->column[w].counter[c];

	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + by,
	    memory_order_relaxed);
}

void
scoreboard_gauge(struct scoreboard *b, unsigned w, enum gauge g, int64_t by)
{
	assert(w < b->workers && g < GAUGE_COUNT);
	_Atomic int64_t *at = &b->column[w].gauge[g];

	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + by,
	    memory_order_relaxed);
}

uint64_t
scoreboard_counter(const struct scoreboard *b, enum counter c)
{
	uint64_t sum = 0;

	for (unsigned w = 0; w < b->workers; w++)
		sum += atomic_load_explicit(&b->column[w].counter[c], memory_order_relaxed);
	return sum;
}

int64_t
scoreboard_sum(const struct scoreboard *b, enum gauge g)
{
	int64_t sum = 0;

	for (unsigned w = 0; w < b->workers; w++)
		sum += scoreboard_gauge_of(b, w, g);
	return sum;
}

int64_t
scoreboard_gauge_of(const struct scoreboard *b, unsigned w, enum gauge g)
{
	assert(w < b->workers && g < GAUGE_COUNT);
	return atomic_load_explicit(&b->column[w].gauge[g], memory_order_relaxed);
}

const char *
scoreboard_counter_word(enum counter c)
{
	static char words[SAY_COUNT][sizeof("replies_") + REPLY_NAME_MAX];
	size_t row = (size_t)(c - COUNTER_REPLY_BAD_SEQUENCE);

	if (counters[c].word != NULL)
		return counters[c].word;
	if (words[row][0] == '\0')
		(void)snprintf(words[row], sizeof(words[row]), "replies_%s",
		    replies_catalogue()[row].name);
	return words[row];
}

const char *
scoreboard_counter_help(enum counter c)
{
	return counters[c].help;
}

const char *
scoreboard_gauge_word(enum gauge g)
{
	return gauges[g].word;
}

const char *
scoreboard_gauge_help(enum gauge g)
{
	return gauges[g].help;
}

/* ---- the sketch ---- */

enum kind { KIND_IPV4 = 4, KIND_IPV6 = 6, KIND_OTHER = 0, KIND_ACCOUNT = 8 };

static size_t
cell_of(uint64_t h, size_t row)
{
	return (size_t)(row ? h >> 32 : h) & (CELLS - 1);
}

static uint64_t
hash_address(const struct scoreboard *b, const struct sockaddr *a)
{
	struct net net;
	uint64_t word = 0;

	if (!net_of(a, &net))
		return hash(b->key, 0, KIND_OTHER);
	memcpy(&word, net.addr, net.family == 4 ? 4 : 8);
	return hash(b->key, word, net.family == 4 ? KIND_IPV4 : KIND_IPV6);
}

static void
move(struct sketch *s, uint64_t h, int by)
{
	for (size_t row = 0; row < ROWS; row++) {
		_Atomic uint32_t *at = &s->cell[row][cell_of(h, row)];
		uint32_t was = atomic_load_explicit(at, memory_order_relaxed);

		/* One that was never counted takes nothing away from others: a wrong number is no
		 * reason to fall. */
		if (by > 0 || was > 0)
			atomic_store_explicit(at, by > 0 ? was + 1 : was - 1, memory_order_relaxed);
	}
}

/* OFFSET: of the sketch in a column. */
static unsigned
estimate(const struct scoreboard *b, size_t offset, uint64_t h)
{
	uint64_t least = UINT32_MAX;

	for (size_t row = 0; row < ROWS; row++) {
		uint64_t sum = 0;

		for (unsigned w = 0; w < b->workers; w++) {
			const char *column = (const char *)&b->column[w];
			const struct sketch *s = (const void *)(column + offset);

			sum += atomic_load_explicit(&s->cell[row][cell_of(h, row)],
			    memory_order_relaxed);
		}
		if (sum < least)
			least = sum;
	}
	return (unsigned)least;
}

unsigned
scoreboard_enter_address(struct scoreboard *b, unsigned w, const struct sockaddr *a)
{
	uint64_t h = hash_address(b, a);

	assert(w < b->workers);
	move(&b->column[w].address, h, 1);
	return estimate(b, offsetof(struct column, address), h);
}

void
scoreboard_leave_address(struct scoreboard *b, unsigned w, const struct sockaddr *a)
{
	assert(w < b->workers);
	move(&b->column[w].address, hash_address(b, a), -1);
}

unsigned
scoreboard_enter_account(struct scoreboard *b, unsigned w, uint64_t account)
{
	uint64_t h = hash(b->key, account, KIND_ACCOUNT);

	assert(w < b->workers);
	move(&b->column[w].account, h, 1);
	return estimate(b, offsetof(struct column, account), h);
}

void
scoreboard_leave_account(struct scoreboard *b, unsigned w, uint64_t account)
{
	assert(w < b->workers);
	move(&b->column[w].account, hash(b->key, account, KIND_ACCOUNT), -1);
}
