/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/counters_memcached_thread.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	TRIES = 4,          /* of a reservation that found no room */
	BACK_OFF_MS = 1000, /* doubles ... */
	BACK_OFF_MAX_MS = 10000,
	SILENCES = 3,
	PROBE_MS = 250,
	BUMP_MS = 5000, /* between epochs that numbers which went missing make us begin; doubles */
	BUMP_MAX_MS = 600000,
	ROUNDS = 4, /* of one batch, while epochs change */
	GATHER_US =
	    1000, /* between the beginnings of two batches: what comes meanwhile goes together */
};

static uint64_t
mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
mono_ms(void)
{
	return mono_us() / 1000;
}

/* ---- lists ---- */

void
orders_init(struct orders *l)
{
	l->first = NULL;
	l->last = &l->first;
}

void
orders_put(struct orders *l, struct counters_order *o)
{
	o->next = NULL;
	*l->last = o;
	l->last = &o->next;
}

struct counters_order *
orders_take(struct orders *l)
{
	struct counters_order *o = l->first;

	if (o) {
		l->first = o->next;
		if (!l->first)
			l->last = &l->first;
	}
	return o;
}

void
orders_move(struct orders *to, struct orders *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	orders_init(from);
}

/* ---- the thread: answers ---- */

bool
server_is_silent(const struct server *s)
{
	return atomic_load_explicit(&s->state, memory_order_relaxed) == SERVER_SILENT;
}

static void
answer(struct server *s, struct counters_order *o)
{
	struct counters_remote *r = s->remote;

	if (!o->done) { /* a sync of ours */
		free(o);
		return;
	}
	pthread_mutex_lock(&r->lock);
	orders_put(&r->answers, o);
	pthread_mutex_unlock(&r->lock);
}

static void
tell(struct server *s, enum news news)
{
	atomic_fetch_or(&s->news, (unsigned)news);
	ev_async_send(loop_ev(s->remote->loop), &s->remote->answered);
}

static void
queue_again(struct server *s, struct counters_order *o, uint64_t in_ms)
{
	o->due_ms = in_ms ? mono_ms() + in_ms : 0;
	pthread_mutex_lock(&s->lock);
	orders_put(&s->queue, o);
	pthread_mutex_unlock(&s->lock);
}

/* An order that came through a batch. */
static void
dispose(struct server *s, struct counters_order *o)
{
	if (o->again && ++o->tries < TRIES && !s->stopping) {
		o->exact = true;
		/* Those that stood in each other's way come at different times. */
		queue_again(s, o, (unsigned)rand_r(&s->dice) % (4U << o->tries));
		return;
	}
	if (o->verb == COUNTERS_RESERVE && o->verdict == COUNTERS_OVER && o->again) {
		/* Once more through a batch, which takes back what it had added. */
		o->verb = COUNTERS_SYNC;
		o->again = false;
		queue_again(s, o, 0);
		return;
	}
	answer(s, o);
}

/* ---- the thread: the server comes and goes ---- */

static _Atomic uint64_t *
known_epoch(struct server *s)
{
	return &counters_common(s->remote->shared)->server[s->index].epoch;
}

static _Atomic bool *
doubt_of(struct server *s)
{
	return &counters_common(s->remote->shared)->server[s->index].doubt;
}

static void
scan_anew(struct server *s)
{
	s->scans = true;
	s->scan_at = 0;
}

/* From now on EPOCH is the server's. Once in it this node may put back what a checkpoint held. */
static enum exchange
adopt(struct server *s, uint64_t epoch)
{
	struct counters_common *c = counters_common(s->remote->shared);
	uint64_t known = atomic_load(&c->server[s->index].epoch);

	while (epoch > known) {
		bool first = true;
		enum exchange e = link_claim(s->link, epoch, s->remote->claim, c->life, &first);

		if (e != EXCHANGE_OK)
			return e;
		atomic_store(&c->server[s->index].refilled, !first);
		if (!atomic_compare_exchange_weak(&c->server[s->index].epoch, &known, epoch))
			continue;
		if (known != 0) {
			atomic_store(&c->server[s->index].since_ms, counters_wall_ms());
			tell(s, NEWS_EMPTY);
		}
		break;
	}
	scan_anew(s);
	return EXCHANGE_OK;
}

