/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

/*
 * relay - the upstream side of a worker: one transaction after another, each live (BEHAVIOUR 1, 6,
 * 7)
 *
 * This is the only header of relay/ that proxy/ includes. A transaction goes
 *
 *      relay_open -> relay_rcpt ... -> relay_data -> on_go -> relay_content ... -> relay_finish -> on_done
 *
 * and ends with on_done (exactly once) or with relay_drop(), after either of which the pointer is
 * dead. Answers come by the owner's id, on the loop, never from inside a relay_ call:
 *
 *      on_rcpt  the verdict on recipient INDEX, in order of index, each exactly once unless
 *               dropped. A failure before (connect, TLS, AUTH, MAIL) is told to each recipient that
 *               waits, and to each that comes.
 *      on_go    content may be sent (code 354), or DATA was refused (then the transaction has
 *               ended, as with on_done).
 *      on_room  relay_room() is above zero again after it was zero.
 *      on_done  the last word. May come before relay_finish() if the upstream breaks or refuses
 *               early; the owner then swallows the client's content and says it at the end.
 *
 * The relay picks the connection (pool, native pool's healthy MTA), keeps what was pipelined
 * pipelined, replaces a reused connection that proves dead once before content was sent, uses the
 * fallback route where there is one and nothing of the content went (R6), and classes every failure
 * (verdict.h). No second attempt once a content octet went (L11).
 *
 * Owns:   transactions, connections, look-ups and their cache.  ORDER is copied; ACCOUNT snapshots
 *         are not kept: profiles are copied.
 * Errors: everything is a verdict.
 */
#include "conf/conf.h"
#include "conf/directory/directory.h"
#include "conf/vault/vault.h"
#include "wire/command.h"
#include "wire/dns.h"
#include "wire/loop.h"
#include "wire/reply.h"
#include "wire/work.h"

struct relay;
struct relay_txn;

enum verdict_class {
#define VERDICT_CLASS(name, word, ...) VERDICT_##name,
#include "relay/verdict/class.def"
#undef VERDICT_CLASS
	VERDICT_CLASS_COUNT
};

/* "rate": the class's word in logs, metrics and docs. */
const char *verdict_word(enum verdict_class class);
/* VERDICT_CLASS_COUNT where there is none of that word. */
enum verdict_class verdict_of_word(struct slice word) MUST_CHECK;
/* Trouble of the route itself, of which the next message will hear as well: its health tells of it
 * until something passes. */
bool verdict_is_lasting(enum verdict_class class) MUST_CHECK;
/* What a person can do about CLASS: one or two sentences; none for OK. PROFILE: "account/name", or
 * empty. */
void verdict_advise(enum verdict_class class, struct slice profile, struct text *out);

/* An accepted recipient that was refused inside a good answer. */
struct relay_left {
	unsigned index;    /* as in on_rcpt */
	struct slice said; /* the provider's words about it, as they came */
};

/* What the client is to hear, already mapped by the class table of BEHAVIOUR 7. Borrowed for the
 * length of the callback. */
struct relay_verdict {
	enum verdict_class class;
	int code; /* 250, 354, 4xx, 5xx */
	struct enhanced enhanced;
	struct slice text; /* words for the client: printable ASCII, no secrets */
	struct slice
	    /* the upstream's own reply, flattened, for the log and the final 250; empty if local */
	    upstream;
	bool unknown; /* the final dot went out and no answer came: outcome=unknown */
	uint64_t
	    left_out; /* of a 250: accepted recipients that were refused inside the good answer */
	const struct relay_left *left; /* those of them that the answer names */
	size_t left_n;
};

/* What the client hears of CLASS at RCPT, in words of ours. Static. */
struct relay_verdict relay_says(enum verdict_class class);

struct relay_events {
	void (*on_rcpt)(void *ctx, uint64_t owner, unsigned index, const struct relay_verdict *v);
	void (*on_go)(void *ctx, uint64_t owner, const struct relay_verdict *v);
	void (*on_room)(void *ctx, uint64_t owner);
	void (*on_done)(void *ctx, uint64_t owner, const struct relay_verdict *v);
};

struct relay_order {
	uint64_t owner;
	struct slice id;               /* message id, for the log */
	const struct profile *profile; /* NULL: native pool */
	bool has_fallback;
	const struct profile *fallback; /* NULL: native pool */
	struct mail_args mail;
	struct slice client_address; /* XCLIENT, as text; may be empty */
	struct slice client_helo;
	struct slice client_login;
	/* Who must not make others wait: at the native pool ACCOUNT, at a profile USER, which is
	 * another for each mailbox and address of the account. */
	uint64_t account, user;
};

