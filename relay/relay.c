/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/relay.h"

#include "conf/dns_conf.h"
#include "relay/web/api.h"
#include "relay/web/convert.h"
#include "relay/web/nursery.h"
#include "relay/transaction.h"
#include "relay/pool/native.h"
#include "relay/pool/own.h"
#include "relay/web/oauth.h"
#include "relay/pool/pool.h"
#include "relay/smtp/smtp.h"

#include <stdlib.h>

/* What is left of a transaction that is over takes any amount. */
enum { ROOM_OF_NOBODY = 65536 };

static void
drop_trust(struct relay *r)
{
	if (r->trust)
		tls_ctx_unref(r->trust);
	r->trust = NULL;
}

static struct relay *
make(struct loop *l, struct work *w, struct conf *c, struct vault *v,
    const struct relay_events *events, void *ctx)
{
	struct dns_servers servers = dns_conf_servers(c);
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = l;
	r->work = w;
	r->conf = conf_ref(c);
	r->vault = v;
	r->events = events;
	r->ctx = ctx;
	list_init(&r->open);
	list_init(&r->spare);
	pool_open(r);
	r->shape = shape_open(1);
	r->own_shape = true;
	r->dns = dns_open(l, &servers);
	r->resolve = r->dns ? resolve_open(l, r->dns, c->upstream.dns_cache_s) : NULL;
	r->guard = guard_open(c);
	r->own = r->resolve && r->guard ? own_open(r) : NULL;
	r->ca_store = ca_store_open(r);
	r->spools.max = c->upstream.api_memory;
	if (!r->own || !r->ca_store || !r->shape) {
		relay_free(r);
		return NULL;
	}
	return r;
}

struct relay *
relay_new(struct loop *l, struct work *w, struct conf *c, struct vault *v,
    const struct relay_events *events, void *ctx)
{
	struct relay *r = make(l, w, c, v, events, ctx);

	if (r && !(r->native = native_open(r))) {
		relay_free(r);
		return NULL;
	}
	return r;
}

struct relay *
relay_new_without_mtas(struct loop *l, struct work *w, struct conf *c,
    const struct relay_events *events, void *ctx)
{
	return make(l, w, c, NULL, events, ctx);
}

void
relay_free(struct relay *r)
{
	if (!r)
		return;
	r->closing = true;
	transaction_close_all(r);
	native_close(r->native);
	pool_close(r);
	own_close(r->own);
	converter_close(r->converter);
	resolve_close(r->resolve);
	dns_close(r->dns);
	guard_close(r->guard);
	ca_store_close(r->ca_store);
	drop_trust(r);
	if (r->own_shape)
		shape_close(r->shape);
	conf_unref(r->conf);
	free(r);
}

/* What cannot be had anew stays as it was: no memory is no reason to lose the pool. */
void
relay_reconf(struct relay *r, struct conf *c, struct vault *v)
{
	struct guard *guard = guard_open(c);
	struct dns_servers servers = dns_conf_servers(c);
	struct own *own;
	struct native *native;

	if (guard) {
		guard_close(r->guard);
		r->guard = guard;
	}
	conf_ref(c);
	conf_unref(r->conf);
	r->conf = c;
	r->vault = v;
	drop_trust(r);
	ca_store_reconf(r->ca_store);
	r->spools.max = c->upstream.api_memory;
	resolve_set_cache(r->resolve, c->upstream.dns_cache_s);
	dns_set_servers(r->dns, &servers);
	own = own_open(r);
	if (own) {
		own_close(r->own);
		r->own = own;
	}
	native = native_open(r);
	if (native) {
		native_close(r->native);
		r->native = native;
	}
	list_each_safe(l, after, &r->upstreams)
		pool_purge(LINKED(l, struct upstream, link));
	/* Endpoints are numbered anew. */
	list_each_safe(l, after, &r->open)
		LINKED(l, struct relay_txn, link)->tried = 0;
}

bool
relay_convert_by(struct relay *r, int fd)
{
	r->converter = converter_open(r->loop, fd);
	return r->converter != NULL;
}

int
relay_nursery(const int *fds, size_t n, bool again)
{
	return nursery_run(fds, n, again);
}

