/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/resolve.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { HOST_MAX = 255, BUCKETS = 256, HOSTS_MAX = 4096 };

static const double negative_s = 5;
static const double stale_s = 600;

/* One host: being looked up (its ask flies), or known until EXPIRES, or both. */
struct host {
	struct host *next;
	struct resolve *r;
	struct dns_ask ask;
	bool known;
	enum resolve_got got;
	ev_tstamp expires;
	ev_tstamp again; /* when a stale one may be asked anew */
	struct list asks;
	struct addresses all;
	char name[HOST_MAX + 1];
};

struct resolve {
	struct loop *loop;
	struct dns *dns;
	double cache_s;
	bool held;
	unsigned hosts_n;
	struct host *buckets[BUCKETS];
};

socklen_t
address_len(const struct address *a)
{
	return a->u.sa.sa_family == AF_INET6 ? sizeof(a->u.v6) : sizeof(a->u.v4);
}

void
address_set_port(struct address *a, unsigned port)
{
	if (a->u.sa.sa_family == AF_INET6)
		a->u.v6.sin6_port = htons((uint16_t)port);
	else
		a->u.v4.sin_port = htons((uint16_t)port);
}

static unsigned
bucket_of(struct slice name)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ ((unsigned char)name.p[i] | 0x20U)) * 16777619U;
	return h % BUCKETS;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static struct host *
find(struct resolve *r, struct slice name)
{
	struct host *h = r->buckets[bucket_of(name)];

	while (h && !slice_eq_nocase(slice_str(h->name), name))
		h = h->next;
	return h;
}

/* Those of one bucket that have expired and that nobody waits for; all the idle ones where FORCE
 * says so. */
static void
sweep(struct resolve *r, struct host **at, bool force)
{
	while (*at) {
		struct host *h = *at;

		if (h->ask.flight || h->asks.n ||
		    (!force && h->expires + stale_s > loop_now(r->loop))) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		r->hosts_n--;
		free(h);
	}
}

static void
make_room(struct resolve *r)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		sweep(r, &r->buckets[i], false);
	if (r->hosts_n < HOSTS_MAX)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		sweep(r, &r->buckets[i], true);
}

static void on_answer(struct dns_ask *ask, const struct dns_answer *a);

static struct host *
add(struct resolve *r, struct slice name)
{
	struct host **at = &r->buckets[bucket_of(name)];

	if (r->hosts_n >= HOSTS_MAX)
		make_room(r);
	if (r->hosts_n >= HOSTS_MAX)
		return NULL;

	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	memcpy(h->name, name.p, name.n);
	h->r = r;
	h->ask.fn = on_answer;
	list_init(&h->asks);
	h->next = *at;
	*at = h;
	r->hosts_n++;
	return h;
}

/* ---- look-ups -------------------------------------------------------------------------------- */

static void
add_address(struct addresses *all, struct slice value)
{
	struct address a = { .u.v6 = { .sin6_family = AF_INET6 } };

	if (all->n == RESOLVE_ADDRESSES)
		return;
	if (value.n == sizeof(a.u.v6.sin6_addr)) {
		memcpy(&a.u.v6.sin6_addr, value.p, value.n);
	} else {
		a.u.v4 = (struct sockaddr_in){ .sin_family = AF_INET };
		memcpy(&a.u.v4.sin_addr, value.p, sizeof(a.u.v4.sin_addr));
	}
	all->at[all->n++] = a;
}

/* The next of A behind *AT whose value has N octets; false: there is none. */
static bool
next_of(const struct dns_answer *a, size_t n, size_t *at, struct slice *value_r)
{
	while (*at < a->n) {
		*value_r = a->at[(*at)++].value;
		if (value_r->n == n)
			return true;
	}
	return false;
}

/* IPv6, IPv4, IPv6 ...: one family that leads nowhere costs one try. */
static void
take_turns(struct addresses *all, const struct dns_answer *a)
{
	static const size_t sizes[] = { sizeof(struct in6_addr), sizeof(struct in_addr) };
	size_t at[2] = { 0, 0 };
	bool more = true;

	all->n = 0;
	while (more) {
		more = false;
		for (unsigned i = 0; i < 2; i++) {
			struct slice value;

			if (!next_of(a, sizes[i], &at[i], &value))
				continue;
			add_address(all, value);
			more = true;
		}
	}
}

/* Those who asked may ask again at once, and H may go meanwhile: they wait in a line of their
 * own. */
static void
tell(struct host *h)
{
	struct list asks;
	enum resolve_got got = h->got;
	struct addresses all = h->all;

	list_init(&asks);
	while (h->asks.n) {
		struct link *link = list_first(&h->asks);

		list_remove(&h->asks, link);
		list_append(&asks, link);
		LINKED(link, struct resolve_ask, link)->at = &asks;
	}
	while (asks.n) {
		struct resolve_ask *ask = LINKED(list_first(&asks), struct resolve_ask, link);

		resolve_forget(ask);
		ask->fn(ask, got, &all);
	}
}

