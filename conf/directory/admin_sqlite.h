/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ADMIN_SQLITE_H
#define CONF_DIRECTORY_ADMIN_SQLITE_H

/*
 * admin_sqlite - private to admin*_sqlite.c: transactions, errors and look-ups that all kinds of
 * rows share
 */
#include "conf/directory/admin.h"
#include "conf/directory/admin_names.h"
#include "conf/directory/row_sqlite.h"

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

enum admin_result admin_say(struct admin *a, enum admin_result r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Steps a statement that gives no rows, and resets it. */
enum admin_result admin_run(struct admin *a, const struct put *values, const char *what) MUST_CHECK;
/* True where the statement with VALUES gives a row. */
bool gives_row(struct put *values) MUST_CHECK;
/* The id of the row called NAME (a WORD: "account"); ADMIN_MISSING says so. SQL has one value. */
enum admin_result find_id(struct admin *a, const char *sql, const char *word, const char *name,
    uint64_t *id_r) MUST_CHECK;
enum admin_result find_account(struct admin *a, const char *name, uint64_t *id_r) MUST_CHECK;
enum admin_result find_profile(struct admin *a, uint64_t account, const char *account_name,
    const char *name, uint64_t *id_r) MUST_CHECK;
/* Counts what SQL counts for ID; ADMIN_IN_USE with WORDS if there is any. */
enum admin_result must_be_unused(struct admin *a, const char *sql, uint64_t id, const char *words)
    MUST_CHECK;
enum admin_result remove_by_id(struct admin *a, const char *sql, uint64_t id) MUST_CHECK;

/* A route by ids, checked, into the parameters of one. */
enum admin_result put_route(struct admin *a, struct put *in, uint64_t account,
    const char *account_name, const struct admin_route *from) MUST_CHECK;
/* The id of an account as the parameter PARAMETER. */
enum admin_result put_account(struct admin *a, struct put *in, const char *parameter,
    const char *name) MUST_CHECK;

/* Calls FN with each row of ACCOUNT (SQL one, its id the only value), or of all where ACCOUNT is
 * NULL (SQL all). FN may use A; false stops. */
typedef bool row_fn(void *ctx, struct take *t);
enum admin_result each_row(struct admin *a, const char *all, const char *one, const char *account,
    row_fn *fn, void *ctx) MUST_CHECK;
/* The one row that the statement with VALUES gives, to FN; ADMIN_MISSING says "no WORD NAME", and
 * false of FN that there is no memory. */
enum admin_result one_row(struct admin *a, struct put *values, row_fn *fn, void *ctx,
    const char *word, const char *name) MUST_CHECK;

/* Room for what check() writes in place of a key. */
enum { KEY_MAX = ADDRESS_MAX + NET_TEXT_MAX };

/* admin_profile_sqlite.c: counts all stored credentials into FOUND, those that the vault does not
 * open, and those of an earlier version that it does. */
enum admin_result admin_count_sealed(struct admin *a, struct admin_survey *found) MUST_CHECK;
/* The same file's: seals anew, in one transaction, those of an earlier version that the vault
 * opens. */
enum admin_result admin_reseal_v1(struct admin *a, uint64_t *done_r) MUST_CHECK;

/* An entity as this backend keeps it. Hooks may be NULL. */
struct table {
	const struct entity *of;
	const char *find; /* the id behind a name */
	const char *get;  /* the row of id ?1 */
	const char *all;
	const char *each; /* of account ?1 */
	const char *add, *set;
	const char *drop; /* id ?1 */
	/* NAME as it is stored, into MEM; ADMIN_INVALID. */
	enum admin_result (*normal)(struct admin *a, const char *name, char mem[KEY_MAX]);
	/* What must be right of ROW, a copy that may be changed, before it is written. */
	enum admin_result (*check)(struct admin *a, void *row);
	/* The parameters that are not COLUMN_WRITTEN. ID 0: of a new row. */
	enum admin_result (*bind)(struct admin *a, struct put *in, const void *row, uint64_t id);
	/* What else is written with a row. */
	enum admin_result (*after)(struct admin *a, const void *row, uint64_t id);
	/* Before a row goes: its parts go too, or stand against it. */
	enum admin_result (*clear)(struct admin *a, uint64_t id, bool whole);
};

extern const struct table table_plan, table_account, table_profile, table_domain, table_mailbox,
    table_ip;

/* The id of the row called NAME. */
enum admin_result table_find(struct admin *a, const struct table *t, const char *name,
    uint64_t *id_r) MUST_CHECK;
/* Inside a write: a row that was checked goes in. */
enum admin_result table_add(struct admin *a, const struct table *t, const void *row, uint64_t *id_r)
    MUST_CHECK;
enum admin_result table_set(struct admin *a, const struct table *t, const void *row, uint64_t id)
    MUST_CHECK;
enum admin_result table_get(struct admin *a, const struct table *t, uint64_t id, struct arena *mem,
    void *row_r) MUST_CHECK;

#endif
