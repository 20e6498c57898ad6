/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_POOL_H
#define RELAY_POOL_POOL_H

/*
 * pool - upstreams, each with its connections and its waiting line (BEHAVIOUR L6)
 *
 * An upstream is one place to send mail to with one credential: a profile in one version, or one
 * MTA of the native pool. Its connections are leased for it alone. Where a connection is, that is
 * its state:
 *
 *                      hello done              lease                 QUIT, or gone
 *      connecting ------------------> idle <----------> leased -----------------> dying -> (buried)
 *                                       '------------------------------------------^
 *
 * and pool_move() is the only one that moves it. Transactions that find nothing idle, or whose
 * account holds enough, wait in a line (line.h); the line, not a transaction, opens connections, so
 * that whichever is free first serves whose turn it is.
 *
 * What a provider's preset allows, what the profile says, and what the provider has asked for holds
 * over all workers (shape.h): connections, messages a connection, a pace, a time to be left alone.
 * A message that would have to wait longer than [upstream] hold_wait hears so at once.
 *
 * The breaker: after three refusals of the credential in a row nobody is asked any more for five
 * minutes, doubling to an hour; then one connection may try.
 *
 * Owns:   upstreams and connections. An upstream that nobody uses goes after an hour.
 */
#include "conf/provider.h"
#include "relay/pool/hush.h"
#include "relay/pool/line.h"
#include "relay/pool/shape.h"
#include "relay/relay_private.h"
#include "wire/log.h"

struct smtp;
struct endpoint;
struct api_kind;
struct http;
struct oauth;

struct upstream {
	struct link link;      /* of all */
	struct upstream *next; /* in its bucket */
	struct relay *r;
	unsigned refs; /* transactions and connections */
	bool retired;  /* its settings are no longer so: nothing new */

	/* What it takes to reach it. */
	bool native;
	struct endpoint
	    *endpoint; /* of the native pool; NULL for a profile's, and when it has retired */
	uint64_t account, profile, version;
	char *route; /* "profile:acme", "native:mx1" */
	char *provider, *host, *username, *sealed, *ca_pem, *ca_file, *pin, *token_endpoint;
	enum transport transport;
	enum profile_auth auth;
	unsigned char bound[PROFILE_BOUND]; /* what its credentials are sealed for */
	struct secret password;             /* an MTA's, or a probe's; a profile's is in SEALED */
	struct secret refresh;              /* a probe's; a profile's is in OAUTH, sealed */
	unsigned port;
	enum upstream_tls tls;
	bool xclient;
	const struct provider *preset; /* of a profile; NULL for an MTA */
	const char *kin;               /* whose rows of rule.def hold; static */
	unsigned connections_max, messages_max, per_minute;
	bool refuse_quota;
	bool old_tls;           /* what RFC 9325 advises against is offered too */
	bool trust_old;         /* TRUST does */
	bool strict;            /* content is refused rather than mended for an API */
	uint64_t conf_revision; /* the one TRUST was made with */
	struct tls_ctx *trust;  /* of its own; NULL: the relay's */

	bool second_hello; /* it signs with PSS in TLS 1.2: see tls_ctx_second() */

	const struct api_kind *api; /* NULL: it speaks SMTP */
	struct http *http;          /* of an API; made when it is first needed */
	struct oauth *oauth;        /* NULL: it logs in with the password */
	struct list calls;          /* transactions by the API: api.c's */

	struct list connecting, idle, leased, dying;
	struct line line;
	ev_timer patience; /* ticks while some wait */
	ev_tstamp used;

	struct hush hush;
	struct shaping shaping; /* joined when it is first wanted */
	bool joined;
	uint64_t offer_key;
	struct relay_offer offer; /* of an API; else this worker's own, where the table has none */
};

/* The upstream of P as it is now; NULL: no memory. */
struct upstream *pool_profile(struct relay *r, const struct profile *p) MUST_CHECK;
struct upstream *pool_find(const struct relay *r, const struct profile *p) MUST_CHECK;
/* What P's upstream offers, whichever worker has asked it. */
struct relay_offer pool_offers(const struct relay *r, const struct profile *p);
/* The same of an upstream that is there. */
struct relay_offer pool_offered(const struct upstream *u);
/* U has offered O, just now. */
void pool_offer(struct upstream *u, const struct relay_offer *o);
struct upstream *pool_mta(struct relay *r, const struct conf_mta *m, struct endpoint *e) MUST_CHECK;
struct upstream *pool_ref(struct upstream *u);
void pool_unref(struct upstream *u);
/* Nothing new from now on; idle connections say QUIT. */
void pool_retire(struct upstream *u);
/* All connections and upstreams, at once. */
void pool_close(struct relay *r);
void pool_open(struct relay *r);

/* A connection for T, now or later: transaction_leased() or transaction_unserved() tell, the latter
 * never from inside this call. */
void pool_want(struct upstream *u, struct relay_txn *t);
void pool_leave(struct upstream *u, struct relay_txn *t);
/* A connection that only looks whether the MTA is there; pool tells native. */
void pool_check(struct upstream *u);

/* What connections tell. */
void pool_ready(struct smtp *c);
void pool_back(struct smtp *c);
/* The upstream's answer R (NULL: it gave none, and WHY says so), classed. EARLY: before the
 * connection was ready. */
void pool_heard(struct upstream *u, enum verdict_class class, const struct reply *r,
    const char *why, bool early);
/* CLASS, or AUTH_DOUBT where a credential that was taken before is refused and the breaker is not
 * open yet. */
enum verdict_class pool_doubt(struct upstream *u, enum verdict_class class) MUST_CHECK;
/* One could not be made ready; it is gone already. CHECK: nobody waits for it. */
void pool_failed(struct upstream *u, bool check, const struct relay_verdict *v);
/* NEXT takes the place of C, which is cut now, in lists and counts. */
void pool_succeed(struct smtp *c, struct smtp *next);
/* Not there any more; C is on no list. */
void pool_gone(struct smtp *c);
void pool_move(struct smtp *c, struct list *to);
/* An API's last word: for the breaker, and for how long it wants to be left alone (RETRY_S; 0: not
 * told). */
void pool_answered(struct upstream *u, const struct relay_verdict *v, unsigned retry_s);
/* T, which waits, has something of U's now; and gives it back (*H may be NULL already). */
struct holder *pool_lend(struct upstream *u, struct relay_txn *t);
void pool_return(struct upstream *u, struct holder **h);
/* V is the answer to those who wait and for whom no connection is on its way. */
void pool_turn_away(struct upstream *u, const struct relay_verdict *v);
/* Joined when it is first asked for. */
struct shaping *pool_shaping(struct upstream *u);
/* Serves those who wait. */
void pool_feed(struct upstream *u);
/* Those that idle may be dead as well. */
void pool_purge(struct upstream *u);

/* WHAT (static) of U, and WHY (may be empty), is told in the log once a minute (hush.h). */
void pool_say(struct upstream *u, enum log_level level, const char *what, struct slice why);
/* For those who write the line themselves. */
bool pool_may_say(struct upstream *u, const char *what, uint64_t *again_r) MUST_CHECK;
/* Tells the counts whose minute is over. */
void pool_say_again(struct upstream *u);

/* Whether its newest refresh token waits to be stored: for profile health. */
void pool_token_waits(struct upstream *u, bool waits);

/* What no message may exceed: of the preset. 0: no limit known. */
uint64_t pool_recipients_max(const struct upstream *u);
uint64_t pool_size_max(const struct upstream *u);

/* Looks at those who wait. */
void pool_on_patience(struct ev_loop *ev, ev_timer *w, int revents);

#endif
