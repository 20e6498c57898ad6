/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory in SQLite: reads a sender with all it stands on within one transaction, so that a
 * snapshot is of one moment.
 */
#include "conf/directory/directory_backend.h"

#include <stdlib.h>

#include "conf/directory/row_sqlite.h"
#include "wire/arena.h"

enum { BUSY_MS = 500, SNAPSHOT_MAX = 64 << 20, CHANGES_KEPT = 4096 };

struct backend {
	struct db db;
	int64_t data_version;
	bool looked; /* data_version is known */
};

static const char login_sql[] = "SELECT id, state, password_hash FROM mailbox WHERE address = ?1";

/* clang-format off */
/* Who sends, and whose it is. */
static const char mailbox_sql[] = "SELECT x.id, x.address, x.state"
#define AS_SNAPSHOT_SELECT "conf/directory/identity.def"
#include "conf/directory/columns.def"
    ", d.account FROM mailbox x JOIN domain d ON d.id = x.domain WHERE x.id = ?1";
static const char ip_sql[] = "SELECT x.id, x.network, x.state"
#define AS_SNAPSHOT_SELECT "conf/directory/identity.def"
#include "conf/directory/columns.def"
    ", x.account FROM ip x WHERE x.id = ?1";

static const char account_sql[] = "SELECT x.id"
#define AS_SNAPSHOT_SELECT "conf/directory/account.def"
#include "conf/directory/columns.def"
    ", p.id"
#define ALIAS "p."
#define AS_SNAPSHOT_SELECT "conf/directory/plan.def"
#include "conf/directory/columns.def"
    " FROM account x JOIN plan p ON p.id = x.plan WHERE x.id = ?1";
static const char domains_sql[] = "SELECT x.id"
#define AS_SNAPSHOT_SELECT "conf/directory/domain.def"
#include "conf/directory/columns.def"
    " FROM domain x WHERE x.account = ?1 ORDER BY x.name COLLATE BINARY";
static const char profiles_sql[] = "SELECT x.id"
#define AS_SNAPSHOT_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    " FROM profile x WHERE x.account = ?1 ORDER BY x.id";
/* clang-format on */
static const char domain_sql[] = "SELECT account FROM domain WHERE name = ?1";
static const char account_name_sql[] = "SELECT id FROM account WHERE name = ?1";
static const char allowed_sql[] =
    "SELECT lower(name) FROM allowed_sender WHERE account = ?1 ORDER BY lower(name) COLLATE BINARY";
static const char verified_sql[] =
    "SELECT lower(name) FROM verified_sender WHERE account = ?1 ORDER BY lower(name) COLLATE BINARY";
/* Prefix lengths in use, from the longest; then the network itself: two steps along one index for
 * each length. */
static const char bits_sql[] = "SELECT max(bits) FROM ip WHERE family = ?1 AND bits < ?2";
static const char network_sql[] =
    "SELECT id FROM ip WHERE family = ?1 AND bits = ?2 AND first = ?3";
static const char changes_sql[] =
    "SELECT revision, account, kind FROM change WHERE revision > ?1 ORDER BY revision";

struct backend *
backend_open(const char *path, struct text *why)
{
	struct backend *b = calloc(1, sizeof(*b));

	if (!b) {
		text_fmt(why, "%s: no memory", path);
		return NULL;
	}
	if (db_open(&b->db, path, DB_CURRENT, BUSY_MS, why)) {
		/* This side only reads; the migration is behind us. */
		if (db_exec(&b->db, "PRAGMA query_only = ON"))
			return b;
		text_fmt(why, "%s: %s", path, db_error(&b->db));
		db_close(&b->db);
	}
	free(b);
	return NULL;
}

void
backend_close(struct backend *b)
{
	if (!b)
		return;
	db_close(&b->db);
	free(b);
}

const char *
backend_error(const struct backend *b)
{
	return db_error(&b->db);
}

/* ---- a row into a struct ---- */

static enum mailbox_state
take_mailbox_state(struct take *t)
{
	enum mailbox_state state = MAILBOX_BLOCKED;

	return mailbox_state_find(take_slice(t), &state) ? state : MAILBOX_BLOCKED;
}

static const char *
keep(struct arena *mem, struct take *t, bool *ok)
{
	const char *s = arena_str(mem, take_slice(t));

	if (!s)
		*ok = false;
	return s;
}

/* An id, then the columns. */
static bool
take_row(struct take *t, const struct column *columns, struct arena *mem, uint64_t *id_r, void *row)
{
	*id_r = take_u64(t);
	return row_take(t, columns, mem, row);
}

