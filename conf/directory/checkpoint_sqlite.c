/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/checkpoint.h"

#include "conf/directory/directory_db_sqlite.h"
#include "wire/log.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BUSY_MS = 2000 };

/* "Byws" */
#define STATE_ID 0x42797773

/* What nodes have counted, so that a start does not begin at nothing. */
static const char tally_sql[] = "CREATE TABLE tally ("
                                "node TEXT NOT NULL,"
                                "kind INTEGER NOT NULL,"
                                "id INTEGER NOT NULL,"
                                "account INTEGER NOT NULL,"
                                "grain INTEGER NOT NULL CHECK (grain > 0),"
                                "keep INTEGER NOT NULL,"
                                "latest INTEGER NOT NULL,"
                                "epoch INTEGER NOT NULL,"
                                "own BLOB NOT NULL,"
                                "pushed BLOB NOT NULL,"
                                "PRIMARY KEY (node, kind, id)"
                                ") STRICT, WITHOUT ROWID;";

static const char save_sql[] =
    "INSERT OR REPLACE INTO tally (node, kind, id, account, grain, keep, latest, epoch, own, pushed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char trim_sql[] =
    "DELETE FROM tally WHERE node = ? AND (latest + keep + 2) * grain < ?";
static const char load_sql[] =
    "SELECT kind, id, account, grain, keep, latest, epoch, own, pushed FROM tally"
    " WHERE node = ? AND (latest + keep + 2) * grain >= ?";

/* ---- the file ---- */

/* state.db beside the directory DATABASE. */
static bool
state_path(const char *database, char path[PATH_MAX])
{
	const char *slash = strrchr(database, '/');
	int folder = slash ? (int)(slash + 1 - database) : 0;

	return snprintf(path, PATH_MAX, "%.*sstate.db", folder, database) < PATH_MAX;
}

/* Its table; with the counts that an earlier version kept in the directory, if there are any. */
static bool
make_tally(struct db *db, const char *database)
{
	char sql[192];
	struct text t = text_over(sql, sizeof(sql));
	int64_t n = 0;

	text_fmt(&t, "PRAGMA application_id = %d; PRAGMA user_version = 1; COMMIT", STATE_ID);
	if (!db_exec(db, "PRAGMA journal_mode = WAL"))
		return false;
	struct put in = put_into(db_stmt(db, "ATTACH ? AS directory"));

	put_str(&in, database);
	bool attached = in.ok && sqlite3_step(in.st) == SQLITE_DONE;

	if (in.st)
		sqlite3_reset(in.st);
	/* Another worker may have been quicker. */
	bool ok = db_exec(db, "BEGIN IMMEDIATE") &&
	    db_number(db, "SELECT count(*) FROM main.sqlite_schema", &n);

	if (ok && n > 0)
		return db_exec(db, "COMMIT");
	ok = ok && db_exec(db, tally_sql);
	if (ok && attached &&
	    !(db_number(db, "SELECT count(*) FROM directory.sqlite_schema WHERE name = 'tally'",
	          &n) &&
	        (n == 0 || db_exec(db, "INSERT INTO main.tally SELECT * FROM directory.tally"))))
		log_say(LOG_WARNING, "counters",
		    "%s: the counts of an earlier version stay there: %s", database, db_error(db));
	return ok && db_exec(db, sql);
}

