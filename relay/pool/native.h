/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_NATIVE_H
#define RELAY_POOL_NATIVE_H

/*
 * native - the operator's own MTAs (BEHAVIOUR R2): which of them is next
 *
 * Smooth weighted round robin over those that are alive. One that fails (connect, TLS, greeting,
 * AUTH) is dead at once: it is skipped for [native] dead, then looked at by a connection of its
 * own; only when that goes well is it given mail again, else it is left alone for twice as long, up
 * to ten times [native] dead. Live ones that have had no traffic are looked at every [native]
 * check. Weight 0 is for when no other lives. When all are dead each is tried all the same, the one
 * that has been alone longest first.
 *
 * Owns:   its upstreams (by reference).
 */
#include "relay/pool/pool.h"

enum { ENDPOINTS_MAX = 64 };

struct endpoint {
	struct upstream *up;
	unsigned weight;
	long current; /* of the round robin */
	bool dead;
	bool checking;
	unsigned failures; /* in a row */
	ev_tstamp until;   /* dead: looked at then */
	ev_tstamp seen;    /* last sign of life */
};

struct native {
	struct relay *r;
	ev_timer tick;
	unsigned n;
	struct endpoint at[ENDPOINTS_MAX];
};

/* From the conf's [mta] sections. NULL: no memory. */
struct native *native_open(struct relay *r) MUST_CHECK;
/* Its upstreams retire. */
void native_close(struct native *n);
/* The next to be tried, TRIED aside (a mask by index), which it then joins. NULL: there is none
 * left. */
struct upstream *native_pick(struct native *n, uint64_t *tried) MUST_CHECK;
/* A live one that is not in TRIED is there. */
bool native_has_other(const struct native *n, uint64_t tried) MUST_CHECK;
void native_alive(struct endpoint *e);
/* It could not be checked for want of something of ours: that says nothing about it. */
void native_spared(struct endpoint *e);
void native_failed(struct endpoint *e, const struct relay_verdict *v);
struct relay_offer native_offers(const struct native *n);

#endif
