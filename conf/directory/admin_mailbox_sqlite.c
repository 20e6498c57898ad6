/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains, mailboxes, IP identities.
 */
#include "conf/directory/admin_sqlite.h"
#include "conf/vault/password.h"

static const char *
text_of(const char *s)
{
	return s ? s : "";
}

/* OWNER of a new row as :account; of one that is there (SQL gives whose) it must be the same. */
static enum admin_result
bind_owner(struct admin *a, struct put *in, const char *sql, uint64_t id, const char *owner,
    uint64_t *account_r)
{
	struct put was = put_into(db_stmt(&a->db, sql));
	enum admin_result r = find_account(a, owner, account_r);

	if (r != ADMIN_OK)
		return r;
	if (id == 0) {
		put_named(in, ":account");
		put_u64(in, *account_r);
		return ADMIN_OK;
	}
	put_u64(&was, id);
	put_u64(&was, *account_r);
	if (gives_row(&was))
		return ADMIN_OK;
	return admin_say(a, ADMIN_INVALID, "it belongs to another account; remove it there first");
}

/* ---- domains ---- */

static enum admin_result
normal_domain(struct admin *a, const char *name, char mem[KEY_MAX])
{
	if (domain_normal(slice_str(name), mem))
		return ADMIN_OK;
	return admin_say(a, ADMIN_INVALID, "domain %s: not a domain name", text_of(name));
}

static enum admin_result
check_domain(struct admin *a, void *of)
{
	const struct admin_domain *row = of;
	char selector[DOMAIN_MAX + 1];
	struct slice s = slice_str(row->dkim_selector);

	if (s.n && !domain_normal(s, selector))
		return admin_say(a, ADMIN_INVALID, "domain %s: dkim_selector is not a domain name",
		    row->name);
	return ADMIN_OK;
}

static enum admin_result
bind_domain(struct admin *a, struct put *in, const void *of, uint64_t id)
{
	const struct admin_domain *row = of;
	uint64_t account = 0;
	enum admin_result r = bind_owner(a, in,
	    "SELECT 1 FROM domain WHERE id = ?1 AND account = ?2", id, row->account, &account);

	return r == ADMIN_OK ? put_route(a, in, account, text_of(row->account), &row->route) : r;
}

/* Since when it is verified. */
static enum admin_result
date_domain(struct admin *a, const void *row, uint64_t id)
{
	struct put in = put_into(db_stmt(&a->db,
	    "UPDATE domain SET verified_at = iif(verified, unixepoch(), 0)"
	    " WHERE id = ?1 AND verified <> (verified_at > 0)"));

	(void)row;
	put_u64(&in, id);
	return admin_run(a, &in, "domain");
}

static enum admin_result
clear_domain(struct admin *a, uint64_t id, bool whole)
{
	if (whole)
		return remove_by_id(a, "DELETE FROM mailbox WHERE domain = ?1", id);
	return must_be_unused(a, "SELECT count(*) FROM mailbox WHERE domain = ?1", id,
	    "the domain still has mailboxes");
}

/* clang-format off */
#define DOMAIN_TABLES \
	" FROM domain x JOIN account a ON a.id = x.account LEFT JOIN profile rp ON rp.id = x.route_profile" \
	" LEFT JOIN profile fp ON fp.id = x.fallback_profile"
static const char domain_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/domain.def"
#include "conf/directory/columns.def"
    DOMAIN_TABLES " WHERE x.id = ?1";
static const char domain_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/domain.def"
#include "conf/directory/columns.def"
    DOMAIN_TABLES " ORDER BY x.name";
static const char domain_each_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/domain.def"
#include "conf/directory/columns.def"
    DOMAIN_TABLES " WHERE x.account = ?1 ORDER BY x.name";
static const char domain_add_sql[] = "INSERT INTO domain (id"
#define AS_NAMES "conf/directory/domain.def"
#include "conf/directory/columns.def"
    ") VALUES (NULL"
