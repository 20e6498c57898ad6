/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_upstream - upstreams: made, found, retired, forgotten
 */
#include "relay/pool/pool.h"

#include "relay/web/api.h"
#include "relay/web/oauth.h"
#include "relay/smtp/smtp.h"

#include <assert.h>
#include <stdlib.h>

static const double forget_s = 3600;
static const double sweep_s = 30;
static const double patience_s = 0.25;

struct upstream *
pool_ref(struct upstream *u)
{
	u->refs++;
	return u;
}

static struct upstream **
bucket(struct relay *r, uint64_t profile)
{
	return &r->buckets[profile % UPSTREAM_BUCKETS];
}

static void
unhash(struct upstream *u)
{
	for (struct upstream **at = bucket(u->r, u->profile); *at; at = &(*at)->next) {
		if (*at != u)
			continue;
		*at = u->next;
		return;
	}
}

static void
destroy(struct upstream *u)
{
	assert(u->refs == 0 && !u->line.waiting.n && !u->line.held && !u->connecting.n &&
	    !u->idle.n && !u->leased.n && !u->dying.n && !u->calls.n);
	unhash(u);
	list_remove(&u->r->upstreams, &u->link);
	ev_timer_stop(loop_ev(u->r->loop), &u->patience);
	if (u->trust)
		tls_ctx_unref(u->trust);
	http_close(u->http);
	oauth_close(u->oauth);
	secret_fini(&u->password);
	secret_fini(&u->refresh);
	free(u->route);
	free(u->provider);
	free(u->host);
	free(u->username);
	free(u->sealed);
	free(u->ca_pem);
	free(u->ca_file);
	free(u->pin);
	free(u->token_endpoint);
	free(u);
}

/* Stays for the next transaction unless it is retired; the sweep takes what is not used any
 * more. */
void
pool_unref(struct upstream *u)
{
	assert(u->refs > 0);
	if (--u->refs == 0 && u->retired)
		destroy(u);
}

void
pool_retire(struct upstream *u)
{
	if (u->retired)
		return;
	pool_ref(u);
	u->retired = true;
	unhash(u);
	pool_purge(u);
	pool_unref(u);
}

static bool
copy(char **to, const char *from)
{
	*to = strdup(from ? from : "");
	return *to != NULL;
}

static struct upstream *
make(struct relay *r, const char *kind, const char *name)
{
	struct upstream *u = calloc(1, sizeof(*u));
	char mem[300];
	struct text route = text_over(mem, sizeof(mem));

	if (!u)
		return NULL;
	u->r = r;
	list_init(&u->connecting);
	list_init(&u->idle);
	list_init(&u->leased);
	list_init(&u->dying);
	line_init(&u->line, &r->holders);
	list_init(&u->calls);
	ev_init(&u->patience, pool_on_patience);
	u->patience.repeat = patience_s;
	u->patience.data = u;
	u->used = loop_now(r->loop);
	u->kin = "";
	list_append(&r->upstreams, &u->link);
	text_put(&route, slice_str(kind));
	text_put(&route, slice_head(slice_str(name), 255));
	if (!copy(&u->route, mem)) {
		u->retired = true;
		destroy(u);
		return NULL;
	}
	return u;
}

static bool
set_password(struct upstream *u, const struct conf_mta *m)
{
	return secret_init(&u->password, slice_str(m->password));
}

struct upstream *
pool_mta(struct relay *r, const struct conf_mta *m, struct endpoint *e)
{
	struct upstream *u = make(r, "native:", m->name);

	if (!u)
		return NULL;
	u->native = true;
	u->endpoint = e;
	u->port = m->port ? m->port : m->tls == UPSTREAM_TLS_IMPLICIT ? 465 : 25;
	u->offer_key = offers_key(OFFERS_NATIVE, 0, m->host, u->port);
	u->tls = m->tls;
	u->xclient = m->xclient;
	u->connections_max = m->max_connections;
	u->messages_max = m->messages_per_connection;
	if (!copy(&u->provider, "") || !copy(&u->host, m->host) ||
	    !copy(&u->username, m->username) || !copy(&u->sealed, "") || !copy(&u->ca_pem, "") ||
	    !copy(&u->pin, m->pin) || (m->ca_file && !copy(&u->ca_file, m->ca_file)) ||
	    !set_password(u, m)) {
		u->retired = true;
		destroy(u);
		return NULL;
	}
	return pool_ref(u);
}

