/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, as an ordered table of migrations: once published, a migration never changes; the
 * next one comes behind it. A column that an entity's .def has and its table lacks is added behind
 * all of them.
 *
 * Ids are never used again (AUTOINCREMENT): counters, pooled connections and sealed credentials go
 * by them. That a route names a profile of its own account is a foreign key, not a habit.
 *
 *      change   one row a write: which account it concerns (NULL: all of them) and what kind of row
 *               it was. Its AUTOINCREMENT sequence is the directory's revision. The last 4096 are
 *               kept: who has seen less must take everything as changed.
 */
#include "conf/directory/row_sqlite.h"

#include <assert.h>
#include <time.h>

enum { LOCK_S = 5, LOCK_PAUSE_MS = 5 };

/* clang-format off */
/* A change of TABLE concerns the account that the expressions give for the row as it is and as it
 * was. */
#define CHANGE_ROW(kind, account) \
	"INSERT INTO change (account, kind) VALUES ((" account "), '" kind "');"
#define CHANGES(table, now, was) \
	"CREATE TRIGGER " table "_added AFTER INSERT ON " table " BEGIN " \
	CHANGE_ROW(table, now) " END;" \
	"CREATE TRIGGER " table "_changed AFTER UPDATE ON " table " BEGIN " \
	CHANGE_ROW(table, was) CHANGE_ROW(table, now) " END;" \
	"CREATE TRIGGER " table "_removed AFTER DELETE ON " table " BEGIN " \
	CHANGE_ROW(table, was) " END;"

#define KIND(name) name " TEXT NOT NULL DEFAULT 'inherit' CHECK (" name " IN ('inherit', 'native', 'profile')),"
#define ROUTE_COLUMNS \
	KIND("route") \
	"route_profile INTEGER," \
	KIND("fallback") \
	"fallback_profile INTEGER," \
	"CHECK ((route = 'profile') = (route_profile IS NOT NULL))," \
	"CHECK ((fallback = 'profile') = (fallback_profile IS NOT NULL)),"

#define FLAG(name, value)  name " INTEGER NOT NULL DEFAULT " value " CHECK (" name " IN (0, 1)),"
#define COUNT(name, value) name " INTEGER NOT NULL DEFAULT " value " CHECK (" name " >= 0),"

