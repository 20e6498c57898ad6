/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/dead.h"

#include <stdatomic.h>

/* A row: above, what is dead; below, the second when that was seen. */
#define TIME_BITS UINT64_C(0xffffff)

/* FNV-1a over the address, its port and whose it is; a clash costs an order, nothing else. */
static uint64_t
key_of(uint64_t whose, const struct address *a)
{
	bool six = a->u.sa.sa_family == AF_INET6;
	const void *addr = six ? (const void *)&a->u.v6.sin6_addr : (const void *)&a->u.v4.sin_addr;
	size_t n = six ? sizeof(a->u.v6.sin6_addr) : sizeof(a->u.v4.sin_addr);
	unsigned port = six ? a->u.v6.sin6_port : a->u.v4.sin_port;
	uint64_t h = 0xcbf29ce484222325u ^ (whose * 0x9e3779b97f4a7c15u);

	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)addr)[i]) * 0x100000001b3u;
	h = (h ^ port) * 0x100000001b3u;
	/* Neighbours differ in few bits: spread them over all. */
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29) * 0x9e3779b97f4a7c15u;
	return h & ~TIME_BITS;
}

static _Atomic uint64_t *
row_of(struct dead *d, uint64_t key)
{
	return &d->rows[(key >> 32) % DEAD_ROWS];
}

static uint64_t
seconds(ev_tstamp t)
{
	return (uint64_t)t & TIME_BITS;
}

void
dead_note(struct dead *d, uint64_t whose, const struct address *a, ev_tstamp now)
{
	uint64_t key = key_of(whose, a);

	atomic_store_explicit(row_of(d, key), key | seconds(now), memory_order_relaxed);
}

void
dead_forget(struct dead *d, uint64_t whose, const struct address *a)
{
	uint64_t key = key_of(whose, a);
	_Atomic uint64_t *row = row_of(d, key);

	if ((atomic_load_explicit(row, memory_order_relaxed) & ~TIME_BITS) == key)
		atomic_store_explicit(row, 0, memory_order_relaxed);
}

static bool
is_dead(struct dead *d, uint64_t whose, const struct address *a, ev_tstamp now)
{
	uint64_t key = key_of(whose, a);
	uint64_t row = atomic_load_explicit(row_of(d, key), memory_order_relaxed);

	return (row & ~TIME_BITS) == key && ((seconds(now) - row) & TIME_BITS) < DEAD_S;
}

void
dead_sort(struct dead *d, uint64_t whose, struct addresses *all, ev_tstamp now)
{
	struct addresses old = *all;
	bool bad[RESOLVE_ADDRESSES];
	unsigned n = 0;

	for (unsigned i = 0; i < old.n; i++)
		bad[i] = is_dead(d, DEAD_FOR_ALL, &old.at[i], now) ||
		    (whose != DEAD_FOR_ALL && is_dead(d, whose, &old.at[i], now));
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < old.n; i++)
			if (bad[i] == (pass == 1))
				all->at[n++] = old.at[i];
}
