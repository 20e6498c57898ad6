/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/own.h"

#include <stdlib.h>

enum { SEEN_MAX = 64, KEPT_S = 3600, SOON_S = 5 };

struct seen {
	struct net at;
	ev_tstamp last;
};

struct host {
	struct own *own;
	const char *name; /* of the configuration, which the relay holds */
	struct dns_ask ask;
	bool failed;
	size_t n;
	struct seen seen[SEEN_MAX];
};

struct own {
	struct relay *r;
	struct conf *conf;
	ev_timer timer;
	size_t pending; /* look-ups that are out */
	size_t n;
	struct host hosts[];
};

static void
note(struct host *h, const struct net *at)
{
	ev_tstamp now = loop_now(h->own->r->loop);
	size_t oldest = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (memcmp(h->seen[i].at.addr, at->addr, sizeof(at->addr)) == 0 &&
		    h->seen[i].at.family == at->family) {
			h->seen[i].last = now;
			return;
		}
		if (h->seen[i].last < h->seen[oldest].last)
			oldest = i;
	}
	if (h->n < SEEN_MAX)
		oldest = h->n++;
	h->seen[oldest] = (struct seen){ *at, now };
}

static void
tell_guard(struct own *o)
{
	struct net *all = calloc(GUARD_MTAS_MAX, sizeof(*all));
	ev_tstamp now = loop_now(o->r->loop);
	size_t n = 0;

	if (!all)
		return;
	for (size_t i = 0; i < o->n; i++)
		for (size_t j = 0; j < o->hosts[i].n && n < GUARD_MTAS_MAX; j++)
			if (now - o->hosts[i].seen[j].last < KEPT_S)
				all[n++] = o->hosts[i].seen[j].at;
	guard_set_mtas(o->r->guard, all, n);
	free(all);
}

/* All have been looked up once. */
static void
settle(struct own *o)
{
	bool failed = false;

	if (o->pending)
		return;
	for (size_t i = 0; i < o->n; i++)
		failed = failed || o->hosts[i].failed;
	tell_guard(o);
	ev_timer_stop(loop_ev(o->r->loop), &o->timer);
	ev_timer_set(&o->timer, failed ? SOON_S : OWN_FRESH_S, 0.);
	ev_timer_start(loop_ev(o->r->loop), &o->timer);
	resolve_release(o->r->resolve);
}

static void
on_answer(struct dns_ask *ask, const struct dns_answer *a)
{
	struct host *h = LINKED(ask, struct host, ask);
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
	struct net at;

	h->failed = a->got == DNS_FAILED;
	for (size_t i = 0; a->got == DNS_FOUND && i < a->n; i++) {
		struct slice value = a->at[i].value;

		memset(&u, 0, sizeof(u));
		if (value.n == sizeof(u.v6.sin6_addr)) {
			u.v6.sin6_family = AF_INET6;
			memcpy(&u.v6.sin6_addr, value.p, value.n);
		} else {
			u.v4.sin_family = AF_INET;
			memcpy(&u.v4.sin_addr, value.p, sizeof(u.v4.sin_addr));
		}
		if (net_of(&u.sa, &at))
			note(h, &at);
	}
	h->own->pending--;
	settle(h->own);
}

static void
look(struct own *o)
{
	o->pending = o->n + 1;
	for (size_t i = 0; i < o->n; i++) {
		struct host *h = &o->hosts[i];
		struct net at;

		if (net_parse(slice_str(h->name), &at)) {
			note(h, &at);
			o->pending--;
			continue;
		}
		h->failed = !dns_look_up(o->r->dns, 0, slice_str(h->name), DNS_ADDRESS,
		    DNS_PATIENCE_S, &h->ask);
		if (h->failed)
			o->pending--;
	}
	o->pending--;
	settle(o);
}

static void
on_timer(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	look(t->data);
}

struct own *
own_open(struct relay *r)
{
	size_t n = r->conf->mtas_n;
	struct own *o = calloc(1, sizeof(*o) + n * sizeof(o->hosts[0]));

	if (!o)
		return NULL;
	o->r = r;
	o->conf = conf_ref(r->conf);
	o->n = n;
	for (size_t i = 0; i < n; i++) {
		o->hosts[i].own = o;
		o->hosts[i].name = r->conf->mtas[i].host;
		o->hosts[i].ask.fn = on_answer;
	}
	ev_init(&o->timer, on_timer);
	o->timer.data = o;
	resolve_hold(r->resolve);
	look(o);
	return o;
}

void
own_close(struct own *o)
{
	if (!o)
		return;
	ev_timer_stop(loop_ev(o->r->loop), &o->timer);
	for (size_t i = 0; i < o->n; i++)
		dns_forget(&o->hosts[i].ask);
	conf_unref(o->conf);
	free(o);
}
