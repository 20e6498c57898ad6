/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_QUOTA_H
#define PROXY_LIMITS_QUOTA_H

/*
 * quota - the limits of a sender's plan: month, day, hour, rate (BEHAVIOUR 5)
 *
 * What one message asks of the counters is a ticket. At MAIL it only looks; before the upstream
 * sees content it reserves for every recipient that is accepted or may yet be; after the upstream's
 * last word quota_commit() keeps what was accepted and gives the rest back. Whatever else becomes
 * of a ticket, quota_drop() gives all back. A limit that is full answers with a row of the reply
 * catalogue and the words behind it: which limit, used of allowed, and when there is room.
 *
 * The sender's snapshot says what the caps are, so that a change of plan acts at once; the numbers
 * know nothing of plans (Q9).
 *
 * Owns:   tickets, until they are committed or dropped.
 * Never:  answers from inside the call: a ticket that says QUOTA_WAIT is told by FN, from the loop.
 */
#include "conf/directory/directory.h"
#include "proxy/reply.h"
#include "proxy/limits/counters.h"

struct quota;
struct quota_ticket;

enum quota_state { QUOTA_WAIT, QUOTA_OK, QUOTA_NO };

enum { QUOTA_WORDS = 128 };

struct quota_refusal {
	enum reply_id say;
	char more[QUOTA_WORDS]; /* behind the row's text; may be empty */
};

/* TICKET has its answer. OWNER as given. */
typedef void quota_fn(void *ctx, uint64_t owner, struct quota_ticket *ticket);

/* FN and CTX as for every ticket. COUNTERS must outlive it. */
struct quota *quota_open(struct loop *l, struct counters *counters, quota_fn *fn, void *ctx)
    MUST_CHECK;
/* Open tickets are not told; what they hold stays charged. */
void quota_close(struct quota *q);

/* Is there a limit that is used up? NULL: no memory. */
struct quota_ticket *quota_look(struct quota *q, const struct sender *s, uint64_t owner) MUST_CHECK;
/* For a message to so many. ID: the message's, for the log. NULL: no memory. */
struct quota_ticket *quota_reserve(struct quota *q, const struct sender *s, uint64_t recipients,
    struct slice id, uint64_t owner) MUST_CHECK;
enum quota_state quota_state(const struct quota_ticket *t);
/* Of one in QUOTA_WAIT: it will hardly be refused. */
bool quota_is_likely(const struct quota_ticket *t);
/* Of a ticket in QUOTA_NO. */
const struct quota_refusal *quota_refusal(const struct quota_ticket *t);
/* How many recipients the ticket was asked for. */
uint64_t quota_recipients(const struct quota_ticket *t);
/* The upstream has, or may have, taken the message for ACCEPTED recipients. The ticket is dead
 * then. NULL is fine. */
void quota_commit(struct quota_ticket *t, uint64_t accepted);
/* Gives everything back. The ticket is dead then. NULL is fine. */
void quota_drop(struct quota_ticket *t);

/* All counters of S's account, and of S itself unless WHOLE, each as
 * {"limit":"account_hour","used":3,"cap":50,"next":1767225600,"resets":1767229200} in a list
 * "limits"; S may die. cap 0 is none; next (of the hour and the rate): when a unit frees; resets:
 * when all is free. Tells FN when it is known: members of a JSON object, or the empty slice where
 * the counters cannot be asked. */
typedef void quota_usage_fn(void *ctx, struct slice json);
bool quota_usage(struct quota *q, const struct sender *s, bool whole, quota_usage_fn *fn, void *ctx)
    MUST_CHECK;
/* All counters of S's account, and of S itself unless WHOLE, to 0. OK: they are. */
/* UNREACHED: the server that could not be told, "host:port": what this node knows is 0, and what the
 * server holds and other nodes have counted may come back with it; or empty. */
typedef void quota_reset_fn(void *ctx, bool ok, struct slice unreached);
bool quota_reset(struct quota *q, const struct sender *s, bool whole, quota_reset_fn *fn, void *ctx)
    MUST_CHECK;

/* ---- pure, for tests ---- */

/* Days since 1970 of the beginning of the month of the allowance that day DAY is in, and of the
 * next one. */
void quota_month(int64_t day, unsigned renewal_day, int64_t *begins_r, int64_t *ends_r);

#endif
