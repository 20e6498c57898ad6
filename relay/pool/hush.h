/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_HUSH_H
#define RELAY_POOL_HUSH_H

/*
 * hush - what one upstream gives to tell, told once a minute, so that nobody's bad host fills the
 * log
 *
 * Of each kind the first is told; those of the next HUSH_S seconds are counted, and the count is
 * told with the next one, or when the minute is over. Kinds are words of ours, never the peer's:
 * there are as many as there are rows in class.def and some more. Those for which there is no row
 * share the last one. What a message's fate was stands in its own line in any case.
 */
#include "wire/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUSH_S = 60, HUSH_KINDS = 12 };

struct hush {
	struct hush_kind {
		const char *what; /* static; NULL: free */
		ev_tstamp until;
		uint64_t again; /* kept back */
	} kind[HUSH_KINDS];
};

/* True where WHAT is to be told now; so many were kept back before (0: none). */
bool hush_passes(struct hush *h, const char *what, ev_tstamp now, uint64_t *again_r) MUST_CHECK;
/* A kind whose minute is over and of which some were kept back: told now. NULL: there is none. */
const char *hush_over(struct hush *h, ev_tstamp now, uint64_t *again_r) MUST_CHECK;

#endif
