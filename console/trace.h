/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_TRACE_H
#define CONSOLE_TRACE_H

/*
 * trace - the story of a session or a message, out of the log
 *
 * Two passes over the log's files. The first learns whose ids belong together: a message's line
 * names its session. The second tells, in order, all lines of a session's id with its messages, or
 * of a message with its session's own lines. Both formats are read, line by line: one file may hold
 * both. What logrotate(8) has compressed is read through its tool, and a log that goes to the
 * journal through journalctl(1).
 *
 * Owns:   nothing; the cli's memory.
 * Errors: TRACE_FAILED with a sentence.
 */
#include "console/out.h"

enum { TRACE_FIELDS_MAX = 64 };

struct trace_field {
	const char *key, *value;
};

struct trace_line {
	struct trace_field fields[TRACE_FIELDS_MAX];
	size_t n;
};

typedef void trace_fn(void *ctx, const struct trace_line *l);

enum trace_result { TRACE_OK, TRACE_NO_LOG, TRACE_NOT_ALLOWED, TRACE_FAILED };

struct trace {
	struct cli *cli;
	const char *path; /* of the log; "-": the journal's */
	const char *id;
	trace_fn *fn;
	void *ctx;
	size_t files, shown; /* what was read, and the lines that FN heard */
};

/* Whether WORD can be an id. */
bool trace_is_id(const char *word);
/* "" where L has no such field. */
const char *trace_value(const struct trace_line *l, const char *key);
/* FN hears each line that belongs to the id. */
enum trace_result trace_run(struct trace *t, const char **why_r) MUST_CHECK;
/* L as an object. */
void trace_json(struct json *j, const struct trace_line *l);

#endif
