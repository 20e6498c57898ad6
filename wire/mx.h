/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_MX_H
#define WIRE_MX_H

/*
 * mx - the servers of a mail domain, the best first, with their addresses (RFC 5321 5.1, RFC 7505)
 *
 * A look-up of MX, then of one host after the other until WANTED of them have an address; without
 * MX the domain is its own host. At most MX_HOSTS_MAX hosts are looked at, for DNS_PATIENCE_S in
 * all.
 *
 * Owns:   nothing but its ask; part of the asker, who forgets it (mx_forget) when it goes.
 * Errors: MX_UNKNOWN: nobody could say.
 */
#include <netinet/in.h>

#include "wire/dns.h"

enum { MX_HOSTS_MAX = 5, MX_WANTED_MAX = 2, MX_NAME_ROOM = 256 };

enum mx_got {
	MX_FOUND,
	MX_NULL, /* a null MX: it says that it takes no mail */
	MX_NONE, /* no such domain, or neither MX nor address, or none of its hosts has one */
	MX_UNKNOWN,
};

/* Without a port. */
union mx_address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct mx {
	/* Set by the asker. */
	struct dns *dns;
	uint64_t account;
	unsigned wanted;
	void (*fn)(struct mx *mx, enum mx_got got);
	/* What was found: the first address of each host. */
	unsigned n;
	union mx_address at[MX_WANTED_MAX];
	bool has_spare; /* the first host's second address */
	union mx_address spare;
	unsigned ttl_s; /* the least of those that count, or DNS_NO_TTL */

	struct dns_ask ask;
	struct loop *loop;
	ev_tstamp until;
	bool failed; /* of one host nobody could say */
	unsigned hosts_n, looked;
	char hosts[MX_HOSTS_MAX][MX_NAME_ROOM];
};

/* FN comes within DNS_PATIENCE_S, never from inside the call. False: it does not come,
 * MX_UNKNOWN. */
bool mx_look_up(struct mx *mx, struct loop *l, struct slice domain) MUST_CHECK;
/* For one that was not asked, too. */
void mx_forget(struct mx *mx);

#endif
