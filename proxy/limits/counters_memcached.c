/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_memcached - queues, threads, breaker
 *
 *      loop:    ask -> gathered --(end of turn)--> queue          answers -> done()
 *                                                    |                ^
 *      thread:                            all that is due -> batch ---'--> again, a little later
 */
#include "proxy/limits/counters_memcached.h"

#include "wire/log.h"

#include <libmemcached/memcached.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>

enum {
	TRIES = 4,          /* of a reservation that found no room */
	BACK_OFF_MS = 1000, /* doubles ... */
	BACK_OFF_MAX_MS = 10000,
	SILENCES = 3,
	PROBE_MS = 250,
	BUMP_MS = 5000, /* between epochs that numbers which went missing make us begin */
	ROUNDS = 4,     /* of one batch, while epochs change */
	GATHER_US =
	    1000, /* between the beginnings of two batches: what comes meanwhile goes together */
};

enum news { NEWS_NONE, NEWS_LOST = 1, NEWS_BACK = 2, NEWS_EMPTY = 4, NEWS_EVICTED = 8 };

struct orders {
	struct counters_order *first, **last;
};

struct server {
	struct counters_remote *remote;
	unsigned index;
	struct counter_server at;
	struct orders gathered; /* the loop's */
	pthread_t thread;
	bool opened, started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct orders queue; /* under the lock */
	_Atomic bool stopping;
	_Atomic bool down;
	_Atomic unsigned news;
	_Atomic uint64_t batches, orders, silences;
	/* the thread's */
	struct memcached_link *link;
	struct counters_batch batch;
	unsigned silent;
	uint64_t began_us;                                 /* the last batch */
	bool crowded;                                      /* it was for more than one */
	uint64_t back_off_ms, retry_ms, probe_ms, bump_ms; /* monotonic */
	bool scans;
	size_t scan_at;
	unsigned dice;
};