static const char schema_1[] =
    "CREATE TABLE change ("
    "revision INTEGER PRIMARY KEY AUTOINCREMENT,"
    "account INTEGER,"
    "kind TEXT NOT NULL,"
    "at INTEGER NOT NULL DEFAULT (unixepoch())"
    ") STRICT;"
    "CREATE TRIGGER change_trimmed AFTER INSERT ON change BEGIN"
    " DELETE FROM change WHERE revision <= NEW.revision - 4096; END;"

    "CREATE TABLE plan ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    FLAG("can_send", "1")
    "count_unit TEXT NOT NULL DEFAULT 'recipients' CHECK (count_unit IN ('recipients', 'messages')),"
    COUNT("mailbox_day", "0")
    COUNT("account_day", "0")
    COUNT("account_hour", "0")
    "recipients INTEGER NOT NULL DEFAULT 100 CHECK (recipients > 0),"
    "size_max INTEGER NOT NULL DEFAULT 26214400 CHECK (size_max > 0),"
    "monthly INTEGER NOT NULL DEFAULT 0 CHECK (monthly >= 0)"
    ") STRICT;"

    "CREATE TABLE account ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "plan INTEGER NOT NULL REFERENCES plan (id),"
    "state TEXT NOT NULL DEFAULT 'active' CHECK"
    " (state IN ('active', 'billing', 'deliverability', 'abuse', 'closed')),"
    "registered INTEGER NOT NULL DEFAULT (unixepoch()),"
    "owner_email TEXT NOT NULL DEFAULT '',"
    "owner_signup TEXT NOT NULL DEFAULT 'email' CHECK"
    " (owner_signup IN ('email', 'google', 'facebook', 'x', 'microsoft')),"
    FLAG("owner_verified", "0")
    "renewal_day INTEGER NOT NULL DEFAULT 1 CHECK (renewal_day BETWEEN 1 AND 31),"
    FLAG("restrict_senders", "0")
    FLAG("require_verified_sender", "0")
    ROUTE_COLUMNS
    "FOREIGN KEY (id, route_profile) REFERENCES profile (account, id),"
    "FOREIGN KEY (id, fallback_profile) REFERENCES profile (account, id)"
    ") STRICT;"
    "CREATE INDEX account_by_plan ON account (plan);"
    "CREATE INDEX account_by_route ON account (id, route_profile);"
    "CREATE INDEX account_by_fallback ON account (id, fallback_profile);"

    "CREATE TABLE profile ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "account INTEGER NOT NULL REFERENCES account (id),"
    "name TEXT NOT NULL COLLATE NOCASE,"
    "provider TEXT NOT NULL DEFAULT 'custom',"
    "host TEXT NOT NULL,"
    "port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),"
    "tls TEXT NOT NULL CHECK (tls IN ('none', 'starttls', 'implicit')),"
    "username TEXT NOT NULL DEFAULT '',"
    "password TEXT NOT NULL DEFAULT '' CHECK (password = '' OR password LIKE 'v1.%'),"
    "password_set INTEGER NOT NULL DEFAULT 0,"
    "version INTEGER NOT NULL DEFAULT 1,"
    "ca_pem TEXT NOT NULL DEFAULT '',"
    "pin TEXT NOT NULL DEFAULT '',"
    "keep_headers TEXT NOT NULL DEFAULT '',"
    COUNT("max_connections", "0")
    COUNT("messages_per_connection", "0")
    "UNIQUE (account, name),"
    "UNIQUE (account, id)"
    ") STRICT;"

    "CREATE TABLE domain ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "name TEXT NOT NULL COLLATE NOCASE UNIQUE CHECK (name = lower(name)),"
    "account INTEGER NOT NULL REFERENCES account (id),"
    FLAG("verified", "0")
    "verified_at INTEGER NOT NULL DEFAULT 0,"
    "dkim_selector TEXT NOT NULL DEFAULT '',"
    ROUTE_COLUMNS
    "FOREIGN KEY (account, route_profile) REFERENCES profile (account, id),"
    "FOREIGN KEY (account, fallback_profile) REFERENCES profile (account, id)"
    ") STRICT;"
    "CREATE INDEX domain_by_account ON domain (account, name);"
    "CREATE INDEX domain_by_route ON domain (account, route_profile);"
    "CREATE INDEX domain_by_fallback ON domain (account, fallback_profile);"

    "CREATE TABLE mailbox ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "address TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "domain INTEGER NOT NULL REFERENCES domain (id),"
    "password_hash TEXT NOT NULL DEFAULT '',"
    "state TEXT NOT NULL DEFAULT 'active' CHECK"
    " (state IN ('active', 'paused-owner', 'paused-admin', 'paused-abuse', 'blocked')),"
    FLAG("sandboxed", "0")
    "rate_per_minute INTEGER NOT NULL DEFAULT 0 CHECK (rate_per_minute >= 0)"
    ") STRICT;"
    "CREATE INDEX mailbox_by_domain ON mailbox (domain, address);"

    "CREATE TABLE ip ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "network TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "family INTEGER NOT NULL CHECK (family IN (4, 6)),"
    "bits INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 128),"
    "first BLOB NOT NULL,"
    "account INTEGER NOT NULL REFERENCES account (id),"
    "state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'blocked')),"
    FLAG("sandboxed", "0")
    COUNT("rate_per_minute", "0")
    "UNIQUE (family, bits, first)"
    ") STRICT;"
    "CREATE INDEX ip_by_account ON ip (account);"

    CHANGES("plan", "NULL", "NULL")
    CHANGES("account", "NEW.id", "OLD.id")
    CHANGES("profile", "NEW.account", "OLD.account")
    CHANGES("domain", "NEW.account", "OLD.account")
    CHANGES("mailbox", "SELECT account FROM domain WHERE id = NEW.domain",
	"SELECT account FROM domain WHERE id = OLD.domain")
    CHANGES("ip", "NEW.account", "OLD.account")

    /* BEHAVIOUR Q1 */
    "INSERT INTO plan (name, can_send, mailbox_day, account_day, account_hour, recipients) VALUES"
    " ('nano', 0, 200, 400, 50, 50),"
    " ('starter', 1, 1000, 6000, 500, 100),"
    " ('pro', 1, 2000, 15000, 1500, 250),"
    " ('agency', 1, 2500, 40000, 3000, 500);";

