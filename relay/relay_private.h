/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_RELAY_PRIVATE_H
#define RELAY_RELAY_PRIVATE_H

/*
 * inside - struct relay, which the files of this floor share and nobody else sees
 *
 *      relay.c     the front: what proxy/ calls
 *      transaction.c    one transaction: memory, route, what was told
 *      pool.c      upstreams and their connections; line.c who waits for them, and whose turn it is
 *      smtp*.c     one dialogue with one upstream
 *      api*.c      one transaction by a provider's HTTP API; http*.c its request, spool.c its body
 *      credential.c oauth.c
 *      native.c    the operator's MTAs
 *      verdict.c   what answers mean
 *      resolve.c guard.c own.c sasl.c
 */
#include "relay/pool/guard.h"
#include "relay/list.h"
#include "relay/relay.h"
#include "relay/pool/line.h"
#include "relay/pool/resolve.h"
#include "relay/web/spool.h"
#include "relay/verdict/verdict.h"
#include "wire/text.h"

struct ca_store;
struct converter;
struct watch;
struct native;
struct own;

enum { UPSTREAM_BUCKETS = 1024 };

struct relay {
	struct loop *loop;
	struct work *work;
	struct conf *conf;
	struct vault *vault;
	const struct relay_events *events;
	void *ctx;
	relay_token_fn *keep_token;
	/* A probe's, which has no vault: stores a new refresh token before it returns. */
	bool (*keep_clear)(void *ctx, const struct secret *refresh);
	struct dns *dns;
	struct resolve *resolve;
	struct own *own; /* addresses */
	struct guard *guard;
	struct tls_ctx
	    *trust; /* of [upstream] ca_file; NULL until it is needed, or if it cannot be read */
	struct native *native;
	struct ca_store *ca_store; /* whom HTTPS believes */
	struct spool_budget spools;
	struct converter *converter; /* NULL in a probe: its few lines are converted here */
	const struct watch *watch;   /* the probe's; NULL in a worker */
	struct shape *shape;
	bool own_shape;                             /* it is not shared */
	unsigned worker;                            /* its column there */
	struct upstream *buckets[UPSTREAM_BUCKETS]; /* of profiles, by id */
	struct list upstreams;                      /* all of them, MTAs too */
	struct holders holders;                     /* who waits for them, and holds them */
	ev_timer sweep;
	struct list open;  /* transactions */
	struct list spare; /* their memory, to be used again */
	bool closing;
	uint64_t messages; /* accepted by upstreams */
	uint64_t opened;   /* connections */
	uint64_t failed;   /* of them, before they were ready */
	uint64_t replaced; /* found dead when leased */
};

/* For a process that serves nobody: without the native pool, and the vault. */
struct relay *relay_new_without_mtas(struct loop *l, struct work *w, struct conf *c,
    const struct relay_events *events, void *ctx) MUST_CHECK;

#endif
