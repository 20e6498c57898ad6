/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_DEAD_H
#define RELAY_POOL_DEAD_H

/*
 * dead - addresses that did not do lately, so that they come last (BEHAVIOUR R9)
 *
 * One that cannot be connected to is remembered for all; one that connects and then does not do (a
 * refusing greeting, silence, TLS) for the upstream alone whose certificates and credentials they
 * are. Remembered for DEAD_S or until it does, in a table of fixed size that all workers share: the
 * newest stay.
 *
 * Owns:   nothing.
 */
#include "relay/pool/resolve.h"

enum { DEAD_S = 300, DEAD_ROWS = 512, DEAD_FOR_ALL = 0 };

/* Zeroed: none. Shared by workers (shape_dead), so each row is one word. */
struct dead {
	_Atomic uint64_t rows[DEAD_ROWS];
};

/* A with its port; WHOSE: an upstream's number, or DEAD_FOR_ALL. */
void dead_note(struct dead *d, uint64_t whose, const struct address *a, ev_tstamp now);
void dead_forget(struct dead *d, uint64_t whose, const struct address *a);
/* The dead ones last, else in the order that there is. */
void dead_sort(struct dead *d, uint64_t whose, struct addresses *all, ev_tstamp now);

#endif