static void
note_good(struct server *s)
{
	s->silent = 0;
	s->back_off_ms = 0;
	s->probe_ms = mono_ms() + PROBE_MS;
	if (!server_is_silent(s))
		return;
	scan_anew(s); /* what was counted here meanwhile is owed */
	atomic_store(&s->state, SERVER_UP);
	tell(s, NEWS_BACK);
}

static void
note_bad(struct server *s, enum exchange e)
{
	bool was = server_is_silent(s);

	if (e == EXCHANGE_SILENT)
		atomic_fetch_add_explicit(&s->silences, 1, memory_order_relaxed);
	if (!was && e == EXCHANGE_SILENT && ++s->silent < SILENCES)
		return;
	s->back_off_ms = s->back_off_ms == 0       ? BACK_OFF_MS
	    : s->back_off_ms * 2 < BACK_OFF_MAX_MS ? s->back_off_ms * 2
	                                           : BACK_OFF_MAX_MS;
	/* A server that refuses costs nothing to ask. */
	s->retry_ms = mono_ms() + (e == EXCHANGE_REFUSED ? PROBE_MS : s->back_off_ms);
	atomic_store(&s->state, SERVER_SILENT);
	if (!was)
		tell(s, NEWS_LOST);
}

/* Which epoch the server is in. */
static enum exchange
look_up_epoch(struct server *s, bool bump)
{
	struct counters_common *c = counters_common(s->remote->shared);
	uint64_t known = atomic_load(&c->server[s->index].epoch);
	uint64_t next = counters_wall_ms();
	uint64_t epoch;
	/* Where the server is in the epoch that we know, that is well. */
	uint64_t old = bump || known == 0 ? known : known - 1;

	if (next <= known)
		next = known + 1;
	enum exchange e =
	    link_epoch(s->link, old, next, counters_wall_ms() + EPOCH_AHEAD_MS, &epoch);

	return e == EXCHANGE_OK && epoch > known ? adopt(s, epoch) : e;
}

/* What became of a batch that was not answered. OK: that is known now. */
static enum exchange
clear_up(struct server *s)
{
	struct counters_batch *b = &s->batch;
	bool arrived;
	enum exchange e = link_arrived(s->link, b->epoch, &arrived);

	if (e == EXCHANGE_OK && !arrived && atomic_load(known_epoch(s)) == b->epoch)
		e = look_up_epoch(s, true);
	if (e != EXCHANGE_OK)
		return e;
	if (arrived)
		batch_arrived(b);
	else
		batch_forget(b);
	scan_anew(s);
	return EXCHANGE_OK;
}

/* There is nothing left in doubt, and an epoch. */
static enum exchange
make_ready(struct server *s)
{
	enum exchange e = EXCHANGE_OK;

	if (s->batch.state == BATCH_UNKNOWN)
		e = clear_up(s);
	if (e == EXCHANGE_OK && atomic_load(known_epoch(s)) == 0)
		e = look_up_epoch(s, false);
	if (e == EXCHANGE_OK && atomic_exchange(doubt_of(s), false)) {
		e = look_up_epoch(s, true);
		if (e != EXCHANGE_OK)
			atomic_store(doubt_of(s), true);
	}
	return e;
}

/* Nobody else can find out what arrived: the next worker begins a new epoch. */
static void
leave_doubt(struct server *s)
{
	if (s->batch.state == BATCH_UNKNOWN && make_ready(s) != EXCHANGE_OK)
		atomic_store(doubt_of(s), true);
}

static void
probe(struct server *s)
{
	enum exchange e = make_ready(s);

	if (e == EXCHANGE_OK)
		e = look_up_epoch(s, false);
	if (e == EXCHANGE_OK)
		note_good(s);
	else
		note_bad(s, e);
	s->probe_ms = mono_ms() + PROBE_MS;
}

