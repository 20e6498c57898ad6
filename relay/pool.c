/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool.h"

#include "relay/errand.h"
#include "relay/native.h"
#include "relay/smtp.h"
#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>

enum { REFUSALS_MAX = 3 };

static const double breaker_s = 300;
static const double breaker_max_s = 3600;
static const double cap_s = 60;
static const double forget_s = 3600;
static const double sweep_s = 30;
static const double patience_s = 0.25;

static void feed(struct upstream *u);

static struct smtp *
conn_of(struct link *l)
{
	return LINKED(l, struct smtp, link);
}

static struct relay_txn *
waiter_of(struct link *l)
{
	return LINKED(l, struct relay_txn, waits);
}

/* ---- where a connection is ---------------------------------------------------------------------- */

void
pool_move(struct smtp *c, struct list *to)
{
	if (c->at)
		list_remove(c->at, &c->link);
	c->at = to;
	if (to)
		list_push(to, &c->link);
	c->up->used = loop_now(c->up->r->loop);
}

static unsigned
connections(const struct upstream *u)
{
	return u->connecting.n + u->idle.n + u->leased.n;
}

static unsigned
connections_max(const struct upstream *u)
{
	unsigned max = u->connections_max ? u->connections_max : u->r->conf->upstream.max_connections;

	if (u->cap && u->cap_until > loop_now(u->r->loop) && u->cap < max)
		return u->cap;
	return max ? max : 1;
}

static bool
is_spent(const struct smtp *c)
{
	const struct upstream *u = c->up;
	const struct conf *conf = u->r->conf;
	unsigned max = u->messages_max ? u->messages_max : conf->upstream.messages_per_connection;

	return u->retired || c->conf_revision != conf->revision || (max && c->messages >= max) ||
	    loop_now(u->r->loop) - c->born > conf->upstream.max_age_s;
}

void
pool_purge(struct upstream *u)
{
	while (u->idle.n)
		smtp_quit(conn_of(list_first(&u->idle)));
}

static struct smtp *
open_connection(struct upstream *u, bool check)
{
	struct smtp *c = smtp_open(u, check);

	if (!c)
		return NULL;
	pool_ref(u);
	pool_move(c, check ? &u->dying : &u->connecting);
	u->r->opened++;
	return c;
}

/* ---- the waiting line --------------------------------------------------------------------------- */

static void
on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct upstream *u = w->data;
	struct relay_verdict v = errand_verdict(VERDICT_BUSY);
	ev_tstamp now = loop_now(u->r->loop);
	unsigned i = 0;

	(void)ev;
	(void)revents;
	pool_ref(u);
	list_each_safe(l, after, &u->waiting) {
		struct relay_txn *t = waiter_of(l);
		/* The first ones are being connected for, which has limits of its own. */
		bool served = i++ < u->connecting.n;

		if (t->waits_until > now || (served && !errand_may_hop(t)))
			continue;
		pool_leave(u, t);
		errand_unserved(t, &v);
	}
	if (u->waiting.n)
		feed(u);
	else
		ev_timer_stop(loop_ev(u->r->loop), &u->patience);
	pool_unref(u);
}

static void
wait_in_line(struct upstream *u, struct relay_txn *t)
{
	static const double hop_s = 2;
	double wait_s = u->r->conf->upstream.wait_s;

	t->line_at = &u->waiting;
	list_append(&u->waiting, &t->waits);
	if (errand_may_hop(t) && wait_s > hop_s)
		wait_s = hop_s;
	t->waits_until = loop_now(u->r->loop) + wait_s;
	if (!ev_is_active(&u->patience))
		ev_timer_again(loop_ev(u->r->loop), &u->patience);
}

void
pool_leave(struct upstream *u, struct relay_txn *t)
{
	if (t->line_at != &u->waiting)
		return;
	list_remove(&u->waiting, &t->waits);
	t->line_at = NULL;
}

