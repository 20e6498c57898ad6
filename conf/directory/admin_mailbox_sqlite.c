/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains, mailboxes, IP identities.
 */
#include <time.h>

#include "conf/directory/admin_sqlite.h"
#include "conf/vault/password.h"

#define DOMAIN_ID "SELECT id FROM domain WHERE name = ?1"
#define DOMAIN_ROW                                                                            \
	"SELECT d.name, a.name, d.verified, d.dkim_selector, d.route, coalesce(rp.name, '')," \
	" d.fallback, coalesce(fp.name, '') FROM domain d JOIN account a ON a.id = d.account" \
	" LEFT JOIN profile rp ON rp.id = d.route_profile"                                    \
	" LEFT JOIN profile fp ON fp.id = d.fallback_profile"

static const char domain_get_sql[] = DOMAIN_ROW " WHERE d.name = ?1";
static const char domain_all_sql[] = DOMAIN_ROW " ORDER BY d.name";
static const char domain_each_sql[] = DOMAIN_ROW " WHERE d.account = ?1 ORDER BY d.name";
static const char domain_add_sql[] =
    "INSERT INTO domain (name, account, verified, verified_at, dkim_selector, route, route_profile,"
    " fallback, fallback_profile) VALUES (?1, ?2, ?3, iif(?3, ?4, 0), ?5, ?6, ?7, ?8, ?9)";
static const char domain_set_sql[] =
    "UPDATE domain SET account = ?2, verified_at = iif(?3, iif(verified, verified_at, ?4), 0),"
    " verified = ?3, dkim_selector = ?5, route = ?6, route_profile = ?7, fallback = ?8,"
    " fallback_profile = ?9 WHERE name = ?1";

#define MAILBOX_ID "SELECT id FROM mailbox WHERE address = ?1"
#define MAILBOX_ROW                                                                                \
	"SELECT m.address, a.name, m.state, m.sandboxed, m.rate_per_minute, m.password_hash <> ''" \
	" FROM mailbox m JOIN domain d ON d.id = m.domain JOIN account a ON a.id = d.account"

static const char mailbox_get_sql[] = MAILBOX_ROW " WHERE m.address = ?1";
static const char mailbox_all_sql[] = MAILBOX_ROW " ORDER BY m.address";
static const char mailbox_each_sql[] = MAILBOX_ROW " WHERE d.account = ?1 ORDER BY m.address";
static const char mailbox_add_sql[] =
    "INSERT INTO mailbox (address, state, sandboxed, rate_per_minute, domain)"
    " VALUES (?1, ?2, ?3, ?4, ?5)";
static const char mailbox_set_sql[] =
    "UPDATE mailbox SET state = ?2, sandboxed = ?3, rate_per_minute = ?4 WHERE address = ?1";

#define IP_ID "SELECT id FROM ip WHERE network = ?1"
#define IP_ROW                                                                        \
	"SELECT i.network, a.name, i.state, i.sandboxed, i.rate_per_minute FROM ip i" \
	" JOIN account a ON a.id = i.account"
#define IP_ORDER " ORDER BY i.family, i.first, i.bits"

static const char ip_get_sql[] = IP_ROW " WHERE i.network = ?1";
static const char ip_all_sql[] = IP_ROW IP_ORDER;
static const char ip_each_sql[] = IP_ROW " WHERE i.account = ?1" IP_ORDER;
static const char ip_add_sql[] =
    "INSERT INTO ip (network, account, state, sandboxed, rate_per_minute, family, bits, first)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char ip_set_sql[] =
    "UPDATE ip SET account = ?2, state = ?3, sandboxed = ?4, rate_per_minute = ?5 WHERE network = ?1";

static const char *
text_of(const char *s)
{
	return s ? s : "";
}

/* ---- domains ---- */

static struct admin_domain
take_domain(struct take *t)
{
	struct admin_domain row = { .name = take_str(t), .account = take_str(t) };

	row.verified = take_bool(t);
	row.dkim_selector = take_str(t);
	row.route = take_route_names(t);
	return row;
}

static enum admin_result
check_domain(struct admin *a, const struct admin_domain *row, char name[DOMAIN_MAX + 1])
{
	char selector[DOMAIN_MAX + 1];
	struct slice s = slice_str(row->dkim_selector);

	if (!domain_normal(slice_str(row->name), name))
		return say(a, ADMIN_INVALID, "domain %s: not a domain name", text_of(row->name));
	if (s.n && !domain_normal(s, selector))
		return say(a, ADMIN_INVALID, "domain %s: dkim_selector is not a domain name", name);
	return ADMIN_OK;
}