struct counters_remote {
	struct loop *loop;
	struct counters_shared *shared;
	memcached_st *ring; /* for its hash alone, on the loop */
	_Atomic enum counter_loss loss;
	char claim[32]; /* this node's word in each epoch */
	struct task flush;
	ev_async answered;
	pthread_mutex_t lock;
	struct orders answers;
	size_t servers_n;
	struct server server[];
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

static void
orders_init(struct orders *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
orders_put(struct orders *l, struct counters_order *o)
{
	o->next = NULL;
	*l->last = o;
	l->last = &o->next;
}

static struct counters_order *
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

static void
orders_move(struct orders *to, struct orders *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	orders_init(from);
}

/* ---- the thread: answers ---- */

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
	s->scans = true;
	s->scan_at = 0;
	return EXCHANGE_OK;
}

static void
note_good(struct server *s)
{
	s->silent = 0;
	s->back_off_ms = 0;
	s->probe_ms = mono_ms() + PROBE_MS;
	if (!atomic_load_explicit(&s->down, memory_order_relaxed))
		return;
	/* What was counted here meanwhile is owed. */
	s->scans = true;
	s->scan_at = 0;
	atomic_store(&s->down, false);
	tell(s, NEWS_BACK);
}

static void
note_bad(struct server *s, enum exchange e)
{
	bool was = atomic_load_explicit(&s->down, memory_order_relaxed);

	if (e == EXCHANGE_SILENT)
		atomic_fetch_add_explicit(&s->silences, 1, memory_order_relaxed);
	if (!was && e == EXCHANGE_SILENT && ++s->silent < SILENCES)
		return;
	s->back_off_ms = s->back_off_ms == 0       ? BACK_OFF_MS
	    : s->back_off_ms * 2 < BACK_OFF_MAX_MS ? s->back_off_ms * 2
	                                           : BACK_OFF_MAX_MS;
	/* A server that refuses costs nothing to ask. */
	s->retry_ms = mono_ms() + (e == EXCHANGE_REFUSED ? PROBE_MS : s->back_off_ms);
	atomic_store(&s->down, true);
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
	enum exchange e = link_epoch(s->link, old, next, &epoch);

	return e == EXCHANGE_OK && epoch > known ? adopt(s, epoch) : e;
}

static void
probe(struct server *s)
{
	enum exchange e = look_up_epoch(s, false);

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

	if (b->stale) {
		batch_undo(b);
		return EXCHANGE_EPOCH;
	}
	enum exchange e = link_exchange(s->link, b, &epoch);

	atomic_fetch_add_explicit(&s->batches, 1, memory_order_relaxed);
	if (e == EXCHANGE_EPOCH && epoch > b->epoch) {
		e = adopt(s, epoch);
		e = e == EXCHANGE_OK ? EXCHANGE_EPOCH : e;
	} else if (e == EXCHANGE_EPOCH) {
		e = look_up_epoch(s, false);
		e = e == EXCHANGE_OK ? EXCHANGE_EPOCH : e;
	}
	return e;
}

static void
fill(struct server *s, struct orders *todo)
{
	struct counters_batch *b = &s->batch;

	batch_begin(b, s->remote->shared, s->index, counters_wall_ms());
	while (todo->first && batch_add(b, todo->first))
		(void)orders_take(todo);
}

static enum exchange
send_batch(struct server *s, struct orders *todo)
{
	struct counters_batch *b = &s->batch;
	enum exchange e = EXCHANGE_EPOCH;

	if (atomic_load(&counters_common(s->remote->shared)->server[s->index].epoch) == 0) {
		e = look_up_epoch(s, false);
		if (e != EXCHANGE_OK) {
			fill(s, todo);
			return EXCHANGE_REFUSED; /* none of its own commands went out */
		}
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		fill(s, todo);
		e = exchange(s);
		if (e != EXCHANGE_EPOCH)
			break;
		/* The same orders again, before those that are left. */
		struct orders back;

		orders_init(&back);
		for (unsigned k = 0; k < b->orders_n; k++)
			orders_put(&back, b->order[k]);
		orders_move(&back, todo);
		*todo = back;
		if (!todo->first)
			orders_init(todo);
	}
	if (e == EXCHANGE_EPOCH) {
		fill(s, todo);
		batch_undo(b);
		e = EXCHANGE_REFUSED;
	}
	return e;
}

static void
run(struct server *s, struct orders *todo)
{
	struct counters_batch *b = &s->batch;

	s->began_us = mono_us();
	enum exchange e = send_batch(s, todo);

	if (e == EXCHANGE_OK) {
		batch_settle(b, atomic_load(&s->remote->loss));
		note_good(s);
	} else {
		batch_fail(b, e == EXCHANGE_SILENT, atomic_load(&s->remote->loss));
		note_bad(s, e);
	}
	atomic_fetch_add_explicit(&s->orders, b->orders_n, memory_order_relaxed);
	s->crowded = b->orders_n > 1;
	for (unsigned i = 0; i < b->orders_n; i++)
		dispose(s, b->order[i]);
	ev_async_send(loop_ev(s->remote->loop), &s->remote->answered);
	if (e == EXCHANGE_OK && b->lost && mono_ms() >= s->bump_ms) {
		/* Numbers have gone while the server stood: it has too little memory. */
		s->bump_ms = mono_ms() + BUMP_MS;
		tell(s, NEWS_EVICTED);
		(void)look_up_epoch(s, true);
	}
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
	uint64_t epoch;

	batch_begin(&s->batch, s->remote->shared, s->index, counters_wall_ms());
	s->scans = !counters_each(s->remote->shared, &s->scan_at, sync_one, s);
	if (s->batch.stale) {
		batch_undo(&s->batch);
		s->scan_at = 0;
		return;
	}
	if (s->batch.ops_n == 0)
		return;
	enum exchange e = link_exchange(s->link, &s->batch, &epoch);

	if (e == EXCHANGE_OK)
		return;
	if (e == EXCHANGE_EPOCH) {
		(void)look_up_epoch(s, false);
		return;
	}
	if (e == EXCHANGE_REFUSED)
		batch_undo(&s->batch);
	note_bad(s, e);
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
	uint64_t until = atomic_load(&s->down) ? s->retry_ms : s->probe_ms;
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

static void *
serve(void *arg)
{
	struct server *s = arg;
	struct orders todo;

	(void)prctl(PR_SET_NAME, "counters", 0, 0, 0);
	while (next(s, &todo)) {
		bool down = atomic_load(&s->down);

		if (down && todo.first)
			decide_here(s, &todo);
		while (todo.first)
			run(s, &todo);
		if (mono_ms() >= (down ? s->retry_ms : s->probe_ms))
			probe(s);
		if (s->scans && !atomic_load(&s->down))
			scan(s);
		else if (atomic_load(&s->down))
			s->scans = false; /* note_good() begins anew */
		let_gather(s);
	}
	return NULL;
}

/* ---- the loop ---- */

static void
on_flush(struct task *t)
{
	struct counters_remote *r =
	    (struct counters_remote *)(void *)((char *)t - offsetof(struct counters_remote, flush));

	for (size_t i = 0; i < r->servers_n; i++) {
		struct server *s = &r->server[i];

		if (!s->gathered.first)
			continue;
		pthread_mutex_lock(&s->lock);
		orders_move(&s->queue, &s->gathered);
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
	}
}

static void
log_news(struct server *s)
{
	static const char *const words[] = { "lost", "back", "empty", "evicting" };
	unsigned news = atomic_exchange(&s->news, NEWS_NONE);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct log_line l;

		if (!(news >> i & 1) ||
		    !log_begin(&l, LOG_WARNING, "counters", SLICE(""), SLICE("counting")))
			continue;
		log_str(&l, "server", slice_str(s->at.host));
		log_u64(&l, "port", s->at.port);
		log_str(&l, "state", slice_str(words[i]));
		log_end(&l);
	}
}

static void
tell_all(struct counters_remote *r)
{
	struct orders all;
	struct counters_order *o;

	orders_init(&all);
	pthread_mutex_lock(&r->lock);
	orders_move(&all, &r->answers);
	pthread_mutex_unlock(&r->lock);
	while ((o = orders_take(&all)))
		o->done(o);
}

static void
on_answered(struct ev_loop *ev, ev_async *w, int revents)
{
	struct counters_remote *r = w->data;

	(void)ev;
	(void)revents;
	for (size_t i = 0; i < r->servers_n; i++)
		if (atomic_load_explicit(&r->server[i].news, memory_order_relaxed))
			log_news(&r->server[i]);
	tell_all(r);
}

unsigned
counters_remote_server(struct counters_remote *r, uint64_t group)
{
	char mem[24];
	struct text t = text_over(mem, sizeof(mem));

	if (r->servers_n == 1)
		return 0;
	text_fmt(&t, "%llx", (unsigned long long)group);
	return memcached_generate_hash(r->ring, mem, t.n) % (unsigned)r->servers_n;
}

static void
gather(struct counters_remote *r, struct counters_order *o)
{
	orders_put(&r->server[o->server].gathered, o);
	loop_defer(r->loop, &r->flush);
}

enum counters_when
counters_remote_ask(struct counters_remote *r, struct counters_order *o)
{
	o->server = counters_remote_server(r, o->group);
	o->due_ms = 0;
	o->tries = 0;
	o->exact = o->verb == COUNTERS_READ;
	if (atomic_load_explicit(&r->server[o->server].down, memory_order_relaxed)) {
		batch_decide_here(r->shared, o, atomic_load(&r->loss), counters_wall_ms());
		return COUNTERS_NOW;
	}
	if (o->verb == COUNTERS_LOOK && batch_look(r->shared, o, counters_wall_ms()))
		return COUNTERS_NOW;
	o->likely = o->verb == COUNTERS_RESERVE && batch_is_far(r->shared, o, counters_wall_ms());
	gather(r, o);
	return COUNTERS_LATER;
}

void
counters_remote_refund(struct counters_remote *r, const struct counters_order *o, uint32_t n)
{
	struct counters_order *sync;

	counters_shared_refund(r->shared, o, n, counters_wall_ms());
	if (atomic_load_explicit(&r->server[o->server].down, memory_order_relaxed) ||
	    !(sync = malloc(sizeof(*sync))))
		return; /* it is owed, and a scan finds it */
	*sync = *o;
	sync->verb = COUNTERS_SYNC;
	sync->done = NULL;
	sync->due_ms = 0;
	gather(r, sync);
}

/* ---- life ---- */

static bool
open_server(struct counters_remote *r, unsigned index, const struct counter_server *at,
    unsigned timeout_ms)
{
	struct server *s = &r->server[index];
	pthread_condattr_t a;

	s->remote = r;
	s->index = index;
	s->at = *at;
	s->dice = (unsigned)mono_ms() + index;
	s->scans = true; /* whoever was here before may have owed something */
	orders_init(&s->gathered);
	orders_init(&s->queue);
	if (getrandom(&s->dice, sizeof(s->dice), 0) != (ssize_t)sizeof(s->dice) ||
	    !memcached_success(memcached_server_add_with_weight(r->ring, at->host,
	        (in_port_t)at->port, at->weight)) ||
	    !(s->link = link_open(at, timeout_ms)))
		return false;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, &a);
	pthread_condattr_destroy(&a);
	s->opened = true;
	return true;
}

