/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guess - five tables of atomic words in shared memory
 *
 *      | key | names | addresses | users | pairs | pending |       each SETS x WAYS words
 *
 *      word:  tag 18 | level 20 | when 26      level in sixteenths of a failure, when in quarters of a second
 *
 * names holds failures of login names and, under the pair's hash, those of a name at an address
 * that it knows; addresses holds failures; users holds how many names have logged in from an
 * address; pairs holds who they are; pending holds attempts without an answer, by name or pair
 * (what a dead worker left there leaks away in a minute). A key's word is in one set; where the set
 * is full, the word with the least in it makes room. Words that are 194 days old look young again:
 * harmless.
 */
#include "proxy/limits/guess.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "wire/crypto.h"
#include "wire/net.h"
#include "wire/text.h"

enum {
	SETS = 1 << 14,
	WAYS = 4,
	UNIT = 16,       /* of a failure */
	TICKS = 4,       /* a second */
	LOGIN_MAX = 320, /* longer ones are nobody's */
	LEVEL_MAX = (1 << 20) - 1,
};

static const uint64_t when_mask = (1u << 26) - 1;

struct table {
	_Atomic uint64_t cell[SETS][WAYS];
};

struct guess {
	unsigned char key[32];
	struct table names, addresses, users, pairs, pending;
};

/* ---- words ---- */

struct word {
	uint64_t tag;
	uint32_t level;
	uint64_t when;
};

static struct word
unpack(uint64_t w)
{
	return (struct word){
		.tag = w >> 46,
		.level = (uint32_t)(w >> 26) & LEVEL_MAX,
		.when = w & when_mask,
	};
}

static uint64_t
pack(struct word w)
{
	return w.tag << 46 | (uint64_t)w.level << 26 | w.when;
}

static uint64_t
tag_of(uint64_t hash)
{
	return (hash >> 46) | 1; /* 0 is an empty word */
}

static uint64_t
ticks(double now_s)
{
	return (uint64_t)(now_s * TICKS) & when_mask;
}

static uint64_t
age(const struct word *w, uint64_t now)
{
	return (now - w->when) & when_mask;
}

/* Lets out what has leaked since; RATE in units a tick. When moves only by what the leaked units
 * took, so that looking often changes nothing. */
static void
leak(struct word *w, double rate, uint64_t now)
{
	double out = (double)age(w, now) * rate;

	if (rate <= 0)
		return;
	if (out >= w->level) {
		w->level = 0;
		w->when = now;
	} else if (out >= 1) {
		uint32_t whole = (uint32_t)out;

		w->level -= whole;
		w->when = (w->when + (uint64_t)(whole / rate)) & when_mask;
	}
}

/* The word of HASH in T, or the one that it may take. */
static _Atomic uint64_t *
find(struct table *t, uint64_t hash, bool *found_r)
{
	_Atomic uint64_t *set = t->cell[hash & (SETS - 1)];
	_Atomic uint64_t *least = &set[0];
	uint32_t least_level = UINT32_MAX;

	for (size_t i = 0; i < WAYS; i++) {
		struct word w = unpack(atomic_load_explicit(&set[i], memory_order_relaxed));

		if (w.tag == tag_of(hash)) {
			*found_r = true;
			return &set[i];
		}
		if (w.tag == 0 ? least_level > 0 : w.level < least_level) {
			least_level = w.tag == 0 ? 0 : w.level;
			least = &set[i];
		}
	}
	*found_r = false;
	return least;
}

/* Adds BY units to what is left of HASH's level; gives the level before. */
static uint32_t
move(struct table *t, uint64_t hash, int by, double rate, uint64_t now)
{
	for (;;) {
		bool found;
		_Atomic uint64_t *cell = find(t, hash, &found);
		uint64_t was = atomic_load_explicit(cell, memory_order_relaxed);
		struct word w = unpack(was);

		/* Somebody else may have taken it since. */
		if (!found || w.tag != tag_of(hash))
			w = (struct word){ .tag = tag_of(hash), .when = now };
		leak(&w, rate, now);
		uint32_t before = w.level;
		int64_t level = (int64_t)before + by;

		w.level = (uint32_t)(level < 0 ? 0 : level > LEVEL_MAX ? LEVEL_MAX : level);
		if (by == 0 || atomic_compare_exchange_weak(cell, &was, pack(w)))
			return before;
	}
}

/* ---- keys ---- */

static void
write_subject(struct text *t, char kind, struct slice a, struct slice b)
{
	text_char(t, kind);
	text_u64(t, a.n);
	text_char(t, ':');
	text_put(t, a);
	text_put(t, b);
}

