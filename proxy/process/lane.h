/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_LANE_H
#define PROXY_PROCESS_LANE_H

/*
 * lane - a worker's listeners: their TLS contexts, ticket keys, and the accepting of connections
 * (struct lane is in worker.h)
 *
 * Accepting: at most ACCEPT_A_TURN connections of one socket a turn, so that open sessions are not
 * kept waiting. Where few descriptors are left (descriptors.h), a client that has not logged in
 * makes way for each new one, and once a minute the log says so. Out of descriptors: the spare one
 * is given up, the connection is accepted, told 421 4.3.2 and closed; then all sockets rest for 100
 * ms, and once a minute the log says so.
 *
 * Ticket keys: HKDF of the seed, the listener's name and the number of the hour; so all workers
 * (and, with tls.ticket_key_file, all nodes) agree without a word, a ticket of one listener is
 * worthless on another, and a key is used for two hours at most.
 *
 * Owns:   sockets (in this process), lanes by reference.
 */
#include "proxy/process/worker.h"

enum { ACCEPT_A_TURN = 16 };

struct lanes;

/* Takes over the descriptors. Not accepting yet. SEED: 32 octets, copied. */
struct lanes *lanes_open(struct worker *w, const struct worker_socket *sockets, size_t n,
    const unsigned char seed[32]) MUST_CHECK;
/* Builds a lane for each listener of CONF and puts them in place of those before; on a mistake
 * (WHY, one a line) nothing has changed. Sockets of a listener that CONF does not have any more
 * keep their lane. */
bool lanes_conf(struct lanes *all, struct conf *conf, struct text *why) MUST_CHECK;
void lanes_start(struct lanes *all);
/* The sockets of WORKER, which is dead, are ours too; or no more. */
void lanes_cover(struct lanes *all, int worker, bool on);
/* No more connections: the sockets are closed. */
void lanes_stop(struct lanes *all);
/* True while anybody else holds a lane: sessions, those that have said goodbye and are still
 * sending it included. */
bool lanes_in_use(const struct lanes *all);
void lanes_close(struct lanes *all);

#endif
