/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_PACE_H
#define PROXY_DIALOGUE_PACE_H

/*
 * pace - how fast content has come over the last minute (BEHAVIOUR P6)
 *
 * A ring of slots of PACE_SLOT_S seconds. What came long ago does not pay for a client that drips
 * now; a slow start is forgiven (PACE_GRACE_S). Time in which the upstream made the client wait
 * does not count.
 *
 * Pure: NOW is seconds of any clock that does not go back.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_SLOT_S = 5, PACE_SLOTS = 12, PACE_GRACE_S = 30 };

struct pace {
	double began;   /* shifted by the time that was not the client's */
	double stopped; /* when it began to wait for the upstream; 0: it does not */
	uint64_t at;    /* number of the slot in use, counted from BEGAN */
	uint64_t octets[PACE_SLOTS];
};

void pace_begin(struct pace *p, double now);
void pace_add(struct pace *p, double now, uint64_t octets);
/* RATE: octets a second; 0: any will do. */
bool pace_is_too_slow(struct pace *p, double now, double rate);
/* The client is made to wait from here on, until pace_go_on(). A second call changes nothing. */
void pace_stop(struct pace *p, double now);
void pace_go_on(struct pace *p, double now);

#endif
