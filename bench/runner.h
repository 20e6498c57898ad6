/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

/*
 * runner - one SMTP session of a load: connects, logs in, sends what the load hands it
 *
 * What is to be said is a queue of borrowed pieces, written as the stream has room; what is to be
 * heard is a queue of groups of replies. So the same code speaks in lockstep and pipelined (RFC
 * 2920), with DATA and with BDAT (RFC 3030).
 *
 * Owns:   itself: it buries itself when the session is over, after load_gone().
 */
#include "bench/load.h"
#include "wire/reply.h"
#include "wire/stream.h"

enum { RUNNER_LETTERS = 2, RUNNER_AWAITS = 16, RUNNER_PIECES = 16, RUNNER_LINE_MAX = 400 };

enum runner_state {
	RUNNER_SETTING_UP,
	RUNNER_BUSY, /* a message is on its way */
	RUNNER_RESTING,
	RUNNER_QUITTING,
};

/* A message on its way. */
struct letter {
	struct job job;
	const struct content *content;
	uint64_t rcpts_said, rcpts_good;
	bool refused;      /* told to the tally already */
	bool content_sent; /* is queued */
	char bdat[40];
};

/* Replies that are to come. */
struct await {
	enum phase phase;
	uint8_t letter;
	uint64_t count;
	uint64_t asked_ns; /* when what they answer was written */
};

struct piece {
	struct slice what;
	struct await *stamp; /* is asked when this piece is written; may be NULL */
};

struct runner {
	struct grave grave;
	struct stream s;
	struct reply_scan scan;
	struct load *load;
	enum runner_state state;
	enum phase doing;  /* where it stands while no reply is awaited */
	uint64_t since_ns; /* when that began */
	bool secure, reset_due, has_job;
	bool pipelining, chunking; /* are offered */
	uint8_t auth_step;
	uint64_t auth_ns; /* when AUTH began */
	size_t reply_n;   /* octets of the reply that is being looked at, still in the buffer */
	struct job job;   /* that it was opened for */
	uint64_t sent;    /* messages begun */
	unsigned letters_n, letter_last;
	struct letter letters[RUNNER_LETTERS];
	unsigned awaits_first, awaits_n;
	struct await awaits[RUNNER_AWAITS];
	unsigned pieces_first, pieces_n;
	struct piece pieces[RUNNER_PIECES];
	const struct login *login;
	char mail[RUNNER_LINE_MAX];
	char line[RUNNER_LINE_MAX]; /* of the set-up */
	struct runner *next, **at;  /* among those who rest */
};

/* JOB: what it is opened for; NULL: nothing, it only logs in. False: it could not even begin. */
bool runner_open(struct load *l, const struct job *job) MUST_CHECK;
/* Wakes one that rests. */
void runner_work(struct runner *r);
void runner_quit(struct runner *r);

#endif
