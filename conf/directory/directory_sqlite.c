/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory in SQLite: reads a sender with all it stands on within one transaction, so that a
 * snapshot is of one moment.
 */
#include "conf/directory/directory_backend.h"

#include <stdlib.h>

#include "conf/directory/directory_db_sqlite.h"
#include "wire/arena.h"

enum { BUSY_MS = 500, SNAPSHOT_MAX = 64 << 20, CHANGES_KEPT = 4096 };

struct backend {
	struct db db;
	int64_t data_version;
	bool looked; /* data_version is known */
};

#define ACCOUNT_COLUMNS                                                                      \
	" a.id, a.name, a.state, a.registered,"                                              \
	" a.owner_verified OR a.owner_signup = 'google', a.renewal_day, a.restrict_senders," \
	" a.require_verified_sender, a.check_sender_domain, a.check_sender_callout,"         \
	" a.route, a.route_profile, a.fallback, a.fallback_profile,"                         \
	" p.name, p.can_send, p.count_unit, p.mailbox_day, p.account_day, p.account_hour,"   \
	" p.recipients, p.size_max, p.monthly"
#define ACCOUNT_TABLES " JOIN account a ON a.id = x.account JOIN plan p ON p.id = a.plan"

static const char login_sql[] = "SELECT id, state, password_hash FROM mailbox WHERE address = ?1";
static const char mailbox_sql[] =
    "SELECT m.id, m.address, m.state, m.sandboxed, m.rate_per_minute," ACCOUNT_COLUMNS
    " FROM mailbox m JOIN domain x ON x.id = m.domain" ACCOUNT_TABLES " WHERE m.id = ?1";
static const char account_sql[] = "SELECT 0, a.name, 'active', 0, 0," ACCOUNT_COLUMNS
                                  " FROM account a JOIN plan p ON p.id = a.plan WHERE a.id = ?1";
static const char account_name_sql[] = "SELECT id FROM account WHERE name = ?1";
static const char ip_sql[] =
    "SELECT x.id, x.network, x.state, x.sandboxed, x.rate_per_minute," ACCOUNT_COLUMNS
    " FROM ip x" ACCOUNT_TABLES " WHERE x.id = ?1";
static const char domains_sql[] =
    "SELECT name, verified, route, route_profile, fallback, fallback_profile FROM domain"
    " WHERE account = ?1 ORDER BY name COLLATE BINARY";