static enum admin_result
write_domain(struct admin *a, const char *sql, uint64_t account, const char *name,
    const struct admin_domain *row)
{
	struct route route;
	enum admin_result r = resolve_route(a, account, text_of(row->account), &row->route, &route);

	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, name);
	put_u64(&in, account);
	put_i64(&in, row->verified);
	put_i64(&in, (int64_t)time(NULL));
	put_str(&in, row->dkim_selector);
	put_route(&in, &route);
	return run(a, &in, name);
}

enum admin_result
admin_domain_add(struct admin *a, const struct admin_domain *row)
{
	char name[DOMAIN_MAX + 1];
	uint64_t account = 0;
	enum admin_result r = check_domain(a, row, name);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = must_be_new(a, DOMAIN_ID, "domain", name);
	if (r == ADMIN_OK)
		r = find_account(a, row->account, &account);
	return write_end(a,
	    r == ADMIN_OK ? write_domain(a, domain_add_sql, account, name, row) : r);
}

enum admin_result
admin_domain_set(struct admin *a, const struct admin_domain *row)
{
	char name[DOMAIN_MAX + 1];
	uint64_t id;
	uint64_t account = 0;
	uint64_t was = 0;
	enum admin_result r = check_domain(a, row, name);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_id(a, DOMAIN_ID, "domain", name, &id);
	if (r == ADMIN_OK)
		r = find_account(a, row->account, &account);
	if (r == ADMIN_OK)
		r = find_id(a, "SELECT account FROM domain WHERE name = ?1", "domain", name, &was);
	if (r == ADMIN_OK && was != account)
		r = say(a, ADMIN_INVALID,
		    "domain %s: belongs to another account; remove it there first", name);
	return write_end(a,
	    r == ADMIN_OK ? write_domain(a, domain_set_sql, account, name, row) : r);
}

enum admin_result
admin_domain_remove(struct admin *a, const char *name, bool whole)
{
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = find_id(a, DOMAIN_ID, "domain", name, &id);
	if (r == ADMIN_OK && whole)
		r = remove_by_id(a, "DELETE FROM mailbox WHERE domain = ?1", id);
	else if (r == ADMIN_OK)
		r = must_be_unused(a, "SELECT count(*) FROM mailbox WHERE domain = ?1", id,
		    "the domain still has mailboxes");
	return write_end(a,
	    r == ADMIN_OK ? remove_by_id(a, "DELETE FROM domain WHERE id = ?1", id) : r);
}

struct keep_domain {
	struct arena *mem;
	struct admin_domain *row;
};

static bool
keep_domain(void *ctx, struct take *t)
{
	struct keep_domain *k = ctx;
	struct admin_domain *row = k->row;
	bool ok = true;

	*row = take_domain(t);
	row->name = keep_str(k->mem, row->name, &ok);
	row->account = keep_str(k->mem, row->account, &ok);
	row->dkim_selector = keep_str(k->mem, row->dkim_selector, &ok);
	keep_route(k->mem, &row->route, &ok);
	return ok;
}

enum admin_result
admin_domain_get(struct admin *a, const char *name, struct arena *mem, struct admin_domain *row_r)
{
	struct put in = put_into(db_stmt(&a->db, domain_get_sql));
	struct keep_domain k = { mem, row_r };

	put_str(&in, name);
	return one_row(a, &in, keep_domain, &k, "domain", text_of(name));
}

struct hand_domain {
	admin_domain_fn *fn;
	void *ctx;
};

static bool
hand_domain(void *ctx, struct take *t)
{
	struct hand_domain *h = ctx;
	struct admin_domain row = take_domain(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_domain_each(struct admin *a, const char *account, admin_domain_fn *fn, void *ctx)
{
	struct hand_domain h = { fn, ctx };

	return each_row(a, domain_all_sql, domain_each_sql, account, hand_domain, &h);
}

/* ---- mailboxes ---- */

static struct admin_mailbox
take_mailbox(struct take *t)
{
	struct admin_mailbox row = { .address = take_str(t), .account = take_str(t) };

	if (!mailbox_state_find(take_slice(t), &row.state))
		row.state = MAILBOX_BLOCKED;
	row.sandboxed = take_bool(t);
	row.rate_per_minute = take_u64(t);
	row.has_password = take_bool(t);
	return row;
}

/* DOMAIN 0: of a row that is there. */
static enum admin_result
write_mailbox(struct admin *a, const char *sql, const char *address, uint64_t domain,
    const struct admin_mailbox *row)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, address);
	put_str(&in, mailbox_state_word(row->state));
	put_i64(&in, row->sandboxed);
	put_u64(&in, row->rate_per_minute);
	if (domain)
		put_u64(&in, domain);
	return run(a, &in, address);
}

