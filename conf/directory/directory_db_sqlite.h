/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_DB_SQLITE_H
#define CONF_DIRECTORY_DIRECTORY_DB_SQLITE_H

/*
 * directory_db_sqlite - one connection to the directory's file: opened, its statements kept
 *
 * WAL, foreign keys on, a busy timeout, no other file than a directory's (application_id), none
 * that others can read. The schema stands in directory_schema_sqlite.c as an ordered table of
 * migrations; PRAGMA user_version counts how many of them the file has had. Opening never migrates
 * a file that has rows: admin_migrate() does, with a copy first.
 *
 * Owns:   the connection and its statements.
 * Life:   one thread at a time, one process (never across a fork).
 * Errors: false; db_error() has the words of SQLite.
 */
#include <sqlite3.h>

#include "wire/slice.h"
#include "wire/text.h"

enum { DB_STATEMENTS = 96 };

/* "Bywy": application_id of a directory */
#define DIRECTORY_ID 0x42797779

/* An SQL text that is kept is known by its address: a literal or a constant array. */
struct db {
	sqlite3 *h;
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} kept[DB_STATEMENTS];
	size_t kept_n;
};

enum db_how {
	DB_CURRENT, /* of a schema that this program works with, or an error that says what to do */
	DB_MAKE,    /* the same; an absent file is made (mode 0640), an empty one gets its schema */
	DB_AS_IT_IS /* of whatever schema, as long as it is a directory that db_schema() takes */
};

bool db_open(struct db *db, const char *path, enum db_how how, int busy_ms, struct text *why)
    MUST_CHECK;
void db_close(struct db *db);
const char *db_error(const struct db *db);
/* True where the last failure was that somebody else holds a lock. */
bool db_is_busy(const struct db *db);
/* One statement or many, no rows. */
bool db_exec(struct db *db, const char *sql) MUST_CHECK;
/* The kept statement for SQL, at its start, without values; NULL on failure. */
sqlite3_stmt *db_stmt(struct db *db, const char *sql) MUST_CHECK;
/* The one number that SQL gives, 0 for none or NULL. */
bool db_number(struct db *db, const char *sql, int64_t *v_r) MUST_CHECK;

/* Values for a statement, one after the other; OK turns false for good at the first that fails. */
struct put {
	sqlite3_stmt *st;
	int at;
	bool ok;
};

struct put put_into(sqlite3_stmt *st);
/* The next value goes to the parameter NAME (":size_max"); OK turns false where there is none. */
void put_named(struct put *p, const char *name);
bool put_has(const struct put *p, const char *name) MUST_CHECK;
/* The octets must stay until the statement is reset. */
void put_slice(struct put *p, struct slice s);
void put_str(struct put *p, const char *s);                 /* NULL: the empty string */
void put_blob(struct put *p, const void *octets, size_t n); /* copied */
void put_i64(struct put *p, int64_t v);
/* Values above 2^63-1 do not go in. */
void put_u64(struct put *p, uint64_t v);
void put_id(struct put *p, uint64_t id); /* 0: NULL */

/* A row's values, one after the other; they die with the next step. */
struct take {
	sqlite3_stmt *st;
	int at;
};

struct take take_from(sqlite3_stmt *st);
struct slice take_slice(struct take *t);
int64_t take_i64(struct take *t);
uint64_t take_u64(struct take *t);
unsigned take_unsigned(struct take *t);
bool take_bool(struct take *t);

/* directory_schema_sqlite.c: brings the file to UNTIL migrations (0: all). WHY says what is wrong
 * with the file. */
bool db_migrate(struct db *db, int until, struct text *why) MUST_CHECK;
/* The same file's: where it stands. False: it is not ours, or newer, and this program cannot work
 * with what has changed (meta.last_compatible). */
bool db_schema(struct db *db, int64_t *version_r, struct text *why) MUST_CHECK;
/* *BEHIND_R: migrations or columns are missing in it. */
bool db_is_behind(struct db *db, bool *behind_r) MUST_CHECK;
/* *PLAIN_R: the file has no write-ahead log, as one has that was made of a dump or by another
 * program's copy. */
bool db_is_plain(struct db *db, bool *plain_r) MUST_CHECK;
/* Gives it one. It may have none yet where the file system cannot share memory. */
bool db_make_wal(struct db *db) MUST_CHECK;
/* How many migrations this program knows. */
int db_migrations(void);
/* directory_copy_sqlite.c: all of FROM as of one moment, in a new file PATH or in the place of what
 * was there, whole or not at all; others may go on writing to FROM. */
bool db_copy(struct db *from, const char *path, unsigned mode, struct text *why) MUST_CHECK;
/* The directory's revision: moves with every write. */
extern const char db_revision_sql[];

#endif
