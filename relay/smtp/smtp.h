/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_SMTP_SMTP_H
#define RELAY_SMTP_SMTP_H

/*
 * smtp - one dialogue with one upstream, as its client (RFC 5321, 2920, 3030, 3207, 4954, 3461,
 * 6531)
 *
 * The steps are rows of step.def. Two cursors walk over them: `sending`, the step to be sent next,
 * and `answering`, the step whose answer comes next; what lies between is pipelined. smtp_pump()
 * sends what may be sent; answers are taken as they come, whatever is still to be sent.
 *
 * What the owner of a transaction hears of it goes through transaction.h, what becomes of the
 * connection through pool.h. A transaction that leaves early is forgotten at once; the connection
 * reads the answers that are still out, says RSET, and only then is free again. In the middle of
 * content it is cut.
 *
 * Rules:  octets behind the 220 of STARTTLS end it; what was offered before TLS is forgotten. No
 *         credential goes out in clear unless the operator trusts the network. An answer that
 *         nobody waits for ends it.
 * Owns:   its stream and buffers. Closed ones are buried.
 */
#include "relay/pool/pool.h"
#include "relay/verdict/verdict.h"
#include "wire/dial.h"
#include "wire/dots.h"
#include "wire/stream.h"

enum step {
#define STEP(id, ...) STEP_##id,
#include "relay/smtp/step.def"
#undef STEP
	STEP_COUNT
};

enum {
	XCLIENT_NAME = 1,
	XCLIENT_ADDR = 2,
	XCLIENT_HELO = 4,
	XCLIENT_LOGIN = 8,
	XCLIENT_PROTO = 16,
};

/* What EHLO offered. */
struct offer {
	bool pipelining, eight_bit, smtputf8, dsn, chunking, starttls, size;
	uint64_t size_max;   /* 0: not told */
	uint64_t recipients; /* LIMITS RCPTMAX, 0: not told */
	unsigned auth;       /* SASL_ bits */
	unsigned xclient;    /* XCLIENT_ bits */
};

enum { PEER_MAX = 384 };

struct smtp {
	struct grave grave; /* first: the loop frees by it */
	struct link link;
	struct list *at; /* of the upstream's lists; NULL: gone */
	struct upstream *up;
	struct stream s;
	struct reply_scan scan; /* of the reply that is coming */
	struct task task;
	struct resolve_ask ask;
	struct addresses all;
	unsigned tried;         /* of them, while it dials */
	struct dial *dial;      /* NULL: it does not */
	bool dialled;           /* at least one was allowed */
	unsigned current;       /* the one that it is connected to */
	unsigned failed;        /* bits of those that could not be connected to */
	struct smtp_kept *kept; /* what the addresses before said; NULL: nothing */
	bool trusted;           /* the guard trusts the network that it is in */

	enum step sending, answering;
	unsigned unanswered;
	unsigned rcpts_out;  /* of them RCPT */
	unsigned chunks_out; /* of them BDAT but the last */
	struct relay_txn *txn;
	struct holder *holder; /* who has it; NULL: nobody */
	struct offer offer;
	unsigned mechanism; /* SASL_ */
	struct slice challenge;
	char challenge_mem[1024];

	bool counted; /* among the upstream's connections over all workers */
	bool check;   /* only looks whether the upstream is there */
	bool secured, authed;
	bool awaits_token; /* of OAuth, to say AUTH */
	bool token_again;  /* the second one */
	bool ready;        /* hello is done */
	bool reused;       /* it was idle, so it may be dead */
	bool introduced;   /* XCLIENT went out for this transaction */
	bool pumping, quitting, gone;
	bool begun;      /* MAIL went out, and nothing has ended it */
	bool content;    /* content is being sent */
	bool chunked;    /* by BDAT */
	bool ended;      /* the end of the content is out */
	uint64_t octets; /* of content */
	struct dots_encoder dots;
	struct buf gather; /* the chunk that is being filled */

	uint64_t conf_revision;
	ev_tstamp born, used;
	unsigned messages;
	char peer[PEER_MAX]; /* "host[192.0.2.1]:587 TLSv1.3" */
};

/* Begins to connect, at the end of this callback. NULL: no memory. */
struct smtp *smtp_open(struct upstream *u, bool check) MUST_CHECK;
/* C, which must be ready and free, serves T from now on. */
void smtp_lease(struct smtp *c, struct relay_txn *t);
/* Sends what may be sent. */
void smtp_pump(struct smtp *c);
/* It is ready: its address does. */
void smtp_settled(struct smtp *c);
/* The transaction has gone. Content cut short ends the connection too. */
void smtp_let_go(struct smtp *c);
/* Content: at most smtp_room() octets. Not VERDICT_OK: it cannot go (8-bit, no memory) and the
 * message must not be ended. */
enum verdict_class smtp_content(struct smtp *c, struct slice octets) MUST_CHECK;
size_t smtp_room(const struct smtp *c);
/* QUIT, for one that is free. */
void smtp_quit(struct smtp *c);
/* Closes now; tells nobody but the pool. */
void smtp_cut(struct smtp *c);
/* There is an access token, or none to be had: those of U that wait go on. */
void smtp_on_token(struct upstream *u);

#endif