static bool
take_account(struct arena *mem, struct take *t, void *row)
{
	struct account *a = row;

	if (!take_row(t, snapshot_account, mem, &a->id, a) ||
	    !take_row(t, snapshot_plan, mem, &a->plan.id, &a->plan))
		return false;
	/* S2: Google has looked. */
	a->owner_verified = a->owner_verified || a->owner_signup == SIGNUP_GOOGLE;
	return true;
}

static bool
take_sender(struct arena *mem, struct take *t, struct sender *s, uint64_t *account_r)
{
	bool ok = true;

	s->id = take_u64(t);
	s->name = keep(mem, t, &ok);
	s->state = take_mailbox_state(t);
	ok = row_take(t, snapshot_identity, mem, s) && ok;
	*account_r = take_u64(t);
	return ok;
}

static bool
take_domain(struct arena *mem, struct take *t, void *row)
{
	struct domain *d = row;

	return take_row(t, snapshot_domain, mem, &d->id, d);
}

static bool
take_profile(struct arena *mem, struct take *t, void *row)
{
	struct profile *p = row;

	return take_row(t, snapshot_profile, mem, &p->id, p);
}

static bool
take_name(struct arena *mem, struct take *t, void *row)
{
	const char **name = row;
	bool ok = true;

	*name = keep(mem, t, &ok);
	return ok;
}

/* ---- a sender with all it stands on ---- */

typedef bool take_fn(struct arena *mem, struct take *t, void *row);

/* All rows that SQL gives for ACCOUNT as an array in MEM. */
static bool
read_list(struct backend *b, struct arena *mem, const char *sql, uint64_t account, size_t row_size,
    take_fn *fn, void **rows_r, size_t *n_r)
{
	sqlite3_stmt *st = db_stmt(&b->db, sql);
	struct put in = put_into(st);
	char *rows = NULL;
	size_t n = 0;
	size_t room = 0;
	int rc = SQLITE_ERROR;

	put_u64(&in, account);
	while (in.ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (n == room) {
			size_t more = room ? 2 * room : 8;
			char *bigger = arena_zalloc(mem, more * row_size);

			if (!bigger)
				break;
			if (n)
				memcpy(bigger, rows, n * row_size);
			rows = bigger;
			room = more;
		}
		struct take t = take_from(st);

		if (!fn(mem, &t, rows + n * row_size))
			break;
		n++;
	}
	if (st)
		sqlite3_reset(st);
	*rows_r = rows;
	*n_r = n;
	return rc == SQLITE_DONE;
}

static bool
read_lists(struct backend *b, struct arena *mem, struct account *a)
{
	void *rows[4] = { NULL };
	bool ok = read_list(b, mem, domains_sql, a->id, sizeof(struct domain), take_domain,
	              &rows[0], &a->domains_n) &&
	    read_list(b, mem, profiles_sql, a->id, sizeof(struct profile), take_profile, &rows[1],
	        &a->profiles_n);

	if (ok && a->restrict_senders)
		ok = read_list(b, mem, allowed_sql, a->id, sizeof(char *), take_name, &rows[2],
		    &a->allowed_n);
	if (ok && account_senders_rule(a) != SENDERS_ANY)
		ok = read_list(b, mem, verified_sql, a->id, sizeof(char *), take_name, &rows[3],
		    &a->verified_n);
	a->domains = rows[0];
	a->profiles = rows[1];
	a->allowed = rows[2];
	a->verified = rows[3];
	return ok;
}

static enum found
read_account(struct backend *b, struct arena *mem, uint64_t id, struct account *a)
{
	struct account *rows = NULL;
	size_t n = 0;

	if (!read_list(b, mem, account_sql, id, sizeof(*rows), take_account, (void **)&rows, &n))
		return FOUND_FAILED;
	if (n == 0)
		return FOUND_NOTHING;
	*a = *rows;
	return read_lists(b, mem, a) ? FOUND : FOUND_FAILED;
}

/* SQL NULL: nobody but the account of that ID. */
static enum found
read_sender(struct backend *b, struct arena *mem, const char *sql, uint64_t id, struct sender *s)
{
	int64_t revision = 0;
	uint64_t account = id;
	enum found found = FOUND;

	if (!db_number(&b->db, db_revision_sql, &revision))
		return FOUND_FAILED;
	s->revision = (uint64_t)revision;
	if (sql) {
		sqlite3_stmt *st = db_stmt(&b->db, sql);
		struct put in = put_into(st);

		put_u64(&in, id);
		int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;
		struct take t = take_from(st);

		found = rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;
		if (rc == SQLITE_ROW && take_sender(mem, &t, s, &account))
			found = FOUND;
		if (st)
			sqlite3_reset(st);
	}
	if (found == FOUND)
		found = read_account(b, mem, account, &s->account);
	if (found == FOUND && !sql)
		s->name = s->account.name;
	return found;
}

