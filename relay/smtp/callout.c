/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callout - what is known of addresses, and who waits to know
 *
 *      callout() --- known, not too old ------------> true
 *           |--- being asked: joins those who wait
 *           '--- entry, call (callout_call.c) -> callout_heard(): known -> fn for all who waited
 */
#include "relay/smtp/callout_private.h"

#include <stdlib.h>

#include "wire/crypto.h"

struct callout_waiter {
	struct callout_waiter *next;
	uint64_t owner;
};

enum { ADDRESS_ROOM = 512 };

/* Seconds; LATER is not known at all. */
static const unsigned kept_s[] = {
	[CALLOUT_GOOD] = 24 * 3600,
	[CALLOUT_REFUSED] = 2 * 3600,
	[CALLOUT_UNABLE] = 300,
	[CALLOUT_LATER] = 0,
};

/* FNV-1a from a start that nobody outside knows. */
static struct callout_entry **
bucket(struct callouts *all, struct slice address)
{
	uint64_t h = all->seed;

	for (size_t i = 0; i < address.n; i++)
		h = (h ^ (uint8_t)address.p[i]) * 0x100000001b3u;
	return &all->buckets[(h >> 20) % CALLOUT_BUCKETS];
}

static struct slice
address_of(const struct callout_entry *e)
{
	return slice_of(e->address, e->n);
}

static struct callout_entry *
find(struct callouts *all, struct slice address)
{
	struct callout_entry *e = *bucket(all, address);

	while (e && !slice_eq(address_of(e), address))
		e = e->chain;
	return e;
}

static void
drop(struct callouts *all, struct callout_entry *e)
{
	struct callout_entry **at = bucket(all, address_of(e));

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	list_remove(&all->known, &e->age);
	while (e->waiters) {
		struct callout_waiter *w = e->waiters;

		e->waiters = w->next;
		free(w);
	}
	free(e);
}

/* There are fewer calls than entries. */
static void
make_room(struct callouts *all)
{
	list_each_safe(l, after, &all->known) {
		struct callout_entry *e = LINKED(l, struct callout_entry, age);

		if (all->known.n < CALLOUT_KNOWN_MAX)
			return;
		if (!e->call)
			drop(all, e);
	}
}

static struct callout_entry *
add(struct callouts *all, struct slice address, size_t domain)
{
	struct callout_entry *e;

	make_room(all);
	e = calloc(1, sizeof(*e) + address.n + 1);
	if (!e)
		return NULL;
	e->domain = domain;
	e->n = address.n;
	memcpy(e->address, address.p, address.n);

	struct callout_entry **at = bucket(all, address);

	e->chain = *at;
	*at = e;
	list_append(&all->known, &e->age);
	return e;
}

static bool
wait_for(struct callout_entry *e, uint64_t owner)
{
	struct callout_waiter *w = malloc(sizeof(*w));

	if (!w)
		return false;
	*w = (struct callout_waiter){ .next = e->waiters, .owner = owner };
	e->waiters = w;
	return true;
}

void
callout_heard(struct callouts *all, struct callout_entry *e, enum callout_said said)
{
	struct callout_waiter *w = e->waiters;

	e->waiters = NULL;
	e->call = NULL;
	e->said = said;
	e->until = loop_now(all->loop) + kept_s[said];
	while (w) {
		struct callout_waiter *next = w->next;

		all->fn(all->ctx, w->owner, said);
		free(w);
		w = next;
	}
}

/* The address as it is looked for; 0 where it has no such form. DOMAIN_R: where the domain
 * begins. */
static size_t
spell(const struct path *address, char mem[ADDRESS_ROOM], size_t *domain_r)
{
	struct text t = text_over(mem, ADDRESS_ROOM);

	path_write(&t, address);
	if (t.overflow || t.n <= address->domain.n)
		return 0;
	*domain_r = t.n - address->domain.n;
	for (size_t i = *domain_r; i < t.n; i++)
		if (mem[i] >= 'A' && mem[i] <= 'Z')
			mem[i] = (char)(mem[i] | 0x20);
	return t.n;
}

bool
callout(struct callouts *all, uint64_t account, const struct path *address, uint64_t owner,
    enum callout_said *said_r)
{
	char mem[ADDRESS_ROOM];
	size_t domain;
	struct slice name = slice_of(mem, spell(address, mem, &domain));
	struct callout_entry *e = name.n ? find(all, name) : NULL;

	*said_r = CALLOUT_LATER;
	if (name.n == 0)
		return true;
	if (e && !e->call && e->until > loop_now(all->loop)) {
		*said_r = e->said;
		return true;
	}
	if (e && !e->call) {
		drop(all, e); /* and added anew, as the youngest */
		e = NULL;
	}
	if (!e)
		e = add(all, name, domain);
	if (!e)
		return true;
	if (!wait_for(e, owner)) {
		if (!e->call)
			drop(all, e);
		return true;
	}
	if (e->call || callout_begin(all, e, account))
		return false;
	drop(all, e);
	return true;
}

/* ---- life ---- */

struct callouts *
callouts_open(struct loop *l, struct relay *r, struct conf *c, callout_fn *fn, void *ctx)
{
	struct callouts *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->loop = l;
	all->relay = r;
	all->fn = fn;
	all->ctx = ctx;
	list_init(&all->known);
	list_init(&all->calls);
	all->conf = conf_ref(c);
	if (!crypto_random(&all->seed, sizeof(all->seed))) {
		callouts_close(all);
		return NULL;
	}
	return all;
}

void
callouts_reconf(struct callouts *all, struct conf *c)
{
	conf_ref(c);
	conf_unref(all->conf);
	all->conf = c;
}

void
callouts_close(struct callouts *all)
{
	if (!all)
		return;
	callout_cut_all(all);
	list_each_safe(l, after, &all->known)
		drop(all, LINKED(l, struct callout_entry, age));
	conf_unref(all->conf);
	free(all);
}
