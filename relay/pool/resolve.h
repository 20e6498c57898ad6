/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_RESOLVE_H
#define RELAY_POOL_RESOLVE_H

/*
 * resolve - a host's addresses, families in turn (RFC 8305 section 4), with a memory
 *
 * Addresses are remembered as long as their records live, [upstream] dns_cache at most; that there
 * are none likewise, failures for five seconds. Addresses that are older serve for another ten
 * minutes while new ones are looked up (RFC 8767). Those who ask for a host that is being looked up
 * already wait for the same answer. A host that is an address is answered at once.
 *
 * Between resolve_hold() and resolve_release() customers (any account but 0) wait, whatever is
 * known: until the guard knows the operator's own servers.
 *
 * Owns:   the memory of hosts. An ask is part of the asker, who forgets it (resolve_forget) when it
 *         goes.
 * Never:  judges an address (that is guard's); answers by callback what it can answer at once.
 */
#include <netinet/in.h>

#include "relay/list.h"
#include "wire/loop.h"
#include "wire/dns.h"
#include "wire/slice.h"

struct resolve;

enum { RESOLVE_ADDRESSES = 16 };

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

struct resolve *resolve_open(struct loop *l, struct dns *dns, unsigned cache_s) MUST_CHECK;
void resolve_close(struct resolve *r);
void resolve_set_cache(struct resolve *r, unsigned cache_s);
/* ALL_R is set for RESOLVE_OK only. ACCOUNT: who asks; 0 is the operator. */
enum resolve_got resolve_host(struct resolve *r, uint64_t account, struct slice host,
    struct resolve_ask *ask, struct addresses *all_r) MUST_CHECK;
void resolve_hold(struct resolve *r);
void resolve_release(struct resolve *r);
void resolve_forget(struct resolve_ask *ask);
socklen_t address_len(const struct address *a);
void address_set_port(struct address *a, unsigned port);

#endif
