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
 * address; pairs holds who they are; pending holds how many of the failures are attempts without
 * an answer (what a dead worker left there leaks away as they do). A key's word is in one set;
 * where the set is full, the word with the least in it makes room. Words that are 194 days old look
 * young again: harmless.
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

/* An IPv4 address, the /64, /56 or /48 of an IPv6 one, or nothing for a local socket. */
static struct slice
place(const struct sockaddr *from, unsigned width, struct net *net)
{
	if (!net_of(from, net))
		return SLICE("");
	return slice_of((const char *)net->addr, net->family == 4 ? 4 : 8 - width);
}

unsigned
guess_widths(const struct sockaddr *from)
{
	struct net net;

	return net_of(from, &net) && net.family != 4 ? GUESS_WIDTHS : 1;
}

void
guess_write(char kind, struct slice name, const struct sockaddr *from, unsigned width,
    struct text *out)
{
	char mem[LOGIN_MAX];
	struct net net = { 0 };
	struct slice who = lower(name, mem);
	struct slice where = kind == 'n' ? SLICE("") : place(from, width, &net);

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

/* Failures of HASH, here or at all NODES, but for OWN attempts of the asker. Others that are out
 * are none as long as they are few; both words leak alike. NODES holds what others of this node
 * have begun, but nothing of the asker. */
static unsigned
failures_of(struct guess *g, struct table *t, uint64_t hash, unsigned own, unsigned nodes,
    double rate, uint64_t now)
{
	unsigned here = move(t, hash, 0, rate, now) / UNIT;
	unsigned all = here > nodes + own ? here : nodes + own;
	unsigned out = (move(&g->pending, hash, 0, rate, now) + UNIT - 1) / UNIT;
	unsigned others = out > own ? out - own : 0;
	unsigned light = own + (others < GUESS_PENDING ? others : GUESS_PENDING);

	return all > light ? all - light : 0;
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

/* What the attempt is counted as: of the name at its known address, or of the name and of the
 * networks of the address. OUT is by how much those that are out change. */
static void
count(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a, int failures,
    int out, uint64_t now)
{
	uint64_t name = a->known ? a->pair : a->name;

	(void)move(&g->names, name, failures * UNIT, name_rate(r), now);
	(void)move(&g->pending, name, out * UNIT, name_rate(r), now);
	for (unsigned i = 0; !a->known && i < a->widths; i++) {
		(void)move(&g->addresses, a->address[i], failures * UNIT, address_rate(r), now);
		(void)move(&g->pending, a->address[i], out * UNIT, address_rate(r), now);
	}
}

static struct guess_verdict
judge_known(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    uint64_t now)
{
	unsigned failures = failures_of(g, &g->names, a->pair, 1, 0, name_rate(r), now);

	return (struct guess_verdict){
		.delay_s = r->name_failures > 0 ? delay_of(failures, r->name_free, r) : 0,
	};
}

/* One of the networks that hold the address; the wider it is, the more it may. */
static void
judge_address(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    unsigned width, const struct guess_common *c, uint64_t now, struct guess_verdict *v)
{
	unsigned more = 1u << 2 * width;
	unsigned users = users_at(g, r, a->address[width], now);
	int64_t failures = failures_of(g, &g->addresses, a->address[width], 1, c->address[width],
	    address_rate(r), now);

	if (r->address_failures == 0)
		return;
	users = users > c->users[width] ? users : c->users[width];
	failures -= (int64_t)r->per_user * users;
	double delay = delay_of(failures, r->address_free * more, r);

	v->last = v->last || failures >= (int64_t)r->address_failures * more;
	v->delay_s = v->delay_s > delay ? v->delay_s : delay;
}

static struct guess_verdict
judge_stranger(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    const struct guess_common *c, uint64_t now)
{
	struct guess_verdict v = { 0 };
	unsigned name = failures_of(g, &g->names, a->name, 1, c->name, name_rate(r), now);

	if (r->name_failures > 0 && name >= r->name_failures)
		return (struct guess_verdict){ .refuse = true };
	if (r->name_failures > 0)
		v.delay_s = delay_of(name, r->name_free, r);
	for (unsigned i = 0; i < a->widths; i++)
		judge_address(g, r, a, i, c, now, &v);
	return v;
}

/* What is mistyped too often at home counts as everybody's. */
static bool
mistypes_little(struct guess *g, const struct guess_rules *r, uint64_t pair, uint64_t now)
{
	return r->name_failures == 0 ||
	    failures_of(g, &g->names, pair, 0, 0, name_rate(r), now) < r->name_failures;
}

static bool
is_crowd(struct guess *g, uint64_t hash, double rate, uint64_t now)
{
	return rate > 0 && move(&g->pending, hash, 0, rate, now) / UNIT >= GUESS_CROWD;
}

static bool
is_crowded(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    uint64_t now)
{
	if (is_crowd(g, a->known ? a->pair : a->name, name_rate(r), now))
		return true;
	for (unsigned i = 0; !a->known && i < a->widths; i++) {
		if (is_crowd(g, a->address[i], address_rate(r), now))
			return true;
	}
	return false;
}

bool
guess_start(struct guess *g, const struct guess_rules *r, const struct sockaddr *from,
    struct slice name, bool may_wait, double now_s, struct guess_attempt *a_r)
{
	uint64_t now = ticks(now_s);
	char mem[LOGIN_MAX];
	struct net net = { 0 };
	struct slice who = lower(name, mem);

	*a_r = (struct guess_attempt){
		.widths = guess_widths(from),
		.name = hash(g, 'n', who, SLICE("")),
		.pair = hash(g, 'p', who, place(from, 0, &net)),
	};
	for (unsigned i = 0; i < a_r->widths; i++)
		a_r->address[i] = hash(g, 'a', place(from, i, &net), SLICE(""));
	a_r->known = is_known(g, r, a_r->pair, now) && mistypes_little(g, r, a_r->pair, now);
	if (may_wait && is_crowded(g, r, a_r, now))
		return false;
	a_r->state = GUESS_OUT;
	count(g, r, a_r, 1, 1, now);
	return true;
}

struct guess_verdict
guess_decide(struct guess *g, const struct guess_rules *r, struct guess_attempt *a,
    const struct guess_common *c, double now_s)
{
	static const struct guess_common none = { 0 };
	uint64_t now = ticks(now_s);
	struct guess_verdict v;

	if (!a->known && c && c->known && mistypes_little(g, r, a->pair, now)) {
		count(g, r, a, -1, -1, now);
		a->known = true;
		count(g, r, a, 1, 1, now);
	}
	v = a->known ? judge_known(g, r, a, now) : judge_stranger(g, r, a, c ? c : &none, now);
	if (v.refuse)
		guess_void(g, r, a, now_s);
	return v;
}

void
guess_void(struct guess *g, const struct guess_rules *r, struct guess_attempt *a, double now_s)
{
	count(g, r, a, -1, -1, ticks(now_s));
	a->state = GUESS_ENDED;
}

void
guess_stays(struct guess *g, const struct guess_rules *r, struct guess_attempt *a, double now_s)
{
	count(g, r, a, 0, -1, ticks(now_s));
	a->state = GUESS_ENDED;
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

/* One more name has logged in from there, unless it WAS known. Their number does not leak, but its
 * time must move. */
static void
note_user(struct guess *g, const struct guess_rules *r, uint64_t address, bool was, uint64_t now)
{
	bool found;
	_Atomic uint64_t *cell = find(&g->users, address, &found);
	struct word w = unpack(atomic_load_explicit(cell, memory_order_relaxed));

	if (!found || (double)age(&w, now) >= r->remember_s * TICKS)
		w = (struct word){ .tag = tag_of(address) };
	if (!was && w.level + UNIT <= LEVEL_MAX)
		w.level += UNIT;
	w.when = now;
	atomic_store_explicit(cell, pack(w), memory_order_relaxed);
}

void
guess_right(struct guess *g, const struct guess_rules *r, struct guess_attempt *a, double now_s)
{
	uint64_t now = ticks(now_s);
	bool was;

	guess_void(g, r, a, now_s);
	(void)move(&g->names, a->pair, -LEVEL_MAX, name_rate(r), now);
	was = remember(g, r, a->pair, now);
	for (unsigned i = 0; i < a->widths; i++)
		note_user(g, r, a->address[i], was, now);
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
