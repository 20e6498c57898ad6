/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_HTTP_THREADS_H
#define CONSOLE_HTTP_THREADS_H

/*
 * threads - a few threads that take jobs off one queue, in order
 *
 * Each thread works with an object of its own (a connection to a database, for instance), so that
 * jobs share nothing.
 *
 * Owns:   the threads. Jobs and the threads' objects stay the caller's.
 * Life:   threads_open, threads_stop, threads_close; a stop waits until all that was submitted has
 *         run.
 */
#include "wire/slice.h"

enum { THREADS_MAX = 16, THREADS_QUEUE_MAX = 256 };

struct threads;

struct threads_job {
	struct threads_job *next;
	/* On a thread; LANE is the thread's own object. JOB may be gone when it returns. */
	void (*run)(struct threads_job *job, void *lane);
};

/* EACH: of N (at most THREADS_MAX) threads. NULL: no threads could be had. */
struct threads *threads_open(void *const *each, size_t n) MUST_CHECK;
/* False: the queue is full, or threads_stop() was called; JOB will not run. */
bool threads_submit(struct threads *l, struct threads_job *job) MUST_CHECK;
void threads_stop(struct threads *l);
void threads_close(struct threads *l);

#endif
