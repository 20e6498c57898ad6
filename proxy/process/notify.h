/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_NOTIFY_H
#define PROXY_PROCESS_NOTIFY_H

/*
 * notify - what systemd and we say to each other: state by NOTIFY_SOCKET, listening sockets by
 * LISTEN_FDS (sd_notify(3), sd_listen_fds(3))
 *
 * Without systemd, that is without those variables, all of this does nothing.
 *
 * Errors: a message that cannot be sent is lost: nobody's mail depends on it.
 * Never:  leaves the variables to a child.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { NOTIFY_NAME_MAX = 255 };

/* Takes NOTIFY_SOCKET out of the environment. Once, in the master. */
void notify_init(void);
/* "READY=1", "STOPPING=1"; lines joined by LF. */
void notify_send(const char *state);
/* RELOADING=1 with the time stamp that Type=notify-reload asks for. */
void notify_reloading(void);
/* STATUS=..., one line for `systemctl status`. */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct notify_socket {
	int fd;
	char name[NOTIFY_NAME_MAX + 1]; /* FileDescriptorName=; "unknown" if none was given */
};

/* The sockets that were passed to us (if LISTEN_PID is we), close-on-exec and non-blocking from now
 * on; *N_R 0 if none. Takes the variables out of the environment. False where they make no
 * sense. */
bool notify_inherited(struct notify_socket *out, size_t max, size_t *n_r, struct text *why)
    MUST_CHECK;

#endif