static enum found
one_moment(struct backend *b, const char *sql, uint64_t id, bool is_address,
    struct sender **sender_r)
{
	struct sender loose = { .is_address = is_address };
	struct arena mem;

	if (!db_exec(&b->db, "BEGIN"))
		return FOUND_FAILED;
	arena_init(&mem, SNAPSHOT_MAX);
	enum found found = read_sender(b, &mem, sql, id, &loose);

	if (found == FOUND) {
		*sender_r = sender_pack(&loose);
		if (!*sender_r)
			found = FOUND_FAILED;
	}
	arena_fini(&mem);
	/* Ends the read; there is nothing that could fail to be written. */
	sqlite3_exec(b->db.h, "COMMIT", NULL, NULL, NULL);
	return found;
}

enum found
backend_login(struct backend *b, struct slice address, struct backend_login *login_r)
{
	sqlite3_stmt *st = db_stmt(&b->db, login_sql);
	struct put in = put_into(st);

	put_slice(&in, address);
	int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;
	enum found found = rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;

	if (rc == SQLITE_ROW) {
		struct take t = take_from(st);

		login_r->id = take_u64(&t);
		login_r->state = take_mailbox_state(&t);
		struct slice hash = take_slice(&t);

		/* One that does not fit is nobody's: it must not verify. */
		login_r->hash_n = hash.n <= sizeof(login_r->hash) ? hash.n : 0;
		memcpy(login_r->hash, hash.p, login_r->hash_n);
		found = FOUND;
	}
	if (st)
		sqlite3_reset(st);
	return found;
}

bool
backend_schemes(struct backend *b, backend_hash_fn *fn, void *ctx)
{
	/* Enough of a hash to tell schemes and costs apart: $2b$12$, $y$j9T$, $6$, $1$. */
	sqlite3_stmt *st = db_stmt(&b->db,
	    "SELECT max(password_hash) FROM mailbox"
	    " GROUP BY substr(password_hash, 1, 7) LIMIT 64");
	int rc = SQLITE_ERROR;

	if (!st)
		return false;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct take t = take_from(st);

		fn(ctx, take_slice(&t));
	}
	(void)sqlite3_reset(st);
	return rc == SQLITE_DONE;
}

bool
backend_rehash(const char *path, uint64_t mailbox, struct slice was, struct slice hash,
    struct text *why)
{
	struct db db;

	if (!db_open(&db, path, DB_CURRENT, 2000, why))
		return false;
	sqlite3_stmt *st = db_stmt(&db,
	    "UPDATE mailbox SET password_hash = ?1"
	    " WHERE id = ?2 AND password_hash = ?3");
	struct put in = put_into(st);

	put_slice(&in, hash);
	put_u64(&in, mailbox);
	put_slice(&in, was);
	bool ok = st && in.ok && sqlite3_step(st) == SQLITE_DONE;

	if (!ok)
		text_fmt(why, "%s: %s", path, db_error(&db));
	if (st)
		(void)sqlite3_reset(st);
	db_close(&db);
	return ok;
}

enum found
backend_mailbox(struct backend *b, uint64_t id, struct sender **sender_r)
{
	return one_moment(b, mailbox_sql, id, false, sender_r);
}

/* The one id that SQL gives for NAME. */
static enum found
find_id(struct backend *b, const char *sql, struct slice name, uint64_t *id_r)
{
	sqlite3_stmt *st = db_stmt(&b->db, sql);
	struct put in = put_into(st);

	put_slice(&in, name);
	int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;

	if (rc == SQLITE_ROW)
		*id_r = (uint64_t)sqlite3_column_int64(st, 0);
	if (st)
		sqlite3_reset(st);
	return rc == SQLITE_ROW ? FOUND : rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;
}

enum found
backend_account(struct backend *b, struct slice name, struct sender **sender_r)
{
	uint64_t id = 0;
	enum found found = find_id(b, account_name_sql, name, &id);

	return found == FOUND ? one_moment(b, NULL, id, false, sender_r) : found;
}

enum found
backend_domain(struct backend *b, struct slice domain, uint64_t *account_r)
{
	return find_id(b, domain_sql, domain, account_r);
}

enum found
backend_ip(struct backend *b, uint64_t id, struct sender **sender_r)
{
	return one_moment(b, ip_sql, id, true, sender_r);
}

