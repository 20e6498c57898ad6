/* SPDX-License-Identifier: Apache-2.0 */
/*
 *      mail_domain() --- known, not too old ----------------> true
 *           |--- good, a little too old: asked anew --------> true
 *           |--- being asked: joins those who wait
 *           '--- entry, mx -> heard: known -> fn of all who waited
 */
#include "conf/mail_domain.h"

#include <stdlib.h>

#include "wire/crypto.h"

enum {
	BUCKETS = 1024,
	TTL_MIN = 5,
	TTL_MAX = 3600,
	TTL_NONE_MAX = 300,
	TTL_UNKNOWN = 5,
	STALE_S = 600,
};

struct waiter {
	struct waiter *next;
	uint64_t owner;
	mail_domain_fn *fn;
};

struct asking;

struct entry {
	struct entry *chain;           /* in its bucket */
	struct entry *older, *younger; /* by the time when it was asked */
	struct asking *asking;         /* NULL: it is not being asked */
	bool known;
	enum mx_got got;
	ev_tstamp until, again; /* how long it holds; when it may be asked anew */
	struct waiter *waiters;
	size_t name_n;
	char name[];
};

struct asking {
	struct mx mx; /* first */
	struct mail_domains *all;
	struct entry *entry; /* cannot go meanwhile, but by drop() */
};

struct mail_domains {
	struct loop *loop;
	struct dns *dns;
	void *ctx;
	uint64_t seed;
	size_t n;
	struct entry *oldest, *youngest;
	struct entry *buckets[BUCKETS];
};

/* ---- the memory ---- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* FNV-1a from a start that nobody outside knows. */
static struct entry **
bucket(struct mail_domains *d, struct slice name)
{
	uint64_t h = d->seed;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (uint8_t)lower(name.p[i])) * 0x100000001b3u;
	return &d->buckets[(h >> 20) % BUCKETS];
}

static struct entry *
find(struct mail_domains *d, struct slice name)
{
	struct entry *e = *bucket(d, name);

	while (e && !slice_eq_nocase(slice_of(e->name, e->name_n), name))
		e = e->chain;
	return e;
}

static void
drop(struct mail_domains *d, struct entry *e)
{
	struct entry **at = bucket(d, slice_of(e->name, e->name_n));

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	if (e->older)
		e->older->younger = e->younger;
	else
		d->oldest = e->younger;
	if (e->younger)
		e->younger->older = e->older;
	else
		d->youngest = e->older;
	d->n--;
	if (e->asking)
		mx_forget(&e->asking->mx);
	free(e->asking);
	while (e->waiters) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		free(w);
	}
	free(e);
}

static void
make_room(struct mail_domains *d)
{
	struct entry *e = d->oldest;

	while (e && d->n >= MAIL_DOMAINS_MAX) {
		struct entry *next = e->younger;

		if (!e->asking)
			drop(d, e);
		e = next;
	}
}

static struct entry *
add(struct mail_domains *d, struct slice name)
{
	struct entry *e;

	make_room(d);
	e = calloc(1, sizeof(*e) + name.n + 1);
	if (!e)
		return NULL;
	e->name_n = name.n;
	for (size_t i = 0; i < name.n; i++)
		e->name[i] = lower(name.p[i]);

	struct entry **at = bucket(d, name);

	e->chain = *at;
	*at = e;
	e->older = d->youngest;
	if (d->youngest)
		d->youngest->younger = e;
	else
		d->oldest = e;
	d->youngest = e;
	d->n++;
	return e;
}

/* ---- the question ---------------------------------------------------------------------------- */

static unsigned
life_of(enum mx_got got, unsigned ttl)
{
	unsigned max = got == MX_FOUND ? TTL_MAX : TTL_NONE_MAX;

	if (got == MX_UNKNOWN)
		return TTL_UNKNOWN;
	return ttl < TTL_MIN || ttl == DNS_NO_TTL ? TTL_MIN : ttl > max ? max : ttl;
}

/* That nobody can say is no news where a good answer is still known. */
static void
heard(struct mx *mx, enum mx_got got)
{
	struct asking *asking = (struct asking *)(void *)mx;
	struct mail_domains *d = asking->all;
	struct entry *e = asking->entry;
	struct waiter *w = e->waiters;
	unsigned life = life_of(got, mx->ttl_s);

	e->waiters = NULL;
	e->asking = NULL;
	e->again = loop_now(d->loop) + life;
	if (got != MX_UNKNOWN || !e->known || e->got != MX_FOUND) {
		e->known = true;
		e->got = got;
		e->until = e->again;
	}
	free(asking);
	while (w) {
		struct waiter *next = w->next;

		w->fn(d->ctx, w->owner, got);
		free(w);
		w = next;
	}
}

static bool
ask(struct mail_domains *d, struct entry *e, uint64_t account)
{
	struct asking *a = calloc(1, sizeof(*a));

	if (!a)
		return false;
	a->all = d;
	a->entry = e;
	a->mx.dns = d->dns;
	a->mx.account = account;
	a->mx.wanted = 1;
	a->mx.fn = heard;
	if (!mx_look_up(&a->mx, d->loop, slice_of(e->name, e->name_n))) {
		free(a);
		return false;
	}
	e->asking = a;
	return true;
}

static bool
wait_for(struct entry *e, uint64_t account, uint64_t owner, mail_domain_fn *fn)
{
	struct waiter *w = malloc(sizeof(*w));

	if (!w)
		return false;
	*w = (struct waiter){ .next = e->waiters, .owner = owner, .fn = fn };
	e->waiters = w;
	dns_join(&e->asking->mx.ask, account);
	return true;
}

/* What E says may be said; where it is a little too old, it is asked anew. */
static bool
serves(struct mail_domains *d, struct entry *e, uint64_t account)
{
	ev_tstamp now = loop_now(d->loop);

	if (!e->known)
		return false;
	if (e->until > now)
		return true;
	if (e->got != MX_FOUND || e->until + STALE_S <= now)
		return false;
	if (!e->asking && e->again <= now && !ask(d, e, account))
		e->again = now + TTL_UNKNOWN;
	return true;
}

bool
mail_domain(struct mail_domains *d, uint64_t account, struct slice domain, uint64_t owner,
    mail_domain_fn *fn, enum mx_got *got_r)
{
	struct entry *e = find(d, domain);

	*got_r = MX_UNKNOWN;
	if (e && serves(d, e, account)) {
		*got_r = e->got;
		return true;
	}
	if (e && !e->asking) {
		drop(d, e); /* and added anew, as the youngest */
		e = NULL;
	}
	if (!e && !(e = add(d, domain)))
		return true;
	if (!e->asking && !ask(d, e, account)) {
		drop(d, e);
		return true;
	}
	return !wait_for(e, account, owner, fn);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct mail_domains *
mail_domains_open(struct loop *l, struct dns *dns, void *ctx)
{
	struct mail_domains *d = calloc(1, sizeof(*d));

	if (!d || !crypto_random(&d->seed, sizeof(d->seed))) {
		free(d);
		return NULL;
	}
	d->loop = l;
	d->dns = dns;
	d->ctx = ctx;
	return d;
}

void
mail_domains_close(struct mail_domains *d)
{
	if (!d)
		return;
	while (d->oldest)
		drop(d, d->oldest);
	free(d);
}
