/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether mail to a domain could go anywhere: asked on threads, remembered on the loop.
 *
 *      dns_mail() --- known, not too old ----------------> true
 *           |--- being asked: joins those who wait
 *           '--- entry, job -> thread -> done: known -> fn of all who waited
 */
#include "conf/dns.h"

#include <stdlib.h>
#include <time.h>

#include "wire/crypto.h"
#include "wire/log.h"
#include "wire/work.h"

enum {
	THREADS = 4,
	JOBS_MAX = 256,
	BUCKETS = 1024,
	HOSTS_MAX = 5, /* MX hosts that are looked up */
	TTL_MIN = 5,
	TTL_MAX = 3600,
	TTL_NONE_MAX = 300,
	TTL_UNKNOWN = 5,
};

struct waiter {
	struct waiter *next;
	uint64_t owner;
	dns_fn *fn;
};

struct entry {
	struct entry *chain;           /* in its bucket */
	struct entry *older, *younger; /* by the time when it was asked */
	bool flying;
	enum dns_mail verdict;
	ev_tstamp until;
	struct waiter *waiters;
	size_t name_n;
	char name[];
};

struct ask {
	struct job job;
	struct dns *d;
	struct entry *entry; /* cannot go while it flies */
	struct dns_servers servers;
	enum dns_mail verdict;
	unsigned ttl_s;
};

struct dns {
	struct loop *loop;
	void *ctx;
	struct dns_servers servers;
	struct work *work; /* NULL until somebody asks */
	atomic_bool stop;
	uint64_t seed;
	size_t n;
	struct entry *oldest, *youngest;
	struct entry *buckets[BUCKETS];
};

/* ---- the question, on a thread ---- */

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static enum dns_got
look(const struct dns_servers *servers, struct slice name, enum dns_type type, struct dns_answer *a,
    unsigned *ttl)
{
	dns_look_up(servers, name, type, a);
	if (a->got != DNS_FAILED)
		*ttl = least(*ttl, a->ttl_s);
	return a->got;
}

/* Whether NAME has an address of either kind: DNS_FOUND, DNS_EMPTY, DNS_FAILED. */
static enum dns_got
look_for_address(const struct dns_servers *servers, struct slice name, struct dns_answer *a,
    unsigned *ttl)
{
	enum dns_got v4 = look(servers, name, DNS_A, a, ttl);

	if (v4 == DNS_FOUND)
		return DNS_FOUND;
	if (v4 == DNS_NO_NAME)
		return DNS_EMPTY;

	enum dns_got v6 = look(servers, name, DNS_AAAA, a, ttl);

	if (v6 == DNS_FOUND)
		return DNS_FOUND;
	return v4 == DNS_FAILED || v6 == DNS_FAILED ? DNS_FAILED : DNS_EMPTY;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One that can be reached is enough; that none can must be known of all that we looked at. */
static enum dns_mail
look_at_hosts(const struct dns_servers *servers, const struct dns_answer *mx,
    const atomic_bool *stop, struct dns_answer *a, unsigned *ttl)
{
	double enough = now_s() + 4.0 * servers->timeout_s;
	bool unsure = mx->n > HOSTS_MAX;

	for (size_t i = 0; i < mx->n && i < HOSTS_MAX; i++) {
		if ((stop && atomic_load(stop)) || now_s() > enough)
			return DNS_MAIL_UNKNOWN;
		if (mx->at[i].value.n == 0)
			continue;
		switch (look_for_address(servers, mx->at[i].value, a, ttl)) {
		case DNS_FOUND:
			return DNS_MAIL_OK;
		case DNS_FAILED:
			unsure = true;
			break;
		case DNS_EMPTY:
		case DNS_NO_NAME:
			break;
		}
	}
	return unsure ? DNS_MAIL_UNKNOWN : DNS_MAIL_NONE;
}

static enum dns_mail
ask_mail(const struct dns_servers *servers, struct slice domain, const atomic_bool *stop,
    struct dns_answer *mx, struct dns_answer *a, unsigned *ttl)
{
	switch (look(servers, domain, DNS_MX, mx, ttl)) {
	case DNS_FAILED:
		return DNS_MAIL_UNKNOWN;
	case DNS_NO_NAME:
		return DNS_MAIL_NONE;
	case DNS_FOUND:
		if (mx->n == 1 && mx->at[0].value.n == 0)
			return DNS_MAIL_NULL;
		return look_at_hosts(servers, mx, stop, a, ttl);
	case DNS_EMPTY:
		break;
	}
	/* RFC 5321, 5.1: without MX the domain is its own host. */
	if (stop && atomic_load(stop))
		return DNS_MAIL_UNKNOWN;
	switch (look_for_address(servers, domain, a, ttl)) {
	case DNS_FOUND:
		return DNS_MAIL_OK;
	case DNS_FAILED:
		return DNS_MAIL_UNKNOWN;
	case DNS_EMPTY:
	case DNS_NO_NAME:
		break;
	}
	return DNS_MAIL_NONE;
}

enum dns_mail
dns_ask_mail(const struct dns_servers *servers, struct slice domain, const atomic_bool *stop,
    unsigned *ttl_r)
{
	struct dns_answer *both = malloc(2 * sizeof(*both));
	enum dns_mail verdict = DNS_MAIL_UNKNOWN;
	unsigned ttl = TTL_MAX;

	if (both)
		verdict = ask_mail(servers, domain, stop, &both[0], &both[1], &ttl);
	free(both);
	if (verdict != DNS_MAIL_OK)
		ttl = least(ttl, TTL_NONE_MAX);
	*ttl_r = verdict == DNS_MAIL_UNKNOWN ? TTL_UNKNOWN : ttl < TTL_MIN ? TTL_MIN : ttl;
	return verdict;
}

static void
run(struct job *j)
{
	struct ask *a = (struct ask *)j;
	struct entry *e = a->entry; /* its name does not change */

	a->verdict =
	    dns_ask_mail(&a->servers, slice_of(e->name, e->name_n), &a->d->stop, &a->ttl_s);
}

/* ---- the memory, on the loop ---- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* FNV-1a from a start that nobody outside knows. */
static struct entry **
bucket(struct dns *d, struct slice name)
{
	uint64_t h = d->seed;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (uint8_t)lower(name.p[i])) * 0x100000001b3u;
	return &d->buckets[(h >> 20) % BUCKETS];
}

