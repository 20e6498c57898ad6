/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/pace.h"

void
pace_begin(struct pace *p, double now)
{
	*p = (struct pace){ .began = now };
}

/* Empties the slots that have passed since. */
static void
advance(struct pace *p, double now)
{
	double since = now - p->began;
	uint64_t slot = since > 0 ? (uint64_t)(since / PACE_SLOT_S) : 0;

	for (unsigned n = 0; p->at < slot && n < PACE_SLOTS; n++)
		p->octets[++p->at % PACE_SLOTS] = 0;
	if (p->at < slot)
		p->at = slot; /* more than the whole ring: all are empty */
}

void
pace_add(struct pace *p, double now, uint64_t octets)
{
	advance(p, now);
	p->octets[p->at % PACE_SLOTS] += octets;
}

bool
pace_is_too_slow(struct pace *p, double now, double rate)
{
	double due = now - p->began - PACE_GRACE_S;
	uint64_t came = 0;

	if (due <= 0 || rate <= 0)
		return false;
	advance(p, now);
	for (unsigned i = 0; i < PACE_SLOTS; i++)
		came += p->octets[i];
	/* The ring spans between 55 and 60 s: the shorter of them is what is asked for. */
	if (due > (PACE_SLOTS - 1) * PACE_SLOT_S)
		due = (PACE_SLOTS - 1) * PACE_SLOT_S;
	return (double)came < due * rate;
}

void
pace_stop(struct pace *p, double now)
{
	if (p->stopped == 0)
		p->stopped = now;
}

void
pace_go_on(struct pace *p, double now)
{
	if (p->stopped == 0)
		return;
	p->began += now - p->stopped;
	p->stopped = 0;
}
