/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_LISTENER_H
#define PROXY_PROCESS_LISTENER_H

/*
 * listener - the listening sockets, made or inherited by the master and kept by it as long as it
 * lives
 *
 * For each address one SO_REUSEPORT socket a worker: the kernel spreads connections, and because
 * master and workers keep every socket open, connections that wait for a worker that died are
 * accepted by another that serves its sockets meanwhile, or by its successor. Sockets inherited
 * from systemd are one for all workers: a socket named after a listener (FileDescriptorName=) is
 * that listener's, any other belongs to the listener that has its address.
 *
 * Owns:   the descriptors.
 * Errors: words name listener, address and reason.
 */
#include "conf/conf.h"
#include "proxy/process/worker.h"
#include "wire/text.h"

struct listeners;

/* CONF's addresses for WORKERS workers, less those that were inherited. Mistakes in WHY, all of
 * them, one a line. */
struct listeners *listeners_open(const struct conf *conf, unsigned workers, struct text *why)
    MUST_CHECK;
void listeners_close(struct listeners *all);
/* As many as listeners_count() says; borrowed. */
const struct worker_socket *listeners_all(const struct listeners *all);
size_t listeners_count(const struct listeners *all);

#endif
