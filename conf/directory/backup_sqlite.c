/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/backup.h"

#include "conf/directory/directory_db_sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { BUSY_MS = 5000, MODE_BACKUP = 0600, MODE_DIRECTORY = 0640 };

/* "Bywb" */
#define BACKUP_ID 0x42797762

static const char item_sql[] = "INSERT INTO backup_item (name, content) VALUES (?, ?)";
static const char items_sql[] = "SELECT name, content FROM backup_item ORDER BY rowid";

/* FILE as it is, without what db_open() asks of a directory. */
static bool
open_file(struct db *db, const char *file, struct text *why)
{
	int64_t id = 0;

	*db = (struct db){ 0 };
	int rc = sqlite3_open_v2(file, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	bool ok = rc == SQLITE_OK && sqlite3_busy_timeout(db->h, BUSY_MS) == SQLITE_OK &&
	    db_exec(db, "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON") &&
	    db_number(db, "PRAGMA application_id", &id);

	if (ok)
		return true;
	text_fmt(why, "%s: %s", file, db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc));
	db_close(db);
	return false;
}

static bool
open_backup(struct db *db, const char *file, struct text *why)
{
	int64_t id = 0;

	if (access(file, R_OK) != 0) {
		text_fmt(why, "%s: %s", file, strerror(errno));
		return false;
	}
	if (!open_file(db, file, why))
		return false;
	if (db_number(db, "PRAGMA application_id", &id) && id == BACKUP_ID)
		return true;
	text_fmt(why, "%s: not a backup of Byway", file);
	db_close(db);
	return false;
}

static bool
add_item(struct db *db, const struct backup_item *item)
{
	struct put p = put_into(db_stmt(db, item_sql));

	put_str(&p, item->name);
	put_blob(&p, item->content.p, item->content.n);
	bool ok = p.ok && sqlite3_step(p.st) == SQLITE_DONE;

	if (p.st)
		(void)sqlite3_reset(p.st);
	return ok;
}

static bool
add_items(const char *file, const struct backup_item *items, size_t items_n, struct text *why)
{
	struct db db;
	char sql[192];
	struct text t = text_over(sql, sizeof(sql));

	if (!open_file(&db, file, why))
		return false;
	/* One file, with nothing beside it. */
	text_fmt(&t,
	    "PRAGMA journal_mode = DELETE; PRAGMA application_id = %d;"
	    " CREATE TABLE backup_item (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT",
	    BACKUP_ID);
	bool ok = !t.overflow && db_exec(&db, sql) && db_exec(&db, "BEGIN");

	for (size_t i = 0; i < items_n && ok; i++)
		ok = add_item(&db, &items[i]);
	ok = ok && db_exec(&db, "COMMIT");
	if (!ok)
		text_fmt(why, "%s: %s", file, db_error(&db));
	db_close(&db);
	return ok;
}

bool
backup_make(const char *database, const char *file, const struct backup_item *items, size_t items_n,
    struct text *why)
{
	struct db db;
	char made[PATH_MAX];

	if (snprintf(made, sizeof(made), "%s.new", file) >= (int)sizeof(made)) {
		text_fmt(why, "%s: the path is too long", file);
		return false;
	}
	if (!db_open(&db, database, DB_AS_IT_IS, BUSY_MS, why))
		return false;
	bool ok = db_copy(&db, made, MODE_BACKUP, why);

	db_close(&db);
	ok = ok && add_items(made, items, items_n, why);
	if (ok && rename(made, file) == 0)
		return true;
	if (ok)
		text_fmt(why, "%s: %s", file, strerror(errno));
	(void)unlink(made);
	return false;
}

bool
backup_each(const char *file, backup_fn *fn, void *ctx, struct text *why)
{
	struct db db;
	int rc = SQLITE_ERROR;
	bool stopped = false;

	if (!open_backup(&db, file, why))
		return false;
	sqlite3_stmt *st = db_stmt(&db, items_sql);

	while (st && !stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct take t = take_from(st);
		const char *name = take_slice(&t).p;
		const char *octets = sqlite3_column_blob(st, 1);
		struct backup_item item = { name,
			slice_of(octets ? octets : "", (size_t)sqlite3_column_bytes(st, 1)) };

		stopped = !fn(ctx, &item);
	}
	if (st)
		(void)sqlite3_reset(st);
	if (rc != SQLITE_DONE && !stopped)
		text_fmt(why, "%s: %s", file, db_error(&db));
	db_close(&db);
	return rc == SQLITE_DONE;
}

/* What the copy has more than a directory. */
static bool
strip(const char *to, struct text *why)
{
	struct db db;
	char sql[192];
	struct text t = text_over(sql, sizeof(sql));
	int64_t whole = 0;

	if (!open_file(&db, to, why))
		return false;
	text_fmt(&t,
	    "DROP TABLE backup_item; PRAGMA application_id = %d; PRAGMA journal_mode = WAL",
	    DIRECTORY_ID);
	bool ok = !t.overflow && db_exec(&db, sql) &&
	    db_number(&db, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)", &whole);

	if (!ok || !whole)
		text_fmt(why, "%s: %s", to, ok ? "the backup is damaged" : db_error(&db));
	db_close(&db);
	return ok && whole;
}

bool
backup_take(const char *file, const char *to, struct text *why)
{
	struct db db;

	if (!open_backup(&db, file, why))
		return false;
	bool ok = db_copy(&db, to, MODE_DIRECTORY, why);

	db_close(&db);
	if (ok && !(ok = strip(to, why)))
		(void)unlink(to);
	return ok;
}