void
relay_share(struct relay *r, struct shape *s, unsigned worker)
{
	if (r->own_shape)
		shape_close(r->shape);
	r->own_shape = false;
	r->shape = s;
	r->worker = worker;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

struct relay_offer
relay_offers(const struct relay *r, const struct profile *p)
{
	const struct provider *preset;
	struct relay_offer o;

	if (!p)
		return native_offers(r->native);
	preset = provider_of(p->provider);
	o = pool_offers(r, p);
	if (!o.known && preset->id != PROVIDER_CUSTOM)
		/* Until it has told, what is known of it. */
		o = (struct relay_offer){
			.known = true, .eight_bit = true, .smtputf8 = true, .dsn = true
		};
	o.size = smaller(o.size, preset->limits.size);
	o.recipients = smaller(o.recipients, preset->limits.recipients);
	return o;
}

struct relay_verdict relay_says(enum verdict_class class)
{
	return verdict_at_rcpt(transaction_verdict(class));
}

static struct relay_health
native_health(const struct native *n)
{
	struct relay_health h = { .used = true, .servers = n->n };

	for (unsigned i = 0; i < n->n; i++) {
		h.alive += !n->at[i].dead;
		h.idle += (unsigned)n->at[i].up->idle.n;
		h.leased += (unsigned)n->at[i].up->leased.n;
		h.waiting += (unsigned)n->at[i].up->line.waiting.n;
	}
	return h;
}

struct relay_health
relay_health(const struct relay *r, const struct profile *p)
{
	const struct upstream *u = p ? pool_find(r, p) : NULL;

	if (!p)
		return native_health(r->native);
	struct shaping known;
	double now = loop_now(r->loop);

	/* What the workers know together holds for one that has not used it. */
	if (!shape_look(&known, r->shape, shape_key(p->id), p->version))
		return (struct relay_health){ .used = u != NULL };

	struct relay_health h = {
		.used = u != NULL,
		.refusals = shape_refusals(&known),
		.held_s = shape_held(&known, now),
		.closed_s = shape_closed(&known, now),
	};

	if (!u)
		return h;
	return (struct relay_health){
		.used = true,
		.refusals = h.refusals,
		.held_s = h.held_s,
		.closed_s = h.closed_s,
		.idle = (unsigned)u->idle.n,
		.leased = (unsigned)u->leased.n,
		.waiting = (unsigned)u->line.waiting.n,
	};
}

static void
put(struct text *out, const char *name, uint64_t n)
{
	text_fmt(out, "\"%s\":%llu,", name, (unsigned long long)n);
}

static void
put_mtas(const struct relay *r, struct text *out)
{
	text_put(out, SLICE("\"mtas\":["));
	for (unsigned i = 0; i < r->native->n; i++) {
		const struct endpoint *e = &r->native->at[i];

		text_put(out, i ? SLICE(",{\"route\":\"") : SLICE("{\"route\":\""));
		text_json(out, slice_str(e->up->route));
		text_put(out, SLICE("\","));
		put(out, "leased", e->up->leased.n);
		put(out, "idle", e->up->idle.n);
		put(out, "waiting", e->up->line.waiting.n);
		text_put(out, e->dead ? SLICE("\"alive\":false}") : SLICE("\"alive\":true}"));
	}
	text_char(out, ']');
}

void
relay_status(const struct relay *r, struct text *out)
{
	uint64_t connecting = 0, idle = 0, leased = 0, waiting = 0, broken = 0;

	list_each_safe(l, after, &r->upstreams) {
		const struct upstream *u = LINKED(l, struct upstream, link);

		connecting += u->connecting.n;
		idle += u->idle.n;
		leased += u->leased.n;
		waiting += u->line.waiting.n;
		broken += shape_closed(&u->shaping, loop_now(r->loop)) > 0;
	}
	put(out, "transactions", r->open.n);
	put(out, "upstreams", r->upstreams.n);
	put(out, "connecting", connecting);
	put(out, "idle", idle);
	put(out, "leased", leased);
	put(out, "waiting", waiting);
	put(out, "credentials_refused", broken);
	put(out, "messages", r->messages);
	put(out, "connections_opened", r->opened);
	put(out, "connections_failed", r->failed);
	put(out, "connections_replaced", r->replaced);
	put_mtas(r, out);
}

struct dns *
relay_dns(const struct relay *r)
{
	return r->dns;
}

void
relay_on_token(struct relay *r, relay_token_fn *fn)
{
	r->keep_token = fn;
}

void
relay_token_kept(struct relay *r, uint64_t profile, bool good)
{
	list_each_safe(l, after, &r->upstreams) {
		struct upstream *u = LINKED(l, struct upstream, link);

		if (u->profile != profile || !u->oauth)
			continue;
		pool_ref(u);
		oauth_kept(u->oauth, good);
		pool_unref(u);
	}
}

/* ---- transactions ---------------------------------------------------------------------------- */

struct relay_txn *
relay_open(struct relay *r, const struct relay_order *order)
{
	return transaction_open(r, order);
}

bool
relay_rcpt(struct relay_txn *t, const struct rcpt_args *rcpt)
{
	if (!transaction_add(t, rcpt))
		return false;
	transaction_poke(t);
	return true;
}

void
relay_data(struct relay_txn *t)
{
	t->data = true;
	transaction_poke(t);
}

size_t
relay_room(const struct relay_txn *t)
{
	if (t->broken != VERDICT_OK || (!t->conn && !t->api))
		return ROOM_OF_NOBODY;
	return t->api ? api_room(t->api) : smtp_room(t->conn);
}

void
relay_content(struct relay_txn *t, struct slice octets)
{
	if (t->broken != VERDICT_OK || (!t->conn && !t->api))
		return;
	t->broken = t->api ? api_content(t->api, octets) : smtp_content(t->conn, octets);
	if (t->broken != VERDICT_OK)
		transaction_poke(t);
}

void
relay_finish(struct relay_txn *t)
{
	if (t->broken == VERDICT_OK)
		t->finish = true;
	transaction_poke(t);
}

void
relay_drop(struct relay_txn *t)
{
	t->dropped = true;
	transaction_poke(t);
}

struct slice
relay_route(const struct relay_txn *t)
{
	return t->route.p ? t->route : SLICE("");
}

struct slice
relay_peer(const struct relay_txn *t)
{
	return t->peer.p ? t->peer : SLICE("");
}
