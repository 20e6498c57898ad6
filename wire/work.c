/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work - calls that block, on threads; answers come back on the loop
 *
 *      submit -> todo -> a thread: run() -> finished -> ev_async -> loop: done()
 *
 * ev_async sends are coalesced, so the loop empties the whole list each time it is woken.
 */
#include "wire/work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 64, NAME_MAX_LEN = 15 };

struct list {
	struct job *first;
	struct job **end;
};

struct work {
	struct loop *loop;
	ev_async wake;
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* under the lock */
	struct list todo;
	struct list finished;
	unsigned waiting; /* in todo */
	bool closing;
	/* the loop's alone */
	unsigned limit;
	unsigned threads_n;
	pthread_t threads[];
};

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void
list_put(struct list *l, struct job *j)
{
	j->next = NULL;
	*l->end = j;
	l->end = &j->next;
}

static struct job *
list_take(struct list *l)
{
	struct job *j = l->first;

	if (j) {
		l->first = j->next;
		if (!l->first)
			l->end = &l->first;
	}
	return j;
}

static void *
serve(void *arg)
{
	struct work *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->todo.first && !w->closing)
			pthread_cond_wait(&w->more, &w->lock);
		if (w->closing)
			break;
		struct job *j = list_take(&w->todo);

		w->waiting--;
		pthread_mutex_unlock(&w->lock);
		j->run(j);
		pthread_mutex_lock(&w->lock);
		list_put(&w->finished, j);
		/* Under the lock: work_close() must not destroy the loop between our two steps. */
		ev_async_send(loop_ev(w->loop), &w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
tell_finished(struct work *w)
{
	struct job *j;

	do {
		pthread_mutex_lock(&w->lock);
		j = list_take(&w->finished);
		pthread_mutex_unlock(&w->lock);
		if (j)
			j->done(j);
	} while (j);
}

static void
on_wake(struct ev_loop *ev, ev_async *a, int revents)
{
	(void)ev;
	(void)revents;
	tell_finished(a->data);
}

/* The threads' number I, named "NAME I", with no signal: those are the loop's. */
static bool
start_thread(struct work *w, const char *name, unsigned i)
{
	char full[NAME_MAX_LEN + 1];
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&w->threads[i], NULL, serve, w);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return false;
	snprintf(full, sizeof(full), "%.12s %u", name, i % 100);
	pthread_setname_np(w->threads[i], full);
	return true;
}

struct work *
work_open(struct loop *l, const char *name, unsigned threads, unsigned limit)
{
	assert(threads > 0 && threads <= THREADS_MAX);

	struct work *w = calloc(1, sizeof(*w) + threads * sizeof(w->threads[0]));

	if (!w)
		return NULL;
	w->loop = l;
	w->limit = limit;
	list_init(&w->todo);
	list_init(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	ev_async_init(&w->wake, on_wake);
	w->wake.data = w;
	ev_async_start(loop_ev(l), &w->wake);

	while (w->threads_n < threads && start_thread(w, name, w->threads_n))
		w->threads_n++;
	if (w->threads_n < threads) {
		work_close(w);
		return NULL;
	}
	return w;
}

bool
work_submit(struct work *w, struct job *j)
{
	bool room;

	pthread_mutex_lock(&w->lock);
	room = !w->closing && w->waiting < w->limit;
	if (room) {
		list_put(&w->todo, j);
		w->waiting++;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

void
work_close(struct work *w)
{
	struct job *j;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads_n; i++)
		pthread_join(w->threads[i], NULL);

	/* One thread is left: no lock. */
	ev_async_stop(loop_ev(w->loop), &w->wake);
	tell_finished(w);
	while ((j = list_take(&w->todo))) {
		w->waiting--;
		j->done(j);
	}
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Written by the loop's thread, which is the one that may ask. */
bool
work_is_closing(const struct work *w)
{
	return w->closing;
}

unsigned
work_waiting(const struct work *w)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
	unsigned n;

	pthread_mutex_lock(lock);
	n = w->waiting;
	pthread_mutex_unlock(lock);
	return n;
}

unsigned
work_threads(const struct work *w)
{
	return w->threads_n;
}
