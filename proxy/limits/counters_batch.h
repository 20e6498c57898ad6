/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_BATCH_H
#define PROXY_LIMITS_COUNTERS_BATCH_H

/*
 * counters_batch - many orders as few operations on a server's numbers, and the verdicts from what the
 * server then holds
 *
 *      add   own reservations in FIRST, then read: ops[] = { number, by }
 *      send  all ops in a row: what is new is made, what has BY is added to (below zero: taken
 *            from), then all are read
 *      settle
 *
 * An order is let in if what it read, less what it added itself and what came behind it in the same
 * batch, leaves room. Of all that are let in, the one whose addition came last has read all others:
 * so no cap is ever passed, whoever asks at the same time. Two that meet at the edge may refuse
 * each other; they take back what they added and try again a little later.
 *
 * Sums of periods that are over (SETTLE_MS ago) are read once and kept in the machine's memory:
 * later they can only fall, by what is given back. So a message reads what is open. Before anybody
 * is refused all is read.
 *
 * The epoch is a part of every number's name. A server that has lost its numbers gets a new one, in
 * which every node puts again what it has added itself (own, pushed).
 *
 * Never:  I/O. Does not know libmemcached.
 */
#include "proxy/limits/counters_shared.h"

enum { BATCH_OPS = 512, BATCH_INDEX = 1024, BATCH_ORDERS = 128, SETTLE_MS = 2000, FLOOR_MS = 3000 };

struct counters_op {
	char kind;
	bool create; /* this node has not seen it in this epoch */
	bool zero;   /* is set to 0 */
	bool read;   /* somebody wants to know it */
	uint64_t id;
	uint32_t period;
	uint32_t ttl_s;
	int64_t by;
	/* the server's answer */
	bool found;
	uint64_t value;
	/* the batch's own */
	int64_t synced; /* of BY: what the server did not have yet, or has too much of */
	uint64_t mine;  /* of BY: what orders of this batch add */
	uint64_t base;  /* what counts without those that have not been let in */
	bool known;     /* BASE is set */
};

struct counters_batch {
	struct counters_shared *shared;
	unsigned server;
	uint64_t epoch;
	uint64_t now_ms;
	bool floors; /* the epoch is young: other nodes have not put back all of theirs */
	bool lost;   /* a number was missing that had been there */
	bool stale;  /* the epoch has moved on: nothing may be sent */
	unsigned ops_n;
	unsigned orders_n;
	struct counters_op op[BATCH_OPS];
	uint16_t index[BATCH_INDEX];
	struct counters_order *order[BATCH_ORDERS];
};

/* In the server's epoch as this node knows it. */
void batch_begin(struct counters_batch *b, struct counters_shared *s, unsigned server,
    uint64_t now_ms);
/* False: no room, O must wait for the next batch. */
bool batch_add(struct counters_batch *b, struct counters_order *o) MUST_CHECK;
/* What this node's cells of R owe the server, or the server them. True: something. */
bool batch_sync(struct counters_batch *b, struct counters_record *r);
/* All ops were sent and all numbers read: every order gets its verdict, or again. */
void batch_settle(struct counters_batch *b, enum counter_loss loss);
/* Nothing was sent: what was to be pushed is owed again. */
void batch_undo(struct counters_batch *b);
/* Nothing was read. SENT: it may have arrived, and is taken as if it had. Orders are decided as
 * LOSS says. */
void batch_fail(struct counters_batch *b, bool sent, enum counter_loss loss);
/* One order without any server. */
void batch_decide_here(struct counters_shared *s, struct counters_order *o, enum counter_loss loss,
    uint64_t now_ms);
/* True where O would fit twice as far as is known, and that is not long ago. */
bool batch_is_far(struct counters_shared *s, const struct counters_order *o, uint64_t now_ms)
    MUST_CHECK;
/* True where SEEN is good enough to let a look pass; O then has its verdict. */
bool batch_look(struct counters_shared *s, struct counters_order *o, uint64_t now_ms) MUST_CHECK;

#endif
