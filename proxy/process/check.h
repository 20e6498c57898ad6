/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_CHECK_H
#define PROXY_PROCESS_CHECK_H

/*
 * check - the check of an installation (conf/check/inspect.h), as a start and a reload use it
 *
 * A start has an older directory brought to this version's schema by the same child, behind a check
 * that found no fault, before there is a worker.
 *
 * Owns:   the child, until its end was seen.
 */
#include "wire/loop.h"
#include "wire/text.h"

enum { CHECK_WORDS_MAX = 65536 };

/* Waits. 0, or what is to be the exit status (78 mistakes, 75 a directory that another process
 * keeps locked, 71 the system). SAID has the findings, as inspect_next() takes them apart. WHAT:
 * INSPECT_* or-ed. */
int check_now(const char *path, unsigned what, struct text *said) MUST_CHECK;
/* The words of what keeps us from starting, one a line. */
void check_crosses(struct slice said, struct text *out);

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