static uint64_t
hash(const struct guess *g, char kind, struct slice a, struct slice b)
{
	char mem[2 * LOGIN_MAX + 64];
	unsigned char out[SHA256_LEN];
	struct text t = text_over(mem, sizeof(mem));
	uint64_t h = 0;

	write_subject(&t, kind, a, b);
	/* Where the library fails, all are one: slower, not open. */
	if (crypto_hmac_sha256(slice_of((const char *)g->key, sizeof(g->key)), text_slice(&t), out))
		memcpy(&h, out, sizeof(h));
	return h;
}

static struct slice
lower(struct slice name, char mem[LOGIN_MAX])
{
	size_t n = name.n < LOGIN_MAX ? name.n : 0;

	for (size_t i = 0; i < n; i++)
		mem[i] =
		    name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
	return slice_of(mem, n);
}

/* An IPv4 address, the /64 of an IPv6 one, or nothing for a local socket. */
static struct slice
place(const struct sockaddr *from, struct net *net)
{
	if (!net_of(from, net))
		return SLICE("");
	return slice_of((const char *)net->addr, net->family == 4 ? 4 : 8);
}

void
guess_write(char kind, struct slice name, const struct sockaddr *from, struct text *out)
{
	char mem[LOGIN_MAX];
	struct net net = { 0 };
	struct slice who = lower(name, mem);
	struct slice where = kind == 'n' ? SLICE("") : place(from, &net);

	if (kind == 'a')
		write_subject(out, kind, where, SLICE(""));
	else
		write_subject(out, kind, who, where);
}

/* ---- counting ---- */

static double
rate(unsigned limit, const struct guess_rules *r)
{
	return limit > 0 && r->window_s > 0 ? limit * UNIT / (r->window_s * TICKS) : 0;
}

static double
name_rate(const struct guess_rules *r)
{
	return rate(r->name_failures, r);
}

static double
address_rate(const struct guess_rules *r)
{
	return rate(r->address_failures, r);
}

static double
pending_rate(void)
{
	return (double)GUESS_PENDING * UNIT / (60 * TICKS);
}

/* Where an attempt is counted while its answer is out. */
static uint64_t
pending_of(const struct guess_attempt *a)
{
	return a->known ? a->pair : a->name;
}

/* One more attempt is out; by how many they are too many. */
static unsigned
put_pending(struct guess *g, const struct guess_attempt *a, uint64_t now)
{
	unsigned out = move(&g->pending, pending_of(a), UNIT, pending_rate(), now) / UNIT;

	return out > GUESS_PENDING ? out - GUESS_PENDING : 0;
}

static bool
is_known(struct guess *g, const struct guess_rules *r, uint64_t pair, uint64_t now)
{
	bool found;
	struct word w =
	    unpack(atomic_load_explicit(find(&g->pairs, pair, &found), memory_order_relaxed));

	return found && (double)age(&w, now) < r->remember_s * TICKS;
}

/* Names that have logged in from the address and that are still remembered. */
static unsigned
users_at(struct guess *g, const struct guess_rules *r, uint64_t address, uint64_t now)
{
	bool found;
	struct word w =
	    unpack(atomic_load_explicit(find(&g->users, address, &found), memory_order_relaxed));

	return found && (double)age(&w, now) < r->remember_s * TICKS ? w.level / UNIT : 0;
}

/* 0 for the first FREE failures, then 1, 2, 4 ... */
static double
delay_of(int64_t failures, unsigned is_free, const struct guess_rules *r)
{
	int64_t over = failures - is_free;
	double delay = over < 0 ? 0 : over > 20 ? r->delay_max_s : (double)(1 << over);

	return delay < r->delay_max_s ? delay : r->delay_max_s;
}

static struct guess_verdict
begin_known(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    uint64_t now)
{
	uint32_t failures = move(&g->names, a->pair, 0, name_rate(r), now) / UNIT;

	return (struct guess_verdict){
		.delay_s = delay_of(failures + put_pending(g, a, now), r->name_free, r),
	};
}

static struct guess_verdict
begin_unknown(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    const struct guess_common *c, uint64_t now)
{
	uint32_t users = users_at(g, r, a->address, now);
	uint32_t name = move(&g->names, a->name, 0, name_rate(r), now) / UNIT;
	int64_t address = move(&g->addresses, a->address, 0, address_rate(r), now) / UNIT;

	name = name > c->name ? name : c->name;
	address = address > c->address ? address : c->address;
	users = users > c->users ? users : c->users;
	name += put_pending(g, a, now);
	if (r->name_failures > 0 && name >= r->name_failures) {
		guess_void(g, r, a, (double)now / TICKS);
		return (struct guess_verdict){ .refuse = true };
	}
	address -= (int64_t)r->per_user * users;
	double by_name = r->name_failures > 0 ? delay_of(name, r->name_free, r) : 0;
	double by_address = r->address_failures > 0 ? delay_of(address, r->address_free, r) : 0;

	return (struct guess_verdict){
		.last = r->address_failures > 0 && address >= r->address_failures,
		.delay_s = by_name > by_address ? by_name : by_address,
	};
}

