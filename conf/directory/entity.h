/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ENTITY_H
#define CONF_DIRECTORY_ENTITY_H

/*
 * entity - the kinds of things that the directory holds, each told once: conf/directory/NAME.def
 *
 * From a .def come the row that is written and read by name (struct admin_NAME), the daemon's
 * snapshot (struct NAME), both tables of columns, all SQL, the fields of the control tool, its
 * JSON and its files. A column that the database lacks is added when it is opened. So a new column
 * is one line in the .def, and its use.
 *
 * Never:  holds state; all tables are constant.
 */
#include "conf/words.h"

enum column_type {
	COLUMN_TEXT,   /* const char * */
	COLUMN_NAME,   /* const char *, ASCII case does not count */
	COLUMN_BOOL,   /* bool: yes, no */
	COLUMN_NUMBER, /* uint64_t */
	COLUMN_SMALL,  /* unsigned */
	COLUMN_SIZE,   /* uint64_t, octets: 25M */
	COLUMN_WORD,   /* an enum of conf/words.def */
	COLUMN_DATE,   /* int64_t, unix seconds: 2026-02-19T00:00:00Z; empty: 0 */
	COLUMN_PEM,    /* const char *; a file on the command line */
	COLUMN_HOST,   /* const char *: in the normal form of wire/host.h */
	COLUMN_PIN,    /* const char *: 64 hex digits, with or without colons */
	COLUMN_LIST,   /* const char *: names with commas between, in order */
	COLUMN_ROUTE, /* struct admin_route, the first half: inherit, native, or a profile's name */
	/* struct admin_route, the second half: none, native, or a profile's name */
	COLUMN_FALLBACK,
	COLUMN_ROUTE_IDS, /* struct route, of snapshots */
};

enum {
	COLUMN_FIXED = 1,     /* is said when the row is made, never changed */
	COLUMN_OUT = 2,       /* is shown only */
	COLUMN_LISTED = 4,    /* has a column in lists */
	COLUMN_UNLIMITED = 8, /* 0 stands for no limit */
	COLUMN_BOUND = 16,    /* a stored credential belongs to it */
	COLUMN_WRITTEN = 64,  /* INSERT and UPDATE take it as it is */
	COLUMN_UNREAD = 128,  /* no column of the SELECT is its own */
	COLUMN_KEY = 256      /* names the row; keys come first */
};

struct column {
	const char *name; /* in the database, files and JSON: size_max; NULL ends a table */
	enum column_type type;
	size_t at; /* its offset in the row */
	unsigned flags;
	const char *bind;   /* ":name", for COLUMN_WRITTEN */
	const char *preset; /* what a new row has; NULL: it must be said */
	const char *arg;    /* for help: "STATE" */
	const struct words *words;
	uint64_t min, max; /* of numbers; 0, 0: any */
	const char *help;
};

struct entity {
	const char *name;             /* "plan": the table, the section, the command */
	const struct column *columns; /* of struct admin_NAME; keys first */
	size_t keys;
	size_t size;
};

extern const struct entity entity_plan, entity_account, entity_domain, entity_mailbox,
    entity_profile, entity_ip;
extern const struct entity *const entities[]; /* ends with NULL */

/* Of snapshots, in order of their SELECTs. */
extern const struct column snapshot_plan[], snapshot_account[], snapshot_domain[],
    snapshot_profile[], snapshot_identity[];

/* True where the column's value in a row is a string. */
bool column_is_text(const struct column *c) MUST_CHECK;
/* Those of FROM's columns that TO has by the same name and type; TO's other strings become
 * empty. */
void columns_copy(const struct column *to_columns, void *to, const struct column *from_columns,
    const void *from);
/* Its string in ROW. */
const char **column_text(const struct column *c, void *row);

#endif
