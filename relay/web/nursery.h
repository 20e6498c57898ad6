/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_NURSERY_H
#define RELAY_WEB_NURSERY_H

/*
 * nursery - the process that forks a parser for each message and says how it ended (convert.h)
 *
 * It is started by exec, so that nothing of the daemon's memory is in it; it never looks at content
 * itself. A socket a worker; it ends when nobody holds the other end of any.
 *
 * Never: reads a file, opens a socket, has more than CONVERT_SLOTS parsers a socket.
 */
#include <stdbool.h>
#include <stddef.h>

/* Exit status. AGAIN: another nursery had these sockets before. */
int nursery_run(const int *fds, size_t n, bool again);

#endif