/* ---- the thread: batches ---- */

/* Sends what the batch holds. EPOCH: nothing of it counts, once more in the one that we now
 * know. */
static enum exchange
exchange(struct server *s)
{
	struct counters_batch *b = &s->batch;
	uint64_t epoch;

	if (b->stale)
		return EXCHANGE_EPOCH;
	enum exchange e = link_exchange(s->link, b, &epoch);

	atomic_fetch_add_explicit(&s->batches, 1, memory_order_relaxed);
	if (e != EXCHANGE_EPOCH)
		return e;
	e = look_up_epoch(s, false);
	/* What was sent in an epoch that may not be over stays in doubt. */
	return e == EXCHANGE_OK && atomic_load(known_epoch(s)) > b->epoch ? EXCHANGE_EPOCH
	                                                                  : EXCHANGE_SILENT;
}

static void
fill(struct server *s, struct orders *todo)
{
	struct counters_batch *b = &s->batch;

	batch_begin(b, s->remote->shared, s->index, counters_wall_ms());
	while (todo->first && batch_add(b, todo->first))
		(void)orders_take(todo);
}

/* The same orders again, before those that are left. */
static void
put_back(struct server *s, struct orders *todo)
{
	struct orders back;

	orders_init(&back);
	for (unsigned k = 0; k < s->batch.orders_n; k++)
		orders_put(&back, s->batch.order[k]);
	orders_move(&back, todo);
	orders_init(todo);
	orders_move(todo, &back);
}

static enum exchange
send_batch(struct server *s, struct orders *todo)
{
	for (unsigned round = 1;; round++) {
		fill(s, todo);
		enum exchange e = exchange(s);

		if (e != EXCHANGE_EPOCH || round == ROUNDS)
			return e;
		batch_undo(&s->batch);
		put_back(s, todo);
	}
}

/* Numbers have gone while the server stood, or cannot be right: it has too little memory, or
 * somebody else writes there. One that loses them again and again gets a new epoch less and less
 * often. */
static void
begin_anew(struct server *s)
{
	uint64_t now = mono_ms();

	if (now < s->bump_ms)
		return;
	s->bump_wait_ms = now > s->bump_ms + BUMP_MAX_MS ? BUMP_MS
	    : s->bump_wait_ms * 2 < BUMP_MAX_MS          ? s->bump_wait_ms * 2
	                                                 : BUMP_MAX_MS;
	s->bump_ms = now + s->bump_wait_ms;
	tell(s, NEWS_EVICTED);
	(void)look_up_epoch(s, true);
}

static void
decide_here(struct server *s, struct orders *todo)
{
	struct counters_order *o;

	while ((o = orders_take(todo))) {
		if (o->verb != COUNTERS_SYNC)
			batch_decide_here(s->remote->shared, o, atomic_load(&s->remote->loss),
			    counters_wall_ms());
		o->again = false;
		answer(s, o);
	}
	ev_async_send(loop_ev(s->remote->loop), &s->remote->answered);
}

static void
run(struct server *s, struct orders *todo)
{
	struct counters_batch *b = &s->batch;
	enum counter_loss loss = atomic_load(&s->remote->loss);

	s->began_us = mono_us();
	enum exchange e = make_ready(s);

	if (e != EXCHANGE_OK) {
		decide_here(s, todo);
		note_bad(s, e);
		return;
	}
	e = send_batch(s, todo);
	switch (e) {
	case EXCHANGE_OK:
		batch_settle(b, loss);
		note_good(s);
		break;
	case EXCHANGE_SILENT:
		batch_leave(b, loss);
		note_bad(s, e);
		break;
	case EXCHANGE_EPOCH:
	case EXCHANGE_REFUSED:
		batch_unsent(b, loss);
		note_bad(s, EXCHANGE_REFUSED);
		break;
	}
	atomic_fetch_add_explicit(&s->orders, b->orders_n, memory_order_relaxed);
	s->crowded = b->orders_n > 1;
	for (unsigned i = 0; i < b->orders_n; i++)
		dispose(s, b->order[i]);
	ev_async_send(loop_ev(s->remote->loop), &s->remote->answered);
	if (e == EXCHANGE_OK && b->lost)
		begin_anew(s);
}