static enum admin_result
add_mailbox(struct admin *a, const char *address, const struct admin_mailbox *row)
{
	const char *name = strchr(address, '@') + 1;
	uint64_t domain;
	enum admin_result r = must_be_new(a, MAILBOX_ID, "mailbox", address);

	if (r == ADMIN_OK)
		r = find_id(a, DOMAIN_ID, "domain", name, &domain);
	if (r == ADMIN_MISSING)
		return say(a, r, "mailbox %s: no domain %s, add it to an account first", address,
		    name);
	return r == ADMIN_OK ? write_mailbox(a, mailbox_add_sql, address, domain, row) : r;
}

enum admin_result
admin_mailbox_add(struct admin *a, const struct admin_mailbox *row)
{
	char address[ADDRESS_MAX + 1];

	if (!address_normal(slice_str(row->address), address))
		return say(a, ADMIN_INVALID, "mailbox %s: not an address (name@domain)",
		    text_of(row->address));
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, add_mailbox(a, address, row)) : r;
}

enum admin_result
admin_mailbox_set(struct admin *a, const struct admin_mailbox *row)
{
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = find_id(a, MAILBOX_ID, "mailbox", row->address, &id);
	return write_end(a,
	    r == ADMIN_OK ? write_mailbox(a, mailbox_set_sql, row->address, 0, row) : r);
}

enum admin_result
admin_mailbox_remove(struct admin *a, const char *address)
{
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = find_id(a, MAILBOX_ID, "mailbox", address, &id);
	return write_end(a,
	    r == ADMIN_OK ? remove_by_id(a, "DELETE FROM mailbox WHERE id = ?1", id) : r);
}

static enum admin_result
write_hash(struct admin *a, const char *address, const char *hash)
{
	uint64_t id;
	enum admin_result r = find_id(a, MAILBOX_ID, "mailbox", address, &id);

	if (r != ADMIN_OK)
		return r;
	struct put in =
	    put_into(db_stmt(&a->db, "UPDATE mailbox SET password_hash = ?1 WHERE id = ?2"));

	put_str(&in, hash);
	put_u64(&in, id);
	return run(a, &in, address);
}

enum admin_result
admin_mailbox_set_hash(struct admin *a, const char *address, const char *hash)
{
	struct slice h = slice_str(hash);

	/* A hash that cannot verify is a mistake, unless it says so: "*" and "!" lock. */
	if (h.n && h.p[0] != '*' && h.p[0] != '!' && !password_hash_is_usable(h))
		return say(a, ADMIN_INVALID,
		    "mailbox %s: this system's crypt(3) does not know that hash", text_of(address));
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, write_hash(a, address, text_of(hash))) : r;
}

struct keep_mailbox {
	struct arena *mem;
	struct admin_mailbox *row;
};

static bool
keep_mailbox(void *ctx, struct take *t)
{
	struct keep_mailbox *k = ctx;
	bool ok = true;

	*k->row = take_mailbox(t);
	k->row->address = keep_str(k->mem, k->row->address, &ok);
	k->row->account = keep_str(k->mem, k->row->account, &ok);
	return ok;
}

enum admin_result
admin_mailbox_get(struct admin *a, const char *address, struct arena *mem,
    struct admin_mailbox *row_r)
{
	struct put in = put_into(db_stmt(&a->db, mailbox_get_sql));
	struct keep_mailbox k = { mem, row_r };

	put_str(&in, address);
	return one_row(a, &in, keep_mailbox, &k, "mailbox", text_of(address));
}

struct hand_mailbox {
	admin_mailbox_fn *fn;
	void *ctx;
};