#define AS_VALUES "conf/directory/domain.def"
#include "conf/directory/columns.def"
    ")";
static const char domain_set_sql[] = "UPDATE domain SET id = id"
#define AS_SETS "conf/directory/domain.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";
/* clang-format on */

const struct table table_domain = {
	.of = &entity_domain,
	.find = "SELECT id FROM domain WHERE name = ?1",
	.get = domain_get_sql,
	.all = domain_all_sql,
	.each = domain_each_sql,
	.add = domain_add_sql,
	.set = domain_set_sql,
	.drop = "DELETE FROM domain WHERE id = ?1",
	.normal = normal_domain,
	.check = check_domain,
	.bind = bind_domain,
	.after = date_domain,
	.clear = clear_domain,
};

/* ---- mailboxes ---- */

static enum admin_result
normal_mailbox(struct admin *a, const char *name, char mem[KEY_MAX])
{
	if (address_normal(slice_str(name), mem))
		return ADMIN_OK;
	return admin_say(a, ADMIN_INVALID, "mailbox %s: not an address (name@domain)",
	    text_of(name));
}

/* Its domain, which says whose it is. */
static enum admin_result
bind_mailbox(struct admin *a, struct put *in, const void *of, uint64_t id)
{
	const struct admin_mailbox *row = of;
	const char *name = strchr(row->address, '@') + 1;
	uint64_t domain = 0;

	if (id)
		return ADMIN_OK;
	enum admin_result r = table_find(a, &table_domain, name, &domain);

	if (r == ADMIN_MISSING)
		return admin_say(a, r, "mailbox %s: no domain %s, add it to an account first",
		    row->address, name);
	if (r != ADMIN_OK)
		return r;
	put_named(in, ":domain");
	put_u64(in, domain);
	return ADMIN_OK;
}

/* clang-format off */
#define MAILBOX_TABLES \
	" FROM mailbox x JOIN domain d ON d.id = x.domain JOIN account a ON a.id = d.account"
static const char mailbox_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    MAILBOX_TABLES " WHERE x.id = ?1";
static const char mailbox_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    MAILBOX_TABLES " ORDER BY x.address";
static const char mailbox_each_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    MAILBOX_TABLES " WHERE d.account = ?1 ORDER BY x.address";
static const char mailbox_add_sql[] = "INSERT INTO mailbox (domain"
#define AS_NAMES "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    ") VALUES (:domain"
#define AS_VALUES "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    ")";
static const char mailbox_set_sql[] = "UPDATE mailbox SET id = id"
#define AS_SETS "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";
/* clang-format on */

const struct table table_mailbox = {
	.of = &entity_mailbox,
	.find = "SELECT id FROM mailbox WHERE address = ?1",
	.get = mailbox_get_sql,
	.all = mailbox_all_sql,
	.each = mailbox_each_sql,
	.add = mailbox_add_sql,
	.set = mailbox_set_sql,
	.drop = "DELETE FROM mailbox WHERE id = ?1",
	.normal = normal_mailbox,
	.bind = bind_mailbox,
};

static enum admin_result
write_hash(struct admin *a, const char *address, const char *hash)
{
	uint64_t id;
	enum admin_result r = table_find(a, &table_mailbox, address, &id);

	if (r != ADMIN_OK)
		return r;
	struct put in =
	    put_into(db_stmt(&a->db, "UPDATE mailbox SET password_hash = ?1 WHERE id = ?2"));

	put_str(&in, hash);
	put_u64(&in, id);
	return admin_run(a, &in, address);
}

enum admin_result
admin_mailbox_set_hash(struct admin *a, const char *address, const char *hash)
{
	struct slice h = slice_str(hash);

	/* A hash that cannot verify is a mistake, unless it says so: "*" and "!" lock. */
	if (h.n && h.p[0] != '*' && h.p[0] != '!' && !password_hash_is_usable(h))
		return admin_say(a, ADMIN_INVALID,
		    "mailbox %s: this system's crypt(3) does not know that hash", text_of(address));
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, write_hash(a, address, text_of(hash))) : r;
}