/* BEHAVIOUR S5 */
static const char schema_2[] =
    "CREATE TABLE allowed_sender ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "account INTEGER NOT NULL REFERENCES account (id),"
    "name TEXT NOT NULL COLLATE NOCASE,"
    "UNIQUE (account, name)"
    ") STRICT;"
    "CREATE TABLE verified_sender ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "account INTEGER NOT NULL REFERENCES account (id),"
    "name TEXT NOT NULL COLLATE NOCASE,"
    "verified_at INTEGER NOT NULL DEFAULT (unixepoch()),"
    "UNIQUE (account, name)"
    ") STRICT;"
    CHANGES("allowed_sender", "NEW.account", "OLD.account")
    CHANGES("verified_sender", "NEW.account", "OLD.account");

/* BEHAVIOUR S5: MX and A look-ups of the envelope sender's domain */
static const char schema_3[] =
    "ALTER TABLE account ADD COLUMN check_sender_domain INTEGER NOT NULL DEFAULT 0"
    " CHECK (check_sender_domain IN (0, 1));";
/* BEHAVIOUR R7 */
static const char schema_4[] =
    "ALTER TABLE profile ADD COLUMN per_minute INTEGER NOT NULL DEFAULT 0 CHECK (per_minute >= 0);"
    "ALTER TABLE profile ADD COLUMN on_quota TEXT NOT NULL DEFAULT 'default'"
    " CHECK (on_quota IN ('default', 'defer', 'reject'));";
/* A provider's HTTP API in place of SMTP. */
static const char schema_5[] =
    "ALTER TABLE profile ADD COLUMN transport TEXT NOT NULL DEFAULT 'smtp'"
    " CHECK (transport IN ('smtp', 'api'));";
/* Log-ins by OAuth2. */
static const char schema_6[] =
    "ALTER TABLE profile ADD COLUMN auth TEXT NOT NULL DEFAULT 'password'"
    " CHECK (auth IN ('password', 'oauth2'));"
    "ALTER TABLE profile ADD COLUMN oauth_client TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE profile ADD COLUMN oauth_scope TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE profile ADD COLUMN token_endpoint TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE profile ADD COLUMN refresh_token TEXT NOT NULL DEFAULT ''"
    " CHECK (refresh_token = '' OR refresh_token LIKE 'v1.%');";
/* What nodes have counted, so that a start does not begin at nothing: the series of struct
 * checkpoint_row. No triggers: nobody's snapshot changes with it. */
static const char schema_7[] =
    "CREATE TABLE tally ("
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
/* BEHAVIOUR S5: the envelope sender's own server is asked */
static const char schema_8[] =
    "ALTER TABLE account ADD COLUMN check_sender_callout INTEGER NOT NULL DEFAULT 0"
    " CHECK (check_sender_callout IN (0, 1));";
/* One name a thing (conf/directory/NAME.def) and one word a state (conf/words.def). */
static const char schema_9[] =
    "ALTER TABLE plan RENAME COLUMN count_unit TO unit;"
    "ALTER TABLE profile RENAME COLUMN ca_pem TO ca;"
    "CREATE TABLE account_9 ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "plan INTEGER NOT NULL REFERENCES plan (id),"
    "state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended-billing',"
    " 'suspended-deliverability', 'suspended-abuse', 'closed')),"
    "registered INTEGER NOT NULL DEFAULT (unixepoch()),"
    "owner_email TEXT NOT NULL DEFAULT '',"
    "owner_signup TEXT NOT NULL DEFAULT 'email' CHECK"
    " (owner_signup IN ('email', 'google', 'facebook', 'x', 'microsoft')),"
    FLAG("owner_verified", "0")
    "renewal_day INTEGER NOT NULL DEFAULT 1 CHECK (renewal_day BETWEEN 1 AND 31),"
    FLAG("restrict_senders", "0")
    FLAG("require_verified_sender", "0")
    FLAG("check_sender_domain", "0")
    FLAG("check_sender_callout", "0")
    ROUTE_COLUMNS
    "FOREIGN KEY (id, route_profile) REFERENCES profile (account, id),"
    "FOREIGN KEY (id, fallback_profile) REFERENCES profile (account, id)"
    ") STRICT;"
    "INSERT INTO account_9 SELECT id, name, plan, iif(state IN ('billing', 'deliverability', 'abuse'),"
    " 'suspended-' || state, state), registered, owner_email, owner_signup, owner_verified,"
    " renewal_day, restrict_senders, require_verified_sender, check_sender_domain,"
    " check_sender_callout, route, route_profile, fallback, fallback_profile FROM account;"
    /* An id that was given is never given again. */
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'account_9', 0"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'account_9');"
    "UPDATE sqlite_sequence SET seq = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'account'), 0)"
    " WHERE name = 'account_9';"
    "DROP TABLE account;"
    "ALTER TABLE account_9 RENAME TO account;"
    "CREATE INDEX account_by_plan ON account (plan);"
    "CREATE INDEX account_by_route ON account (id, route_profile);"
    "CREATE INDEX account_by_fallback ON account (id, fallback_profile);"
    CHANGES("account", "NEW.id", "OLD.id")
    /* Whatever is remembered of accounts is old now. */
    CHANGE_ROW("account", "NULL");
