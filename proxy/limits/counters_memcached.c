/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_memcached - the loop's side: queues, answers, news
 *
 *      loop:    ask -> gathered --(end of turn)--> queue          answers -> done()
 *                                                    |                ^
 *      thread:                            all that is due -> batch ---'--> again, a little later
 */
#include "proxy/limits/counters_memcached_thread.h"

#include "wire/log.h"

#include <stdlib.h>
#include <sys/random.h>

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
	if (server_is_silent(&r->server[o->server])) {
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
	if (server_is_silent(&r->server[o->server]) || !(sync = malloc(sizeof(*sync))))
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

		s->started = pthread_create(&s->thread, NULL, server_serve, s) == 0;
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
	/* A host that begins with a slash is a socket's path to libmemcached, too. */
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
		if (s->started)
			server_finish(s);
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
counters_remote_write_server(const struct counters_remote *r, unsigned server, struct text *out)
{
	const struct counter_server *at = &r->server[server].at;

	text_put(out, slice_str(at->host));
	if (at->port != 0)
		text_fmt(out, ":%u", at->port);
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
		    s->at.port, server_is_silent(s) ? "false" : "true",
		    (unsigned long long)atomic_load(&s->batches),
		    (unsigned long long)atomic_load(&s->orders),
		    (unsigned long long)atomic_load(&s->silences));
	}
	text_char(out, ']');
}
