/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_GUESS_NODES_H
#define PROXY_LIMITS_GUESS_NODES_H

/*
 * guess_nodes - failed log-ins of all nodes, on the counters' servers (BEHAVIOUR A3)
 *
 * Asked before the password is looked at, where this node does not know the name to have logged in
 * from the address; the answer goes into guess_decide(). Four bare series, so that who goes round
 * the nodes gets no more guesses, and an owner whom one node knows is known at all:
 *
 *      N name      failures                                 two halves of [guessing] window
 *      A network   failures: IPv4 address, /64, /56, /48    the same
 *      P pair      the name has logged in from there        two halves of [guessing] remember
 *      U network   how many names have                      the same
 *
 * A series is named by 64 bits of a keyed hash; the key comes from the vault's current one, which
 * nodes share. While a new key is on its way to all nodes, they count apart.
 *
 * Without servers nothing is asked and nothing counted. Where they cannot be asked, the answer is
 * that nothing is known; this node's own counts hold.
 *
 * Owns:   a query, until its answer or guess_drop(). Never: names or addresses in a series.
 */
#include "conf/vault/vault.h"
#include "proxy/limits/guess.h"
#include "proxy/limits/counters.h"

struct guess_inquiry;

/* One attempt, as all nodes call it. */
struct guess_mark {
	bool counts; /* there are servers, and this node did not know the pair */
	bool answered;
	unsigned widths;
	uint64_t name, pair, address[GUESS_WIDTHS];
	uint32_t told_s; /* when it was counted, unix seconds; 0: it is not, or no more */
	struct guess_common common;
};

typedef void guess_answered_fn(void *ctx, uint64_t owner);

/* NULL: M is filled in. Else it will be when FN is called, and must live until then or
 * guess_drop(). */
struct guess_inquiry *guess_ask(struct counters *t, struct vault *v, const struct guess_rules *r,
    const struct sockaddr *from, struct slice name, struct guess_mark *m, guess_answered_fn *fn,
    void *ctx, uint64_t owner);
/* FN is not called any more. NULL is fine. */
void guess_drop(struct guess_inquiry *q);
/* Its password is looked at: it counts at all nodes. */
void guess_tell_start(struct counters *t, const struct guess_rules *r, struct guess_mark *m);
/* It was right; or it could not be checked: it does not count. */
void guess_tell_right(struct counters *t, const struct guess_rules *r, struct guess_mark *m);
void guess_tell_void(struct counters *t, const struct guess_rules *r, struct guess_mark *m);
void guess_tell_forgiven(struct counters *t, struct vault *v, const struct guess_rules *r,
    struct slice name);
/* What the configuration says. */
struct guess_rules guess_rules_of(const struct conf *c);

#endif
