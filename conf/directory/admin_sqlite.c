/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection, its transactions, its sentences; and what all kinds of rows share.
 */
#include "conf/directory/admin_sqlite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUSY_MS = 5000 };

struct admin *
admin_open(const char *path, bool create, struct vault *v, struct text *why)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a) {
		text_fmt(why, "no memory");
		return NULL;
	}
	a->vault = v;
	if (!db_open(&a->db, path, create ? DB_MAKE : DB_CURRENT, BUSY_MS, why)) {
		free(a);
		return NULL;
	}
	return a;
}

void
admin_close(struct admin *a)
{
	if (!a)
		return;
	admin_rollback(a);
	db_close(&a->db);
	free(a);
}

/* ---- sentences ---- */

const char *
admin_why(const struct admin *a)
{
	return a->why;
}

enum admin_result
admin_say(struct admin *a, enum admin_result r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(a->why, sizeof(a->why), fmt, args);
	va_end(args);
	/* Names that people typed stand in it: nothing of them moves a terminal's cursor. */
	for (char *p = a->why; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return r;
}

/* The database's last failure as a result. WHAT was being written, for the sentence. */
static enum admin_result
say_database(struct admin *a, const char *what)
{
	switch (sqlite3_extended_errcode(a->db.h)) {
	case SQLITE_CONSTRAINT_UNIQUE:
		return admin_say(a, ADMIN_EXISTS, "%s: there is one already", what);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return admin_say(a, ADMIN_IN_USE, "%s: something else needs it", what);
	case SQLITE_CONSTRAINT_CHECK:
	case SQLITE_CONSTRAINT_NOTNULL:
	case SQLITE_CONSTRAINT_DATATYPE:
		return admin_say(a, ADMIN_INVALID, "%s: %s", what, db_error(&a->db));
	default:
		break;
	}
	if (db_is_busy(&a->db))
		return admin_say(a, ADMIN_BUSY,
		    "the directory is locked: another process is writing to it");
	return admin_say(a, ADMIN_FAILED, "%s: %s", what, db_error(&a->db));
}

/* ---- transactions ---- */

static enum admin_result
begin(struct admin *a, const char *sql)
{
	if (a->inside)
		return admin_say(a, ADMIN_INVALID, "a transaction is open already");
	if (!db_exec(&a->db, sql))
		return say_database(a, "begin");
	a->inside = true;
	return ADMIN_OK;
}

enum admin_result
admin_begin(struct admin *a)
{
	return begin(a, "BEGIN IMMEDIATE");
}

enum admin_result
admin_begin_reading(struct admin *a)
{
	return begin(a, "BEGIN");
}

enum admin_result
admin_commit(struct admin *a)
{
	if (!a->inside)
		return admin_say(a, ADMIN_INVALID, "no transaction is open");
	if (!db_exec(&a->db, "COMMIT")) {
		enum admin_result r = say_database(a, "commit");

		admin_rollback(a);
		return r;
	}
	a->inside = false;
	return ADMIN_OK;
}

void
admin_rollback(struct admin *a)
{
	if (!a->inside)
		return;
	/* Where SQLite has rolled back by itself (disk full), there is nothing left to do. */
	sqlite3_exec(a->db.h, "ROLLBACK", NULL, NULL, NULL);
	a->inside = false;
}

enum admin_result
write_begin(struct admin *a)
{
	if (!db_exec(&a->db, a->inside ? "SAVEPOINT one" : "BEGIN IMMEDIATE"))
		return say_database(a, "begin");
	return ADMIN_OK;
}

enum admin_result
write_end(struct admin *a, enum admin_result r)
{
	if (r == ADMIN_OK && !db_exec(&a->db, a->inside ? "RELEASE one" : "COMMIT"))
		r = say_database(a, "commit");
	if (r != ADMIN_OK)
		sqlite3_exec(a->db.h, a->inside ? "ROLLBACK TO one; RELEASE one" : "ROLLBACK", NULL,
		    NULL, NULL);
	return r;
}

enum admin_result
admin_revision(struct admin *a, uint64_t *revision_r)
{
	int64_t revision = 0;

	if (!db_number(&a->db, db_revision_sql, &revision))
		return say_database(a, "revision");
	*revision_r = (uint64_t)revision;
	return ADMIN_OK;
}

/* ---- statements ---- */

enum admin_result
admin_run(struct admin *a, const struct put *values, const char *what)
{
	if (!values->st)
		return say_database(a, what);
	int rc = values->ok ? sqlite3_step(values->st) : SQLITE_ERROR;
	enum admin_result r = ADMIN_OK;

	if (!values->ok)
		r = admin_say(a, ADMIN_INVALID, "%s: a value is out of bounds", what);
	else if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = say_database(a, what);
	sqlite3_reset(values->st);
	return r;
}

enum admin_result
one_row(struct admin *a, struct put *values, row_fn *fn, void *ctx, const char *word,
    const char *name)
{
	int rc = values->ok ? sqlite3_step(values->st) : SQLITE_ERROR;
	enum admin_result r = ADMIN_OK;
	struct take t = take_from(values->st);

	if (rc == SQLITE_DONE)
		r = admin_say(a, ADMIN_MISSING, "no %s %s", word, name);
	else if (rc != SQLITE_ROW)
		r = say_database(a, word);
	else if (!fn(ctx, &t))
		r = admin_say(a, ADMIN_FAILED, "%s %s: no memory", word, name);
	if (values->st)
		sqlite3_reset(values->st);
	return r;
}

static bool
take_id(void *ctx, struct take *t)
{
	*(uint64_t *)ctx = take_u64(t);
	return true;
}

enum admin_result
find_id(struct admin *a, const char *sql, const char *word, const char *name, uint64_t *id_r)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, name);
	return one_row(a, &in, take_id, id_r, word, name ? name : "");
}

