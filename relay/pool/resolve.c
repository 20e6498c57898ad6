/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>

enum { HOST_MAX = 255, BUCKETS = 256, HOSTS_MAX = 4096 };

static const double negative_s = 5;

/* One host: being looked up (asks wait), or known until EXPIRES. */
struct host {
	struct host *next;
	uint64_t id;
	bool pending;
	enum resolve_got got;
	ev_tstamp expires;
	struct list asks;
	struct addresses all;
	char name[HOST_MAX + 1];
};

struct resolve {
	unsigned refs; /* the owner's and one for each job */
	bool closed;
	struct loop *loop;
	struct work *work;
	double cache_s;
	uint64_t last_id;
	unsigned hosts_n;
	struct host *buckets[BUCKETS];
};

struct look_up {
	struct job job; /* first */
	struct resolve *r;
	uint64_t host; /* by id: it may be gone */
	bool ran;
	int error;
	struct addresses all;
	char name[HOST_MAX + 1];
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

static void
unref(struct resolve *r)
{
	if (--r->refs == 0)
		free(r);
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

static struct host *
find_id(struct resolve *r, const char *name, uint64_t id)
{
	struct host *h = r->buckets[bucket_of(slice_str(name))];

	while (h && h->id != id)
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

		if (h->pending || h->asks.n || (!force && h->expires > loop_now(r->loop))) {
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
	h->id = ++r->last_id;
	list_init(&h->asks);
	h->next = *at;
	*at = h;
	r->hosts_n++;
	return h;
}

/* ---- look-ups -------------------------------------------------------------------------------- */

static void
copy(struct addresses *all, const struct addrinfo *from)
{
	for (; from && all->n < RESOLVE_ADDRESSES; from = from->ai_next) {
		struct address *a = &all->at[all->n];

		if (from->ai_family == AF_INET && from->ai_addrlen == sizeof(a->u.v4))
			memcpy(&a->u.v4, from->ai_addr, sizeof(a->u.v4));
		else if (from->ai_family == AF_INET6 && from->ai_addrlen == sizeof(a->u.v6))
			memcpy(&a->u.v6, from->ai_addr, sizeof(a->u.v6));
		else
			continue;
		all->n++;
	}
}

/* On a thread. */
static void
run(struct job *j)
{
	struct look_up *l = (struct look_up *)j;
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	l->error = getaddrinfo(l->name, NULL, &hints, &found);
	l->ran = true;
	if (l->error != 0)
		return;
	copy(&l->all, found);
	freeaddrinfo(found);
}

static enum resolve_got
judge(const struct look_up *l)
{
	if (!l->ran)
		return RESOLVE_TEMP;
	if (l->error == 0)
		return l->all.n ? RESOLVE_OK : RESOLVE_NONE;
	if (l->error == EAI_NONAME || l->error == EAI_NODATA || l->error == EAI_ADDRFAMILY)
		return RESOLVE_NONE;
	return RESOLVE_TEMP;
}

/* Those who asked may ask again at once, and H may go meanwhile: they wait in a line of their
 * own. */
static void
answer(const struct resolve *r, struct host *h, const struct look_up *l)
{
	struct list asks;
	enum resolve_got got = h->got;

	list_init(&asks);
	while (h->asks.n) {
		struct link *link = list_first(&h->asks);

		list_remove(&h->asks, link);
		list_append(&asks, link);
		LINKED(link, struct resolve_ask, link)->at = &asks;
	}
	while (asks.n && !r->closed) {
		struct resolve_ask *ask = LINKED(list_first(&asks), struct resolve_ask, link);

		resolve_forget(ask);
		ask->fn(ask, got, &l->all);
	}
}

static void
done(struct job *j)
{
	struct look_up *l = (struct look_up *)j;
	struct resolve *r = l->r;
	struct host *h = r->closed ? NULL : find_id(r, l->name, l->host);

	if (h) {
		h->pending = false;
		h->got = judge(l);
		h->all = l->all;
		h->expires = loop_now(r->loop) + (h->got == RESOLVE_OK ? r->cache_s : negative_s);
		answer(r, h, l);
	}
	free(l);
	unref(r);
}

static bool
start(struct resolve *r, struct host *h)
{
	struct look_up *l = calloc(1, sizeof(*l));

	if (!l)
		return false;
	l->job.run = run;
	l->job.done = done;
	l->r = r;
	l->host = h->id;
	memcpy(l->name, h->name, sizeof(l->name));
	if (!work_submit(r->work, &l->job)) {
		free(l);
		return false;
	}
	r->refs++;
	h->pending = true;
	return true;
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

enum resolve_got
resolve_host(struct resolve *r, struct slice host, struct resolve_ask *ask, struct addresses *all_r)
{
	if (parse(host, all_r))
		return RESOLVE_OK;
	if (host.n == 0 || host.n > HOST_MAX || memchr(host.p, '\0', host.n))
		return RESOLVE_NONE;

	struct host *h = find(r, host);

	if (h && !h->pending && h->expires > loop_now(r->loop)) {
		*all_r = h->all;
		return h->got;
	}
	if (!h)
		h = add(r, host);
	if (!h || (!h->pending && !start(r, h)))
		return RESOLVE_TEMP;
	ask->at = &h->asks;
	list_append(&h->asks, &ask->link);
	return RESOLVE_LATER;
}

void
resolve_forget(struct resolve_ask *ask)
{
	if (ask->at)
		list_remove(ask->at, &ask->link);
	ask->at = NULL;
}

struct resolve *
resolve_open(struct loop *l, struct work *w, unsigned cache_s)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1;
	r->loop = l;
	r->work = w;
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
	r->closed = true;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (r->buckets[i]) {
			struct host *h = r->buckets[i];

			r->buckets[i] = h->next;
			while (h->asks.n)
				resolve_forget(LINKED(list_first(&h->asks), struct resolve_ask,
				    link));
			free(h);
		}
	}
	unref(r);
}
