/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_OUT_H
#define CONSOLE_OUT_H

/*
 * out - what people and programs read: aligned tables, and JSON
 *
 * A cell is cut to one line: octets that are not printable UTF-8 are shown as '?', so that nothing
 * in the database can steer a terminal.
 *
 * Owns:   nothing; a table's cells are the cli's memory.
 */
#include <stdio.h>

#include "console/cli.h"
#include "wire/text.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
	struct cli *cli;
	const char *const *titles;
	size_t columns;
	const char **cells; /* rows of COLUMNS each */
	size_t rows, cap;
};

/* TITLES end with NULL. */
struct table table_begin(struct cli *c, const char *const *titles);
/* CELLS are borrowed until table_end(). */
void table_row(struct table *t, const char *const *cells);
/* Prints and says nothing where there is no row. */
void table_end(struct table *t);
/* `name: value` lines, aligned. */
void out_pair(struct cli *c, int width, const char *name, const char *value);
/* Printable UTF-8 only, on FILE. */
void out_plain(FILE *f, struct slice s);
/* Paints what follows, if the output is a terminal; '\0' ends it. COLOUR: 'g' green, 'r' red, 'y'
 * yellow, 'b' bold. */
void out_paint(const struct cli *c, char colour);

/* Writes JSON member by member; KEY is NULL inside arrays and at the top. */
struct json {
	FILE *f;
	unsigned depth;
	uint64_t used; /* bit DEPTH: something stands before */
};

struct json json_begin(void);
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_str(struct json *j, const char *key, struct slice value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_none(struct json *j, const char *key);
/* VALUE is JSON already. */
void json_raw(struct json *j, const char *key, struct slice value);
/* The last line end. */
void json_end(struct json *j);

#endif