/* What is mistyped too often at home counts as everybody's. */
static bool
mistypes_little(struct guess *g, const struct guess_rules *r, uint64_t pair, uint64_t now)
{
	return r->name_failures == 0 ||
	    move(&g->names, pair, 0, name_rate(r), now) / UNIT < r->name_failures;
}

void
guess_who(struct guess *g, const struct guess_rules *r, const struct sockaddr *from,
    struct slice name, double now_s, struct guess_attempt *a_r)
{
	uint64_t now = ticks(now_s);
	char mem[LOGIN_MAX];
	struct net net = { 0 };
	struct slice who = lower(name, mem), where = place(from, &net);

	*a_r = (struct guess_attempt){
		.name = hash(g, 'n', who, SLICE("")),
		.address = hash(g, 'a', where, SLICE("")),
		.pair = hash(g, 'p', who, where),
	};
	a_r->known = is_known(g, r, a_r->pair, now) && mistypes_little(g, r, a_r->pair, now);
}

struct guess_verdict
guess_decide(struct guess *g, const struct guess_rules *r, struct guess_attempt *a,
    const struct guess_common *c, double now_s)
{
	static const struct guess_common none = { 0 };
	uint64_t now = ticks(now_s);

	if (!a->known && c && c->known)
		a->known = mistypes_little(g, r, a->pair, now);
	return a->known ? begin_known(g, r, a, now) : begin_unknown(g, r, a, c ? c : &none, now);
}

struct guess_verdict
guess_begin(struct guess *g, const struct guess_rules *r, const struct sockaddr *from,
    struct slice name, double now_s, struct guess_attempt *a_r)
{
	guess_who(g, r, from, name, now_s, a_r);
	return guess_decide(g, r, a_r, NULL, now_s);
}

void
guess_void(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s)
{
	(void)r;
	(void)move(&g->pending, pending_of(a), -UNIT, pending_rate(), ticks(now_s));
}

void
guess_wrong(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s)
{
	uint64_t now = ticks(now_s);

	guess_void(g, r, a, now_s);
	(void)move(&g->names, a->known ? a->pair : a->name, UNIT, name_rate(r), now);
	if (!a->known)
		(void)move(&g->addresses, a->address, UNIT, address_rate(r), now);
}

/* Whether PAIR was remembered already; it is from now on. */
static bool
remember(struct guess *g, const struct guess_rules *r, uint64_t pair, uint64_t now)
{
	bool found;
	_Atomic uint64_t *cell = find(&g->pairs, pair, &found);
	struct word w = unpack(atomic_load_explicit(cell, memory_order_relaxed));
	bool was = found && (double)age(&w, now) < r->remember_s * TICKS;

	/* The level is how often it logged in: who came most often stays longest. */
	w = (struct word){
		.tag = tag_of(pair),
		.level = !found           ? 1
		    : w.level < LEVEL_MAX ? w.level + 1
		                          : w.level,
		.when = now,
	};
	atomic_store_explicit(cell, pack(w), memory_order_relaxed);
	return was;
}

void
guess_right(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s)
{
	uint64_t now = ticks(now_s);
	bool was;

	guess_void(g, r, a, now_s);
	(void)move(&g->names, a->pair, -LEVEL_MAX, name_rate(r), now);
	was = remember(g, r, a->pair, now);
	/* Rate 0: the count does not leak, but its time must move. */
	bool found;
	_Atomic uint64_t *cell = find(&g->users, a->address, &found);
	struct word w = unpack(atomic_load_explicit(cell, memory_order_relaxed));

	if (!found || (double)age(&w, now) >= r->remember_s * TICKS)
		w = (struct word){ .tag = tag_of(a->address) };
	if (!was && w.level + UNIT <= LEVEL_MAX)
		w.level += UNIT;
	w.when = now;
	atomic_store_explicit(cell, pack(w), memory_order_relaxed);
}

void
guess_forgive(struct guess *g, struct slice name)
{
	char mem[LOGIN_MAX];
	bool found;
	_Atomic uint64_t *cell = find(&g->names, hash(g, 'n', lower(name, mem), SLICE("")), &found);

	if (found)
		atomic_store_explicit(cell, 0, memory_order_relaxed);
}

/* ---- life ---- */

struct guess *
guess_open(void)
{
	struct guess *g;

	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g == MAP_FAILED)
		return NULL;
	if (getrandom(g->key, sizeof(g->key), 0) == (ssize_t)sizeof(g->key))
		return g;
	guess_close(g);
	return NULL;
}

void
guess_close(struct guess *g)
{
	if (g)
		munmap(g, sizeof(*g));
}
