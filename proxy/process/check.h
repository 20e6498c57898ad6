/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_CHECK_H
#define PROXY_PROCESS_CHECK_H

/*
 * check - the check of an installation (conf/check/inspect.h), for who must not wait
 *
 * Owns:   the child, until its end was seen.
 */
#include "conf/check/inspect.h"
#include "wire/loop.h"
#include "wire/text.h"

/* The words of the findings of GRADE, one a line. */
void check_words(struct slice said, enum inspect_grade grade, struct text *out);

struct check;

/* SAID has the findings. OK: none keeps us from starting. Comes once, from the loop; the check is
 * gone then. */
typedef void check_fn(void *ctx, bool ok, struct slice said);

/* NULL: no process or memory. */
struct check *check_start(struct loop *l, const char *path, check_fn *fn, void *ctx) MUST_CHECK;
/* Stops it without an answer. */
void check_stop(struct check *c);
/* In a child forked later: the descriptor goes, the other child is not ours. */
void check_abandon(struct check *c);

#endif
