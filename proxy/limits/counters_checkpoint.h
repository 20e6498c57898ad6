/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_CHECKPOINT_H
#define PROXY_LIMITS_COUNTERS_CHECKPOINT_H

/*
 * counters_checkpoint - the machine's numbers to the directory and back
 *
 * Every [counters] checkpoint seconds one worker writes what has changed, through a worker thread;
 * at its end each writes once more. The first worker of a start restores before it listens.
 *
 * Errors: logged, and tried again at the next turn with everything.
 */
#include "proxy/limits/counters_memcached.h"
#include "wire/work.h"

struct checkpointer;

/* REMOTE: NULL without memcached. */
struct checkpointer *checkpointer_open(struct loop *l, struct work *w, const struct conf *c,
    struct counters_shared *shared) MUST_CHECK;
/* Writes the last one. WORK has been closed. */
void checkpointer_close(struct checkpointer *k);
void checkpointer_reconf(struct checkpointer *k, const struct conf *c);
/* By the first that asks; the others wait until it is done. */
void checkpointer_restore(struct checkpointer *k, struct counters_remote *remote);
/* Which node this is. */
const char *checkpointer_node(const struct checkpointer *k);

#endif
