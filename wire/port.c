/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

int
port_bind(const struct sockaddr_storage *at, socklen_t len, bool share)
{
	const int on = 1;
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
	    (at->ss_family == AF_INET6 &&
	        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(fd, (const struct sockaddr *)at, len) != 0) {
		int was = errno;

		close(fd);
		errno = was;
		return -1;
	}
	return fd;
}

bool
port_is_free(const struct sockaddr_storage *at, socklen_t len, struct sockaddr_storage *bound_r)
{
	int fd = port_bind(at, len, false);
	socklen_t n = sizeof(*bound_r);
	bool ok;

	if (fd < 0)
		return false;
	ok = listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)bound_r, &n) == 0;
	int was = errno;

	close(fd);
	errno = was;
	return ok;
}

const char *
port_reason(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "already in use by another program";
	case EACCES:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "no interface of this machine has that address";
	default:
		return strerror(error);
	}
}