bool
counters_remote_start(struct counters_remote *r, const char *node)
{
	struct text claim = text_over(r->claim, sizeof(r->claim));
	uint64_t h = 0xcbf29ce484222325U;

	for (const char *p = node; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3U;
	text_fmt(&claim, "refill.%llx", (unsigned long long)h);
	for (size_t i = 0; i < r->servers_n; i++) {
		struct server *s = &r->server[i];

		s->started = pthread_create(&s->thread, NULL, serve, s) == 0;
		if (!s->started)
			return false;
	}
	return true;
}

struct counters_remote *
counters_remote_open(struct loop *l, const struct conf *c, struct counters_shared *shared,
    struct text *why)
{
	struct counter_server at;
	const char *wrong = NULL;
	size_t n = 0, word = 0;

	while (conf_counter_server(c, &word, &at, &wrong))
		n++;
	struct counters_remote *r = calloc(1, sizeof(*r) + n * sizeof(r->server[0]));

	if (!r)
		return NULL;
	r->loop = l;
	r->shared = shared;
	r->flush.fn = on_flush;
	atomic_store(&r->loss, c->counters.loss);
	orders_init(&r->answers);
	pthread_mutex_init(&r->lock, NULL);
	ev_async_init(&r->answered, on_answered);
	r->answered.data = r;
	ev_async_start(loop_ev(l), &r->answered);
	r->ring = memcached_create(NULL);
	bool ok = r->ring &&
	    memcached_success(memcached_behavior_set(r->ring, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED,
	        1));

	word = 0;
	while (ok && conf_counter_server(c, &word, &at, &wrong))
		ok = open_server(r, (unsigned)r->servers_n++, &at, c->counters.timeout_ms);
	if (ok)
		return r;
	text_put(why, SLICE("the counters' threads cannot be started"));
	counters_remote_close(r);
	return NULL;
}

void
counters_remote_close(struct counters_remote *r)
{
	if (!r)
		return;
	/* Answers may give back, and what they give back goes out too. */
	tell_all(r);
	on_flush(&r->flush);
	for (size_t i = 0; i < r->servers_n; i++) {
		struct server *s = &r->server[i];

		if (!s->started)
			continue;
		pthread_mutex_lock(&s->lock);
		s->stopping = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	tell_all(r);
	for (size_t i = 0; i < r->servers_n; i++) {
		struct server *s = &r->server[i];

		if (!s->opened)
			continue;
		while (s->started && s->gathered.first) /* what the last answers gave back */
			run(s, &s->gathered);
		link_close(s->link);
		pthread_cond_destroy(&s->wake);
		pthread_mutex_destroy(&s->lock);
	}
	loop_cancel(r->loop, &r->flush);
	ev_async_stop(loop_ev(r->loop), &r->answered);
	memcached_free(r->ring);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
counters_remote_reconf(struct counters_remote *r, const struct conf *c)
{
	atomic_store(&r->loss, c->counters.loss);
}

void
counters_remote_status(const struct counters_remote *r, struct text *out)
{
	text_put(out, SLICE("\"servers\":["));
	for (size_t i = 0; i < r->servers_n; i++) {
		const struct server *s = &r->server[i];

		text_fmt(out, "%s{\"host\":\"", i ? "," : "");
		text_json(out, slice_str(s->at.host));
		text_fmt(out,
		    "\",\"port\":%u,\"up\":%s,\"batches\":%llu,\"orders\":%llu,\"silences\":%llu}",
		    s->at.port, atomic_load(&s->down) ? "false" : "true",
		    (unsigned long long)atomic_load(&s->batches),
		    (unsigned long long)atomic_load(&s->orders),
		    (unsigned long long)atomic_load(&s->silences));
	}
	text_char(out, ']');
}
