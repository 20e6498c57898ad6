/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_LISTENER_H
#define PROXY_PROCESS_LISTENER_H

/*
 * listener - the listening sockets, made or inherited by the master and kept by it as long as it
 * lives
 *
 * For each address one SO_REUSEPORT socket a worker: the kernel spreads connections, and because
 * the master keeps every socket open, connections that wait for a worker that died are accepted by
 * its successor. Sockets inherited from systemd are one for all workers: a socket named after a
 * listener (FileDescriptorName=) is that listener's, any other belongs to the listener that has its
 * address.
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
/* What belongs to worker W: at most MAX rows to OUT, which borrow the descriptors. Returns how many
 * there are. */
size_t listeners_of(const struct listeners *all, unsigned w, struct worker_socket *out, size_t max);
size_t listeners_count(const struct listeners *all);
/* In the child that becomes worker W: closes what is not W's. */
void listeners_keep(struct listeners *all, unsigned w);

#endif
