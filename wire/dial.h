/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DIAL_H
#define WIRE_DIAL_H

/*
 * dial - connects to one of several addresses, the first to answer (RFC 8305 section 5)
 *
 * Addresses are asked for one by one: the next when the last has failed or has not answered within
 * DIAL_DELAY_S. The first that is connected wins, all others are closed. Each has PATIENCE.
 *
 * Owns:   its sockets and timers until DONE, which gives one away; part of its owner, who stops it
 *         (dial_stop) when it goes.
 * Errors: enum stream_error of the failure that tells most. Want of descriptors, memory or local
 *         ports here is STREAM_NO_MEMORY and no address's failure.
 * Never:  calls DONE from inside dial_start().
 */
#include "wire/stream.h"

enum { DIAL_MAX = 16 };

static const double dial_delay_s = 0.25;

struct dial;

struct dial_target {
	const struct sockaddr *to; /* until the next one is asked for */
	socklen_t to_len;
	unsigned index; /* below DIAL_MAX: how the owner knows it again */
};

struct dial_end {
	int fd; /* the caller's from now on; -1: none */
	unsigned index;
	enum stream_error error; /* STREAM_OK where nothing was tried */
	unsigned failed; /* bits of indexes: those that refused, or answered nothing in time */
	unsigned late;   /* those that were asked before the winner and have not answered */
};

typedef bool dial_next_fn(void *owner, struct dial_target *target_r);
typedef void dial_done_fn(void *owner, const struct dial_end *end);

struct dial_try {
	struct dial *dial;
	ev_io io; /* fd -1: free */
	int fd;
	unsigned index;
	ev_tstamp until;
};

struct dial {
	struct loop *loop;
	void *owner;
	dial_next_fn *next;
	dial_done_fn *done;
	double patience_s;
	ev_timer timer;
	struct task task;
	bool exhausted; /* no address is left, or we cannot open more */
	unsigned n;     /* of TRIES, under way */
	ev_tstamp turn; /* when the next is asked for */
	enum stream_error error;
	unsigned failed;
	struct dial_try tries[DIAL_MAX];
};

/* D is zeroed, or was stopped, or is done. */
void dial_start(struct dial *d, struct loop *l, double patience_s, dial_next_fn *next,
    dial_done_fn *done, void *owner);
/* DONE is not called any more. */
void dial_stop(struct dial *d);

#endif
