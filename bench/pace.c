/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pace.h"
#include "bench/clock.h"

#include <math.h>

/* Messages that are due while the rate grows: the area of a triangle. */
static double
in_ramp(const struct pace *p)
{
	return p->rate * clock_seconds(p->ramp_ns) / 2;
}

uint64_t
pace_due(const struct pace *p, uint64_t i)
{
	double n = (double)i;
	double ramp = in_ramp(p);

	if (n < ramp)
		return clock_of_seconds(sqrt(2 * clock_seconds(p->ramp_ns) * n / p->rate));
	return p->ramp_ns + clock_of_seconds((n - ramp) / p->rate);
}

uint64_t
pace_due_by(const struct pace *p, uint64_t now)
{
	double s, n;
	uint64_t due;

	if (p->duration_ns > 0 && now >= p->duration_ns)
		now = p->duration_ns - 1;
	s = clock_seconds(now);
	n = now < p->ramp_ns ? p->rate * s * s / (2 * clock_seconds(p->ramp_ns))
	                     : in_ramp(p) + p->rate * clock_seconds(now - p->ramp_ns);
	/* The numbers are rounded: what counts is pace_due(). */
	due = (uint64_t)n;
	while (due > 0 && pace_due(p, due - 1) > now)
		due--;
	while (pace_due(p, due) <= now)
		due++;
	return p->messages > 0 && due > p->messages ? p->messages : due;
}

bool
pace_is_over(const struct pace *p, uint64_t started, uint64_t now)
{
	if (p->messages > 0 && started >= p->messages)
		return true;
	if (p->duration_ns == 0 || now < p->duration_ns)
		return false;
	return p->rate <= 0 || now >= p->duration_ns + p->grace_ns ||
	    pace_due(p, started) >= p->duration_ns;
}

uint64_t
pace_session(const struct pace *p, uint64_t i, uint64_t n)
{
	return n == 0 ? 0 : (uint64_t)((double)p->ramp_ns * (double)i / (double)n);
}