enum admin_result
find_account(struct admin *a, const char *name, uint64_t *id_r)
{
	return find_id(a, "SELECT id FROM account WHERE name = ?1", "account", name, id_r);
}

enum admin_result
find_profile(struct admin *a, uint64_t account, const char *account_name, const char *name,
    uint64_t *id_r)
{
	struct put in =
	    put_into(db_stmt(&a->db, "SELECT id FROM profile WHERE account = ?1 AND name = ?2"));
	char both[2 * NAME_MAX_LEN + 8];

	snprintf(both, sizeof(both), "%s/%s", account_name, name ? name : "");
	put_u64(&in, account);
	put_str(&in, name);
	return one_row(a, &in, take_id, id_r, "profile", both);
}

bool
gives_row(struct put *values)
{
	bool gives = values->ok && sqlite3_step(values->st) == SQLITE_ROW;

	if (values->st)
		sqlite3_reset(values->st);
	return gives;
}

enum admin_result
must_be_unused(struct admin *a, const char *sql, uint64_t id, const char *words)
{
	struct put in = put_into(db_stmt(&a->db, sql));
	uint64_t n = 0;

	put_u64(&in, id);
	enum admin_result r = one_row(a, &in, take_id, &n, "row", "");

	if (r == ADMIN_OK && n > 0)
		return admin_say(a, ADMIN_IN_USE, "%s (%llu)", words, (unsigned long long)n);
	return r;
}

enum admin_result
remove_by_id(struct admin *a, const char *sql, uint64_t id)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_u64(&in, id);
	return admin_run(a, &in, "remove");
}

/* ---- rows ---- */

/* A statement of its own for each, so that a callback may do the same again. */
enum admin_result
each_row(struct admin *a, const char *all, const char *one, const char *account, row_fn *fn,
    void *ctx)
{
	sqlite3_stmt *st = NULL;
	uint64_t id = 0;
	enum admin_result r = account ? find_account(a, account, &id) : ADMIN_OK;

	if (r != ADMIN_OK)
		return r;
	if (sqlite3_prepare_v2(a->db.h, account ? one : all, -1, &st, NULL) != SQLITE_OK)
		return say_database(a, "list");
	struct put in = put_into(st);
	int rc = SQLITE_ERROR;

	if (account)
		put_u64(&in, id);
	while (in.ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct take t = take_from(st);

		if (!fn(ctx, &t))
			break;
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = say_database(a, "list");
	sqlite3_finalize(st);
	return r;
}

/* ---- routes ---- */

static bool
is_empty(const char *s)
{
	return !s || !*s;
}

static enum admin_result
resolve_route(struct admin *a, uint64_t account, const char *account_name,
    const struct admin_route *from, struct route *route_r)
{
	struct route r = { .kind = from->kind, .fallback = from->fallback };
	enum admin_result found = ADMIN_OK;

	if ((from->kind == ROUTE_PROFILE) == is_empty(from->profile))
		return admin_say(a, ADMIN_INVALID,
		    "route: a profile's name belongs to `profile`, and only there");
	if ((from->fallback == ROUTE_PROFILE) == is_empty(from->fallback_profile))
		return admin_say(a, ADMIN_INVALID,
		    "fallback: a profile's name belongs to `profile`, and only there");
	if (from->kind == ROUTE_INHERIT && from->fallback != ROUTE_INHERIT)
		return admin_say(a, ADMIN_INVALID,
		    "a fallback needs a route of its own, not an inherited one");
	if (r.kind == ROUTE_PROFILE)
		found = find_profile(a, account, account_name, from->profile, &r.profile);
	if (found == ADMIN_OK && r.fallback == ROUTE_PROFILE)
		found = find_profile(a, account, account_name, from->fallback_profile,
		    &r.fallback_profile);
	if (found != ADMIN_OK)
		return found;
	if (r.kind != ROUTE_INHERIT && r.kind == r.fallback && r.profile == r.fallback_profile)
		return admin_say(a, ADMIN_INVALID, "a route cannot fall back to itself");
	*route_r = r;
	return ADMIN_OK;
}

enum admin_result
put_route(struct admin *a, struct put *in, uint64_t account, const char *account_name,
    const struct admin_route *from)
{
	struct route r = { 0 };
	enum admin_result found = resolve_route(a, account, account_name, from, &r);

	if (found != ADMIN_OK)
		return found;
	put_named(in, ":route");
	put_str(in, route_kind_word(r.kind));
	put_named(in, ":route_profile");
	put_id(in, r.profile);
	put_named(in, ":fallback");
	put_str(in, route_kind_word(r.fallback));
	put_named(in, ":fallback_profile");
	put_id(in, r.fallback_profile);
	return ADMIN_OK;
}

enum admin_result
put_account(struct admin *a, struct put *in, const char *parameter, const char *name)
{
	uint64_t id = 0;
	enum admin_result r = find_account(a, name, &id);

	if (r != ADMIN_OK)
		return r;
	put_named(in, parameter);
	put_u64(in, id);
	return ADMIN_OK;
}
