/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_PROXY_PROTOCOL_H
#define PROXY_DIALOGUE_PROXY_PROTOCOL_H

/*
 * proxy_protocol - the header that a balancer puts before the client's octets (HAProxy's PROXY
 * protocol, versions 1 and 2)
 *
 * Pure: whether the peer may send one, and how long we wait for it, is the listener's business.
 * Version 1 is one line of at most 107 octets; version 2 is binary, at most 536 octets with its
 * TLVs, which are skipped.
 *
 * Owns:   nothing.
 * Never:  takes octets behind the header; accepts what is not TCP over IP; needs more than
 *         PROXY_HEADER_MAX octets to decide.
 */
#include "wire/slice.h"

#include <sys/socket.h>

enum { PROXY_V1_MAX = 107, PROXY_HEADER_MAX = 536 };

enum proxy_got {
	PROXY_MORE,  /* not whole yet */
	PROXY_WHOLE, /* *HEADER_R is set, *USED_R octets of the input are it */
	PROXY_FAULT, /* no PROXY header, or a broken one: close */
};

struct proxy_header {
	bool
	    /* LOCAL (a health check), UNKNOWN, a Unix socket: the connection's own addresses
	     * hold */
	    local;
	struct sockaddr_storage source; /* family 0 where local */
	struct sockaddr_storage dest;
};

/* Looks at DATA from its start each time. */
enum proxy_got proxy_header_parse(struct slice data, struct proxy_header *header_r, size_t *used_r)
    MUST_CHECK;

#endif
