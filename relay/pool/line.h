/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_LINE_H
#define RELAY_POOL_LINE_H

/*
 * line - who waits for an upstream's connections, who holds them, and whose turn it is (BEHAVIOUR
 * R10)
 *
 * A tenant is whoever must not make others wait: an account at an MTA of ours, a user at a profile.
 * Each has a line of its own; those whose first transaction may go now stand in a ring and are
 * served in turn, so that a thousand transactions of one cost another one turn.
 *
 *      ring:   tenant A ----- tenant B ----- tenant C        later: t, t, t (held or paced)
 *              | t t t t      | t            | t t
 *              holds 9        holds 2        holds 0
 *
 * Ceiling: a tenant may hold at most LINE_RATIO times what is then left free, so one alone gets
 * three quarters, two get three sevenths each, and one connection is always free or soon used by
 * somebody who has none. The rest lies idle on purpose: who holds connections by sending slowly may
 * do so for hours, and what could be taken back from him only by cutting a message off must not be
 * given. While others wait, who holds a quarter comes after those who hold less. Who holds nothing
 * may always have one; of two connections a tenant gets one.
 *
 * Cost: who is passed over in the ring holds at least three times what is free, so a step looks at
 * no more tenants than a third of the connections; how long the lines are does not matter.
 *
 * Owns:   holders, each as long as it waits or holds. They are found by a table of the relay's.
 * Never:  leases, opens; that is pool.c's.
 */
#include "relay/list.h"

#include "wire/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_txn;
struct shaping;
struct line;

enum { LINE_RATIO = 3, HOLDER_BUCKETS = 4096 };

/* A tenant of one line. */
struct holder {
	struct holder *next; /* in its bucket */
	struct line *line;
	uint64_t tenant;
	struct link turn;    /* in the ring, while somebody is in WAITING */
	struct list waiting; /* transactions that may go now, the oldest first */
	unsigned held;       /* connections, and calls of an API */
	unsigned refs;       /* HELD and its transactions */
};

struct holders {
	struct holder *bucket[HOLDER_BUCKETS];
};

struct line {
	struct holders *all;
	struct list waiting; /* all transactions, the oldest first */
	struct list ring;    /* holders */
	struct list later;   /* transactions whose time has not come */
	unsigned held;       /* of all tenants */
};

/* What there is to share. OVER: the counts of all workers; NULL: each worker has ALL for itself. */
struct share {
	unsigned all, free;
	const struct shaping *over;
};

void line_init(struct line *l, struct holders *all);
/* T waits from now on, for TENANT. False: no memory, and it does not. */
bool line_join(struct line *l, uint64_t tenant, struct relay_txn *t, ev_tstamp now) MUST_CHECK;
/* It does not wait any more, if it did. */
void line_leave(struct line *l, struct relay_txn *t);
/* Those whose time has come stand in the ring. */
void line_wake(struct line *l, ev_tstamp now);
/* Who gets the next connection; NULL: nobody may. */
struct relay_txn *line_next(const struct line *l, const struct share *s) MUST_CHECK;
/* T's tenant may have one more. */
bool line_may(const struct relay_txn *t, const struct share *s) MUST_CHECK;
/* How many of those who wait could be served now; counted no further than MAX. */
unsigned line_wants(const struct line *l, const struct share *s, unsigned max) MUST_CHECK;
/* T waits no more, its tenant holds one more, and its turn is over. */
struct holder *line_lend(struct line *l, struct relay_txn *t);
/* It holds one less; H may be gone. */
void line_return(struct holder *h);

#endif
