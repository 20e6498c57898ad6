/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PORT_H
#define WIRE_PORT_H

/*
 * port - an address of our own: bound, and whether it could be
 *
 * Errors: errno; port_reason() says it in words.
 */
#include "wire/slice.h"

#include <sys/socket.h>

/* A non-blocking TCP socket on AT, LEN octets, or -1. SHARE: with SO_REUSEPORT, so that others of
 * ours can be bound there too. An IPv6 socket is for IPv6 alone. */
int port_bind(const struct sockaddr_storage *at, socklen_t len, bool share) MUST_CHECK;
/*
 * Whether nobody listens on AT. SO_REUSEPORT would let a second daemon of the same user bind beside
 * the first and take half of its connections: so a socket without it tries. *BOUND_R: AT, with the
 * port that the kernel chose where it is 0.
 */
bool port_is_free(const struct sockaddr_storage *at, socklen_t len,
    struct sockaddr_storage *bound_r) MUST_CHECK;
const char *port_reason(int error);

#endif
