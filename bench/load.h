/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

/*
 * load - a run: hands messages to sessions as the pace says, and keeps the tally
 *
 * Sessions (runner.h) come for work with load_take() and tell what became of it; the load opens
 * them and learns when they are gone.
 */
#include "bench/plan.h"
#include "bench/tally.h"
#include "wire/loop.h"

/* One message to be sent. */
struct job {
	uint64_t number;
	uint64_t due_ns; /* when it should begin, by clock_ns() */
};

struct runner;

struct load {
	struct plan plan;
	struct tally tally;
	struct loop *loop;
	uint64_t began_ns;     /* by clock_ns() */
	uint64_t counts_ns;    /* when the warm-up ended */
	uint64_t last_done_ns; /* when the last message was over; of --idle, the run */
	uint64_t started;      /* messages that a session has taken */
	uint64_t taken;        /* by the server, the warm-up included */
	uint64_t sessions_begun;
	uint64_t setups_failed; /* sessions that never got as far as a message */
	uint64_t open;          /* sessions */
	uint64_t ready;         /* sessions that only stay, and are logged in */
	uint64_t owed;          /* sessions to be opened again in a moment */
	struct runner *resting; /* sessions without a message, the last come first */
	bool stopping;          /* somebody, or despair, ended it early */
	bool ended;             /* resting sessions were told to go */
	char *rcpts;            /* all RCPT lines */
	size_t *rcpt_ends;      /* where each ends */
	int pace_fd;            /* timerfd: the next message is due */
	bool pace_armed;
	ev_io due;
	ev_timer ramp, end, warm, retry, sampler, progress;
	ev_signal interrupt, terminate;
	uint64_t own_cpu_ns; /* of this process: at the start, in the end since then */
	uint64_t looked_ns;  /* at the processes' memory */
	uint64_t progress_done;
	struct hdr *progress_times;
};

/* A message for a session that could begin one now. False: none is due. */
bool load_take(struct load *l, struct job *job_r) MUST_CHECK;
/* No message begins any more. */
bool load_is_over(const struct load *l);
/* The server has taken it, or not. */
void load_taken(struct load *l, const struct job *job, uint64_t octets);
void load_failed(struct load *l, const struct job *job);
/* R has nothing to do, or has something again. */
void load_rest(struct load *l, struct runner *r);
void load_wake(struct load *l, struct runner *r);
/* A session is gone: BROKEN, not as it should; in EARLY days, before it could send. */
void load_gone(struct load *l, bool broken, bool early);

#endif