/* What the last EHLO of a route's upstream offered. */
struct relay_offer {
	bool known;
	uint64_t size;       /* 0: no limit told */
	uint64_t recipients; /* LIMITS RCPTMAX; 0: not told */
	bool eight_bit, smtputf8, dsn, chunking;
};

struct relay *relay_new(struct loop *l, struct work *w, struct conf *c, struct vault *v,
    const struct relay_events *events, void *ctx) MUST_CHECK;
/* Drops all; open transactions are not told. */
void relay_free(struct relay *r);
/* New settings: connections made with older ones are not used again. */
void relay_reconf(struct relay *r, struct conf *c, struct vault *v);
/* Sums for status: JSON object members without braces. */
void relay_status(const struct relay *r, struct text *out);
struct relay_offer relay_offers(const struct relay *r, const struct profile *p);
/* The worker's look-ups: for callouts and for senders' domains. */
struct dns *relay_dns(const struct relay *r);

/* What all workers know together of each upstream: connections, pace, refusals. Made before the
 * fork; one that is not given to a relay (before its first order) is its own. */
struct shape;
struct shape *shape_open(unsigned workers) MUST_CHECK;
void shape_close(struct shape *s);
/* By the master when worker W is dead and before its successor starts. */
void shape_clear(struct shape *s, unsigned w);
/* A profile's health: JSON object members without braces. NAME: "account/name", for the advice. */
void shape_profile(struct shape *s, uint64_t profile, struct slice name, struct text *json);
/* What a profile's test has heard its upstream offer (struct probe_report). False: no such
 * words. */
bool shape_hear_offer(struct shape *s, struct slice words) MUST_CHECK;
/* What the upstreams of all workers offered, kept in the file PATH. False: errno. */
bool shape_load_offers(struct shape *s, const char *path) MUST_CHECK;
bool shape_save_offers(const struct shape *s, const char *path) MUST_CHECK;
/* Grows with each change of what is known of them. */
uint64_t shape_offers_changes(const struct shape *s);
void relay_share(struct relay *r, struct shape *s, unsigned worker);
/* Content is taken apart at the other end of FD (relay_nursery()), which is taken. False: no
 * memory. */
bool relay_convert_by(struct relay *r, int fd) MUST_CHECK;
/* All that the process of the parsers does, until the workers at the other ends of FDS have gone;
 * its exit status. AGAIN: another one had these sockets before. */
int relay_nursery(const int *fds, size_t n, bool again);

/* How a route is, as this worker sees it. */
struct relay_health {
	bool used; /* there are connections, or were of late; what follows is not known otherwise */
	unsigned refusals; /* of the stored credential, in a row */
	double
	    /* so long nobody asks the provider, since it refused the credential too often; 0:
	     * open */
	    closed_s;
	double held_s; /* for so long it asked to be left alone; 0: not */
	unsigned idle, leased, waiting;
	unsigned alive, servers; /* of the native pool */
};
struct relay_health relay_health(const struct relay *r, const struct profile *p);

/* A refresh token (sealed) that a provider gave in place of the one before: to be stored, then
 * relay_token_kept(). False: it cannot be. Without FN it is kept in memory alone. */
struct relay_token {
	uint64_t profile;
	struct slice was, is;
};
typedef bool relay_token_fn(void *ctx, const struct relay_token *t);
void relay_on_token(struct relay *r, relay_token_fn *fn);
void relay_token_kept(struct relay *r, uint64_t profile, bool good);

/* NULL: no memory (451 4.3.1). */
struct relay_txn *relay_open(struct relay *r, const struct relay_order *order) MUST_CHECK;
/* The next recipient (index counts from 0). False: no memory; nothing was added. */
bool relay_rcpt(struct relay_txn *t, const struct rcpt_args *rcpt) MUST_CHECK;
/* No more recipients; ask for the go-ahead. May be called while verdicts are still out: it is
 * pipelined. */
void relay_data(struct relay_txn *t);
/* So many content octets can be given now. */
size_t relay_room(const struct relay_txn *t);
/* Content: CRLF lines, not dot-stuffed, at most relay_room() octets. */
void relay_content(struct relay_txn *t, struct slice octets);
void relay_finish(struct relay_txn *t);
/* The owner gives up: before content the connection is RSET and kept, in the middle of content it
 * is cut. After relay_finish() an owner whose client has left does not drop: the answer is still
 * read and on_done still comes (L7). */
void relay_drop(struct relay_txn *t);
/* The route taken, for the log: "native:mx1", "profile:acme-mg"; and "host[address]:port", TLS
 * version; empty before a connection was leased. */
struct slice relay_route(const struct relay_txn *t);
struct slice relay_peer(const struct relay_txn *t);

#endif