static bool
sync_one(void *ctx, struct counters_record *r)
{
	struct server *s = ctx;

	if (r->server != s->index)
		return true;
	if (s->batch.ops_n + COUNTERS_RING > BATCH_OPS)
		return false;
	(void)batch_sync(&s->batch, r);
	return !s->batch.stale;
}

/* A piece of all series: what they owe. */
static void
scan(struct server *s)
{
	struct counters_batch *b = &s->batch;
	enum exchange e = make_ready(s);

	if (e != EXCHANGE_OK) {
		note_bad(s, e);
		return;
	}
	batch_begin(b, s->remote->shared, s->index, counters_wall_ms());
	s->scans = !counters_each(s->remote->shared, &s->scan_at, sync_one, s);
	e = b->ops_n > 0 || b->stale ? exchange(s) : EXCHANGE_OK;
	switch (e) {
	case EXCHANGE_OK:
		batch_settle(b, COUNTER_LOSS_LOCAL);
		break;
	case EXCHANGE_EPOCH:
		batch_undo(b);
		scan_anew(s);
		break;
	case EXCHANGE_SILENT:
		batch_leave(b, COUNTER_LOSS_LOCAL);
		note_bad(s, e);
		break;
	case EXCHANGE_REFUSED:
		batch_undo(b);
		note_bad(s, e);
		break;
	}
}

/* ---- the thread: its life ---- */

/* A server that was asked just now is not asked for every order alone: a crowd shares the cost, and
 * who comes alone does not wait. */
static void
let_gather(const struct server *s)
{
	uint64_t since = mono_us() - s->began_us;
	struct timespec t = { 0 };

	if (!s->crowded || since >= GATHER_US || s->stopping)
		return;
	t.tv_nsec = (long)(GATHER_US - since) * 1000;
	(void)nanosleep(&t, NULL);
}

/* What is due of the queue; waits for it, or for something else to do. False: the end. */
static bool
next(struct server *s, struct orders *todo)
{
	struct orders later;
	uint64_t now = mono_ms();
	uint64_t until = server_is_silent(s) ? s->retry_ms : s->probe_ms;
	struct counters_order *o;

	orders_init(todo);
	orders_init(&later);
	pthread_mutex_lock(&s->lock);
	while ((o = orders_take(&s->queue))) {
		if (o->due_ms > now && !s->stopping) {
			until = o->due_ms < until ? o->due_ms : until;
			orders_put(&later, o);
		} else {
			orders_put(todo, o);
		}
	}
	orders_move(&s->queue, &later);
	if (!todo->first && !s->stopping && until > now && !s->scans) {
		struct timespec t = { .tv_sec = (time_t)(until / 1000),
			.tv_nsec = (long)(until % 1000) * 1000000 };

		(void)pthread_cond_timedwait(&s->wake, &s->lock, &t);
	}
	bool goes_on = !s->stopping || todo->first;

	pthread_mutex_unlock(&s->lock);
	return goes_on;
}

void *
server_serve(void *arg)
{
	struct server *s = arg;
	struct orders todo;

	(void)prctl(PR_SET_NAME, "counters", 0, 0, 0);
	while (next(s, &todo)) {
		bool silent = server_is_silent(s);

		if (silent && todo.first)
			decide_here(s, &todo);
		while (todo.first)
			run(s, &todo);
		if (mono_ms() >= (silent ? s->retry_ms : s->probe_ms))
			probe(s);
		if (s->scans && !server_is_silent(s))
			scan(s);
		else if (server_is_silent(s))
			s->scans = false; /* note_good() begins anew */
		let_gather(s);
	}
	return NULL;
}

void
server_finish(struct server *s)
{
	while (s->gathered.first)
		run(s, &s->gathered);
	leave_doubt(s);
}
