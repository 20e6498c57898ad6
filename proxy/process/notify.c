/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify - datagrams to the service manager, descriptors from it
 *
 * The socket is connected once, so that a manager's path that we may not see after the privileges
 * are gone still works.
 */
#include "proxy/process/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

static int notify_fd = -1;

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;

	if (n >= 2 && n < sizeof(to.sun_path) && (path[0] == '/' || path[0] == '@')) {
		memcpy(to.sun_path, path, n);
		if (path[0] == '@')
			to.sun_path[0] = '\0';
		socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);

		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (notify_fd >= 0 && connect(notify_fd, (struct sockaddr *)&to, len) != 0) {
			close(notify_fd);
			notify_fd = -1;
		}
	}
	unsetenv("NOTIFY_SOCKET");
}

void
notify_send(const char *state)
{
	if (notify_fd >= 0)
		(void)!send(notify_fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
notify_reloading(void)
{
	struct timespec ts;
	char mem[64];
	struct text t = text_over(mem, sizeof(mem));

	clock_gettime(CLOCK_MONOTONIC, &ts);
	text_put(&t, SLICE("RELOADING=1\nMONOTONIC_USEC="));
	text_u64(&t, (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	notify_send(mem);
}

void
notify_status(const char *fmt, ...)
{
	char mem[256] = "STATUS=";
	size_t n = strlen(mem);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(mem + n, sizeof(mem) - n, fmt, args);
	va_end(args);
	notify_send(mem);
}

static bool
prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool
take(struct notify_socket *out, size_t max, size_t *n_r, struct text *why)
{
	const char *fds = getenv("LISTEN_FDS");
	const char *pid = getenv("LISTEN_PID");
	struct slice names = slice_str(getenv("LISTEN_FDNAMES"));
	uint64_t count = 0;
	uint64_t whose = 0;

	*n_r = 0;
	if (!fds || !pid)
		return true;
	if (!slice_to_u64(slice_str(pid), &whose) || !slice_to_u64(slice_str(fds), &count)) {
		text_fmt(why, "LISTEN_FDS=%s LISTEN_PID=%s make no sense", fds, pid);
		return false;
	}
	if (whose != (uint64_t)getpid())
		return true;
	if (count > max) {
		text_fmt(why, "%s sockets were passed; at most %zu can be taken", fds, max);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct slice name = slice_cut(&names, ':');

		if (name.n == 0)
			name = SLICE("unknown");
		name = slice_head(name, NOTIFY_NAME_MAX);
		out[i] = (struct notify_socket){ .fd = FIRST_FD + (int)i };
		memcpy(out[i].name, name.p, name.n);
		if (!prepare(out[i].fd)) {
			text_fmt(why, "descriptor %d was promised by LISTEN_FDS and is not open",
			    out[i].fd);
			return false;
		}
	}
	*n_r = (size_t)count;
	return true;
}

bool
notify_inherited(struct notify_socket *out, size_t max, size_t *n_r, struct text *why)
{
	bool ok = take(out, max, n_r, why);

	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return ok;
}
