/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_TALLY_SHARED_H
#define PROXY_LIMITS_TALLY_SHARED_H

/*
 * tally_shared - the machine's numbers: series in memory that all workers share
 *
 * Made by the master before the fork. A series is a ring of 64 periods; what is older is forgotten.
 * Series lie in partitions by their name; each partition has a lock that outlives a worker that
 * dies with it (robust). An order locks the partitions of its lines, in order of address.
 *
 *      cell:  seen    what is known of the number, on all nodes
 *             own     what this node has added to it
 *             pushed  how much of that the server has, or may have (of the server's epoch that the
 *                     record names)
 *
 * Without memcached seen and own are the same.
 *
 * Owns:   the mapping.
 * Errors: NULL where a partition is full of series that still count.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "proxy/limits/tally.h"

enum { TALLY_SERVERS = 64 };

struct tally_cell {
	uint32_t seen;
	uint32_t own;
	uint32_t pushed;
};

struct tally_record {
	uint64_t id;
	uint64_t group;
	char kind;
	bool dirty;    /* since the last checkpoint */
	bool restored; /* OWN comes from a checkpoint, of another life of this node */
	uint8_t server;
	uint8_t told[2];
	uint32_t told_in[2];
	uint32_t grain_s;
	uint32_t keep;     /* periods that somebody asks for */
	uint32_t latest;   /* the newest period in the ring */
	uint64_t final;    /* a bit a cell: its period is over and SEEN is what it came to */
	uint64_t made;     /* a bit a cell: its number has been seen on the server, in this epoch */
	uint64_t epoch;    /* of the server, that FINAL and PUSHED are about */
	uint64_t asked_ms; /* when the open period was last seen on the server */
	struct tally_cell cell[TALLY_RING];
};

/* SERIES: room for so many. */
struct tally_shared *tally_shared_open(unsigned series) MUST_CHECK;
void tally_shared_close(struct tally_shared *s);

/* The partitions of an order's lines, locked; RECORD[i] is line i's, made where it was not. False:
 * full; nothing is locked then. */
struct tally_hold {
	struct tally_shared *shared;
	unsigned locks_n;
	size_t lock[TALLY_LINES];
	struct tally_record *record[TALLY_LINES];
};
bool tally_hold(struct tally_shared *s, const struct tally_order *o, uint64_t now_ms,
    struct tally_hold *h) MUST_CHECK;
void tally_release(struct tally_hold *h);

/* NULL: outside the ring. ADVANCE: the ring goes on to PERIOD. */
struct tally_cell *tally_cell(struct tally_record *r, uint32_t period, bool advance);
/* Fills in the line's period; the first and last that count. */
void tally_range(struct tally_line *line, const struct tally_record *r, uint64_t now_ms,
    uint32_t *first_r, uint32_t *last_r);
/* Sums up what is known; sets every line's answer and the order's verdict (FITS or OVER). */
void tally_judge(struct tally_order *o, struct tally_hold *h, uint64_t now_ms);
/* SEEN of LINE's span; the line's at, used and free_s. False: with N more it is over its cap. */
bool tally_judge_line(struct tally_line *line, struct tally_record *r, uint32_t n, uint64_t now_ms);
/* N more in every line that adds, seen and own. */
void tally_admit(struct tally_order *o, struct tally_hold *h);
void tally_take_back(const struct tally_order *o, struct tally_hold *h, uint32_t n);

/* The whole of an order on this machine's memory alone. _add: whatever the caps say. */
enum tally_verdict tally_shared_do(struct tally_shared *s, struct tally_order *o, uint64_t now_ms);
enum tally_verdict tally_shared_add(struct tally_shared *s, struct tally_order *o, uint64_t now_ms);
void tally_shared_refund(struct tally_shared *s, const struct tally_order *o, uint32_t n,
    uint64_t now_ms);
bool tally_shared_tell(struct tally_shared *s, const struct tally_line *line, unsigned slot,
    uint32_t period, unsigned level, uint64_t now_ms);

/* Calls FN with each series from *AT (0: the first) on, under its lock; FN must not call back.
 * False of FN stops before the series is done with: false then, and the next call begins with
 * it. */
typedef bool tally_each_fn(void *ctx, struct tally_record *r);
bool tally_each(struct tally_shared *s, size_t *at, tally_each_fn *fn, void *ctx);

/* What the workers of a node agree on beside the numbers. */
struct tally_common {
	pthread_mutex_t restoring; /* robust */
	bool restored;
	uint64_t life;                  /* of this start */
	_Atomic bool save_all;          /* a checkpoint could not be written */
	_Atomic uint64_t checkpoint_ms; /* when the last one was begun */
	_Atomic uint64_t full;          /* series that found no room */
	struct {
		_Atomic uint64_t epoch;    /* the latest that a worker has met; 0: none yet */
		_Atomic uint64_t since_ms; /* when that was */
		_Atomic bool
		    refilled; /* an earlier life of this node has put its numbers into that epoch */
	} server[TALLY_SERVERS];
};
struct tally_common *tally_common(struct tally_shared *s);

#endif
