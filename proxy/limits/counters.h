/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_H
#define PROXY_LIMITS_COUNTERS_H

/*
 * counters - numbers by name that workers, and with memcached nodes, share (BEHAVIOUR Q3, Q4, Q10)
 *
 * A series is what is counted of one thing: one number for each period of GRAIN_S seconds. It is
 * named by a letter and an id; its ids never hold what a client has said. An order adds N to the
 * current number of several series at once, all or none, if for each of its lines the sum over the
 * line's span stays within the line's cap.
 *
 *      reserve -> FITS   the numbers stand; counters_refund() takes some or all of them back, on
 *                        the day they belong to
 *              -> OVER   nothing was added; order->over is the first line without room
 *              -> LOST   the numbers cannot be asked and [counters] on_counter_loss is closed
 *
 * Two backends. Shared memory of the machine, made by the master before the fork: exact under a
 * lock, never waits. memcached: numbers of all nodes; the machine's memory then holds what this
 * node has added, and what it has seen, so that a lost server can be bridged and filled again
 * (counters_memcached.c).
 *
 * A line that slides is a rolling window: it counts the SPAN periods that end now; near a period's
 * edge, where another node's clock may be on its other side, the neighbour too.
 *
 * Owns:   nothing of an order; it must live until done() where COUNTERS_LATER was said.
 * Errors: LOST, and nothing else: whatever fails is decided by on_counter_loss.
 */
#include "conf/conf.h"
#include "wire/loop.h"
#include "wire/work.h"
#include "wire/text.h"

struct counters;
struct counters_shared;

enum { COUNTERS_LINES = 6, COUNTERS_RING = 64, COUNTERS_SKEW_MS = 200 };

enum counters_when { COUNTERS_NOW, COUNTERS_LATER };
enum counters_verdict { COUNTERS_FITS, COUNTERS_OVER, COUNTERS_LOST };
enum counters_verb {
	COUNTERS_RESERVE,
	COUNTERS_LOOK,
	COUNTERS_READ,
	COUNTERS_RESET,
	COUNTERS_SYNC,
	COUNTERS_BARE_ADD,
	COUNTERS_BARE_TAKE,
	COUNTERS_BARE_READ,
	COUNTERS_BARE_RESET,
};

struct counters_line {
	char kind;
	bool adds; /* N goes to the number of now; else the line is only summed up */
	bool slides;
	uint64_t id;
	uint32_t grain_s;
	uint32_t span; /* periods that count, at most COUNTERS_RING - 4 */
	uint32_t keep; /* periods that any line of the series may ask for, if more than SPAN */
	uint64_t cap;  /* 0: none */
	/* the answer */
	uint32_t at;     /* the period that is now */
	uint64_t used;   /* in the span, N not among it */
	uint64_t ours;   /* of USED, what this node has let in; the rest may be others' attempts */
	uint64_t free_s; /* of a line that is over and slides: when there is room, unix seconds */
};

struct counters_order {
	uint64_t group; /* numbers of one group are on one server */
	uint32_t n;
	unsigned lines_n;
	struct counters_line line[COUNTERS_LINES];
	void (*done)(struct counters_order *o); /* on the loop, where the answer came later */
	/* the answer */
	enum counters_verdict verdict;
	unsigned over;
	bool likely; /* LATER was said, and far from every cap a moment ago */
	bool here; /* the server that has the numbers could not be asked: this node alone did it */
	/* the backend's */
	enum counters_verb verb;
	unsigned server;
	struct counters_order *next;
	uint64_t due_ms; /* monotonic: not before */
	unsigned tries;
	bool exact;   /* trusts no sum that it has not read */
	bool trusted; /* did so */
	bool again;
};

/* In each worker; the first one restores what the last checkpoint held. WORK writes the
 * checkpoints. */
struct counters *counters_open(struct loop *l, struct work *w, const struct conf *c,
    struct counters_shared *shared, struct text *why) MUST_CHECK;
/* Tells all that waits, and writes a checkpoint. WORK has been closed before. */
void counters_close(struct counters *t);
void counters_reconf(struct counters *t, const struct conf *c);

/* NOW: the verdict is there and done() is not called. */
enum counters_when counters_reserve(struct counters *t, struct counters_order *o);
/* Would it fit? Nothing is added. Answers from what is known here where that is recent and far from
 * the cap. */
enum counters_when counters_look(struct counters *t, struct counters_order *o);
/* As it stands, on the server. The caps do not matter. */
enum counters_when counters_read(struct counters *t, struct counters_order *o);
/* All numbers of the lines' spans become 0: where O is done here, those that this node knows. */
enum counters_when counters_reset(struct counters *t, struct counters_order *o);
/* The server that has the numbers of O, "host:port" or a socket's path. */
void counters_write_server(const struct counters *t, const struct counters_order *o,
    struct text *out);
/* N of what O had reserved goes back, from where it was added. O is not kept. */
void counters_refund(struct counters *t, const struct counters_order *o, uint32_t n);
/* Numbers all nodes share: there are servers. */
bool counters_has_servers(const struct counters *t);
/* Bare numbers are on the servers alone: no node keeps or restores them, so that those whose names
 * strangers choose take no place from others. Caps do not matter; LOST where there is no server or
 * it cannot be asked. Their letters are capitals. */
enum counters_when counters_bare_add(struct counters *t, struct counters_order *o);
/* N go back from the numbers of WHEN_S, unix seconds. */
enum counters_when counters_bare_take(struct counters *t, struct counters_order *o,
    uint32_t when_s);
enum counters_when counters_bare_read(struct counters *t, struct counters_order *o);
enum counters_when counters_bare_reset(struct counters *t, struct counters_order *o);
/* True once for LEVEL of the slot (0 or 1) of the line's series in PERIOD, and for those below
 * it. */
bool counters_tell(struct counters *t, const struct counters_line *line, unsigned slot,
    uint64_t period, unsigned level);
/* JSON members for status. */
void counters_status(const struct counters *t, struct text *out);

/* Milliseconds since 1970, as far as limits go. */
uint64_t counters_wall_ms(void);

#endif