static bool
open_state(struct db *db, const char *database, char path[PATH_MAX], struct text *why)
{
	int64_t id = 0;
	int64_t tables = 0;
	struct stat st;

	*db = (struct db){ 0 };
	if (!state_path(database, path) || stat(database, &st) != 0) {
		text_fmt(why, "%s: there is no such directory", database);
		return false;
	}
	int rc = sqlite3_open_v2(path, &db->h,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	bool ok = rc == SQLITE_OK && sqlite3_busy_timeout(db->h, BUSY_MS) == SQLITE_OK &&
	    db_exec(db, "PRAGMA trusted_schema = OFF") &&
	    db_number(db, "SELECT count(*) FROM sqlite_schema", &tables) &&
	    (tables > 0 || make_tally(db, database)) && db_number(db, "PRAGMA application_id", &id);

	if (ok && id == STATE_ID)
		return true;
	text_fmt(why, "%s: %s", path,
	    ok          ? "not a file of Byway's state"
	        : db->h ? sqlite3_errmsg(db->h)
	                : sqlite3_errstr(rc));
	db_close(db);
	return false;
}

/* ---- rows ---- */

static bool
save_row(struct db *db, const char *node, const struct checkpoint_row *row)
{
	sqlite3_stmt *st = db_stmt(db, save_sql);

	if (!st)
		return false;
	struct put p = put_into(st);

	put_str(&p, node);
	put_i64(&p, row->kind);
	put_u64(&p, row->id);
	put_u64(&p, row->account);
	put_u64(&p, row->grain_s);
	put_u64(&p, row->keep);
	put_u64(&p, row->latest);
	put_u64(&p, row->epoch);
	put_blob(&p, row->own, sizeof(row->own));
	put_blob(&p, row->pushed, sizeof(row->pushed));
	/* The first octet of an extended code is the code. */
	int rc = p.ok ? sqlite3_step(st) & 0xff : SQLITE_CONSTRAINT;

	(void)sqlite3_reset(st);
	if (rc == SQLITE_CONSTRAINT)
		log_say(LOG_WARNING, "counters",
		    "the counts of kind %d, id %llu fit into no row: not in the checkpoint",
		    row->kind, (unsigned long long)row->id);
	return rc == SQLITE_DONE || rc == SQLITE_CONSTRAINT;
}

static bool
trim(struct db *db, const char *node, int64_t now_s)
{
	sqlite3_stmt *st = db_stmt(db, trim_sql);

	if (!st)
		return false;
	struct put p = put_into(st);

	put_str(&p, node);
	put_i64(&p, now_s);
	bool ok = p.ok && sqlite3_step(st) == SQLITE_DONE;

	return sqlite3_reset(st) == SQLITE_OK && ok;
}

bool
checkpoint_save(const char *database, const char *node, const struct checkpoint_row *rows,
    size_t rows_n, int64_t now_s, struct text *why)
{
	struct db db;
	char path[PATH_MAX];

	if (!open_state(&db, database, path, why))
		return false;
	bool ok = db_exec(&db, "BEGIN IMMEDIATE");

	for (size_t i = 0; ok && i < rows_n; i++)
		ok = save_row(&db, node, &rows[i]);
	ok = ok && trim(&db, node, now_s) && db_exec(&db, "COMMIT");
	if (!ok)
		text_fmt(why, "%s: %s", path, db_error(&db));
	db_close(&db);
	return ok;
}

static bool
take_numbers(struct take *t, uint32_t to[CHECKPOINT_PERIODS])
{
	struct slice s = take_slice(t);

	if (s.n != CHECKPOINT_PERIODS * sizeof(to[0]))
		return false;
	memcpy(to, s.p, s.n);
	return true;
}

static void
take_row(sqlite3_stmt *st, const char *path, checkpoint_fn *fn, void *ctx)
{
	struct take t = take_from(st);
	struct checkpoint_row row;

	row.kind = (char)take_i64(&t);
	row.id = take_u64(&t);
	row.account = take_u64(&t);
	row.grain_s = take_unsigned(&t);
	row.keep = take_unsigned(&t);
	row.latest = take_unsigned(&t);
	row.epoch = take_u64(&t);
	bool good = take_numbers(&t, row.own) && take_numbers(&t, row.pushed);

	if (good && row.grain_s > 0 && row.kind > ' ' && row.kind <= '~')
		fn(ctx, &row);
	else
		log_say(LOG_WARNING, "counters",
		    "%s: a damaged row of the checkpoint is passed over (kind %lld, id %lld)", path,
		    (long long)sqlite3_column_int64(st, 0), (long long)sqlite3_column_int64(st, 1));
}

bool
checkpoint_load(const char *database, const char *node, int64_t now_s, checkpoint_fn *fn, void *ctx,
    struct text *why)
{
	struct db db;
	char path[PATH_MAX];
	int rc = SQLITE_ERROR;

	if (!open_state(&db, database, path, why))
		return false;
	sqlite3_stmt *st = db_stmt(&db, load_sql);

	if (st) {
		struct put p = put_into(st);

		put_str(&p, node);
		put_i64(&p, now_s);
		while (p.ok && (rc = sqlite3_step(st)) == SQLITE_ROW)
			take_row(st, path, fn, ctx);
		(void)sqlite3_reset(st);
	}
	if (rc != SQLITE_DONE)
		text_fmt(why, "%s: %s", path, db_error(&db));
	db_close(&db);
	return rc == SQLITE_DONE;
}
