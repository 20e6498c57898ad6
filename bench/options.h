/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

/*
 * options - a command's options as a table: read, checked and explained from the same rows
 *
 * Errors: read says on standard error what is wrong, with the command's name before it.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_NUMBER,  /* uint64_t between LEAST and MOST */
	OPTION_SECONDS, /* uint64_t, nanoseconds; "0.5", "90", "2m" are what one writes */
	OPTION_RATE,    /* double, more than 0 */
	OPTION_TEXT,    /* const char * */
	OPTION_CALL,    /* what CALL makes of it */
};

struct option_row {
	const char *name;
	const char *argument; /* "N"; NULL: none; "[=FILE]": may have one behind = */
	const char *help;
	enum option_kind kind;
	size_t offset;
	uint64_t least;
	uint64_t most;
	bool (*call)(void *object, const char *argument, struct text *why);
};

enum { OPTIONS_MAX = 64 };

struct options {
	const char *command; /* "byway-bench load" */
	const struct option_row *rows;
	size_t n;
};

/* Sets OBJECT's members; *FIRST_R: the index of the first word that is no option. */
bool options_read(const struct options *o, void *object, int argc, char **argv, int *first_r)
    MUST_CHECK;
/* A line each, on standard output. */
void options_help(const struct options *o);
/* "0.5", "90", "2m", "1h" as nanoseconds. False: something else. */
bool options_seconds(const char *s, uint64_t *ns_r) MUST_CHECK;

#endif
