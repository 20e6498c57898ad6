/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_LOG_H
#define WIRE_LOG_H

/*
 * log - one event, one line, key=value or JSON
 *
 *      struct log_line l;
 *      if (log_begin(&l, LOG_INFO, "message", id_slice(&s->id), "after the final dot")) {
 *              log_str(&l, "from", from);
 *              log_u64(&l, "size", size);
 *              log_end(&l);
 *      }
 *
 * Every line carries time (UTC, milliseconds), level, process, event, id and `at` (what we were
 * doing).  Values are escaped, so that a line stays a line whatever a peer said; each value is cut
 * at 512 octets, a line at 4096.  There is no way to log a struct secret.
 *
 * Lines are gathered and written with one system call a loop turn (log_flush); level warning and
 * above are written at once.  A full pipe never blocks the loop: a FIFO or terminal is re-opened
 * through /proc/self/fd non-blocking, a socket is written with MSG_DONTWAIT; what cannot be written
 * is kept up to 256 KiB and then dropped, and the next line that goes out says how many were lost.
 *
 * Life:   one log a process, used by its loop's thread alone; before log_open() it is standard
 *         error, text, level info. Several processes may share one file or pipe: lines stay whole.
 *         SIGPIPE must be ignored by whoever sets up the process.
 */
#include "wire/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum { LOG_LINE_MAX = 4096, LOG_VALUE_MAX = 512 };

struct log_line {
	size_t n;
	enum log_level level;
	bool cut;
	char mem[LOG_LINE_MAX];
};

struct log_options {
	const char *
	    /* NULL or "-": standard error; else a file, appended, re-opened by log_reopen() */
	    path;
	enum log_format format;
	enum log_level level;
	const char *process; /* "master", "worker 1", ... ; copied */
};

bool log_open(const struct log_options *o, char *why, size_t why_len) MUST_CHECK;
/* After a fork: the child's name; what the parent had gathered is forgotten. */
void log_child(const char *process);
void log_set_level(enum log_level level);
bool log_reopen(void);
void log_close(void);

/* False where the level is not logged; the line must then not be used. ID and AT may be empty. */
bool log_begin(struct log_line *l, enum log_level level, const char *event, struct slice id,
    struct slice at) MUST_CHECK;
void log_str(struct log_line *l, const char *key, struct slice value);
void log_u64(struct log_line *l, const char *key, uint64_t value);
/* Seconds with three decimals from milliseconds. */
void log_ms(struct log_line *l, const char *key, uint64_t ms);
void log_end(struct log_line *l);
/* One sentence, no id: the operator's lines at start and reload. */
void log_say(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes what was gathered; called by the loop at the end of each turn. */
void log_flush(void);
uint64_t log_lost(void);

#endif