static bool
take_hash(void *ctx, struct take *t)
{
	struct text *hash = ctx;

	text_put(hash, take_slice(t));
	return !hash->overflow;
}

enum admin_result
admin_mailbox_hash(struct admin *a, const char *address, struct text *hash_r)
{
	uint64_t id;
	enum admin_result r = table_find(a, &table_mailbox, address, &id);

	if (r != ADMIN_OK)
		return r;
	struct put in =
	    put_into(db_stmt(&a->db, "SELECT password_hash FROM mailbox WHERE id = ?1"));

	put_u64(&in, id);
	return one_row(a, &in, take_hash, hash_r, "mailbox", address);
}

/* ---- IP identities ---- */

static enum admin_result
normal_ip(struct admin *a, const char *name, char mem[KEY_MAX])
{
	struct net at;

	if (network_normal(slice_str(name), &at, mem))
		return ADMIN_OK;
	return admin_say(a, ADMIN_INVALID,
	    "ip %s: not an address or network (no bits behind the prefix: 192.0.2.0/24)",
	    text_of(name));
}

static enum admin_result
check_ip(struct admin *a, void *of)
{
	const struct admin_ip *row = of;

	if (row->state != MAILBOX_ACTIVE && row->state != MAILBOX_BLOCKED)
		return admin_say(a, ADMIN_INVALID, "ip %s: state must be active or blocked",
		    row->network);
	return ADMIN_OK;
}

static enum admin_result
bind_ip(struct admin *a, struct put *in, const void *of, uint64_t id)
{
	const struct admin_ip *row = of;
	uint64_t account = 0;
	enum admin_result r = bind_owner(a, in, "SELECT 1 FROM ip WHERE id = ?1 AND account = ?2",
	    id, row->account, &account);
	struct net at;

	if (r != ADMIN_OK || id)
		return r;
	if (!net_parse(slice_str(row->network), &at))
		return admin_say(a, ADMIN_INVALID, "ip %s: not a network", row->network);
	put_named(in, ":family");
	put_u64(in, at.family);
	put_named(in, ":bits");
	put_u64(in, at.bits);
	put_named(in, ":first");
	put_blob(in, at.addr, at.family == 4 ? 4 : 16);
	return ADMIN_OK;
}

/* clang-format off */
#define IP_TABLES " FROM ip x JOIN account a ON a.id = x.account"
#define IP_ORDER  " ORDER BY x.family, x.first, x.bits"
static const char ip_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/ip.def"
#include "conf/directory/columns.def"
    IP_TABLES " WHERE x.id = ?1";
static const char ip_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/ip.def"
#include "conf/directory/columns.def"
    IP_TABLES IP_ORDER;
static const char ip_each_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/ip.def"
#include "conf/directory/columns.def"
    IP_TABLES " WHERE x.account = ?1" IP_ORDER;
static const char ip_add_sql[] = "INSERT INTO ip (family, bits, first"
#define AS_NAMES "conf/directory/ip.def"
#include "conf/directory/columns.def"
    ") VALUES (:family, :bits, :first"
#define AS_VALUES "conf/directory/ip.def"
#include "conf/directory/columns.def"
    ")";
static const char ip_set_sql[] = "UPDATE ip SET id = id"
#define AS_SETS "conf/directory/ip.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";
/* clang-format on */

const struct table table_ip = {
	.of = &entity_ip,
	.find = "SELECT id FROM ip WHERE network = ?1",
	.get = ip_get_sql,
	.all = ip_all_sql,
	.each = ip_each_sql,
	.add = ip_add_sql,
	.set = ip_set_sql,
	.drop = "DELETE FROM ip WHERE id = ?1",
	.normal = normal_ip,
	.check = check_ip,
	.bind = bind_ip,
};
