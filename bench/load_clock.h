/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOAD_CLOCK_H
#define BENCH_LOAD_CLOCK_H

/*
 * load_clock - what happens in a run because time passes: messages come due, sessions begin,
 * samples are taken, the progress line is written, the run ends
 *
 * libev's timers are good to a millisecond, which is long beside a message: an open loop's messages
 * are woken by a timerfd.
 */
#include "bench/load.h"

void load_clock_start(struct load *l);
/* Last sample, last progress line. */
void load_clock_stop(struct load *l);
/* Calls load_dispatch() at DUE, nanoseconds since the run began. */
void load_clock_due(struct load *l, uint64_t due);

/* Of load.c: hands out all that is due (open loop). */
void load_dispatch(struct load *l);
/* Opens up to N more sessions. */
void load_open_more(struct load *l, uint64_t n);
/* No more messages: resting sessions quit. */
void load_end(struct load *l);

#endif
