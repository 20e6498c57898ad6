/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_TXN_H
#define PROXY_DIALOGUE_TXN_H

/*
 * txn - one mail transaction: envelope, content, outcome (BEHAVIOUR L10)
 *
 * State:  TXN_NONE -> RCPT -> ASKED -> ANSWERED -> CONTENT -> FINAL; each may end in TXN_NONE, and
 *         txn_end() is the only way there: after every final reply, RSET, EHLO, limit hit, error,
 *         when the client has gone and at stop. Nothing else logs a message, remembers it, settles
 *         its quota or counts it.
 *
 * Recipients are a list in the order of the client's commands, all known to the relay (what we
 * refuse ourselves is answered at once and never listed), with two cursors: the verdicts come in
 * order, and the client hears them in order, perhaps later, when its output has room (answer.c).
 *
 * Owns:   its memory in the session's arena (back to the start at txn_end), the relay's
 *         transaction, the quota's ticket.
 */
#include "conf/replies.h"
#include "proxy/limits/quota.h"
#include "relay/relay.h"
#include "wire/arena.h"
#include "wire/dots.h"
#include "wire/header.h"
#include "wire/id.h"
#include "wire/loop.h"

enum rcpt_state { RCPT_ASKED, RCPT_ACCEPTED, RCPT_REFUSED };

struct rcpt {
	struct rcpt *next;
	enum rcpt_state state;
	struct slice address;
	/* The verdict as a whole reply, where it could not be said at once; p NULL: there was no
	 * memory for it. */
	struct slice words;
};

/* How the message will end; the first trouble decides. */
enum outcome {
	OUTCOME_OPEN,
	OUTCOME_SAID, /* by the relay: txn.early */
	OUTCOME_TOO_LARGE,
	OUTCOME_BARE,
	OUTCOME_LOOP,
	OUTCOME_HEADER, /* too large a section */
	OUTCOME_FROM,   /* content.from_said */
};

/* How far the look at From: has come (S5, S6). */
enum from_state {
	FROM_AHEAD,  /* the header has not passed */
	FROM_READ,   /* the account's own rules have spoken: from_said */
	FROM_ASKING, /* the content has ended; from_at is the next address to ask about */
	FROM_ASKED,  /* the directory is asked about that one */
	FROM_JUDGED,
};

struct content {
	struct dots_decoder dots;
	struct header header;
	enum outcome outcome;
	enum from_state from;
	enum reply_id from_said;
	size_t from_at;
	uint64_t octets; /* as transmitted, less dot-stuffing */
};

enum txn_state {
	TXN_NONE,     /* there is no transaction; all else of it is zero */
	TXN_RCPT,     /* recipients are taken */
	TXN_ASKED,    /* DATA or the first BDAT is in; the upstream is asked for its go-ahead */
	TXN_ANSWERED, /* it has answered; the limits, or verdicts that wait for room, have not */
	TXN_CONTENT,  /* content comes, or the next BDAT is awaited */
	TXN_FINAL,    /* the end went to the upstream, whose last word is awaited */
};

struct txn {
	enum txn_state state;
	struct id id;
	struct relay_txn *relay;       /* NULL: sandboxed, or it has ended */
	const struct profile *profile; /* NULL: native; the sender's snapshot holds it */
	struct rcpt *first, *last;
	struct rcpt *answered; /* the last one with a verdict; NULL: none */
	struct rcpt *said;     /* the last one that the client has heard about; NULL: none */
	unsigned asked_n;      /* in the list */
	unsigned accepted;
	unsigned refused;
	unsigned denied; /* of the refused, those for good (5xx) */
	/* Facts, set once: of a recipient over the plan's cap, so that nobody gets the message
	 * (Q6); of MAIL; of the sender; of the first content command. */
	bool too_many, smtputf8, sandboxed, chunked;
	struct quota_ticket *ticket; /* what is reserved for it, or asked for; NULL: nothing yet */
	uint64_t size_max;
	ev_tstamp began;
	ev_tstamp finished; /* the end went to the upstream; 0: not yet */
	struct slice from;
	struct slice route, peer;   /* of the relay's transaction when that has ended */
	struct content *content;    /* NULL until the go-ahead */
	struct relay_verdict early; /* came before the content had ended; strings in the arena */
};

struct session;

/* Is there one? */
static inline bool
txn_is_open(const struct txn *t)
{
	return t->state != TXN_NONE;
}

/* The upstream has given its verdict already: txn.early. */
static inline bool
txn_has_early(const struct txn *t)
{
	return t->early.code != 0;
}

/* Verdicts are out that the client has not heard. */
static inline bool
txn_has_unsaid(const struct txn *t)
{
	return t->last != t->said;
}

/* The upstream's answer is owed to the log and the counters, whoever has left (L7). */
static inline bool
txn_awaits_last_word(const struct txn *t)
{
	return t->state == TXN_FINAL && t->relay != NULL;
}

/*
 * The one end of a transaction. CODE: what the client hears of the message as a whole; 0: nothing,
 * since it gave up or has gone. V: the upstream's (or relay's) verdict; NULL: the end is ours, and
 * WHY is the row's name, the client's verb or the session's close word. Beside V, WHY is a note for
 * the log or NULL.
 *
 * It writes the one "message" line, counts, remembers what was refused (H2), keeps the quota where
 * the message was taken or may have been (V unknown) and gives it back otherwise, drops the relay's
 * transaction if it still runs, frees the memory (V may lie in it) and takes the session back to
 * STATE_READY, unless that is gone. What the client hears must be said before, or copied.
 */
void txn_end(struct session *s, int code, const struct relay_verdict *v, const char *why);
/* The same with a row of ours. */
void txn_refuse(struct session *s, enum reply_id r);
/* The relay has said its last word: its transaction is dead, what the log wants of it is kept. */
void txn_detach(struct session *s);
/* Keeps a verdict beyond its callback. */
void txn_keep_early(struct session *s, const struct relay_verdict *v);

#endif
