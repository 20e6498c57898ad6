/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_TXN_H
#define PROXY_DIALOGUE_TXN_H

/*
 * txn - one mail transaction: envelope, content, outcome (BEHAVIOUR L10)
 *
 * txn_end() is the only way out of a transaction. It is called after every final reply, RSET, EHLO,
 * STARTTLS, AUTH, limit hit and error, and leaves nothing behind.
 *
 * Recipients are a list in the order of the client's commands, all known to the relay (what we
 * refuse ourselves is answered at once and never listed), with two cursors: the verdicts come in
 * order, and the client hears them in order, perhaps later, when its output has room.
 *
 * Owns:   its memory in the session's arena (back to the start at txn_end), the relay's
 *         transaction.
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
	struct slice words; /* the verdict as a whole reply, where it could not be said at once */
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

struct content {
	struct dots_decoder dots;
	struct header header;
	enum outcome outcome;
	bool from_seen; /* the header has passed, From: was looked at */
	enum reply_id from_said;
	uint64_t octets; /* as transmitted, less dot-stuffing */
	ev_tstamp
	    since; /* when content began, shifted by the time that the upstream made it wait */
	ev_tstamp blocked; /* when it began to wait for room; 0: it does not */
};

struct txn {
	bool open;
	struct id id;
	struct relay_txn *relay;
	const struct profile *profile; /* NULL: native; the sender's snapshot holds it */
	struct rcpt *first, *last;
	struct rcpt *answered; /* the last one with a verdict; NULL: none */
	struct rcpt *said;     /* the last one that the client has heard about; NULL: none */
	unsigned asked_n;      /* in the list */
	unsigned accepted;
	unsigned refused;
	unsigned denied; /* of the refused, those for good (5xx) */
	bool too_many;   /* a recipient over the plan's cap: nobody gets the message (Q6) */
	bool asked;      /* relay_data() was called */
	bool go;         /* the upstream wants the content, and the limits have not answered yet */
	bool chunked;    /* by BDAT */
	bool smtputf8;
	bool sandboxed;              /* there is no relay's transaction */
	struct quota_ticket *ticket; /* what is reserved for it, or asked for; NULL: nothing yet */
	uint64_t size_max;
	ev_tstamp began;
	ev_tstamp finished; /* the end went to the upstream; 0: not yet */
	struct slice from;
	struct slice route, peer; /* of the relay's transaction when that has ended */
	struct content *content;  /* NULL until DATA or BDAT was accepted */
	bool has_early;
	struct relay_verdict early; /* came before the content had ended; strings in the arena */
};

struct session;

/* Ends it: drops the relay's transaction if it still runs, gives back the quota that was not
 * committed, frees the memory. Logging is the caller's, before. */
void txn_end(struct session *s);
/* One "message" line and the counters. V: the upstream's (or relay's) verdict, or NULL and WHY: a
 * row of ours, a client that left. CODE 0: the client heard nothing. */
void txn_log(struct session *s, int code, const struct relay_verdict *v, const char *why);
/* Verdicts are out that the client has not heard. */
bool txn_has_unsaid(const struct txn *t);
/* The relay has said its last word: its transaction is dead, what the log wants of it is kept. */
void txn_detach(struct session *s);
/* Keeps a verdict beyond its callback. */
void txn_keep_early(struct session *s, const struct relay_verdict *v);

#endif
