/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/transaction.h"

#include "relay/web/api.h"
#include "relay/pool/native.h"
#include "relay/pool/pool.h"
#include "relay/smtp/smtp.h"

#include <assert.h>
#include <stdlib.h>

enum {
	ARENA_MAX = 4 << 20, /* some thousand recipients */
	SPARE_MAX = 256,
};

static void run(struct task *task);

struct relay_verdict transaction_verdict(enum verdict_class class)
{
	char mem[8];
	struct text none = text_over(mem, sizeof(mem));
	struct relay_verdict v = verdict_make(class, NULL, SLICE(""), &none);

	v.upstream = SLICE("");
	return v;
}

void
transaction_poke(struct relay_txn *t)
{
	loop_defer(t->r->loop, &t->task);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A used one keeps its first chunk of memory, and its link to the relay. */
static struct relay_txn *
take_memory(struct relay *r)
{
	struct relay_txn *t;

	if (r->spare.n) {
		struct link *l = list_first(&r->spare);

		t = LINKED(l, struct relay_txn, link);
		list_remove(&r->spare, l);
		return t;
	}
	t = calloc(1, sizeof(*t));
	if (t)
		arena_init(&t->arena, ARENA_MAX);
	return t;
}

static void
put_memory(struct relay *r, struct relay_txn *t)
{
	struct arena_mark start = { 0 };
	struct arena arena;

	arena_reset(&t->arena, start);
	arena = t->arena;
	*t = (struct relay_txn){ .arena = arena };
	if (r->spare.n < SPARE_MAX && !r->closing) {
		list_push(&r->spare, &t->link);
		return;
	}
	arena_fini(&t->arena);
	free(t);
}

/* Everything that it holds on to; the connection has been let go. */
static void
recycle(struct relay_txn *t)
{
	struct relay *r = t->r;

	loop_cancel(r->loop, &t->task);
	if (t->up)
		pool_leave(t->up, t);
	for (unsigned i = 0; i < t->routes_n; i++)
		if (t->routes[i])
			pool_unref(t->routes[i]);
	if (t->up)
		pool_unref(t->up);
	list_remove(&r->open, &t->link);
	put_memory(r, t);
}

void
transaction_close_all(struct relay *r)
{
	while (r->open.n) {
		struct relay_txn *t = LINKED(list_first(&r->open), struct relay_txn, link);

		if (t->conn)
			t->conn->txn = NULL;
		if (t->api)
			api_let_go(t->api);
		recycle(t);
	}
	while (r->spare.n) {
		struct link *l = list_first(&r->spare);
		struct relay_txn *t = LINKED(l, struct relay_txn, link);

		list_remove(&r->spare, l);
		arena_fini(&t->arena);
		free(t);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool
add_route(struct relay_txn *t, const struct profile *p)
{
	struct upstream *u = p ? pool_profile(t->r, p) : NULL;

	if (p && !u)
		return false;
	t->native[t->routes_n] = !p;
	t->routes[t->routes_n++] = u ? pool_ref(u) : NULL;
	return true;
}

static bool
keep_slice(struct relay_txn *t, struct slice from, struct slice *to)
{
	*to = arena_dup(&t->arena, from);
	return to->p != NULL;
}

struct relay_txn *
transaction_open(struct relay *r, const struct relay_order *o)
{
	struct relay_txn *t = take_memory(r);

	if (!t)
		return NULL;
	t->r = r;
	t->owner = o->owner;
	t->account = o->account;
	t->user = o->user;
	t->task.fn = run;
	t->end = &t->first;
	t->send_at = &t->first;
	t->answer_at = &t->first;
	t->broken = VERDICT_OK;
	list_append(&r->open, &t->link);
	if (!add_route(t, o->profile) || (o->has_fallback && !add_route(t, o->fallback)) ||
	    !transaction_set_mail(t, &o->mail) || !keep_slice(t, o->id, &t->id) ||
	    !keep_slice(t, o->client_address, &t->client_address) ||
	    !keep_slice(t, o->client_helo, &t->client_helo) ||
	    !keep_slice(t, o->client_login, &t->client_login)) {
		recycle(t);
		return NULL;
	}
	transaction_poke(t);
	return t;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void
tell_rcpt(struct relay_txn *t, struct rcpt *rcpt, const struct relay_verdict *v)
{
	struct relay_verdict said = verdict_at_rcpt(*v);

	rcpt->told = true;
	rcpt->accepted = v->class == VERDICT_OK;
	if (rcpt->accepted)
		t->told_good++;
	if (!t->dropped)
		t->r->events->on_rcpt(t->r->ctx, t->owner, rcpt->index, &said);
}

/* The owner has heard the last of it. */
static void
end(struct relay_txn *t)
{
	t->ended = true;
	transaction_poke(t);
}

static void
tell_end(struct relay_txn *t, const struct relay_verdict *v, bool done)
{
	struct relay_verdict said = verdict_at_end(*v);
	struct relay *r = t->r;

	end(t);
	if (t->dropped)
		return;
	if (done)
		r->events->on_done(r->ctx, t->owner, &said);
	else
		r->events->on_go(r->ctx, t->owner, &said);
}

/* All that is still to be told is T's verdict. */
static void
tell_failure(struct relay_txn *t)
{
	for (struct rcpt *rcpt = t->first; rcpt; rcpt = rcpt->next)
		if (!rcpt->told)
			tell_rcpt(t, rcpt, &t->verdict);
	if (t->data && !t->ended)
		tell_end(t, &t->verdict, false);
}

/* ---- the route ------------------------------------------------------------------------------- */

static bool
keep_verdict(struct relay_txn *t, const struct relay_verdict *v)
{
	t->verdict = *v;
	if (keep_slice(t, v->text, &t->verdict.text) &&
	    keep_slice(t, v->upstream, &t->verdict.upstream))
		return true;
	t->verdict = transaction_verdict(VERDICT_NO_MEMORY);
	return false;
}

static void
fail(struct relay_txn *t)
{
	t->failed = true;
	transaction_poke(t);
}

static void
use(struct relay_txn *t, struct upstream *u)
{
	struct upstream *was = t->up;

	t->up = pool_ref(u);
	if (was)
		pool_unref(was);
	/* Both cursors go back: this is another connection. */
	t->send_at = &t->first;
	t->answer_at = &t->first;
	t->accepted = 0;
	pool_want(u, t);
}

/* Takes the route that it is on; false where that has nothing left to try. */
static bool
set_out(struct relay_txn *t)
{
	struct upstream *u =
	    t->native[t->at] ? native_pick(t->r->native, &t->tried) : t->routes[t->at];

	if (!u)
		return false;
	use(t, u);
	return true;
}

bool
transaction_may_hop(const struct relay_txn *t)
{
	return t->native[t->at] && native_has_other(t->r->native, t->tried);
}

/* V stopped it, before content. Another MTA, another route, or the verdict. */
static void
turn_back(struct relay_txn *t)
{
	enum verdict_class class = t->verdict.class;

	t->conn = NULL;
	t->api = NULL;
	if (verdict_is_route_trouble(class) && t->native[t->at] && set_out(t))
		return;
	if (verdict_is_route_trouble(class) && t->at + 1 < t->routes_n && t->told_good == 0) {
		t->at++;
		t->tried = 0;
		t->replaced = false;
		if (set_out(t))
			return;
	}
	fail(t);
}

static void
start(struct relay_txn *t)
{
	if (set_out(t))
		return;
	/* A native route without a single [mta]. */
	t->verdict = transaction_verdict(VERDICT_CONFIG);
	turn_back(t);
}

void
transaction_unserved(struct relay_txn *t, const struct relay_verdict *v)
{
	(void)keep_verdict(t, v);
	t->unserved = true;
	transaction_poke(t);
}

void
transaction_leased(struct relay_txn *t, struct smtp *c)
{
	t->conn = c;
	t->route = arena_dup(&t->arena, slice_str(c->up->route));
	t->peer = arena_dup(&t->arena, slice_str(c->peer));
}

void
transaction_leased_api(struct relay_txn *t, struct api *a)
{
	t->api = a;
	t->route = arena_dup(&t->arena, slice_str(t->up->route));
	transaction_poke(t);
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void
let_go(struct relay_txn *t)
{
	struct smtp *c = t->conn;
	struct api *a = t->api;

	t->conn = NULL;
	t->api = NULL;
	if (c)
		smtp_let_go(c);
	if (a)
		api_let_go(a);
}

static void
break_off(struct relay_txn *t)
{
	struct relay_verdict v = transaction_verdict(t->broken);

	let_go(t);
	tell_end(t, &v, true);
}

static void
run(struct task *task)
{
	struct relay_txn *t = LINKED(task, struct relay_txn, task);

	if (t->ended || t->dropped) {
		let_go(t);
		recycle(t);
	} else if (t->broken != VERDICT_OK) {
		break_off(t);
	} else if (t->unserved) {
		t->unserved = false;
		turn_back(t);
	} else if (t->failed) {
		tell_failure(t);
	} else if (t->conn) {
		smtp_pump(t->conn);
	} else if (t->api) {
		api_pump(t->api);
	} else if (!t->up) {
		start(t);
	}
}

/* ---- the dialogue's side --------------------------------------------------------------------- */

/* Those who were told that they are refused stay so. */
static bool
is_out(const struct rcpt *rcpt)
{
	return rcpt->told && !rcpt->accepted;
}

struct rcpt *
transaction_next_rcpt(struct relay_txn *t)
{
	while (*t->send_at && is_out(*t->send_at))
		t->send_at = &(*t->send_at)->next;
	return *t->send_at;
}

/* The cursor of answers passes those that no answer will come for. */
static void
settle(struct relay_txn *t)
{
	while (t->answer_at != t->send_at && *t->answer_at) {
		struct rcpt *rcpt = *t->answer_at;

		if (!is_out(rcpt) && rcpt->here == VERDICT_OK)
			return;
		t->answer_at = &rcpt->next;
		if (!rcpt->told) {
			struct relay_verdict v = transaction_verdict(rcpt->here);

			tell_rcpt(t, rcpt, &v);
		} else if (rcpt->accepted) {
			/* Another MTA could; this one cannot. */
			t->verdict = transaction_verdict(VERDICT_LOST);
			let_go(t);
			fail(t);
			return;
		}
	}
}

void
transaction_sent(struct relay_txn *t)
{
	t->send_at = &(*t->send_at)->next;
	settle(t);
}

void
transaction_rcpt_answer(struct relay_txn *t, const struct relay_verdict *v)
{
	struct rcpt *rcpt;
	bool good = v->class == VERDICT_OK;

	settle(t);
	assert(*t->answer_at && t->answer_at != t->send_at);
	rcpt = *t->answer_at;
	t->answer_at = &rcpt->next;
	if (good)
		t->accepted++;
	if (rcpt->told && !good) {
		/* It was accepted over a connection that died. Nobody may think now that all is
		 * well. */
		t->verdict = transaction_verdict(VERDICT_LOST);
		let_go(t);
		fail(t);
		return;
	}
	if (!rcpt->told && !good && t->accepted == 0 && t->told_good == 0 &&
	    verdict_is_route_trouble(v->class) && t->at + 1 < t->routes_n) {
		(void)keep_verdict(t, v);
		let_go(t);
		t->unserved = true;
		transaction_poke(t);
		return;
	}
	if (!rcpt->told)
		tell_rcpt(t, rcpt, v);
	settle(t);
}

void
transaction_refused(struct relay_txn *t, const struct relay_verdict *v)
{
	transaction_unserved(t, v);
	t->conn = NULL;
	t->api = NULL;
}

void
transaction_go(struct relay_txn *t, const struct relay_verdict *v)
{
	t->content = true;
	if (!t->dropped)
		t->r->events->on_go(t->r->ctx, t->owner, v);
}

void
transaction_room(struct relay_txn *t)
{
	if (!t->dropped && !t->ended)
		t->r->events->on_room(t->r->ctx, t->owner);
}

void
transaction_done(struct relay_txn *t, const struct relay_verdict *v)
{
	t->conn = NULL;
	t->api = NULL;
	tell_end(t, v, true);
}

void
transaction_lost(struct relay_txn *t, const struct relay_verdict *v, bool may_replace)
{
	struct upstream *u = t->up;

	t->conn = NULL;
	if (t->content) {
		tell_end(t, v, true);
		return;
	}
	if (may_replace && !t->replaced && !t->dropped) {
		t->replaced = true;
		t->r->replaced++;
		pool_purge(u);
		use(t, u);
		return;
	}
	transaction_unserved(t, v);
}