static void
lease(struct smtp *c, struct relay_txn *t)
{
	pool_leave(c->up, t);
	pool_move(c, &c->up->leased);
	errand_leased(t, c);
	smtp_lease(c, t);
}

/* An idle one that may be used; those that may not are sent away. */
static struct smtp *
take_idle(struct upstream *u)
{
	while (u->idle.n) {
		struct smtp *c = conn_of(list_first(&u->idle));

		if (!is_spent(c) && stream_is_open(&c->s))
			return c;
		smtp_quit(c);
	}
	return NULL;
}

/* Serves the line from what is idle, and opens what is missing. */
static void
feed(struct upstream *u)
{
	struct smtp *c;

	while (u->waiting.n && (c = take_idle(u)) != NULL)
		lease(c, waiter_of(list_first(&u->waiting)));
	while (u->waiting.n > u->connecting.n && connections(u) < connections_max(u))
		if (!open_connection(u, false))
			break;
}

static bool
breaker_is_open(const struct upstream *u)
{
	if (u->refusals < REFUSALS_MAX)
		return false;
	return loop_now(u->r->loop) < u->closed_until || u->connecting.n > 0;
}

void
pool_want(struct upstream *u, struct relay_txn *t)
{
	struct smtp *c = take_idle(u);

	u->used = loop_now(u->r->loop);
	if (c) {
		lease(c, t);
		return;
	}
	if (breaker_is_open(u)) {
		struct relay_verdict v = errand_verdict(VERDICT_AUTH);

		errand_unserved(t, &v);
		return;
	}
	wait_in_line(u, t);
	feed(u);
}

void
pool_check(struct upstream *u)
{
	struct relay_verdict v = errand_verdict(VERDICT_NO_MEMORY);

	if (!open_connection(u, true))
		native_failed(u->endpoint, &v);
}

/* ---- what connections tell ---------------------------------------------------------------------- */

void
pool_ready(struct smtp *c)
{
	struct upstream *u = c->up;

	c->ready = true;
	u->refusals = 0;
	u->closed_s = 0;
	if (u->endpoint)
		native_alive(u->endpoint);
	if (c->check) {
		smtp_quit(c);
		return;
	}
	pool_move(c, &u->leased);
	if (u->waiting.n)
		lease(c, waiter_of(list_first(&u->waiting)));
	else
		pool_back(c);
}

void
pool_back(struct smtp *c)
{
	struct upstream *u = c->up;

	if (is_spent(c) || stream_in(&c->s).n) {
		smtp_quit(c);
		feed(u);
		return;
	}
	if (u->waiting.n) {
		lease(c, waiter_of(list_first(&u->waiting)));
		return;
	}
	c->reused = true;
	pool_move(c, &u->idle);
	if (u->r->conf->upstream.idle_s == 0)
		smtp_quit(c);
	else
		stream_deadline(&c->s, u->r->conf->upstream.idle_s);
}

static void
trip_breaker(struct upstream *u)
{
	if (++u->refusals < REFUSALS_MAX)
		return;
	u->closed_s = u->closed_s > 0 ? u->closed_s * 2 : breaker_s;
	if (u->closed_s > breaker_max_s)
		u->closed_s = breaker_max_s;
	u->closed_until = loop_now(u->r->loop) + u->closed_s;
	log_say(LOG_WARNING, "upstream",
	    "%s: the credential was refused %u times in a row; next try in %.0f s", u->route,
	    u->refusals, u->closed_s);
}

/* The upstream takes no more connections than those that it has: that is a limit, not a failure. */
static bool
is_full(struct upstream *u, const struct relay_verdict *v)
{
	unsigned has = u->leased.n + u->idle.n;

	if (has == 0 || (v->class != VERDICT_RATE && v->class != VERDICT_CONNECT) || !v->upstream.n)
		return false;
	u->cap = has;
	u->cap_until = loop_now(u->r->loop) + cap_s;
	return true;
}

