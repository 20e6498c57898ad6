/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at a directory as a whole, and what brings an older one to this program's schema.
 */
#include "conf/directory/admin_sqlite.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 5000, COPIES_KEPT = 2 };

/* ---- a look ---- */

/* A sentence of SQLite's about the first fault; "ok" is none. */
static bool
holds_together(struct db *db, struct text *why)
{
	sqlite3_stmt *st = db_stmt(db, "PRAGMA quick_check(1)");
	bool ok = st && sqlite3_step(st) == SQLITE_ROW;
	const char *said = ok ? (const char *)sqlite3_column_text(st, 0) : db_error(db);
	int64_t orphans = 0;

	ok = ok && said && strcmp(said, "ok") == 0;
	if (!ok)
		text_fmt(why, "the file is damaged: %s", said ? said : "no memory");
	if (st)
		sqlite3_reset(st);
	if (!ok)
		return false;
	if (!db_number(db, "SELECT count(*) FROM pragma_foreign_key_check", &orphans))
		text_fmt(why, "%s", db_error(db));
	else if (orphans > 0)
		text_fmt(why, "%lld rows name others that are not there", (long long)orphans);
	return why->n == 0;
}

static bool
count(struct admin *a, struct admin_survey *found, struct text *why)
{
	int64_t native = 0;

	if (!db_number(&a->db,
	        "SELECT count(*) FROM account JOIN plan ON plan.id = account.plan"
	        " WHERE plan.can_send AND account.route <> 'profile'",
	        &native)) {
		text_fmt(why, "%s", db_error(&a->db));
		return false;
	}
	found->native = (uint64_t)native;
	if (admin_count_sealed(a, found) == ADMIN_OK)
		return true;
	text_fmt(why, "%s", a->why);
	return false;
}

static bool
survey(struct admin *a, struct admin_survey *found, struct text *why)
{
	if (!db_schema(&a->db, &found->schema, why) ||
	    (found->schema > 0 && !holds_together(&a->db, why)))
		return false;
	if (!db_is_behind(&a->db, &found->is_behind) || !db_is_plain(&a->db, &found->is_plain)) {
		text_fmt(why, "%s", db_error(&a->db));
		return false;
	}
	return found->is_behind || count(a, found, why);
}

bool
admin_survey(const char *path, struct vault *v, struct admin_survey *found_r, struct text *why)
{
	struct admin a = { .vault = v };
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	*found_r = (struct admin_survey){ 0 };
	if (!db_open(&a.db, path, DB_AS_IT_IS, BUSY_MS, why))
		return false;
	bool ok = survey(&a, found_r, &t);

	if (!ok)
		text_fmt(why, "%s: %s", path, mem);
	db_close(&a.db);
	return ok;
}

/* ---- a newer schema ---- */

static time_t
age_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mtime : 0;
}

/* All but the latest COPIES_KEPT go. */
static void
drop_old_copies(const char *path)
{
	char pattern[PATH_MAX];
	glob_t g;

	if (snprintf(pattern, sizeof(pattern), "%s.schema[0-9]*-[0-9]*", path) >=
	        (int)sizeof(pattern) ||
	    glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
		return;
	for (size_t left = g.gl_pathc; left > COPIES_KEPT; left--) {
		size_t oldest = 0;

		for (size_t i = 1; i < left; i++) {
			if (age_of(g.gl_pathv[i]) < age_of(g.gl_pathv[oldest]))
				oldest = i;
		}
		(void)unlink(g.gl_pathv[oldest]);
		char *last = g.gl_pathv[left - 1];

		g.gl_pathv[left - 1] = g.gl_pathv[oldest];
		g.gl_pathv[oldest] = last;
	}
	globfree(&g);
}

static bool
keep_copy(struct db *db, const char *path, int64_t version, struct text *done, struct text *why)
{
	char copy[PATH_MAX];
	struct text t = text_over(copy, sizeof(copy));
	struct stat st;
	struct tm day;
	time_t now = time(NULL);

	(void)gmtime_r(&now, &day);
	text_fmt(&t, "%s.schema%lld-%04d%02d%02d", path, (long long)version, day.tm_year + 1900,
	    day.tm_mon + 1, day.tm_mday);
	if (t.overflow || stat(path, &st) != 0) {
		text_fmt(why, "%s: %s", path,
		    t.overflow ? "the path is too long" : strerror(errno));
		return false;
	}
	if (!db_copy(db, copy, st.st_mode & 0660, why))
		return false;
	drop_old_copies(path);
	text_fmt(done, "%s: as it was: %s\n", path, copy);
	return true;
}

/* To this program's schema; then what it holds is sealed as this program does, so that an end
 * between the two leaves something to do for the next. */
static bool
bring_on(struct admin *a, const char *path, int64_t version, struct text *done, struct text *why)
{
	uint64_t sealed = 0;
	bool behind;

	if (version > 0 && !keep_copy(&a->db, path, version, done, why))
		return false;
	if (!db_is_behind(&a->db, &behind) || (behind && !db_migrate(&a->db, 0, why)))
		return false;
	if (behind && version < db_migrations())
		text_fmt(done, "%s: brought from schema %lld to %d\n", path, (long long)version,
		    db_migrations());
	else if (behind)
		text_fmt(done, "%s: has what this version adds to schema %lld\n", path,
		    (long long)version);
	if (a->vault && admin_reseal_v1(a, &sealed) != ADMIN_OK) {
		text_put(why, slice_str(a->why));
		return false;
	}
	if (sealed > 0)
		text_fmt(done, "%s: %llu credentials of an earlier version are sealed anew\n", path,
		    (unsigned long long)sealed);
	return true;
}

/* Where it cannot have one it stays so, and the next look says it again. */
static bool
give_wal(struct admin *a, const char *path, struct text *done)
{
	bool plain = true;

	if (!db_make_wal(&a->db) || !db_is_plain(&a->db, &plain))
		return false;
	if (!plain)
		text_fmt(done, "%s: had no write-ahead log, and has one now\n", path);
	return true;
}

enum admin_result
admin_migrate(const char *path, struct vault *v, struct text *done, struct text *why)
{
	struct admin a = { .vault = v };
	struct admin_survey found = { 0 };
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	if (!db_open(&a.db, path, DB_AS_IT_IS, BUSY_MS, why))
		return ADMIN_FAILED;
	bool ok = survey(&a, &found, &t);

	if (ok && (found.is_behind || found.old > 0))
		ok = bring_on(&a, path, found.schema, done, &t);
	if (ok && found.schema > 0 && found.is_plain)
		ok = give_wal(&a, path, done);
	enum admin_result r = ok ? ADMIN_OK : db_is_busy(&a.db) ? ADMIN_BUSY : ADMIN_FAILED;

	if (!ok) {
		text_reset(done);
		text_fmt(why, "%s: %s", path, t.n ? mem : db_error(&a.db));
	}
	db_close(&a.db);
	return r;
}
