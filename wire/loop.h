/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_LOOP_H
#define WIRE_LOOP_H

/*
 * loop - one libev loop a process, and what happens at the end of each of its turns
 *
 * A turn is: callbacks for what poll reported; then, before the next poll, in this order: deferred
 * tasks (until none is left), streams with unwritten output are flushed, buried objects are freed,
 * the log is flushed.
 *
 * Two rules stand on this: no callback fires from inside the call that started it (an instant
 * answer is a task), and nobody frees what a frame above may still hold (a closed object is
 * buried).
 *
 * Owns:   the ev_loop. Tasks and graves are parts of other objects.
 */
#include <ev.h>

#include "wire/slice.h"

struct loop;

/* Part of the object that it works for. A task that waits twice runs once. */
struct task {
	void (*fn)(struct task *t);
	struct task *next;
	bool waiting;
};

/* First member of what is freed late. */
struct grave {
	void (*free_fn)(struct grave *g);
	struct grave *next;
};

struct loop *loop_open(void) MUST_CHECK;
void loop_close(struct loop *l);
/* Until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
struct ev_loop *loop_ev(struct loop *l);
/* Runs T in this turn, after the callback that is running now. */
void loop_defer(struct loop *l, struct task *t);
/* Runs T in the next turn, which then does not wait for poll: for work that would keep the others
 * waiting if it went on now. */
void loop_next(struct loop *l, struct task *t);
/* T must not run any more: its object goes. */
void loop_cancel(struct loop *l, struct task *t);
/* Frees G at the end of this turn. */
void loop_bury(struct loop *l, struct grave *g);
/* FN(CTX) at the end of every turn, after the tasks (the streams' flush, the log's). At most 8; the
 * same pair twice counts once. */
void loop_at_turn_end(struct loop *l, void (*fn)(void *ctx), void *ctx);
/* The number of this turn, from 1: for what is counted by turns. */
uint64_t loop_turn(const struct loop *l);
/* Cached time of this turn: monotonic seconds, and wall-clock milliseconds since 1970. */
ev_tstamp loop_now(const struct loop *l);
uint64_t loop_wall_ms(const struct loop *l);
/* loop_now() less the time that turns took which were too long: what deadlines of others are
 * counted in, so that nobody is late because the loop itself was behind. */
ev_tstamp loop_patient(const struct loop *l);
/* Longest callback turn seen since the last call, in microseconds: for status and metrics (no turn
 * above 20 ms is the promise). */
uint64_t loop_worst_us(struct loop *l);

#endif