/* ---- addresses ---- */

static void
cut_bits(unsigned char first[16], const struct net *at, int64_t bits)
{
	memcpy(first, at->addr, 16);
	for (int64_t i = bits; i < 128; i++)
		first[i / 8] &= (unsigned char)~(0x80u >> (i % 8));
}

/* The next shorter prefix length in use, or -1; false on failure. */
static bool
next_bits(struct backend *b, unsigned family, int64_t *bits)
{
	sqlite3_stmt *st = db_stmt(&b->db, bits_sql);
	struct put in = put_into(st);

	put_u64(&in, family);
	put_i64(&in, *bits);
	bool ok = in.ok && sqlite3_step(st) == SQLITE_ROW;

	if (ok)
		*bits =
		    sqlite3_column_type(st, 0) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, 0);
	if (st)
		sqlite3_reset(st);
	return ok;
}

static enum found
find_network(struct backend *b, const struct net *at, int64_t bits, uint64_t *id_r)
{
	sqlite3_stmt *st = db_stmt(&b->db, network_sql);
	struct put in = put_into(st);
	unsigned char first[16];

	cut_bits(first, at, bits);
	put_u64(&in, at->family);
	put_i64(&in, bits);
	put_blob(&in, first, at->family == 4 ? 4 : 16);
	int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;

	if (rc == SQLITE_ROW)
		*id_r = (uint64_t)sqlite3_column_int64(st, 0);
	if (st)
		sqlite3_reset(st);
	return rc == SQLITE_ROW ? FOUND : rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;
}

enum found
backend_address(struct backend *b, const struct net *at, struct sender **sender_r)
{
	int64_t bits = 129;
	enum found found = FOUND_NOTHING;
	uint64_t id = 0;

	while (found == FOUND_NOTHING) {
		if (!next_bits(b, at->family, &bits))
			return FOUND_FAILED;
		if (bits < 0)
			return FOUND_NOTHING;
		found = find_network(b, at, bits, &id);
	}
	return found == FOUND ? backend_ip(b, id, sender_r) : found;
}

/* ---- what has changed ---- */

static bool
read_changes(struct backend *b, uint64_t since, struct backend_changes *c)
{
	sqlite3_stmt *st = db_stmt(&b->db, changes_sql);
	struct put in = put_into(st);
	uint64_t next = since + 1;
	int rc = SQLITE_ERROR;

	c->accounts = malloc(CHANGES_KEPT * sizeof(*c->accounts));
	if (!c->accounts)
		return false;
	put_u64(&in, since);
	while (in.ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct take t = take_from(st);

		/* A gap: more was written than is kept. */
		if (take_u64(&t) != next++)
			c->all = true;
		uint64_t account = take_u64(&t);
		size_t n = c->accounts_n;

		c->all = c->all || account == 0 || n == CHANGES_KEPT;
		if (!c->all && (n == 0 || c->accounts[n - 1] != account))
			c->accounts[c->accounts_n++] = account;
		struct slice kind = take_slice(&t);

		c->ips = c->ips || slice_eq(kind, SLICE("ip"));
		c->domains = c->domains || slice_eq(kind, SLICE("domain"));
	}
	if (st)
		sqlite3_reset(st);
	/* What was trimmed from the end, or a file from a backup with an older revision, is a gap
	 * as well. */
	c->all = c->all || next != c->revision + 1;
	c->ips = c->ips || c->all;
	c->domains = c->domains || c->all;
	return rc == SQLITE_DONE;
}

enum found
backend_changes(struct backend *b, uint64_t since, struct backend_changes *changes_r)
{
	int64_t version = 0;
	int64_t revision = 0;
	int64_t any = 0;

	*changes_r = (struct backend_changes){ 0 };
	if (!db_number(&b->db, "PRAGMA data_version", &version))
		return FOUND_FAILED;
	if (b->looked && version == b->data_version)
		return FOUND_NOTHING;
	if (!db_exec(&b->db, "BEGIN"))
		return FOUND_FAILED;
	bool ok = db_number(&b->db, db_revision_sql, &revision) &&
	    db_number(&b->db, "SELECT EXISTS (SELECT 1 FROM ip)", &any);

	changes_r->revision = (uint64_t)revision;
	changes_r->has_addresses = any != 0;
	ok = ok && read_changes(b, since, changes_r);
	if (!db_exec(&b->db, "COMMIT"))
		ok = false;
	if (ok) {
		b->looked = true;
		b->data_version = version;
		return FOUND;
	}
	free(changes_r->accounts);
	changes_r->accounts = NULL;
	return FOUND_FAILED;
}
