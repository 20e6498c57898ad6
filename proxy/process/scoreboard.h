/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_SCOREBOARD_H
#define PROXY_PROCESS_SCOREBOARD_H

/*
 * scoreboard - what all workers count, in memory shared by master and workers
 *
 * One column a worker, written by that worker alone and read by all; the master zeroes the gauges
 * of a dead worker's column (its counters stay). Connections per client address and per account are
 * counted in a two-row sketch of gauges hashed with a secret of this start: never too low, so that
 * a cap holds; too high only when hashes meet.
 *
 * Owns:   the mapping (MAP_SHARED | MAP_ANONYMOUS, made before the fork).
 * Never:  locks; a column has one writer, and a reader may see one number older than the next.
 */
#include <sys/socket.h>

#include "conf/replies.h"
#include "wire/slice.h"
#include "wire/text.h"

enum counter {
#define COUNTER(name, word, help) COUNTER_##name,
#include "proxy/process/counter.def"
#undef COUNTER
/* Each row of the reply catalogue has one: replies_auth_failed. */
#define REPLY(id, code, enhanced, bad, ref, text, todo) COUNTER_REPLY_##id,
#include "conf/reply.def"
#undef REPLY
	COUNTER_COUNT
};

static inline enum counter
counter_of_reply(enum reply_id id)
{
	return (enum counter)(COUNTER_REPLY_BAD_SEQUENCE + id);
}

enum gauge {
#define GAUGE(name, word, help) GAUGE_##name,
#include "proxy/process/gauge.def"
#undef GAUGE
	GAUGE_COUNT
};

struct guess;
struct hashing;
struct recent;
struct scoreboard;

struct scoreboard *scoreboard_open(unsigned workers) MUST_CHECK;
void scoreboard_close(struct scoreboard *b);
/* Failed log-ins, shared likewise. */
struct guess *scoreboard_guess(const struct scoreboard *b);
/* Whose passwords the workers check. */
struct hashing *scoreboard_hashing(const struct scoreboard *b);
/* What was refused of late. */
struct recent *scoreboard_recent(const struct scoreboard *b);
unsigned scoreboard_workers(const struct scoreboard *b);
/* By the master when worker W is dead and before its successor starts. */
void scoreboard_clear_gauges(struct scoreboard *b, unsigned w);

void scoreboard_count(struct scoreboard *b, unsigned w, enum counter c, uint64_t by);
void scoreboard_gauge(struct scoreboard *b, unsigned w, enum gauge g, int64_t by);
uint64_t scoreboard_counter(const struct scoreboard *b, enum counter c); /* over all workers */
int64_t scoreboard_sum(const struct scoreboard *b, enum gauge g);
int64_t scoreboard_gauge_of(const struct scoreboard *b, unsigned w, enum gauge g);

/* The names of the .def files, for status and metrics. */
const char *scoreboard_counter_word(enum counter c);
const char *scoreboard_counter_help(enum counter c) FOR_TESTS;
const char *scoreboard_gauge_word(enum gauge g);
const char *scoreboard_gauge_help(enum gauge g) FOR_TESTS;

/* Open connections of a client address (IPv6: of its /64) or of an account, over all workers, this
 * one included. */
unsigned scoreboard_enter_address(struct scoreboard *b, unsigned w, const struct sockaddr *a);
void scoreboard_leave_address(struct scoreboard *b, unsigned w, const struct sockaddr *a);
unsigned scoreboard_enter_account(struct scoreboard *b, unsigned w, uint64_t account);
void scoreboard_leave_account(struct scoreboard *b, unsigned w, uint64_t account);

#endif
