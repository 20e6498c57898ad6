/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_CHECK_H
#define PROXY_PROCESS_CHECK_H

/*
 * check - the deep check of a configuration, in a process of its own
 *
 * The child becomes [server] user first where we are root, so that it sees the files as the workers
 * will; it loads the configuration with all that it names, looks at the folders that the daemon
 * writes to and into the directory's database (which it does not migrate), and sends the mistakes
 * through a pipe. The master stays clean: no key, and no TLS library's state, is ever in its
 * memory.
 *
 * Owns:   the child, until its end was seen.
 */
#include "wire/loop.h"
#include "wire/text.h"

enum { CHECK_WORDS_MAX = 65536 };

/* Waits. 0, or what is to be the exit status (78 mistakes, 77 permissions, 71 the system); MISTAKES
 * has one a line. */
int check_now(const char *path, struct text *mistakes) MUST_CHECK;

struct check;

/* MISTAKES is empty if all is well. Comes once, from the loop; the check is gone then. */
typedef void check_fn(void *ctx, bool ok, struct slice mistakes);

/* NULL: no process or memory. */
struct check *check_start(struct loop *l, const char *path, check_fn *fn, void *ctx) MUST_CHECK;
/* Stops it without an answer. */
void check_stop(struct check *c);
/* In a child forked later: the descriptor goes, the other child is not ours. */
void check_abandon(struct check *c);

#endif