static bool
eq(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static const struct api_kind *
kind_of(const struct profile *p)
{
	return p->transport == TRANSPORT_API ? api_kind_of(p) : NULL;
}

static bool
is_same_login(const struct upstream *u, const struct profile *p)
{
	return u->auth == p->auth && eq(u->token_endpoint, p->token_endpoint) &&
	    (!u->oauth || oauth_is_same(u->oauth, p));
}

/* Asked for each message: what U's credentials are bound to is compared, not hashed again. */
static bool
is_same(const struct upstream *u, const struct profile *p)
{
	return u->profile == p->id && u->version == p->version && u->account == p->account &&
	    u->port == p->port && u->tls == p->tls && eq(u->host, p->host) &&
	    eq(u->username, p->username) && eq(u->ca_pem, p->ca) && eq(u->pin, p->pin) &&
	    eq(u->provider, p->provider) && u->transport == p->transport && u->api == kind_of(p) &&
	    is_same_login(u, p);
}

struct upstream *
pool_find(const struct relay *r, const struct profile *p)
{
	struct upstream *u = r->buckets[p->id % UPSTREAM_BUCKETS];

	while (u && u->profile != p->id)
		u = u->next;
	return u;
}

struct relay_offer
pool_offered(const struct upstream *u)
{
	struct relay_offer o = { 0 };

	if (!u->api)
		o = offers_find(shape_offers(u->r->shape), u->offer_key);
	return o.known ? o : u->offer;
}

void
pool_offer(struct upstream *u, const struct relay_offer *o)
{
	u->offer = *o;
	offers_note(shape_offers(u->r->shape), u->offer_key, o);
}

struct relay_offer
pool_offers(const struct relay *r, const struct profile *p)
{
	const struct upstream *u = pool_find(r, p);

	if (kind_of(p))
		return api_offer(kind_of(p));
	if (u && u->version == p->version)
		return pool_offered(u);
	return offers_find(shape_offers(r->shape), offers_key(p->id, p->version, p->host, p->port));
}

/* The preset, or at least whose words it speaks. */
static void
set_preset(struct upstream *u, const struct profile *p)
{
	const struct provider *at = provider_by_host(slice_str(p->host));

	u->preset = provider_of(p->provider);
	u->kin = u->preset->id == PROVIDER_CUSTOM && at ? at->kin : u->preset->kin;
	u->connections_max = p->max_connections;
	u->messages_max = p->messages_per_connection;
	u->per_minute = p->per_minute;
	u->strict = p->strict;
	u->old_tls = p->old_tls;
	u->refuse_quota = p->on_quota == ON_QUOTA_REJECT ||
	    (p->on_quota == ON_QUOTA_DEFAULT && u->r->conf->upstream.on_quota == QUOTA_REJECT);
}

/* What may change without a new credential: the blob is sealed anew when keys rotate, the name and
 * the caps are only ours. */
static bool
update(struct upstream *u, const struct profile *p)
{
	set_preset(u, p);
	if (u->oauth && !oauth_update(u->oauth, p))
		return false;
	if (eq(u->sealed, p->password))
		return true;

	char *sealed = strdup(p->password ? p->password : "");

	if (!sealed)
		return false;
	free(u->sealed);
	u->sealed = sealed;
	return true;
}

struct upstream *
pool_profile(struct relay *r, const struct profile *p)
{
	struct upstream *u = pool_find(r, p);

	if (u && is_same(u, p))
		return update(u, p) ? u : NULL;
	/* A session may still hold the profile as it was: the newer one stays where it is found. */
	bool older = u && p->version < u->version;

	if (u && !older)
		pool_retire(u);
	u = make(r, "profile:", p->name);
	if (!u)
		return NULL;
	u->account = p->account;
	u->profile = p->id;
	u->version = p->version;
	u->offer_key = offers_key(p->id, p->version, p->host, p->port);
	u->port = p->port;
	u->tls = p->tls;
	u->transport = p->transport;
	u->auth = p->auth;
	set_preset(u, p);
	u->retired = older;
	u->api = kind_of(p);
	if (u->api)
		u->offer = api_offer(u->api);
	if (!copy(&u->provider, p->provider) || !copy(&u->host, p->host) ||
	    !copy(&u->username, p->username) || !copy(&u->sealed, p->password) ||
	    !copy(&u->ca_pem, p->ca) || !copy(&u->pin, p->pin) ||
	    !copy(&u->token_endpoint, p->token_endpoint) || !profile_bound_to(p, u->bound) ||
	    (p->auth == PROFILE_OAUTH2 && !(u->oauth = oauth_open(u, p)))) {
		u->retired = true;
		destroy(u);
		return NULL;
	}
	if (!older) {
		u->next = *bucket(r, p->id);
		*bucket(r, p->id) = u;
	}
	return u;
}

static void
on_sweep(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct relay *r = w->data;
	ev_tstamp now = loop_now(r->loop);

	(void)ev;
	(void)revents;
	list_each_safe(l, after, &r->upstreams) {
		struct upstream *u = LINKED(l, struct upstream, link);

		pool_say_again(u);
		if (u->http)
			http_sweep(u->http);
		if (u->refs == 0 && (u->retired || now - u->used > forget_s))
			destroy(u);
	}
}

void
pool_open(struct relay *r)
{
	list_init(&r->upstreams);
	ev_timer_init(&r->sweep, on_sweep, sweep_s, sweep_s);
	r->sweep.data = r;
	ev_timer_start(loop_ev(r->loop), &r->sweep);
}

static void
cut_all(struct list *list)
{
	while (list->n) {
		struct smtp *c = LINKED(list_first(list), struct smtp, link);

		c->txn = NULL;
		smtp_cut(c);
	}
}

void
pool_close(struct relay *r)
{
	ev_timer_stop(loop_ev(r->loop), &r->sweep);
	while (r->upstreams.n) {
		struct upstream *u = LINKED(list_first(&r->upstreams), struct upstream, link);

		pool_ref(u);
		cut_all(&u->connecting);
		cut_all(&u->idle);
		cut_all(&u->leased);
		cut_all(&u->dying);
		u->refs = 0;
		destroy(u);
	}
}
