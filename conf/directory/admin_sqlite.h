/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ADMIN_SQLITE_H
#define CONF_DIRECTORY_ADMIN_SQLITE_H

/*
 * admin_sqlite - private to admin*_sqlite.c: transactions, errors and look-ups that all kinds of
 * rows share
 */
#include "conf/directory/admin.h"
#include "conf/directory/admin_names.h"
#include "conf/directory/directory_db_sqlite.h"

enum { ADMIN_WHY_MAX = 512 };

struct admin {
	struct db db;
	struct vault *vault;
	bool inside; /* of admin_begin() */
	char why[ADMIN_WHY_MAX];
};

/* One write: a savepoint in the caller's transaction, or a transaction of its own. */
enum admin_result write_begin(struct admin *a) MUST_CHECK;
/* Commits if R is ADMIN_OK, else takes back; what it gives is the write's result. */
enum admin_result write_end(struct admin *a, enum admin_result r) MUST_CHECK;

enum admin_result say(struct admin *a, enum admin_result r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The database's last failure as a result. WHAT was being written, for the sentence. */
enum admin_result say_database(struct admin *a, const char *what);
/* Steps a statement that gives no rows, and resets it. */
enum admin_result run(struct admin *a, const struct put *values, const char *what) MUST_CHECK;
/* The id of the row called NAME (a WORD: "account"); ADMIN_MISSING says so. SQL has one value. */
enum admin_result find_id(struct admin *a, const char *sql, const char *word, const char *name,
    uint64_t *id_r) MUST_CHECK;
enum admin_result find_account(struct admin *a, const char *name, uint64_t *id_r) MUST_CHECK;
enum admin_result find_profile(struct admin *a, uint64_t account, const char *account_name,
    const char *name, uint64_t *id_r) MUST_CHECK;
/* ADMIN_OK, or ADMIN_EXISTS where SQL gives a row for NAME. */
enum admin_result must_be_new(struct admin *a, const char *sql, const char *word, const char *name)
    MUST_CHECK;
/* Counts what SQL counts for ID; ADMIN_IN_USE with WORDS if there is any. */
enum admin_result must_be_unused(struct admin *a, const char *sql, uint64_t id, const char *words)
    MUST_CHECK;
enum admin_result remove_by_id(struct admin *a, const char *sql, uint64_t id) MUST_CHECK;

/* A route by ids; checks it. */
enum admin_result resolve_route(struct admin *a, uint64_t account, const char *account_name,
    const struct admin_route *from, struct route *route_r) MUST_CHECK;
void put_route(struct put *p, const struct route *r);
struct admin_route take_route_names(struct take *t);

/* Calls FN with each row of ACCOUNT (SQL one, its id the only value), or of all where ACCOUNT is
 * NULL (SQL all). FN may use A; false stops. */
typedef bool row_fn(void *ctx, struct take *t);
enum admin_result each_row(struct admin *a, const char *all, const char *one, const char *account,
    row_fn *fn, void *ctx) MUST_CHECK;
/* The one row that the statement with VALUES gives, to FN; ADMIN_MISSING says "no WORD NAME", and
 * false of FN that there is no memory. */
enum admin_result one_row(struct admin *a, struct put *values, row_fn *fn, void *ctx,
    const char *word, const char *name) MUST_CHECK;
/* A copy in MEM; *OK turns false where there is no room. */
const char *keep_str(struct arena *mem, const char *s, bool *ok);
void keep_route(struct arena *mem, struct admin_route *r, bool *ok);

#endif
