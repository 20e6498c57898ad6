/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_NET_H
#define WIRE_NET_H

/*
 * net - IP networks and addresses: parsed, matched, printed
 *
 * An IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address that it holds, on every side:
 * a network written so, an address asked about, and what is printed. ::/0 is all of IPv6 and none
 * of IPv4. So a rule for 192.0.2.0/24 holds for a client that came in over a dual-stack socket too.
 *
 * Owns:   nothing; a struct net is a value.
 * Never:  resolves a name; knows ports (they are neither matched nor printed), zones ("%eth0") or
 *         netmasks in dotted form.
 */
#include "wire/slice.h"
#include "wire/text.h"

#include <sys/socket.h>

struct net {
	uint8_t family;   /* 4 or 6; 0 matches nothing */
	uint8_t bits;     /* length of the prefix: 0..32 or 0..128 */
	uint8_t addr[16]; /* network order; the first 4 for IPv4; bits behind the prefix are zero */
};

/* The longest that net_write() appends: an IPv6 address in full, or with a dotted tail. */
enum { NET_TEXT_MAX = 46 };

/* "10.0.0.0/8", "2001:db8::/32", or a single address. False, *NET_R untouched, if it is neither or
 * has bits behind the prefix. */
bool net_parse(struct slice s, struct net *net_r) MUST_CHECK;
bool net_has(const struct net *net, const struct sockaddr *sa);
/* The single-address network of SA; false if SA is not IP. A handy key for tables by address. */
bool net_of(const struct sockaddr *sa, struct net *net_r) MUST_CHECK;
/* "192.0.2.1", "2001:db8::1"; "unix" for a local socket, "unknown" for anything else. */
void net_write(struct text *t, const struct sockaddr *sa);

#endif
