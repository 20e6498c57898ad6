/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_BATCH_H
#define PROXY_LIMITS_COUNTERS_BATCH_H

/*
 * counters_batch - many orders as few operations on a server's numbers, and the verdicts from what
 * the server then holds
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
 * A batch ends once, and only by an edge of this drawing:
 *
 *      open --answered------> settled                  batch_settle
 *       | |--not sent-------> undone                   batch_unsent, batch_undo
 *       |                       what it had claimed of the cells' debts is owed again
 *       '---sent, silence---> unknown                  batch_leave
 *                               | |--it arrived------> settled    batch_arrived
 *                               |                        what it added for those refused is owed back
 *                               '----it may not have-> forgotten  batch_forget
 *                                                        its epoch must end: then nothing of it
 *                                                        counts
 *
 * Orders have their verdict when the batch leaves open. A claim: a cell's debt (own less pushed) is
 * pushed as soon as it is in a batch, so that no other worker sends it too.
 *
 * A server's number is believed up to a bound (twice the largest cap that this node has met, or
 * BELIEVED_MIN, or 32 bits where there is no cap), and not below what this node has put there: what
 * is beyond has gone, and the epoch with it. Until then what this node knows counts.
 *
 * Never:  I/O. Does not know libmemcached.
 */
#include "proxy/limits/counters_shared.h"

enum { BATCH_OPS = 512, BATCH_INDEX = 1024, BATCH_ORDERS = 128, SETTLE_MS = 2000, FLOOR_MS = 3000 };

enum {
	BELIEVED_MIN =
	    200000,    /* what many at once may add to a small cap before they take it back */
	DOUBT_MS = 50, /* a number that is too small for so long has been lost */
	EPOCH_AHEAD_MS = 86400000, /* an epoch further ahead is none */
};

enum batch_state { BATCH_CLOSED, BATCH_OPEN, BATCH_UNKNOWN };

struct counters_op {
	char kind;
	bool create; /* this node has not seen it in this epoch */
	bool zero;   /* is set to 0, and bears the moment of it */
	bool read;   /* somebody wants to know it */
	uint64_t id;
	uint32_t period;
	uint32_t ttl_s;
	int64_t by;
	/* the server's answer, by batch_answer() */
	bool found;
	bool absurd; /* what was found is not believed */
	uint64_t value;
	uint32_t reset_s; /* when it was set to 0, 0: never */
	/* the batch's own */
	uint64_t cap;    /* the largest of those who read it; 0: none has one */
	uint32_t pushed; /* of this node, when the batch was made */
	int64_t claimed; /* of BY: what the server did not have yet, or has too much of */
	uint64_t mine;   /* of BY: what orders of this batch add and no cell has as pushed */
	uint64_t base;   /* what counts without those that have not been let in */
	bool known;      /* BASE is set */
};

struct counters_batch {
	enum batch_state state;
	struct counters_shared *shared;
	unsigned server;
	uint64_t epoch;
	uint64_t now_ms;
	bool floors; /* the epoch is young: other nodes have not put back all of theirs */
	bool lost;   /* a number has gone, or cannot be right */
	bool stale;  /* the epoch has moved on: nothing may be sent */
	unsigned ops_n;
	unsigned orders_n;
	struct counters_op op[BATCH_OPS];
	uint16_t index[BATCH_INDEX];
	struct counters_order *order[BATCH_ORDERS];
};

/* In the server's epoch as this node knows it. The batch before must have ended. */
void batch_begin(struct counters_batch *b, struct counters_shared *s, unsigned server,
    uint64_t now_ms);
/* False: no room, O must wait for the next batch. */
bool batch_add(struct counters_batch *b, struct counters_order *o) MUST_CHECK;
/* What this node's cells of R owe the server, or the server them. True: something. */
bool batch_sync(struct counters_batch *b, struct counters_record *r);
/* What the server holds of op I. RESET_S: when it was set to 0. */
void batch_answer(struct counters_batch *b, unsigned i, uint64_t value, uint32_t reset_s);

/* All ops were sent and all numbers read: every order gets its verdict, or again. */
void batch_settle(struct counters_batch *b, enum counter_loss loss);
/* Nothing was sent, or in an epoch that is over: what was claimed is owed again. */
void batch_undo(struct counters_batch *b);
/* The same, and the orders are decided as LOSS says. */
void batch_unsent(struct counters_batch *b, enum counter_loss loss);
/* It was sent, and nobody knows how far it came. Orders are decided as LOSS says. */
void batch_leave(struct counters_batch *b, enum counter_loss loss);
/* Of one in BATCH_UNKNOWN: the server has all of it. */
void batch_arrived(struct counters_batch *b);
/* Of one in BATCH_UNKNOWN: its epoch is over. */
void batch_forget(struct counters_batch *b);

/* One order without any server. */
void batch_decide_here(struct counters_shared *s, struct counters_order *o, enum counter_loss loss,
    uint64_t now_ms);
/* True where O would fit twice as far as is known, and that is not long ago. */
bool batch_is_far(struct counters_shared *s, const struct counters_order *o, uint64_t now_ms)
    MUST_CHECK;
/* True where SEEN is good enough to let a look pass; O then has its verdict. */
bool batch_look(struct counters_shared *s, struct counters_order *o, uint64_t now_ms) MUST_CHECK;

#endif