/* BEHAVIOUR S6: accounts that exist keep what they have been allowed so far. */
static const char schema_10[] =
    "ALTER TABLE plan ADD COLUMN senders TEXT NOT NULL DEFAULT 'own'"
    " CHECK (senders IN ('own', 'verified', 'any'));"
    "ALTER TABLE account ADD COLUMN senders TEXT NOT NULL DEFAULT 'inherit'"
    " CHECK (senders IN ('inherit', 'own', 'verified', 'any'));"
    "UPDATE account SET senders = iif(require_verified_sender, 'verified', 'any');"
    "ALTER TABLE account DROP COLUMN require_verified_sender;"
    CHANGE_ROW("account", "NULL");
/* clang-format on */

/* Blobs of the vault's second form; a column's CHECK goes with the column alone. */
#define ANEW(column)                                                         \
	"ALTER TABLE profile RENAME COLUMN " column " TO old_blob;"          \
	"ALTER TABLE profile ADD COLUMN " column " TEXT NOT NULL DEFAULT ''" \
	" CHECK (" column " = '' OR " column " LIKE 'v_.%');"                \
	"UPDATE profile SET " column " = old_blob;"                          \
	"ALTER TABLE profile DROP COLUMN old_blob;"

static const char schema_11[] = ANEW("password") ANEW("refresh_token");
#undef ANEW

/* BREAKS: a program that does not know it cannot work with what it makes. One that only adds does
 * not: tables, and columns with a default. */
static const struct migration {
	const char *sql;
	bool breaks;
} migrations[] = {
	{ schema_1, true },
	{ schema_2, true },
	{ schema_3, true },
	{ schema_4, true },
	{ schema_5, true },
	{ schema_6, true },
	{ schema_7, true },
	{ schema_8, true },
	{ schema_9, true },
	{ schema_10, true },
	{ schema_11, true },
};

enum { MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]) };

const char db_revision_sql[] = "SELECT seq FROM sqlite_sequence WHERE name = 'change'";

int
db_migrations(void)
{
	return MIGRATIONS;
}

/* A newer one than we know. What meta says of another count of migrations is nothing. */
static bool
is_compatible(struct db *db, int64_t version, struct text *why)
{
	int64_t last = INT64_MAX;

	if (db_number(db,
	        "SELECT last_compatible FROM meta, pragma_user_version WHERE version = user_version",
	        &last) &&
	    last > 0 && last <= MIGRATIONS)
		return true;
	text_fmt(why, "made by a newer Byway (schema %lld, this one knows %d)", (long long)version,
	    (int)MIGRATIONS);
	return false;
}

bool
db_schema(struct db *db, int64_t *version_r, struct text *why)
{
	int64_t id;
	int64_t tables;

	if (!db_number(db, "PRAGMA user_version", version_r) ||
	    !db_number(db, "PRAGMA application_id", &id) ||
	    !db_number(db, "SELECT count(*) FROM sqlite_schema", &tables)) {
		text_fmt(why, "%s", db_error(db));
		return false;
	}
	if (id != DIRECTORY_ID && (id != 0 || tables != 0 || *version_r != 0)) {
		text_fmt(why, "this database is not a directory of Byway");
		return false;
	}
	return *version_r <= MIGRATIONS || is_compatible(db, *version_r, why);
}

/* The first program that can work with what N migrations make. */
static int
last_compatible(int n)
{
	while (n > 0 && !migrations[n - 1].breaks)
		n--;
	return n;
}

/* Which programs can work with the file, for those that know fewer migrations than it has had.
 * Added as columns are, without a migration of its own: a program that does not know it goes on. */
