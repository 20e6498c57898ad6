/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

/*
 * clock - monotonic nanoseconds, read when asked
 *
 * loop_now() is the time of the turn; a turn that serves hundreds of sessions is too long to
 * measure microseconds with.
 */
#include <stdint.h>
#include <time.h>

enum { CLOCK_MS = 1000 * 1000, CLOCK_S = 1000 * 1000 * 1000 };

static inline uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_S + (uint64_t)ts.tv_nsec;
}

static inline uint64_t
clock_of_seconds(double s)
{
	return s > 0 ? (uint64_t)(s * CLOCK_S) : 0;
}

static inline double
clock_seconds(uint64_t ns)
{
	return (double)ns / CLOCK_S;
}

#endif
