/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_DESCRIPTORS_H
#define PROXY_PROCESS_DESCRIPTORS_H

/*
 * descriptors - how many a process may have, what the caps want, and which are not for strangers
 * (BEHAVIOUR P6)
 *
 * A quarter is kept for upstreams, name servers, counters and the directory: a client that comes
 * when the rest is in use is let in only where one that has not logged in makes way for it, and is
 * turned away where all have. How full the table is is told by the number of a new descriptor, for
 * the kernel gives the lowest that is free: nothing is counted, and nothing can be forgotten.
 */
#include "conf/conf.h"
#include "wire/text.h"

/* Clients whose descriptor has this number or a greater one are too many. */
int descriptors_for_clients(void);
/* True, with the numbers in WORDS (no line end), where the limit cannot hold C's caps. */
bool descriptors_lack(const struct conf *c, struct text *words) MUST_CHECK;

#endif
