/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_MEMCACHED_H
#define PROXY_LIMITS_COUNTERS_MEMCACHED_H

/*
 * counters_memcached - orders on memcached servers, by a thread for each server
 *
 * What a worker's sessions ask in one turn of the loop goes to the thread in one piece; the thread
 * takes all that has gathered while it waited for the server, and sends it as one batch
 * (counters_batch.h). All numbers of a group are on one server: KETAMA_WEIGHTED over the groups, so
 * that a server that comes or goes moves few of them. No server is ever ejected: the groups of one
 * that is away are counted here meanwhile, and nowhere else.
 *
 * Breaker: a server that refuses, or has been silent three times, is not asked for a second,
 * doubling to ten; then it is tried in the background. While it is open, and for what was on its
 * way when it broke, [counters] on_counter_loss decides, at once and on the loop.
 *
 * Errors: an addition that was not answered is never sent again. Before the next one the server is
 *         asked whether it arrived; where that is not sure, a new epoch begins, in which all nodes
 *         put what they know as theirs.
 * Never:  blocks the loop; logs from a thread.
 */
#include "proxy/limits/counters_batch.h"

struct counters_remote;

struct counters_remote *counters_remote_open(struct loop *l, const struct conf *c,
    struct counters_shared *shared, struct text *why) MUST_CHECK;
/* NODE: which this is among those that share the servers. False: no threads. */
bool counters_remote_start(struct counters_remote *r, const char *node) MUST_CHECK;
/* Sends what is owed, then tells all that waits. */
void counters_remote_close(struct counters_remote *r);
void counters_remote_reconf(struct counters_remote *r, const struct conf *c);
enum counters_when counters_remote_ask(struct counters_remote *r, struct counters_order *o);
/* N of what O had reserved goes back. */
void counters_remote_refund(struct counters_remote *r, const struct counters_order *o, uint32_t n);
/* Which server a group's numbers are on. */
unsigned counters_remote_server(struct counters_remote *r, uint64_t group);
void counters_remote_write_server(const struct counters_remote *r, unsigned server,
    struct text *out);
void counters_remote_status(const struct counters_remote *r, struct text *out);

/* ---- counters_memcached_server.c: one server as its thread sees it ---- */

enum exchange { EXCHANGE_OK, EXCHANGE_EPOCH, EXCHANGE_REFUSED, EXCHANGE_SILENT };

struct memcached_link;

struct memcached_link *link_open(const struct counter_server *at, unsigned timeout_ms) MUST_CHECK;
void link_close(struct memcached_link *l);
/* REFUSED: nothing was sent. EPOCH: *EPOCH_R is what the server has, 0: none. */
enum exchange link_exchange(struct memcached_link *l, struct counters_batch *b, uint64_t *epoch_r);
/* The server's epoch; where it has none, or OLD at most, or more than MOST, NEXT becomes it. OK or
 * why not. */
enum exchange link_epoch(struct memcached_link *l, uint64_t old, uint64_t next, uint64_t most,
    uint64_t *epoch_r);
/* *ARRIVED_R: the server has all of the last batch that was to change something, sent in EPOCH.
 * False: perhaps not. */
enum exchange link_arrived(struct memcached_link *l, uint64_t epoch, bool *arrived_r);
/* A word that only one may write in this epoch; *FIRST_R: it was us. */
enum exchange link_claim(struct memcached_link *l, uint64_t epoch, const char *word, uint64_t mine,
    bool *first_r);

#endif
