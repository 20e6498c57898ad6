/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_RESOLVE_H
#define RELAY_POOL_RESOLVE_H

/*
 * resolve - a host's addresses: getaddrinfo on the worker's threads, with a memory
 *
 * Addresses are remembered for [upstream] dns_cache, failures for five seconds. Those who ask for a
 * host that is being looked up already wait for the same answer. A host that is an address is
 * answered at once.
 *
 * Owns:   the memory of hosts. An ask is part of the asker, who forgets it (resolve_forget) when it
 *         goes.
 * Never:  judges an address (that is guard's); answers by callback what it can answer at once.
 */
#include <netinet/in.h>

#include "relay/list.h"
#include "wire/loop.h"
#include "wire/slice.h"
#include "wire/work.h"

struct resolve;

enum { RESOLVE_ADDRESSES = 8 };

/* Without a port. */
struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
};

struct addresses {
	unsigned n;
	struct address at[RESOLVE_ADDRESSES];
};

enum resolve_got {
	RESOLVE_OK,
	RESOLVE_LATER, /* the ask's FN will be called */
	RESOLVE_NONE,  /* no such host, or it has no address */
	RESOLVE_TEMP,  /* the name server cannot say, or we are too busy to ask */
};

struct resolve_ask {
	struct link link;
	struct list *at; /* the line it waits in; NULL: it does not */
	void (*fn)(struct resolve_ask *ask, enum resolve_got got, const struct addresses *all);
};

struct resolve *resolve_open(struct loop *l, struct work *w, unsigned cache_s) MUST_CHECK;
void resolve_close(struct resolve *r);
void resolve_set_cache(struct resolve *r, unsigned cache_s);
/* ALL_R is set for RESOLVE_OK only. */
enum resolve_got resolve_host(struct resolve *r, struct slice host, struct resolve_ask *ask,
    struct addresses *all_r) MUST_CHECK;
void resolve_forget(struct resolve_ask *ask);
socklen_t address_len(const struct address *a);
void address_set_port(struct address *a, unsigned port);

#endif
