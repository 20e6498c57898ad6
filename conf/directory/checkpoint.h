/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_CHECKPOINT_H
#define CONF_DIRECTORY_CHECKPOINT_H

/*
 * checkpoint - counts of the limits kept beside the directory, from which a node restores its own
 *
 * They stand in state.db in the folder of DATABASE, the directory's file: that one changes only
 * when somebody changes the directory. Where state.db is not there it is made, with the counts that
 * an earlier version kept in the directory itself.
 *
 * A row is a series: one number for each of the 64 periods that end with LATEST, at the index of
 * its period modulo 64. Rows are a node's own and never another's.
 *
 * Errors: false and WHY. Blocking: on a worker thread, or where nobody waits.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { CHECKPOINT_PERIODS = 64 };

struct checkpoint_row {
	char kind;
	uint64_t id;
	uint64_t account;
	uint32_t grain_s;
	uint32_t keep;
	uint32_t latest;
	uint64_t epoch;
	uint32_t own[CHECKPOINT_PERIODS];
	uint32_t pushed[CHECKPOINT_PERIODS];
};

/* In one transaction: ROWS are written over what stood there, and what was over before NOW_S
 * goes. A row that cannot be written is named in the log and keeps no other one back. */
bool checkpoint_save(const char *database, const char *node, const struct checkpoint_row *rows,
    size_t rows_n, int64_t now_s, struct text *why) MUST_CHECK;
typedef void checkpoint_fn(void *ctx, const struct checkpoint_row *row);
/* A row that is not as rows are written is passed over, and named in the log. */
bool checkpoint_load(const char *database, const char *node, int64_t now_s, checkpoint_fn *fn,
    void *ctx, struct text *why) MUST_CHECK;

#endif