static bool
add_meta(struct db *db)
{
	char sql[384];
	struct text t = text_over(sql, sizeof(sql));

	text_fmt(&t,
	    "CREATE TABLE IF NOT EXISTS meta ("
	    "one INTEGER PRIMARY KEY CHECK (one = 1),"
	    "version INTEGER NOT NULL,"
	    "last_compatible INTEGER NOT NULL"
	    ") STRICT;"
	    /* A newer program's word is left as it is. */
	    "INSERT INTO meta VALUES (1, %d, %d) ON CONFLICT DO UPDATE"
	    " SET version = excluded.version, last_compatible = excluded.last_compatible"
	    " WHERE version < excluded.version;",
	    (int)MIGRATIONS, last_compatible(MIGRATIONS));
	return !t.overflow && db_exec(db, sql);
}

static bool
lacks_meta(struct db *db, bool *lacks_r)
{
	int64_t n = 0;

	if (!db_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", &n))
		return false;
	*lacks_r = n == 0;
	return true;
}

bool
db_is_behind(struct db *db, bool *behind_r)
{
	int64_t version;

	if (!db_number(db, "PRAGMA user_version", &version))
		return false;
	*behind_r = version < MIGRATIONS;
	return *behind_r ||
	    (row_lacks_columns(db, behind_r) && (*behind_r || lacks_meta(db, behind_r)));
}

static bool
migrate_one(struct db *db, int which)
{
	char sql[64];
	struct text t = text_over(sql, sizeof(sql));

	text_fmt(&t, "PRAGMA application_id = %d; PRAGMA user_version = %d", DIRECTORY_ID,
	    which + 1);
	return !t.overflow && db_exec(db, migrations[which].sql) && db_exec(db, sql);
}

/* Takes the lock for writing. While others do the same SQLite may say BUSY at once, without the
 * patience of the busy handler: two that change a file to WAL would wait for each other. */
static bool
lock(struct db *db)
{
	struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	for (time_t until = t.tv_sec + LOCK_S; t.tv_sec <= until;) {
		/* WAL is a property of the file: set when it is made. */
		if (db_exec(db, "PRAGMA journal_mode = WAL") && db_exec(db, "BEGIN IMMEDIATE"))
			return true;
		if (!db_is_busy(db))
			return false;
		(void)nanosleep(&pause, NULL);
		(void)clock_gettime(CLOCK_MONOTONIC, &t);
	}
	return false;
}

bool
db_is_plain(struct db *db, bool *plain_r)
{
	sqlite3_stmt *st = db_stmt(db, "PRAGMA journal_mode");
	bool ok = st && sqlite3_step(st) == SQLITE_ROW;

	if (ok)
		*plain_r = strcmp((const char *)sqlite3_column_text(st, 0), "wal") != 0;
	if (st)
		sqlite3_reset(st);
	return ok;
}

bool
db_make_wal(struct db *db)
{
	return lock(db) && db_exec(db, "COMMIT");
}

/* Under the lock: where another process may have migrated meanwhile, so the file is looked at
 * again. */
static bool
migrate(struct db *db, int last, struct text *why)
{
	int64_t version;

	if (!db_schema(db, &version, why))
		return false;
	for (int i = (int)version; i < last; i++) {
		if (!migrate_one(db, i)) {
			text_fmt(why, "schema %d: %s", i + 1, db_error(db));
			return false;
		}
	}
	if ((last == MIGRATIONS && !(row_add_columns(db) && add_meta(db))) ||
	    !db_exec(db, "COMMIT")) {
		text_fmt(why, "%s", db_error(db));
		return false;
	}
	return true;
}

bool
db_migrate(struct db *db, int until, struct text *why)
{
	int64_t version;
	int last = until ? until : MIGRATIONS;
	bool behind = false;

	assert(last <= MIGRATIONS);
	if (!db_schema(db, &version, why))
		return false;
	if (version >= last && (last < MIGRATIONS || (db_is_behind(db, &behind) && !behind)))
		return true;
	/* A table that is made anew leaves those for a moment that refer to it. */
	if (!db_exec(db, "PRAGMA foreign_keys = OFF") || !lock(db)) {
		text_fmt(why, "%s", db_error(db));
		return false;
	}
	bool ok = migrate(db, last, why);

	if (!ok && !db_exec(db, "ROLLBACK"))
		return false;
	return db_exec(db, "PRAGMA foreign_keys = ON") && ok;
}
