/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_WORK_H
#define WIRE_WORK_H

/*
 * work - calls that block, on threads; answers come back on the loop
 *
 * getaddrinfo, crypt_r, SQLite and the like. A job's run() is called on one of the pool's threads
 * and touches only the job; its done() is called on the loop's thread later, never from inside
 * work_submit(). A job knows who asked by an id, not by a pointer: the asker may be gone by then.
 *
 * Owns:   a submitted job belongs to the pool until done() is called, which then owns (and frees)
 *         it.
 * Errors: work_submit is false when LIMIT jobs wait already: the world, answer 451 4.3.0.
 */
#include "wire/loop.h"

struct work;

struct job {
	void (*run)(struct job *j);
	void (*done)(struct job *j);
	struct job *next;
};

struct work *work_open(struct loop *l, const char *name, unsigned threads, unsigned limit)
    MUST_CHECK;
bool work_submit(struct work *w, struct job *j) MUST_CHECK;
/* Not from inside done(). Waits for what runs; waiting jobs are done() without run() having been
 * called: WORK_IS_CLOSING tells them. */
void work_close(struct work *w);
bool work_is_closing(const struct work *w);
unsigned work_waiting(const struct work *w) FOR_TESTS;
unsigned work_threads(const struct work *w);

#endif
