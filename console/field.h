/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_FIELD_H
#define CONSOLE_FIELD_H

/*
 * field - one member of a directory row: its name, its type, and the way between the member and its
 * text
 *
 * The text is the same on the command line, in the file of export and apply, and in what is shown.
 * field_read() takes many spellings, field_write() gives one, so that two texts of a field say the
 * same if they are equal after reading and writing.
 *
 * Owns:   nothing; texts are the cli's memory.
 * Errors: field_read() gives NULL, or what was expected instead, to stand behind the field's name.
 */
#include "console/cli.h"
#include "console/out.h"

enum field_type {
	FIELD_TEXT,   /* const char * */
	FIELD_NAME,   /* const char *, ASCII case does not count */
	FIELD_BOOL,   /* bool: yes, no */
	FIELD_NUMBER, /* uint64_t */
	FIELD_SMALL,  /* unsigned */
	FIELD_SIZE,   /* uint64_t, octets: 25M */
	FIELD_WORD,   /* an enum: one of WORDS, whose index is the value */
	FIELD_DATE,   /* int64_t, unix seconds: 2026-02-19T00:00:00Z; empty: 0 */
	FIELD_PEM,    /* const char *; a file on the command line */
	FIELD_PIN,    /* const char *: 64 hex digits, with or without colons */
	FIELD_LIST,   /* const char *: names with commas between, in order */
	FIELD_ROUTE,  /* struct admin_route, the first half: inherit, native, or a profile's name */
	FIELD_FALLBACK, /* struct admin_route, the second half: none, native, or a profile's name */
};

enum {
	FIELD_FIXED = 1,    /* is said when the row is made, never changed */
	FIELD_OUT = 2,      /* is shown only */
	FIELD_LISTED = 4,   /* has a column in lists */
	FIELD_UNLIMITED = 8 /* 0 stands for no limit */
};

struct field {
	const char *name;   /* in files and JSON: size_max; NULL ends a list */
	const char *option; /* on the command line: size-max; NULL with FIELD_OUT */
	enum field_type type;
	size_t offset;
	unsigned flags;
	const char *preset; /* what a new row has; NULL: it must be said */
	const char *arg;    /* for help: "STATE" */
	const char *const *words;
	uint64_t min, max; /* of numbers; 0, 0: any */
	const char *help;
};

/* Sets the member of ROW from TEXT. NULL, or what is wrong. */
const char *field_read(struct cli *c, const struct field *f, const char *text, void *row)
    MUST_CHECK;
/* The member as text. */
const char *field_write(struct cli *c, const struct field *f, const void *row);
bool field_same(const struct field *f, const char *a, const char *b);
/* TEXT as a JSON member of its type. */
void field_json(struct json *j, const struct field *f, const char *text);
/* TEXT for people: a certificate is counted, not shown. */
const char *field_brief(struct cli *c, const struct field *f, const char *text);

#endif
