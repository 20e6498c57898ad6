/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_TALLY_H
#define PROXY_LIMITS_TALLY_H

/*
 * tally - numbers by name that workers, and with memcached nodes, share (BEHAVIOUR Q3, Q4, Q10)
 *
 * A series is what is counted of one thing: one number for each period of GRAIN_S seconds. It is
 * named by a letter and an id; its ids never hold what a client has said. An order adds N to the
 * current number of several series at once, all or none, if for each of its lines the sum over the
 * line's span stays within the line's cap.
 *
 *      reserve -> FITS   the numbers stand; tally_refund() takes some or all of them back, on the
 *                        day they belong to
 *              -> OVER   nothing was added; order->over is the first line without room
 *              -> LOST   the numbers cannot be asked and [counters] on_counter_loss is closed
 *
 * Two backends. Shared memory of the machine, made by the master before the fork: exact under a
 * lock, never waits. memcached: numbers of all nodes; the machine's memory then holds what this
 * node has added, and what it has seen, so that a lost server can be bridged and filled again
 * (tally_memcached.c).
 *
 * A line that slides is a rolling window: it counts the SPAN periods that end now; near a period's
 * edge, where another node's clock may be on its other side, the neighbour too.
 *
 * Owns:   nothing of an order; it must live until done() where TALLY_LATER was said.
 * Errors: LOST, and nothing else: whatever fails is decided by on_counter_loss.
 */
#include "conf/conf.h"
#include "wire/loop.h"
#include "wire/work.h"
#include "wire/text.h"

struct tally;
struct tally_shared;

enum { TALLY_LINES = 6, TALLY_RING = 64, TALLY_SKEW_MS = 200 };

enum tally_when { TALLY_NOW, TALLY_LATER };
enum tally_verdict { TALLY_FITS, TALLY_OVER, TALLY_LOST };
enum tally_verb {
	TALLY_RESERVE,
	TALLY_LOOK,
	TALLY_READ,
	TALLY_RESET,
	TALLY_SYNC,
	TALLY_BARE_ADD,
	TALLY_BARE_READ,
	TALLY_BARE_RESET,
};

struct tally_line {
	char kind;
	bool adds; /* N goes to the number of now; else the line is only summed up */
	bool slides;
	uint64_t id;
	uint32_t grain_s;
	uint32_t span; /* periods that count, at most TALLY_RING - 4 */
	uint32_t keep; /* periods that any line of the series may ask for, if more than SPAN */
	uint64_t cap;  /* 0: none */
	/* the answer */
	uint32_t at;     /* the period that is now */
	uint64_t used;   /* in the span, N not among it */
	uint64_t free_s; /* of a line that is over and slides: when there is room, unix seconds */
};

struct tally_order {
	uint64_t group; /* numbers of one group are on one server */
	uint32_t n;
	unsigned lines_n;
	struct tally_line line[TALLY_LINES];
	void (*done)(struct tally_order *o); /* on the loop, where the answer came later */
	/* the answer */
	enum tally_verdict verdict;
	unsigned over;
	bool likely; /* LATER was said, and far from every cap a moment ago */
	/* the backend's */
	enum tally_verb verb;
	unsigned server;
	struct tally_order *next;
	uint64_t due_ms; /* monotonic: not before */
	unsigned tries;
	bool exact;   /* trusts no sum that it has not read */
	bool trusted; /* did so */
	bool again;
};

/* In each worker; the first one restores what the last checkpoint held. WORK writes the
 * checkpoints. */
struct tally *tally_open(struct loop *l, struct work *w, const struct conf *c,
    struct tally_shared *shared, struct text *why) MUST_CHECK;
/* Tells all that waits, and writes a checkpoint. WORK has been closed before. */
void tally_close(struct tally *t);
void tally_reconf(struct tally *t, const struct conf *c);

/* NOW: the verdict is there and done() is not called. */
enum tally_when tally_reserve(struct tally *t, struct tally_order *o);
/* Would it fit? Nothing is added. Answers from what is known here where that is recent and far from
 * the cap. */
enum tally_when tally_look(struct tally *t, struct tally_order *o);
/* As it stands, on the server. The caps do not matter. */
enum tally_when tally_read(struct tally *t, struct tally_order *o);
/* All numbers of the lines' spans become 0. */
enum tally_when tally_reset(struct tally *t, struct tally_order *o);
/* N of what O had reserved goes back, from where it was added. O is not kept. */
void tally_refund(struct tally *t, const struct tally_order *o, uint32_t n);
/* Numbers all nodes share: there are servers. */
bool tally_has_servers(const struct tally *t);
/* Bare numbers are on the servers alone: no node keeps or restores them, so that those whose names
 * strangers choose take no place from others. Caps do not matter; LOST where there is no server or
 * it cannot be asked. Their letters are capitals. */
enum tally_when tally_bare_add(struct tally *t, struct tally_order *o);
enum tally_when tally_bare_read(struct tally *t, struct tally_order *o);
enum tally_when tally_bare_reset(struct tally *t, struct tally_order *o);
/* True once for LEVEL of the slot (0 or 1) of the line's series in PERIOD, and for those below
 * it. */
bool tally_tell(struct tally *t, const struct tally_line *line, unsigned slot, uint64_t period,
    unsigned level);
/* JSON members for status. */
void tally_status(const struct tally *t, struct text *out);

/* Milliseconds since 1970, as far as limits go. */
uint64_t tally_wall_ms(void);

#endif
