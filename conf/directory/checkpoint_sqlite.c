/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/checkpoint.h"

#include "conf/directory/directory_db_sqlite.h"
#include "wire/log.h"

enum { BUSY_MS = 2000 };

static const char save_sql[] =
    "INSERT OR REPLACE INTO tally (node, kind, id, account, grain, keep, latest, epoch, own, pushed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char trim_sql[] =
    "DELETE FROM tally WHERE node = ? AND (latest + keep + 2) * grain < ?";
static const char load_sql[] =
    "SELECT kind, id, account, grain, keep, latest, epoch, own, pushed FROM tally"
    " WHERE node = ? AND (latest + keep + 2) * grain >= ?";

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
checkpoint_save(const char *path, const char *node, const struct checkpoint_row *rows,
    size_t rows_n, int64_t now_s, struct text *why)
{
	struct db db;

	if (!db_open(&db, path, false, BUSY_MS, why))
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
checkpoint_load(const char *path, const char *node, int64_t now_s, checkpoint_fn *fn, void *ctx,
    struct text *why)
{
	struct db db;
	int rc = SQLITE_ERROR;

	if (!db_open(&db, path, false, BUSY_MS, why))
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