static bool
hand_mailbox(void *ctx, struct take *t)
{
	struct hand_mailbox *h = ctx;
	struct admin_mailbox row = take_mailbox(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_mailbox_each(struct admin *a, const char *account, admin_mailbox_fn *fn, void *ctx)
{
	struct hand_mailbox h = { fn, ctx };

	return each_row(a, mailbox_all_sql, mailbox_each_sql, account, hand_mailbox, &h);
}

/* ---- IP identities ---- */

static struct admin_ip
take_ip(struct take *t)
{
	struct admin_ip row = { .network = take_str(t), .account = take_str(t) };

	if (!mailbox_state_find(take_slice(t), &row.state))
		row.state = MAILBOX_BLOCKED;
	row.sandboxed = take_bool(t);
	row.rate_per_minute = take_u64(t);
	return row;
}

static enum admin_result
check_network(struct admin *a, const char *from, struct net *net_r, char text[NET_TEXT_MAX + 5])
{
	if (network_normal(slice_str(from), net_r, text))
		return ADMIN_OK;
	return say(a, ADMIN_INVALID,
	    "ip %s: not an address or network (no bits behind the prefix: 192.0.2.0/24)",
	    text_of(from));
}

/* AT NULL: of a row that is there. */
static enum admin_result
write_ip(struct admin *a, const char *sql, const char *network, const struct net *at,
    const struct admin_ip *row)
{
	uint64_t account;
	enum admin_result r = find_account(a, row->account, &account);

	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, network);
	put_u64(&in, account);
	put_str(&in, mailbox_state_word(row->state));
	put_i64(&in, row->sandboxed);
	put_u64(&in, row->rate_per_minute);
	if (at) {
		put_u64(&in, at->family);
		put_u64(&in, at->bits);
		put_blob(&in, at->addr, at->family == 4 ? 4 : 16);
	}
	return run(a, &in, network);
}

static enum admin_result
check_ip(struct admin *a, const struct admin_ip *row, struct net *net_r,
    char text[NET_TEXT_MAX + 5])
{
	if (row->state != MAILBOX_ACTIVE && row->state != MAILBOX_BLOCKED)
		return say(a, ADMIN_INVALID, "ip %s: state must be active or blocked",
		    text_of(row->network));
	return check_network(a, row->network, net_r, text);
}

enum admin_result
admin_ip_add(struct admin *a, const struct admin_ip *row)
{
	char network[NET_TEXT_MAX + 5];
	struct net at;
	enum admin_result r = check_ip(a, row, &at, network);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = must_be_new(a, IP_ID, "ip", network);
	return write_end(a, r == ADMIN_OK ? write_ip(a, ip_add_sql, network, &at, row) : r);
}

enum admin_result
admin_ip_set(struct admin *a, const struct admin_ip *row)
{
	char network[NET_TEXT_MAX + 5];
	struct net at;
	uint64_t id;
	enum admin_result r = check_ip(a, row, &at, network);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_id(a, IP_ID, "ip", network, &id);
	return write_end(a, r == ADMIN_OK ? write_ip(a, ip_set_sql, network, NULL, row) : r);
}

enum admin_result
admin_ip_remove(struct admin *a, const char *from)
{
	char network[NET_TEXT_MAX + 5];
	struct net at;
	uint64_t id;
	enum admin_result r = check_network(a, from, &at, network);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_id(a, IP_ID, "ip", network, &id);
	return write_end(a,
	    r == ADMIN_OK ? remove_by_id(a, "DELETE FROM ip WHERE id = ?1", id) : r);
}

struct keep_ip {
	struct arena *mem;
	struct admin_ip *row;
};

static bool
keep_ip(void *ctx, struct take *t)
{
	struct keep_ip *k = ctx;
	bool ok = true;

	*k->row = take_ip(t);
	k->row->network = keep_str(k->mem, k->row->network, &ok);
	k->row->account = keep_str(k->mem, k->row->account, &ok);
	return ok;
}

enum admin_result
admin_ip_get(struct admin *a, const char *from, struct arena *mem, struct admin_ip *row_r)
{
	char network[NET_TEXT_MAX + 5];
	struct net at;
	enum admin_result r = check_network(a, from, &at, network);

	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, ip_get_sql));
	struct keep_ip k = { mem, row_r };

	put_str(&in, network);
	return one_row(a, &in, keep_ip, &k, "ip", network);
}

struct hand_ip {
	admin_ip_fn *fn;
	void *ctx;
};

static bool
hand_ip(void *ctx, struct take *t)
{
	struct hand_ip *h = ctx;
	struct admin_ip row = take_ip(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_ip_each(struct admin *a, const char *account, admin_ip_fn *fn, void *ctx)
{
	struct hand_ip h = { fn, ctx };

	return each_row(a, ip_all_sql, ip_each_sql, account, hand_ip, &h);
}
