/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/threads.h"

#include <pthread.h>
#include <stdlib.h>

struct threads {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct threads_job *first, **end;
	size_t queued;
	bool over;
	struct thread {
		pthread_t id;
		struct threads *of;
		void *lane;
	} threads[THREADS_MAX];
	size_t threads_n;
};

/* NULL: there will be no more. */
static struct threads_job *
next_job(struct threads *l)
{
	struct threads_job *job;

	pthread_mutex_lock(&l->lock);
	while (!l->first && !l->over)
		pthread_cond_wait(&l->more, &l->lock);
	job = l->first;
	if (job) {
		l->first = job->next;
		l->queued--;
		if (!l->first)
			l->end = &l->first;
	}
	pthread_mutex_unlock(&l->lock);
	return job;
}

static void *
work(void *arg)
{
	struct thread *t = arg;
	struct threads_job *job;

	while ((job = next_job(t->of)) != NULL)
		job->run(job, t->lane);
	return NULL;
}

struct threads *
threads_open(void *const *each, size_t n)
{
	struct threads *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->more, NULL);
	l->end = &l->first;
	for (size_t i = 0; i < n && i < THREADS_MAX; i++) {
		struct thread *t = &l->threads[i];

		t->of = l;
		t->lane = each[i];
		if (pthread_create(&t->id, NULL, work, t) != 0) {
			threads_close(l);
			return NULL;
		}
		l->threads_n++;
	}
	return l;
}

bool
threads_submit(struct threads *l, struct threads_job *job)
{
	bool taken;

	pthread_mutex_lock(&l->lock);
	taken = !l->over && l->queued < THREADS_QUEUE_MAX;
	if (taken) {
		job->next = NULL;
		*l->end = job;
		l->end = &job->next;
		l->queued++;
		pthread_cond_signal(&l->more);
	}
	pthread_mutex_unlock(&l->lock);
	return taken;
}

void
threads_stop(struct threads *l)
{
	pthread_mutex_lock(&l->lock);
	l->over = true;
	pthread_cond_broadcast(&l->more);
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < l->threads_n; i++)
		pthread_join(l->threads[i].id, NULL);
	l->threads_n = 0;
}

void
threads_close(struct threads *l)
{
	if (!l)
		return;
	threads_stop(l);
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
