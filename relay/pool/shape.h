/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_SHAPE_H
#define RELAY_POOL_SHAPE_H

/*
 * shape - what all workers know together of each upstream: its connections, its pace, whether it
 * asked to be left alone, whether it refuses the credential (BEHAVIOUR R7 and the end of 7)
 *
 * Shared memory, made before the fork. An upstream has a slot, found by its key and never given
 * back; it joins with the version of its credential, and what was known of an older one is
 * forgotten. Connections are counted in one column a worker, so that those of a dead worker can be
 * taken away.
 *
 * Owns:   the mapping. Times are the loop's, in seconds; unix time where it says so.
 * Errors: an upstream that finds no slot is not shaped: all is allowed.
 * Never:  locks, waits, lets a count be too low.
 */
#include "relay/pool/dead.h"
#include "relay/pool/offers.h"
#include "relay/relay.h"

struct shape_slot;

/* One upstream's view of its slot. */
struct shaping {
	struct shape *all; /* NULL: no slot */
	struct shape_slot *slot;
	uint32_t at;
	unsigned worker;
	uint64_t version;
};

enum { SHAPE_LINE_MAX = 240 };

void shape_join(struct shaping *h, struct shape *all, unsigned worker, uint64_t key,
    uint64_t version);

/* The same to look only; false: nobody has used it in this version. */
bool shape_look(struct shaping *h, struct shape *all, uint64_t key, uint64_t version) MUST_CHECK;

/* A connection more, over all workers; false: LIMIT (0: none) or what was learned forbids it. */
bool shape_enter(const struct shaping *h, unsigned limit, double now) MUST_CHECK;
void shape_leave(const struct shaping *h);
unsigned shape_connections(const struct shaping *h);
/* It takes no more than N connections, for a while. */
void shape_cap(const struct shaping *h, unsigned n, double now);
/* True where no connection more can be had, so that idle ones should go soon. */
bool shape_is_full(const struct shaping *h, unsigned limit, double now) MUST_CHECK;
/* How many there may be: LIMIT, or less where that was learned. 0: no limit is known. */
unsigned shape_limit(const struct shaping *h, unsigned limit, double now);
/* TENANT, one of those who share the upstream, holds a connection more, or less; how many it holds
 * in all workers, never too few. */
void shape_lend(const struct shaping *h, uint64_t tenant);
void shape_return(const struct shaping *h, uint64_t tenant);
unsigned shape_lent(const struct shaping *h, uint64_t tenant);
/* Whether this worker waits for a connection and has none. */
void shape_want(const struct shaping *h, bool wants);
bool shape_others_want(const struct shaping *h) MUST_CHECK;

/* This worker has a refresh token that could not be stored yet. */
void shape_token_waits(const struct shaping *h, bool waits);

/* So many messages fit into one of its connections; 0: not learned. */
void shape_learn_messages(const struct shaping *h, unsigned n);
unsigned shape_messages(const struct shaping *h);

/* Not before so many seconds. NAMED: the upstream said so itself; else the time grows with each
 * time it is asked for. */
void shape_hold(const struct shaping *h, double seconds, bool named, double now);
/* How long it is still held. */
double shape_held(const struct shaping *h, double now);
/* The turn of one message at PER_MINUTE: how long it has to wait. False: longer than MAX, and no
 * turn is taken. */
bool shape_pace(const struct shaping *h, unsigned per_minute, double max, double now,
    double *wait_r) MUST_CHECK;

/* The credential was refused; how long nobody may try now (0: it may be tried again). */
double shape_refused(const struct shaping *h, double now);
/* True where the credential has been taken before and one more refusal does not open the breaker:
 * the server is doubted first. */
bool shape_doubts(const struct shaping *h) MUST_CHECK;
/* True where nobody may try. False lets the caller, and no other, try for half a minute after the
 * breaker's time is over. */
bool shape_is_broken(const struct shaping *h, double now) MUST_CHECK;
unsigned shape_refusals(const struct shaping *h);
/* For how long nobody may try. */
double shape_closed(const struct shaping *h, double now);
/* It was reached and took the credential. */
void shape_welcome(const struct shaping *h);
/* It took a message. */
void shape_thank(const struct shaping *h, double now);

/* What the upstream said last, cleaned; CLASS as in class.def. EARLY: before the connection was
 * ready. UNIX_S: the time of day. */
struct shape_said {
	enum verdict_class class;
	struct slice line;
	bool failing, early;
	int64_t unix_s;
};
void shape_note(const struct shaping *h, const struct shape_said *said);
/* Addresses that did not do, as all workers know them. */
struct dead *shape_dead(struct shape *s);
/* Spreads V, so that neighbours are not neighbours. */
uint64_t shape_mix(uint64_t v);
/* What each of them offered last, as all workers know it. */
struct offers *shape_offers(struct shape *s);
/* The key of a profile. */
uint64_t shape_key(uint64_t profile);

#endif
