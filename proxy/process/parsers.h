/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_PARSERS_H
#define PROXY_PROCESS_PARSERS_H

/*
 * parsers - the process that takes customers' content apart (relay_nursery()), as the master sees
 * it: started, replaced
 *
 * It is this program anew, by exec: nothing that master or workers have in memory is in it,
 * whenever it is started. A socketpair a worker, made once: a process that replaces a dead one
 * finds the same sockets, as a worker that replaces a dead one does.
 *
 * Owns:   the process, both ends of the socketpairs.
 */
#include "wire/loop.h"

/* The first word of its command line; for nobody else. */
#define PARSERS_OPTION "--parsers"

struct parsers;

/* For WORKERS workers. NULL: no memory or descriptors. */
struct parsers *parsers_open(struct loop *l, unsigned workers) MUST_CHECK;
void parsers_close(struct parsers *p);
void parsers_start(struct parsers *p);
/* On SIGCHLD. */
void parsers_reap(struct parsers *p);
/* No replacement from now on: the process ends with the last worker. */
void parsers_stop(struct parsers *p);
/* In the child that becomes worker W: W's end, which is the caller's; all others are closed. */
int parsers_take(struct parsers *p, unsigned w) MUST_CHECK;

/* What main does for the process that parsers_start() makes: WORDS are those behind its option.
 * Returns the exit status. */
int parsers_run(char *const *words, int n);

#endif
