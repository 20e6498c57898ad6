/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_SHARED_H
#define PROXY_LIMITS_COUNTERS_SHARED_H

/*
 * counters_shared - the machine's numbers: series in memory that all workers share
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

#include "proxy/limits/counters.h"

enum { COUNTERS_SERVERS = 64 };

struct counters_cell {
	uint32_t seen;
	uint32_t own;
	uint32_t pushed;
};

struct counters_record {
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
	uint64_t
	    doubt_ms; /* since when the server holds less than we have put there; 0: it does not */
	uint32_t reset_s; /* the last moment known at which somebody set it all to 0 */
	struct counters_cell cell[COUNTERS_RING];
};

/* SERIES: room for so many. */
struct counters_shared *counters_shared_open(unsigned series) MUST_CHECK;
void counters_shared_close(struct counters_shared *s);

/* The partitions of an order's lines, locked; RECORD[i] is line i's, made where it was not. False:
 * full; nothing is locked then. */
struct counters_hold {
	struct counters_shared *shared;
	unsigned locks_n;
	size_t lock[COUNTERS_LINES];
	struct counters_record *record[COUNTERS_LINES];
};
bool counters_hold(struct counters_shared *s, const struct counters_order *o, uint64_t now_ms,
    struct counters_hold *h) MUST_CHECK;
void counters_release(struct counters_hold *h);
/* The one series of that name, where there is one. */
bool counters_hold_named(struct counters_shared *s, char kind, uint64_t id, struct counters_hold *h)
    MUST_CHECK;

/* NULL: outside the ring. ADVANCE: the ring goes on to PERIOD. */
struct counters_cell *counters_cell(struct counters_record *r, uint32_t period, bool advance);
/* Fills in the line's period; the first and last that count. */
void counters_range(struct counters_line *line, const struct counters_record *r, uint64_t now_ms,
    uint32_t *first_r, uint32_t *last_r);
/* Sums up what is known; sets every line's answer and the order's verdict (FITS or OVER). */
void counters_judge(struct counters_order *o, struct counters_hold *h, uint64_t now_ms);
/* SEEN of LINE's span; the line's at, used and free_s. False: with N more it is over its cap. */
bool counters_judge_line(struct counters_line *line, struct counters_record *r, uint32_t n,
    uint64_t now_ms);

/* The whole of an order on this machine's memory alone. _add: whatever the caps say. */
enum counters_verdict counters_shared_do(struct counters_shared *s, struct counters_order *o,
    uint64_t now_ms);
enum counters_verdict counters_shared_add(struct counters_shared *s, struct counters_order *o,
    uint64_t now_ms);
void counters_shared_refund(struct counters_shared *s, const struct counters_order *o, uint32_t n,
    uint64_t now_ms);
bool counters_shared_tell(struct counters_shared *s, const struct counters_line *line,
    unsigned slot, uint32_t period, unsigned level, uint64_t now_ms);

/* Calls FN with each series from *AT (0: the first) on, under its lock; FN must not call back.
 * False of FN stops before the series is done with: false then, and the next call begins with
 * it. */
typedef bool counters_each_fn(void *ctx, struct counters_record *r);
bool counters_each(struct counters_shared *s, size_t *at, counters_each_fn *fn, void *ctx);

/* What the workers of a node agree on beside the numbers. */
struct counters_common {
	pthread_mutex_t restoring; /* robust */
	bool restored;
	uint64_t life;                  /* of this start */
	_Atomic bool save_all;          /* a checkpoint could not be written */
	_Atomic uint64_t checkpoint_ms; /* when the last one was begun */
	_Atomic uint64_t full;          /* series that found no room */
	_Atomic uint64_t largest_cap;   /* that an order came with */
	struct {
		_Atomic uint64_t epoch;    /* the latest that a worker has met; 0: none yet */
		_Atomic uint64_t since_ms; /* when that was */
		/* An earlier life of this node has put its numbers into that epoch. */
		_Atomic bool refilled;
		/* A worker ended and did not know what arrived of its last batch. */
		_Atomic bool doubt;
	} server[COUNTERS_SERVERS];
};
struct counters_common *counters_common(struct counters_shared *s);

#endif