static struct entry *
find(struct dns *d, struct slice name)
{
	struct entry *e = *bucket(d, name);

	while (e && !slice_eq_nocase(slice_of(e->name, e->name_n), name))
		e = e->chain;
	return e;
}

static void
drop(struct dns *d, struct entry *e)
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
	while (e->waiters) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		free(w);
	}
	free(e);
}

static void
make_room(struct dns *d)
{
	struct entry *e = d->oldest;

	while (e && d->n >= DNS_KNOWN_MAX) {
		struct entry *next = e->younger;

		if (!e->flying)
			drop(d, e);
		e = next;
	}
}

static struct entry *
add(struct dns *d, struct slice name)
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

static void
done(struct job *j)
{
	struct ask *a = (struct ask *)j;
	struct entry *e = a->entry;
	struct dns *d = a->d;
	struct waiter *w = e->waiters;

	e->waiters = NULL;
	e->flying = false;
	e->verdict = a->verdict;
	e->until = loop_now(d->loop) + a->ttl_s;
	while (w) {
		struct waiter *next = w->next;

		if (!d->stop)
			w->fn(d->ctx, w->owner, a->verdict);
		free(w);
		w = next;
	}
	free(a);
}

static bool
wait_for(struct entry *e, uint64_t owner, dns_fn *fn)
{
	struct waiter *w = malloc(sizeof(*w));

	if (!w)
		return false;
	*w = (struct waiter){ .next = e->waiters, .owner = owner, .fn = fn };
	e->waiters = w;
	return true;
}

/* Sends the question for E to a thread. */
static bool
ask(struct dns *d, struct entry *e)
{
	struct ask *a;

	if (!d->work && !(d->work = work_open(d->loop, "senders", THREADS, JOBS_MAX)))
		return false;
	a = calloc(1, sizeof(*a));
	if (!a)
		return false;
	a->job.run = run;
	a->job.done = done;
	a->d = d;
	a->entry = e;
	a->servers = d->servers;
	a->verdict = DNS_MAIL_UNKNOWN;
	if (!work_submit(d->work, &a->job)) {
		free(a);
		return false;
	}
	e->flying = true;
	return true;
}

bool
dns_mail(struct dns *d, struct slice domain, uint64_t owner, dns_fn *fn, enum dns_mail *verdict_r)
{
	struct entry *e = find(d, domain);

	*verdict_r = DNS_MAIL_UNKNOWN;
	if (e && !e->flying && e->until > loop_now(d->loop)) {
		*verdict_r = e->verdict;
		return true;
	}
	if (e && !e->flying) {
		drop(d, e); /* and added anew, as the youngest */
		e = NULL;
	}
	if (!e)
		e = add(d, domain);
	if (!e || !wait_for(e, owner, fn))
		return true;
	if (e->flying || ask(d, e))
		return false;
	drop(d, e);
	return true;
}

/* ---- life ---- */

struct dns *
dns_open(struct loop *l, const struct conf *c, void *ctx)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d || !crypto_random(&d->seed, sizeof(d->seed))) {
		free(d);
		return NULL;
	}
	d->loop = l;
	d->ctx = ctx;
	dns_reconf(d, c);
	return d;
}

void
dns_reconf(struct dns *d, const struct conf *c)
{
	d->servers = dns_servers_of(c);
}

void
dns_close(struct dns *d)
{
	if (!d)
		return;
	d->stop = true;
	work_close(d->work);
	while (d->oldest)
		drop(d, d->oldest);
	free(d);
}
