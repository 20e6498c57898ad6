/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_TRANSACTION_H
#define RELAY_TRANSACTION_H

/*
 * transaction - one transaction on its way: what is to be sent, which route it takes, what its
 * owner has been told
 *
 * Recipients are a list with two cursors, like the dialogue's:
 *
 *      first ... | answered, told | sent, unanswered | to be sent ... end
 *                                 ^ answer_at        ^ send_at
 *
 * A new connection (a dead one replaced, another MTA, the fallback route) sets both back to the
 * start; who was told a verdict keeps it: the refused are left out, and an accepted one that is
 * refused now fails the transaction at DATA.
 *
 * What the owner calls only notes and defers; telling is done on the loop. So a callback may call
 * anything, and nothing below it is pulled away.
 *
 * Owns:   its memory (an arena), kept for the next transaction. Ended ones are recycled by a task.
 */
#include "relay/relay_private.h"
#include "wire/arena.h"

struct api;
struct holder;
struct smtp;
struct upstream;

struct rcpt {
	struct rcpt *next;
	unsigned index;
	bool told;
	bool accepted; /* as told */
	bool utf8;
	unsigned notify;
	enum verdict_class
	    here;          /* VERDICT_OK, or refused by ourselves: this upstream cannot do it */
	struct slice line; /* "RCPT TO:<...>" */
	struct slice dsn;  /* " NOTIFY=... ORCPT=...", for an upstream with DSN */
};

struct relay_txn {
	struct link link;  /* of the relay's open or spare ones */
	struct link waits; /* in an upstream's line: all of them */
	struct link turn;  /* there: its tenant's, or those whose time has not come */
	struct task task;
	struct relay *r;
	struct arena arena;
	uint64_t owner;
	struct slice id;

	/* What is to be sent. */
	struct slice line; /* "MAIL FROM:<...>" */
	struct slice dsn;  /* " RET=... ENVID=..." */
	bool has_size, eight_bit;
	bool smtputf8;    /* said: a permission, dropped where the upstream does not offer it */
	bool utf8_sender; /* needed */
	uint64_t size;
	struct slice client_address, client_helo, client_login;
	uint64_t account, user; /* whose it is */
	struct rcpt *first;
	struct rcpt **end;
	struct rcpt **send_at, **answer_at;
	unsigned count; /* of recipients */

	/* The route. */
	struct upstream *routes[2]; /* NULL: native */
	bool native[2];
	unsigned routes_n;
	unsigned at;           /* which of them */
	uint64_t tried;        /* endpoints of the native pool, by bit */
	struct upstream *up;   /* the one in use, or being waited for */
	struct holder *holder; /* NULL: it does not wait */
	struct list *turn_at;
	ev_tstamp waits_until;
	ev_tstamp not_before; /* its turn, where the upstream is held or paced */
	struct smtp *conn;    /* one of both, or none yet */
	struct api *api;
	struct slice route, peer;

	/* What has been asked, and told. */
	bool data;    /* relay_data() */
	bool finish;  /* relay_finish() */
	bool content; /* on_go was good: content flows */
	bool dropped;
	bool replaced;
	enum verdict_class broken; /* content that could not go on; VERDICT_OK: none */
	bool unserved;             /* VERDICT stopped it; what now, the task decides */
	bool failed;               /* VERDICT is for all that is untold */
	bool ended;
	unsigned accepted; /* by this connection */
	unsigned told_good;
	struct relay_verdict verdict;
};

struct relay_txn *transaction_open(struct relay *r, const struct relay_order *o) MUST_CHECK;
/* transaction_envelope.c */
bool transaction_set_mail(struct relay_txn *t, const struct mail_args *m) MUST_CHECK;
bool transaction_add(struct relay_txn *t, const struct rcpt_args *a) MUST_CHECK;
/* Has it looked at soon. */
void transaction_poke(struct relay_txn *t);
/* Frees those that are open and spare, telling nobody. */
void transaction_close_all(struct relay *r);

/* From the pool. */
void transaction_leased(struct relay_txn *t, struct smtp *c);
void transaction_leased_api(struct relay_txn *t, struct api *a);
void transaction_unserved(struct relay_txn *t, const struct relay_verdict *v);
/* Another MTA may be tried for it. */
bool transaction_may_hop(const struct relay_txn *t) MUST_CHECK;

/* From the dialogue. The verdicts borrow from the caller. */
struct rcpt *transaction_next_rcpt(struct relay_txn *t) MUST_CHECK;
/* The one that transaction_next_rcpt() gave is sent. */
void transaction_sent(struct relay_txn *t);
void transaction_rcpt_answer(struct relay_txn *t, const struct relay_verdict *v);
/* MAIL was refused, or DATA, or there was nobody to send to: the connection is no longer its
 * own. */
void transaction_refused(struct relay_txn *t, const struct relay_verdict *v);
void transaction_go(struct relay_txn *t, const struct relay_verdict *v);
void transaction_room(struct relay_txn *t);
void transaction_done(struct relay_txn *t, const struct relay_verdict *v);
/* The connection is gone. MAY_REPLACE: it was a reused one, and closed without a word that means
 * something. */
void transaction_lost(struct relay_txn *t, const struct relay_verdict *v, bool may_replace);
/* A verdict of our own. */
struct relay_verdict transaction_verdict(enum verdict_class class);

#endif
