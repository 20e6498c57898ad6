/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

/*
 * pace - when each message of a load is due
 *
 * Closed loop: a session sends its next message as soon as the last was answered; a slow server
 * slows the load down. Open loop: message I is due at a time that was fixed before the run, whether
 * others were answered or not, and its latency counts from that time. So what the server's slow
 * moments would have done to all who came meanwhile is in the figures (no coordinated omission).
 *
 * Times are nanoseconds since the run began. While a ramp lasts, an open loop's rate grows evenly
 * from 0, a closed loop's sessions begin one after the other.
 */
#include "wire/slice.h"

struct pace {
	double rate;          /* messages a second; 0: closed loop */
	uint64_t ramp_ns;     /* 0: none */
	uint64_t duration_ns; /* 0: until MESSAGES are through */
	uint64_t messages;    /* 0: until the duration is over */
	uint64_t
	    grace_ns; /* open loop: how long behind the duration what was due in it may begin */
};

/* Open loop: when message I, from 0, is due. */
uint64_t pace_due(const struct pace *p, uint64_t i);
/* Open loop: how many are due by NOW, by the clock and the bounds of the run. */
uint64_t pace_due_by(const struct pace *p, uint64_t now);
/* Whether no message begins any more: STARTED have, and it is NOW. */
bool pace_is_over(const struct pace *p, uint64_t started, uint64_t now);
/* Closed loop: when session I of N begins. */
uint64_t pace_session(const struct pace *p, uint64_t i, uint64_t n);

#endif
