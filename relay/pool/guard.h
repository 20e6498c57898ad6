/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_GUARD_H
#define RELAY_POOL_GUARD_H

/*
 * guard - may a host that a customer gave be connected to (BEHAVIOUR R5)
 *
 * Asked with the resolved address, right before connect() to that very address, so that no second
 * look-up can change it. Refused is all that is not public: this host, private networks, link-local
 * with the metadata services, shared address space (CGNAT), documentation, benchmarks, multicast,
 * reserved; the IPv6 forms that hold an IPv4 address (mapped, compatible, NAT64), 6to4 with such an
 * address inside, Teredo; our own listeners; ports outside the list.
 *
 * Refused, too, is what would send as the operator: this machine's addresses, and those of the
 * [mta] hosts.
 *
 * [upstream] allow_networks lifts all these bans, and the one on ports, but never the one on our
 * own listeners; deny_networks adds to them. Where both hold an address, the narrower network
 * counts. A network of NAT64 that is allowed lets pass what is public inside it.
 *
 * Owns:   this machine's addresses, looked at anew now and then. Those of the MTAs come from own.h.
 * Never:  resolves a name; is asked about the operator's own MTAs.
 */
#include "conf/conf.h"

enum { GUARD_MTAS_MAX = 1024 };

struct guard;

enum guard_answer {
	GUARD_DENIED,
	GUARD_PUBLIC,
	GUARD_TRUSTED, /* in a network that the operator allowed: plain text may go there */
};

enum guard_use {
	GUARD_SENDS, /* mail goes there */
	GUARD_ASKS,  /* a callout, which sends nothing: it may ask our own servers */
};

struct guard *guard_open(struct conf *c) MUST_CHECK;
void guard_close(struct guard *g);
/* TO with its port. */
enum guard_answer guard_ask(struct guard *g, enum guard_use use, const struct sockaddr *to)
    MUST_CHECK;
/* Each a single address. */
void guard_set_mtas(struct guard *g, const struct net *all, size_t n);

#endif
