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
 * [upstream] allow_networks lifts the ban on networks and ports, never the one on our own
 * listeners. A network of NAT64 that is allowed lets pass what is public inside it.
 *
 * Owns:   the addresses of this host's interfaces, as they were at guard_open(), for listeners on
 *         wildcard addresses.
 * Never:  resolves a name; is asked about the operator's own MTAs.
 */
#include "conf/conf.h"

struct guard;

enum guard_answer {
	GUARD_DENIED,
	GUARD_PUBLIC,
	GUARD_TRUSTED, /* in a network that the operator allowed: plain text may go there */
};

struct guard *guard_open(struct conf *c) MUST_CHECK;
void guard_close(struct guard *g);
/* TO with its port. */
enum guard_answer guard_ask(const struct guard *g, const struct sockaddr *to) MUST_CHECK;

#endif
