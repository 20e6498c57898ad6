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
	if (!db_open(&a->db, path, create, BUSY_MS, why)) {
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
say(struct admin *a, enum admin_result r, const char *fmt, ...)
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

enum admin_result
say_database(struct admin *a, const char *what)
{
	switch (sqlite3_extended_errcode(a->db.h)) {
	case SQLITE_CONSTRAINT_UNIQUE:
		return say(a, ADMIN_EXISTS, "%s: there is one already", what);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return say(a, ADMIN_IN_USE, "%s: something else needs it", what);
	case SQLITE_CONSTRAINT_CHECK:
	case SQLITE_CONSTRAINT_NOTNULL:
	case SQLITE_CONSTRAINT_DATATYPE:
		return say(a, ADMIN_INVALID, "%s: %s", what, db_error(&a->db));
	default:
		break;
	}
	if (db_is_busy(&a->db))
		return say(a, ADMIN_BUSY,
		    "the directory is locked: another process is writing to it");
	return say(a, ADMIN_FAILED, "%s: %s", what, db_error(&a->db));
}

/* ---- transactions ---- */

enum admin_result
admin_begin(struct admin *a)
{
	if (a->inside)
		return say(a, ADMIN_INVALID, "a transaction is open already");
	if (!db_exec(&a->db, "BEGIN IMMEDIATE"))
		return say_database(a, "begin");
	a->inside = true;
	return ADMIN_OK;
}

enum admin_result
admin_commit(struct admin *a)
{
	if (!a->inside)
		return say(a, ADMIN_INVALID, "no transaction is open");
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
run(struct admin *a, const struct put *values, const char *what)
{
	if (!values->st)
		return say_database(a, what);
	int rc = values->ok ? sqlite3_step(values->st) : SQLITE_ERROR;
	enum admin_result r = ADMIN_OK;

	if (!values->ok)
		r = say(a, ADMIN_INVALID, "%s: a value is out of bounds", what);
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
		r = say(a, ADMIN_MISSING, "no %s %s", word, name);
	else if (rc != SQLITE_ROW)
		r = say_database(a, word);
	else if (!fn(ctx, &t))
		r = say(a, ADMIN_FAILED, "%s %s: no memory", word, name);
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

enum admin_result
must_be_new(struct admin *a, const char *sql, const char *word, const char *name)
{
	uint64_t id;
	enum admin_result r = find_id(a, sql, word, name, &id);

	if (r == ADMIN_OK)
		return say(a, ADMIN_EXISTS, "%s %s: there is one already", word, name);
	return r == ADMIN_MISSING ? ADMIN_OK : r;
}

enum admin_result
must_be_unused(struct admin *a, const char *sql, uint64_t id, const char *words)
{
	struct put in = put_into(db_stmt(&a->db, sql));
	uint64_t n = 0;

	put_u64(&in, id);
	enum admin_result r = one_row(a, &in, take_id, &n, "row", "");

	if (r == ADMIN_OK && n > 0)
		return say(a, ADMIN_IN_USE, "%s (%llu)", words, (unsigned long long)n);
	return r;
}

enum admin_result
remove_by_id(struct admin *a, const char *sql, uint64_t id)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_u64(&in, id);
	return run(a, &in, "remove");
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

const char *
keep_str(struct arena *mem, const char *s, bool *ok)
{
	const char *kept = arena_str(mem, slice_str(s));

	if (!kept)
		*ok = false;
	return kept;
}

void
keep_route(struct arena *mem, struct admin_route *r, bool *ok)
{
	r->profile = keep_str(mem, r->profile, ok);
	r->fallback_profile = keep_str(mem, r->fallback_profile, ok);
}

/* ---- routes ---- */

static bool
is_empty(const char *s)
{
	return !s || !*s;
}

enum admin_result
resolve_route(struct admin *a, uint64_t account, const char *account_name,
    const struct admin_route *from, struct route *route_r)
{
	struct route r = { .kind = from->kind, .fallback = from->fallback };
	enum admin_result found = ADMIN_OK;

	if ((from->kind == ROUTE_PROFILE) == is_empty(from->profile))
		return say(a, ADMIN_INVALID,
		    "route: a profile's name belongs to `profile`, and only there");
	if ((from->fallback == ROUTE_PROFILE) == is_empty(from->fallback_profile))
		return say(a, ADMIN_INVALID,
		    "fallback: a profile's name belongs to `profile`, and only there");
	if (from->kind == ROUTE_INHERIT && from->fallback != ROUTE_INHERIT)
		return say(a, ADMIN_INVALID,
		    "a fallback needs a route of its own, not an inherited one");
	if (r.kind == ROUTE_PROFILE)
		found = find_profile(a, account, account_name, from->profile, &r.profile);
	if (found == ADMIN_OK && r.fallback == ROUTE_PROFILE)
		found = find_profile(a, account, account_name, from->fallback_profile,
		    &r.fallback_profile);
	if (found != ADMIN_OK)
		return found;
	if (r.kind != ROUTE_INHERIT && r.kind == r.fallback && r.profile == r.fallback_profile)
		return say(a, ADMIN_INVALID, "a route cannot fall back to itself");
	*route_r = r;
	return ADMIN_OK;
}

void
put_route(struct put *p, const struct route *r)
{
	put_str(p, route_kind_word(r->kind));
	put_id(p, r->profile);
	put_str(p, route_kind_word(r->fallback));
	put_id(p, r->fallback_profile);
}

struct admin_route
take_route_names(struct take *t)
{
	struct admin_route r = { .kind = ROUTE_INHERIT, .fallback = ROUTE_INHERIT };

	if (!route_kind_find(take_slice(t), &r.kind))
		r.kind = ROUTE_INHERIT;
	r.profile = take_str(t);
	if (!route_kind_find(take_slice(t), &r.fallback))
		r.fallback = ROUTE_INHERIT;
	r.fallback_profile = take_str(t);
	return r;
}

/* ---- the whole ---- */

struct walk {
	struct admin *a;
	const struct admin_visitor *v;
	void *ctx;
	enum admin_result result;
	bool stopped;
};

/* A visitor's own "no more" must end the walk, not one list of it. */
#define ON_ROW(kind, type)                                   \
	static bool on_##kind(void *ctx, const type *row)    \
	{                                                    \
		struct walk *w = ctx;                        \
                                                             \
		if (!w->stopped && !w->v->kind(w->ctx, row)) \
			w->stopped = true;                   \
		return !w->stopped;                          \
	}

ON_ROW(plan, struct plan)
ON_ROW(profile, struct admin_profile)
ON_ROW(domain, struct admin_domain)
ON_ROW(mailbox, struct admin_mailbox)
ON_ROW(ip, struct admin_ip)
ON_ROW(sender, struct admin_sender)

static bool
goes_on(const struct walk *w)
{
	return w->result == ADMIN_OK && !w->stopped;
}

static bool
on_account(void *ctx, const struct admin_account *row)
{
	struct walk *w = ctx;
	const struct admin_visitor *v = w->v;

	if (v->account && !v->account(w->ctx, row))
		w->stopped = true;
	if (goes_on(w) && v->profile)
		w->result = admin_profile_each(w->a, row->name, on_profile, w);
	if (goes_on(w) && v->domain)
		w->result = admin_domain_each(w->a, row->name, on_domain, w);
	if (goes_on(w) && v->mailbox)
		w->result = admin_mailbox_each(w->a, row->name, on_mailbox, w);
	if (goes_on(w) && v->ip)
		w->result = admin_ip_each(w->a, row->name, on_ip, w);
	if (goes_on(w) && v->sender)
		w->result = admin_sender_each(w->a, row->name, on_sender, w);
	return goes_on(w);
}

enum admin_result
admin_walk(struct admin *a, const struct admin_visitor *v, void *ctx)
{
	struct walk w = { .a = a, .v = v, .ctx = ctx };
	bool alone = !a->inside;

	/* One read transaction: what others write meanwhile is not seen. */
	if (alone && !db_exec(&a->db, "BEGIN"))
		return say_database(a, "begin");
	if (v->plan)
		w.result = admin_plan_each(a, on_plan, &w);
	if (goes_on(&w)) {
		enum admin_result r = admin_account_each(a, on_account, &w);

		if (w.result == ADMIN_OK)
			w.result = r;
	}
	if (alone)
		sqlite3_exec(a->db.h, "COMMIT", NULL, NULL, NULL);
	return w.result;
}
