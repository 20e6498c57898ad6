/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop - one libev loop a process, and what happens at the end of each of its turns
 *
 *      poll -> ev_check (first of all callbacks: the clock) -> callbacks -> ev_prepare (last): end_turn() -> poll
 *
 * Tasks beget tasks. They run in rounds until none is left, but in a bounded number of them: what
 * is left over after that waits for the next turn, and an ev_idle keeps that turn's poll from
 * blocking. So neither a chain of tasks starves I/O nor a task waits for a packet.
 */
#include "wire/loop.h"

#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum { HOOKS_MAX = 8, ROUNDS_MAX = 64 };
/* A turn of that length keeps others waiting; shorter ones are how time goes by. */
enum { LONG_TURN_NS = 20 * 1000 * 1000 };

struct queue {
	struct task *first;
	struct task **end;
};

struct hook {
	void (*fn)(void *ctx);
	void *ctx;
};

struct loop {
	struct ev_loop *ev;
	struct queue ready;   /* for the round to come */
	struct queue running; /* this round's rest */
	struct queue later;   /* for the next turn */
	struct grave *graves;
	struct hook hooks[HOOKS_MAX];
	size_t hooks_n;
	ev_check began;
	ev_prepare ends;
	ev_idle hurry; /* active: the next poll does not wait */
	uint64_t turn;
	uint64_t began_ns;
	uint64_t worst_ns;
	uint64_t behind_ns; /* of all turns that were too long */
};

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void
queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void
queue_put(struct queue *q, struct task *t)
{
	t->next = NULL;
	*q->end = t;
	q->end = &t->next;
}

static struct task *
queue_take(struct queue *q)
{
	struct task *t = q->first;

	if (t) {
		q->first = t->next;
		if (!q->first)
			q->end = &q->first;
	}
	return t;
}

static bool
queue_remove(struct queue *q, const struct task *t)
{
	for (struct task **at = &q->first; *at; at = &(*at)->next) {
		if (*at != t)
			continue;
		*at = t->next;
		if (!*at)
			q->end = at;
		return true;
	}
	return false;
}

/* Everything in FROM, behind what is in TO. */
static void
queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	*to->end = from->first;
	to->end = from->end;
	queue_init(from);
}

static void
run_round(struct loop *l)
{
	struct task *t;

	queue_move(&l->running, &l->ready);
	while ((t = queue_take(&l->running))) {
		t->waiting = false;
		t->fn(t);
	}
}

static void
run_hooks(struct loop *l)
{
	for (size_t i = 0; i < l->hooks_n; i++)
		l->hooks[i].fn(l->hooks[i].ctx);
}

static void
free_graves(struct loop *l)
{
	struct grave *g;

	while ((g = l->graves)) {
		l->graves = g->next;
		g->free_fn(g);
	}
}

static void
end_turn(struct loop *l)
{
	unsigned rounds = 0;

	/* Hooks write, writing may fail, and failures are told by tasks: so the hooks are part of
	 * the round. */
	do {
		while (l->ready.first && rounds++ < ROUNDS_MAX)
			run_round(l);
		run_hooks(l);
	} while (l->ready.first && rounds++ < ROUNDS_MAX);

	free_graves(l);
	log_flush();

	if (l->ready.first || l->later.first)
		ev_idle_start(l->ev, &l->hurry);
	else
		ev_idle_stop(l->ev, &l->hurry);

	uint64_t took = clock_ns() - l->began_ns;

	if (took > l->worst_ns)
		l->worst_ns = took;
	if (took > LONG_TURN_NS)
		l->behind_ns += took;
}

static void
on_began(struct ev_loop *ev, ev_check *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	l->began_ns = clock_ns();
	l->turn++;
	queue_move(&l->ready, &l->later);
}

static void
on_ends(struct ev_loop *ev, ev_prepare *w, int revents)
{
	(void)ev;
	(void)revents;
	end_turn(w->data);
}

static void
on_hurry(struct ev_loop *ev, ev_idle *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
}

struct loop *
loop_open(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	/* NOENV: LIBEV_FLAGS in the environment must not move a daemon to another backend. */
	l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!l->ev) {
		free(l);
		return NULL;
	}
	queue_init(&l->ready);
	queue_init(&l->running);
	queue_init(&l->later);
	l->began_ns = clock_ns();
	l->turn = 1;

	ev_check_init(&l->began, on_began);
	l->began.data = l;
	ev_set_priority(&l->began, EV_MAXPRI);
	ev_check_start(l->ev, &l->began);

	ev_prepare_init(&l->ends, on_ends);
	l->ends.data = l;
	ev_set_priority(&l->ends, EV_MINPRI);
	ev_prepare_start(l->ev, &l->ends);

	ev_idle_init(&l->hurry, on_hurry);
	ev_set_priority(&l->hurry, EV_MINPRI);
	return l;
}

void
loop_close(struct loop *l)
{
	if (!l)
		return;
	free_graves(l);
	ev_idle_stop(l->ev, &l->hurry);
	ev_prepare_stop(l->ev, &l->ends);
	ev_check_stop(l->ev, &l->began);
	ev_loop_destroy(l->ev);
	free(l);
}

void
loop_run(struct loop *l)
{
	ev_now_update(l->ev);
	l->began_ns = clock_ns();
	ev_run(l->ev, 0);
	/* The turn that was broken off by loop_stop() has its end too. */
	end_turn(l);
}

void
loop_stop(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

struct ev_loop *
loop_ev(struct loop *l)
{
	return l->ev;
}

void
loop_defer(struct loop *l, struct task *t)
{
	if (t->waiting)
		return;
	t->waiting = true;
	queue_put(&l->ready, t);
}

void
loop_next(struct loop *l, struct task *t)
{
	if (t->waiting)
		return;
	t->waiting = true;
	queue_put(&l->later, t);
}

void
loop_cancel(struct loop *l, struct task *t)
{
	if (!t->waiting)
		return;
	t->waiting = false;
	if (queue_remove(&l->ready, t) || queue_remove(&l->running, t) ||
	    queue_remove(&l->later, t))
		return;
	assert(!"a waiting task is in one of the queues");
}

void
loop_bury(struct loop *l, struct grave *g)
{
	g->next = l->graves;
	l->graves = g;
}

void
loop_at_turn_end(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
	for (size_t i = 0; i < l->hooks_n; i++) {
		if (l->hooks[i].fn == fn && l->hooks[i].ctx == ctx)
			return;
	}
	assert(l->hooks_n < HOOKS_MAX);
	l->hooks[l->hooks_n++] = (struct hook){ .fn = fn, .ctx = ctx };
}

uint64_t
loop_turn(const struct loop *l)
{
	return l->turn;
}

ev_tstamp
loop_now(const struct loop *l)
{
	return (ev_tstamp)l->began_ns * 1e-9;
}

ev_tstamp
loop_patient(const struct loop *l)
{
	return (ev_tstamp)(l->began_ns - l->behind_ns) * 1e-9;
}

uint64_t
loop_wall_ms(const struct loop *l)
{
	return (uint64_t)(ev_now(l->ev) * 1e3);
}

uint64_t
loop_worst_us(struct loop *l)
{
	uint64_t worst = l->worst_ns / 1000;

	l->worst_ns = 0;
	return worst;
}