static double
life_of(const struct resolve *r, const struct dns_answer *a)
{
	if (a->got == DNS_FAILED || a->ttl_s == DNS_NO_TTL)
		return negative_s < r->cache_s ? negative_s : r->cache_s;
	return a->ttl_s < r->cache_s ? a->ttl_s : r->cache_s;
}

static enum resolve_got
got_of(const struct dns_answer *a)
{
	switch (a->got) {
	case DNS_FOUND:
		return RESOLVE_OK;
	case DNS_EMPTY:
	case DNS_NO_NAME:
		return RESOLVE_NONE;
	case DNS_FAILED:
		break;
	}
	return RESOLVE_TEMP;
}

/* That nobody can say is no news where addresses are still known. */
static void
on_answer(struct dns_ask *ask, const struct dns_answer *a)
{
	struct host *h = LINKED(ask, struct host, ask);
	struct resolve *r = h->r;
	ev_tstamp now = loop_now(r->loop);

	h->again = now + negative_s;
	if (a->got != DNS_FAILED || !h->known || h->got != RESOLVE_OK ||
	    h->expires + stale_s <= now) {
		h->known = true;
		h->got = got_of(a);
		h->expires = now + life_of(r, a);
		take_turns(&h->all, a);
	}
	if (!r->held)
		tell(h);
}

static bool
start(struct resolve *r, struct host *h, uint64_t account)
{
	return dns_look_up(r->dns, account, slice_str(h->name), DNS_ADDRESS, DNS_PATIENCE_S,
	    &h->ask);
}

static bool
parse(struct slice host, struct addresses *all)
{
	char mem[INET6_ADDRSTRLEN];
	struct address *a = &all->at[0];

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_of(host.p + 1, host.n - 2);
	if (host.n >= sizeof(mem))
		return false;
	memcpy(mem, host.p, host.n);
	mem[host.n] = '\0';
	*all = (struct addresses){ .n = 1 };
	if (inet_pton(AF_INET, mem, &a->u.v4.sin_addr) == 1) {
		a->u.v4.sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, mem, &a->u.v6.sin6_addr) == 1) {
		a->u.v6.sin6_family = AF_INET6;
		return true;
	}
	return false;
}

/* What is known of H may be said; where it is stale, it is asked anew. */
static bool
serves(struct resolve *r, struct host *h, uint64_t account)
{
	ev_tstamp now = loop_now(r->loop);

	if (!h->known)
		return false;
	if (h->expires > now)
		return true;
	if (h->got != RESOLVE_OK || r->cache_s <= 0 || h->expires + stale_s <= now)
		return false;
	if (!h->ask.flight && h->again <= now && !start(r, h, account))
		h->again = now + negative_s;
	return true;
}

/* ASK waits with those of HOST. */
static enum resolve_got
wait_for(struct host *h, uint64_t account, struct resolve_ask *ask)
{
	dns_join(&h->ask, account);
	ask->at = &h->asks;
	list_append(&h->asks, &ask->link);
	return RESOLVE_LATER;
}

enum resolve_got
resolve_host(struct resolve *r, uint64_t account, struct slice host, struct resolve_ask *ask,
    struct addresses *all_r)
{
	bool is_address = parse(host, all_r);
	bool held = r->held && account != 0;

	if (is_address && !held)
		return RESOLVE_OK;
	if (host.n == 0 || host.n > HOST_MAX || memchr(host.p, '\0', host.n))
		return RESOLVE_NONE;

	struct host *h = find(r, host);

	if (!h && !(h = add(r, host)))
		return RESOLVE_TEMP;
	if (is_address) {
		h->known = true;
		h->got = RESOLVE_OK;
		h->all = *all_r;
	} else if (serves(r, h, account)) {
		if (!held) {
			*all_r = h->all;
			return h->got;
		}
	} else if (!h->ask.flight && !start(r, h, account)) {
		return RESOLVE_TEMP;
	}
	return wait_for(h, account, ask);
}

void
resolve_forget(struct resolve_ask *ask)
{
	if (ask->at)
		list_remove(ask->at, &ask->link);
	ask->at = NULL;
}

void
resolve_hold(struct resolve *r)
{
	r->held = true;
}

/* Whoever is told may add hosts: a bucket is looked through anew after each. */
void
resolve_release(struct resolve *r)
{
	if (!r->held)
		return;
	r->held = false;
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct host *h = r->buckets[i];

		while (h) {
			bool waits = h->asks.n && !h->ask.flight;

			if (waits)
				tell(h);
			h = waits ? r->buckets[i] : h->next;
		}
	}
}

struct resolve *
resolve_open(struct loop *l, struct dns *dns, unsigned cache_s)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = l;
	r->dns = dns;
	r->cache_s = cache_s;
	return r;
}

void
resolve_set_cache(struct resolve *r, unsigned cache_s)
{
	r->cache_s = cache_s;
}

void
resolve_close(struct resolve *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (r->buckets[i]) {
			struct host *h = r->buckets[i];

			r->buckets[i] = h->next;
			dns_forget(&h->ask);
			while (h->asks.n)
				resolve_forget(LINKED(list_first(&h->asks), struct resolve_ask,
				    link));
			free(h);
		}
	}
	free(r);
}