static const char profiles_sql[] =
    "SELECT id, account, name, provider, host, port, tls, username, password, version, ca_pem, pin,"
    " keep_headers, max_connections, messages_per_connection, per_minute, on_quota, transport,"
    " auth, oauth_client, oauth_scope, token_endpoint, refresh_token," PROFILE_PLACE " FROM profile"
    " WHERE account = ?1 ORDER BY id";
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
	if (db_open(&b->db, path, false, BUSY_MS, why)) {
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

/* Where a word is not one that we know (an edited file), the cautious reading. */
static struct route
take_route(struct take *t)
{
	struct route r = { .kind = ROUTE_INHERIT, .fallback = ROUTE_INHERIT };

	if (!route_kind_find(take_slice(t), &r.kind))
		r.kind = ROUTE_INHERIT;
	r.profile = take_u64(t);
	if (!route_kind_find(take_slice(t), &r.fallback))
		r.fallback = ROUTE_INHERIT;
	r.fallback_profile = take_u64(t);
	return r;
}

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

static bool
take_account(struct arena *mem, struct take *t, struct account *a)
{
	bool ok = true;

	a->id = take_u64(t);
	a->name = keep(mem, t, &ok);
	if (!account_state_find(take_slice(t), &a->state))
		a->state = ACCOUNT_CLOSED;
	a->registered = take_i64(t);
	a->owner_verified = take_bool(t);
	a->renewal_day = take_unsigned(t);
	a->restrict_senders = take_bool(t);
	a->require_verified_sender = take_bool(t);
	a->check_sender_domain = take_bool(t);
	a->check_sender_callout = take_bool(t);
	a->route = take_route(t);
	a->plan.name = keep(mem, t, &ok);
	a->plan.can_send = take_bool(t);
	if (!count_unit_find(take_slice(t), &a->plan.unit))
		a->plan.unit = COUNT_RECIPIENTS;
	a->plan.mailbox_day = take_u64(t);
	a->plan.account_day = take_u64(t);
	a->plan.account_hour = take_u64(t);
	a->plan.recipients = take_u64(t);
	a->plan.size_max = take_u64(t);
	a->plan.monthly = take_u64(t);
	return ok;
}

static bool
take_sender(struct arena *mem, struct take *t, struct sender *s)
{
	bool ok = true;

	s->id = take_u64(t);
	s->name = keep(mem, t, &ok);
	s->state = take_mailbox_state(t);
	s->sandboxed = take_bool(t);
	s->rate_per_minute = take_u64(t);
	return take_account(mem, t, &s->account) && ok;
}

static bool
take_domain(struct arena *mem, struct take *t, void *row)
{
	struct domain *d = row;
	bool ok = true;

	d->name = keep(mem, t, &ok);
	d->verified = take_bool(t);
	d->route = take_route(t);
	return ok;
}

static bool
take_profile(struct arena *mem, struct take *t, void *row)
{
	struct profile *p = row;
	bool ok = true;

	p->id = take_u64(t);
	p->account = take_u64(t);
	p->name = keep(mem, t, &ok);
	p->provider = keep(mem, t, &ok);
	p->host = keep(mem, t, &ok);
	p->port = take_unsigned(t);
	if (!profile_tls_find(take_slice(t), &p->tls))
		p->tls = UPSTREAM_TLS_IMPLICIT;
	p->username = keep(mem, t, &ok);
	p->password = keep(mem, t, &ok);
	p->version = take_u64(t);
	p->ca_pem = keep(mem, t, &ok);
	p->pin = keep(mem, t, &ok);
	p->keep_headers = keep(mem, t, &ok);
	p->max_connections = take_unsigned(t);
	p->messages_per_connection = take_unsigned(t);
	p->per_minute = take_unsigned(t);
	if (!on_quota_find(take_slice(t), &p->on_quota))
		p->on_quota = ON_QUOTA_DEFAULT;
	if (!transport_find(take_slice(t), &p->transport))
		p->transport = TRANSPORT_SMTP;
	if (!profile_auth_find(take_slice(t), &p->auth))
		p->auth = PROFILE_PASSWORD;
	p->oauth_client = keep(mem, t, &ok);
	p->oauth_scope = keep(mem, t, &ok);
	p->token_endpoint = keep(mem, t, &ok);
	p->refresh_token = keep(mem, t, &ok);
	p->place = keep(mem, t, &ok);
	return ok;
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
	if (ok && a->require_verified_sender)
		ok = read_list(b, mem, verified_sql, a->id, sizeof(char *), take_name, &rows[3],
		    &a->verified_n);
	a->domains = rows[0];
	a->profiles = rows[1];
	a->allowed = rows[2];
	a->verified = rows[3];
	return ok;
}

static enum found
read_sender(struct backend *b, struct arena *mem, const char *sql, uint64_t id, struct sender *s)
{
	int64_t revision = 0;

	if (!db_number(&b->db, db_revision_sql, &revision))
		return FOUND_FAILED;
	s->revision = (uint64_t)revision;
	sqlite3_stmt *st = db_stmt(&b->db, sql);
	struct put in = put_into(st);

	put_u64(&in, id);
	int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;
	enum found found = rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;

	if (rc == SQLITE_ROW) {
		struct take t = take_from(st);

		found = take_sender(mem, &t, s) ? FOUND : FOUND_FAILED;
	}
	if (st)
		sqlite3_reset(st);
	if (found == FOUND && !read_lists(b, mem, &s->account))
		found = FOUND_FAILED;
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

enum found
backend_mailbox(struct backend *b, uint64_t id, struct sender **sender_r)
{
	return one_moment(b, mailbox_sql, id, false, sender_r);
}

enum found
backend_account(struct backend *b, struct slice name, struct sender **sender_r)
{
	sqlite3_stmt *st = db_stmt(&b->db, account_name_sql);
	struct put in = put_into(st);
	uint64_t id = 0;

	put_slice(&in, name);
	int rc = in.ok ? sqlite3_step(st) : SQLITE_ERROR;

	if (rc == SQLITE_ROW)
		id = (uint64_t)sqlite3_column_int64(st, 0);
	if (st)
		sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return one_moment(b, account_sql, id, false, sender_r);
	return rc == SQLITE_DONE ? FOUND_NOTHING : FOUND_FAILED;
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
		c->ips = c->ips || slice_eq(take_slice(&t), SLICE("ip"));
	}
	if (st)
		sqlite3_reset(st);
	/* What was trimmed from the end, or a file from a backup with an older revision, is a gap
	 * as well. */
	c->all = c->all || next != c->revision + 1;
	c->ips = c->ips || c->all;
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
