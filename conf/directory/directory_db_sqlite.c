/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/directory_db_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the file ---- */

/* Who can write to the folder can put another file in the place of ours. */
static bool
folder_is_safe(const char *path, struct text *why)
{
	char copy[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(copy)) {
		text_fmt(why, "%s: the path is too long", path);
		return false;
	}
	memcpy(copy, path, strlen(path) + 1);
	const char *folder = dirname(copy);

	if (stat(folder, &st) != 0) {
		text_fmt(why, "%s: %s", folder, strerror(errno));
		return false;
	}
	if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
		text_fmt(why, "%s: everybody can write to this folder (mode %04o): chmod o-w it",
		    folder, (unsigned)st.st_mode & 07777);
		return false;
	}
	return true;
}

static bool
make_file(const char *path, struct text *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0) {
		if (errno == EEXIST)
			return true;
		text_fmt(why, "%s: cannot be made: %s", path, strerror(errno));
		return false;
	}
	/* Whatever the umask took away: SQLite gives the mode to the log beside it too. */
	bool ok = fchmod(fd, 0640) == 0;

	close(fd);
	return ok;
}

static bool
file_is_safe(const char *path, struct text *why)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		text_fmt(why, "%s: %s%s", path, strerror(errno),
		    errno == ENOENT ? " (`byway init` makes a directory)" : "");
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		text_fmt(why, "%s: not a file", path);
		return false;
	}
	if (st.st_mode & S_IRWXO) {
		text_fmt(why, "%s: open to everybody (mode %04o), it must not be: chmod o= it",
		    path, (unsigned)st.st_mode & 07777);
		return false;
	}
	return true;
}

static bool
set_up(struct db *db, int busy_ms)
{
	sqlite3_busy_timeout(db->h, busy_ms);
	sqlite3_extended_result_codes(db->h, 1);
	return db_exec(db, "PRAGMA foreign_keys = ON") &&
	    db_exec(db, "PRAGMA trusted_schema = OFF") && db_exec(db, "PRAGMA secure_delete = ON");
}

/* What HOW asks of the schema. */
static bool
is_fit(struct db *db, enum db_how how, struct text *why)
{
	int64_t version;
	bool behind;

	if (!db_schema(db, &version, why))
		return false;
	if (how == DB_AS_IT_IS)
		return true;
	if (how == DB_MAKE && version == 0)
		return db_migrate(db, 0, why);
	if (!db_is_behind(db, &behind))
		text_fmt(why, "%s", db_error(db));
	else if (behind)
		text_fmt(why,
		    "of schema %lld, and this Byway works with %d: `bywayd --migrate` (or a start of bywayd) brings it there, after a copy",
		    (long long)version, db_migrations());
	return why->n == 0;
}

bool
db_open(struct db *db, const char *path, enum db_how how, int busy_ms, struct text *why)
{
	char reason[512];
	struct text t = text_over(reason, sizeof(reason));

	*db = (struct db){ 0 };
	if (!folder_is_safe(path, why) || (how == DB_MAKE && !make_file(path, why)) ||
	    !file_is_safe(path, why))
		return false;
	int rc = sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK || !set_up(db, busy_ms))
		text_fmt(why, "%s: %s", path, db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc));
	else if (!is_fit(db, how, &t))
		text_fmt(why, "%s: %s", path, reason);
	else
		return true;
	db_close(db);
	return false;
}

void
db_close(struct db *db)
{
	for (size_t i = 0; i < db->kept_n; i++)
		sqlite3_finalize(db->kept[i].st);
	db->kept_n = 0;
	sqlite3_close(db->h);
	db->h = NULL;
}

const char *
db_error(const struct db *db)
{
	return sqlite3_errmsg(db->h);
}

bool
db_is_busy(const struct db *db)
{
	int rc = sqlite3_errcode(db->h) & 0xff;

	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
}

/* ---- statements ---- */

bool
db_exec(struct db *db, const char *sql)
{
	return sqlite3_exec(db->h, sql, NULL, NULL, NULL) == SQLITE_OK;
}

sqlite3_stmt *
db_stmt(struct db *db, const char *sql)
{
	for (size_t i = 0; i < db->kept_n; i++) {
		if (db->kept[i].sql != sql)
			continue;
		sqlite3_reset(db->kept[i].st);
		sqlite3_clear_bindings(db->kept[i].st);
		return db->kept[i].st;
	}
	sqlite3_stmt *st = NULL;

	assert(db->kept_n < DB_STATEMENTS);
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return NULL;
	db->kept[db->kept_n].sql = sql;
	db->kept[db->kept_n++].st = st;
	return st;
}

bool
db_number(struct db *db, const char *sql, int64_t *v_r)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return false;
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		*v_r = sqlite3_column_int64(st, 0);
	else if (rc == SQLITE_DONE)
		*v_r = 0;
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

/* ---- values in ---- */

struct put
put_into(sqlite3_stmt *st)
{
	return (struct put){ .st = st, .at = 1, .ok = st != NULL };
}

bool
put_has(const struct put *p, const char *name)
{
	return p->st && sqlite3_bind_parameter_index(p->st, name) > 0;
}

void
put_named(struct put *p, const char *name)
{
	p->at = p->st ? sqlite3_bind_parameter_index(p->st, name) : 0;
	p->ok = p->ok && p->at > 0;
}

static void
put_done(struct put *p, int rc)
{
	p->at++;
	p->ok = rc == SQLITE_OK;
}

void
put_slice(struct put *p, struct slice s)
{
	if (p->ok)
		put_done(p,
		    sqlite3_bind_text64(p->st, p->at, s.n ? s.p : "", s.n, SQLITE_STATIC,
		        SQLITE_UTF8));
}

void
put_str(struct put *p, const char *s)
{
	put_slice(p, slice_str(s));
}

void
put_blob(struct put *p, const void *octets, size_t n)
{
	if (p->ok)
		put_done(p, sqlite3_bind_blob64(p->st, p->at, octets, n, SQLITE_TRANSIENT));
}

void
put_i64(struct put *p, int64_t v)
{
	if (p->ok)
		put_done(p, sqlite3_bind_int64(p->st, p->at, v));
}

void
put_u64(struct put *p, uint64_t v)
{
	if (v > INT64_MAX)
		p->ok = false;
	put_i64(p, (int64_t)v);
}

void
put_id(struct put *p, uint64_t id)
{
	if (id)
		put_u64(p, id);
	else if (p->ok)
		put_done(p, sqlite3_bind_null(p->st, p->at));
}

/* ---- values out ---- */

struct take
take_from(sqlite3_stmt *st)
{
	return (struct take){ .st = st };
}

struct slice
take_slice(struct take *t)
{
	const char *p = (const char *)sqlite3_column_text(t->st, t->at);
	int n = sqlite3_column_bytes(t->st, t->at++);

	return p ? slice_of(p, (size_t)n) : SLICE("");
}

int64_t
take_i64(struct take *t)
{
	return sqlite3_column_int64(t->st, t->at++);
}

uint64_t
take_u64(struct take *t)
{
	int64_t v = take_i64(t);

	return v < 0 ? 0 : (uint64_t)v;
}

unsigned
take_unsigned(struct take *t)
{
	uint64_t v = take_u64(t);

	return v > UINT_MAX ? UINT_MAX : (unsigned)v;
}

bool
take_bool(struct take *t)
{
	return take_i64(t) != 0;
}