void
pool_failed(struct upstream *u, bool check, const struct relay_verdict *v)
{
	u->r->failed++;
	if (v->class == VERDICT_AUTH)
		trip_breaker(u);
	bool full = is_full(u, v);

	if (u->endpoint && full)
		native_alive(u->endpoint);
	else if (u->endpoint)
		native_failed(u->endpoint, v);
	if (check || full)
		return;

	/* It speaks for all who have no attempt of their own; where others are connected, for one. */
	bool lonely = u->leased.n + u->idle.n == 0;

	pool_ref(u);
	while (u->waiting.n > u->connecting.n) {
		struct relay_txn *t = waiter_of(list_first(&u->waiting));

		pool_leave(u, t);
		errand_unserved(t, v);
		if (!lonely)
			break;
	}
	feed(u);
	pool_unref(u);
}

void
pool_gone(struct smtp *c)
{
	struct upstream *u = c->up;

	pool_move(c, NULL);
	if (c->ready && !u->r->closing)
		feed(u);
	pool_unref(u);
}

/* ---- life --------------------------------------------------------------------------------------- */

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
	assert(u->refs == 0 && !u->waiting.n && !connections(u) && !u->dying.n);
	unhash(u);
	list_remove(&u->r->upstreams, &u->link);
	ev_timer_stop(loop_ev(u->r->loop), &u->patience);
	if (u->trust)
		tls_ctx_unref(u->trust);
	secret_fini(&u->password);
	free(u->route);
	free(u->provider);
	free(u->host);
	free(u->username);
	free(u->sealed);
	free(u->ca_pem);
	free(u->ca_file);
	free(u->pin);
	free(u);
}

/* Stays for the next transaction unless it is retired; the sweep takes what is not used any more. */
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
	list_init(&u->waiting);
	ev_init(&u->patience, on_patience);
	u->patience.repeat = patience_s;
	u->patience.data = u;
	u->used = loop_now(r->loop);
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
	u->tls = m->tls;
	u->xclient = m->xclient;
	u->connections_max = m->max_connections;
	u->messages_max = m->messages_per_connection;
	if (!copy(&u->provider, "") || !copy(&u->host, m->host) || !copy(&u->username, m->username) ||
	    !copy(&u->sealed, "") || !copy(&u->ca_pem, "") || !copy(&u->pin, m->pin) ||
	    (m->ca_file && !copy(&u->ca_file, m->ca_file)) || !set_password(u, m)) {
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

static bool
is_same(const struct upstream *u, const struct profile *p)
{
	return u->profile == p->id && u->version == p->version && u->account == p->account &&
	    u->port == p->port && u->tls == p->tls && eq(u->host, p->host) &&
	    eq(u->username, p->username) && eq(u->ca_pem, p->ca_pem) && eq(u->pin, p->pin) &&
	    eq(u->provider, p->provider);
}

struct upstream *
pool_find(const struct relay *r, const struct profile *p)
{
	struct upstream *u = r->buckets[p->id % UPSTREAM_BUCKETS];

	while (u && u->profile != p->id)
		u = u->next;
	return u;
}

/* What may change without a new credential: the blob is sealed anew when keys rotate, the name and the caps are only ours. */
static bool
update(struct upstream *u, const struct profile *p)
{
	u->connections_max = p->max_connections;
	u->messages_max = p->messages_per_connection;
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
	u->port = p->port;
	u->tls = p->tls;
	u->connections_max = p->max_connections;
	u->messages_max = p->messages_per_connection;
	u->retired = older;
	if (!copy(&u->provider, p->provider) || !copy(&u->host, p->host) ||
	    !copy(&u->username, p->username) || !copy(&u->sealed, p->password) ||
	    !copy(&u->ca_pem, p->ca_pem) || !copy(&u->pin, p->pin)) {
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
		struct smtp *c = conn_of(list_first(list));

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
