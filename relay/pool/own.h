/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_OWN_H
#define RELAY_POOL_OWN_H

/*
 * own - the addresses of the operator's own MTAs, kept fresh for the guard (BEHAVIOUR R5)
 *
 * Each [mta] host is looked up at the start and every OWN_FRESH_S from then on; an address counts
 * for an hour after it was last seen. Customers' look-ups are held until each host has been looked
 * up once, or has failed to be.
 *
 * Owns:   its look-ups, and what they said.
 */
#include "relay/relay_private.h"

enum { OWN_FRESH_S = 30 };

struct own;

/* NULL: no memory. */
struct own *own_open(struct relay *r) MUST_CHECK;
void own_close(struct own *o);

#endif
