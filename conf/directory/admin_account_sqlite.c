/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans, accounts with their lists of senders, routes.
 */
#include "conf/directory/admin_sqlite.h"

#include <stdlib.h>
#include <time.h>

/* ---- plans ---- */

static enum admin_result
check_plan(struct admin *a, void *of)
{
	const struct plan *row = of;

	if (!name_is_good(slice_str(row->name)))
		return admin_say(a, ADMIN_INVALID,
		    "plan name: 1 to 64 letters, digits, '.', '_', '-', a letter or digit first");
	if (row->recipients == 0)
		return admin_say(a, ADMIN_INVALID, "plan %s: recipients must be 1 or more",
		    row->name);
	if (row->size_max == 0)
		return admin_say(a, ADMIN_INVALID, "plan %s: size_max must be 1 octet or more",
		    row->name);
	return ADMIN_OK;
}

static enum admin_result
clear_plan(struct admin *a, uint64_t id, bool whole)
{
	(void)whole;
	return must_be_unused(a, "SELECT count(*) FROM account WHERE plan = ?1", id,
	    "accounts are on this plan");
}

/* clang-format off */
static const char plan_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/plan.def"
#include "conf/directory/columns.def"
    " FROM plan x WHERE x.id = ?1";
static const char plan_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/plan.def"
#include "conf/directory/columns.def"
    " FROM plan x ORDER BY x.name";
static const char plan_add_sql[] = "INSERT INTO plan (id"
#define AS_NAMES "conf/directory/plan.def"
#include "conf/directory/columns.def"
    ") VALUES (NULL"
#define AS_VALUES "conf/directory/plan.def"
#include "conf/directory/columns.def"
    ")";
static const char plan_set_sql[] = "UPDATE plan SET id = id"
#define AS_SETS "conf/directory/plan.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";
/* clang-format on */

const struct table table_plan = {
	.of = &entity_plan,
	.find = "SELECT id FROM plan WHERE name = ?1",
	.get = plan_get_sql,
	.all = plan_all_sql,
	.add = plan_add_sql,
	.set = plan_set_sql,
	.drop = "DELETE FROM plan WHERE id = ?1",
	.check = check_plan,
	.clear = clear_plan,
};

/* ---- accounts ---- */

static enum admin_result
check_account(struct admin *a, void *of)
{
	struct admin_account *row = of;
	char address[ADDRESS_MAX + 1];
	struct slice email = slice_str(row->owner_email);

	if (!name_is_good(slice_str(row->name)))
		return admin_say(a, ADMIN_INVALID,
		    "account name: 1 to 64 letters, digits, '.', '_', '-', a letter or digit first");
	if (row->renewal_day > 31)
		return admin_say(a, ADMIN_INVALID, "account %s: renewal_day must be 1 to 31",
		    row->name);
	if (row->registered < 0)
		return admin_say(a, ADMIN_INVALID, "account %s: registered is before 1970",
		    row->name);
	if (email.n && !address_normal(email, address))
		return admin_say(a, ADMIN_INVALID, "account %s: owner_email is not an address",
		    row->name);
	if (row->registered == 0)
		row->registered = (int64_t)time(NULL);
	if (row->renewal_day == 0)
		row->renewal_day = 1;
	return ADMIN_OK;
}

static enum admin_result
bind_account(struct admin *a, struct put *in, const void *of, uint64_t id)
{
	const struct admin_account *row = of;
	uint64_t plan;
	enum admin_result r = table_find(a, &table_plan, row->plan, &plan);

	if (r != ADMIN_OK)
		return r;
	put_named(in, ":plan");
	put_u64(in, plan);
	return put_route(a, in, id, row->name, &row->route);
}

/* ---- an account's lists ---- */

/* LIST as a JSON array, each name in its normal form, which holds nothing that needs an escape. */
static enum admin_result
list_as_json(struct admin *a, const char *list, bool domains, struct text *json)
{
	struct slice rest = slice_str(list);

	text_char(json, '[');
	while (rest.n > 0) {
		char normal[ADDRESS_MAX + 1];
		struct slice name = slice_trim(slice_cut(&rest, ','));

		if (name.n == 0)
			continue;
		if (domains ? !sender_normal(name, normal) : !address_normal(name, normal))
			return admin_say(a, ADMIN_INVALID, "sender %.*s: expected an address%s",
			    SLICE_FMT(name), domains ? ", or @domain" : "");
		text_put(json, json->n > 1 ? SLICE(",\"") : SLICE("\""));
		text_put(json, slice_str(normal));
		text_char(json, '"');
	}
	text_char(json, ']');
	return json->overflow ? admin_say(a, ADMIN_FAILED, "no memory") : ADMIN_OK;
}

static enum admin_result
run_list(struct admin *a, const char *sql, uint64_t account, const struct text *json)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_u64(&in, account);
	put_slice(&in, text_slice(json));
	return admin_run(a, &in, "senders");
}

/* What stands in LIST and not in its table goes in, and the other way round: rows that stay are not
 * touched. */
static enum admin_result
write_list(struct admin *a, const char *const sql[2], uint64_t account, const char *list,
    bool domains)
{
	/* A name of one letter and its comma become four octets. */
	size_t cap = 4 * strlen(list ? list : "") + 8;
	char *mem = malloc(cap);

	if (!mem)
		return admin_say(a, ADMIN_FAILED, "no memory");
	struct text json = text_over(mem, cap);
	enum admin_result r = list_as_json(a, list, domains, &json);

	for (size_t i = 0; i < 2 && r == ADMIN_OK; i++)
		r = run_list(a, sql[i], account, &json);
	free(mem);
	return r;
}

#define LIST_SQL(table)                                                           \
	{                                                                         \
		"DELETE FROM " table " WHERE account = ?1 AND name NOT IN"        \
		" (SELECT value FROM json_each(?2))",                             \
		    "INSERT INTO " table " (account, name) SELECT ?1, value FROM" \
		    " json_each(?2) WHERE true ON CONFLICT DO NOTHING"            \
	}

static enum admin_result
write_lists(struct admin *a, const void *of, uint64_t id)
{
	static const char *const allowed[] = LIST_SQL("allowed_sender");
	static const char *const verified[] = LIST_SQL("verified_sender");
	const struct admin_account *row = of;
	enum admin_result r = write_list(a, allowed, id, row->allowed_senders, true);

	return r == ADMIN_OK ? write_list(a, verified, id, row->verified_senders, false) : r;
}

/* Its parts, those first that hang on others. Its lists are its own in any case. */
static enum admin_result
clear_account(struct admin *a, uint64_t id, bool whole)
{
	static const char *const parts[] = {
		"DELETE FROM allowed_sender WHERE account = ?1",
		"DELETE FROM verified_sender WHERE account = ?1",
		"DELETE FROM mailbox WHERE domain IN (SELECT id FROM domain WHERE account = ?1)",
		"DELETE FROM domain WHERE account = ?1",
		"DELETE FROM ip WHERE account = ?1",
		("UPDATE account SET route = 'inherit', route_profile = NULL, fallback = 'inherit',"
		 " fallback_profile = NULL WHERE id = ?1"),
		"DELETE FROM profile WHERE account = ?1",
	};
	enum { LISTS = 2 };
	size_t n = whole ? sizeof(parts) / sizeof(parts[0]) : LISTS;
	enum admin_result r = ADMIN_OK;

	if (!whole)
		r = must_be_unused(a,
		    "SELECT (SELECT count(*) FROM domain WHERE account = ?1)"
		    " + (SELECT count(*) FROM ip WHERE account = ?1)"
		    " + (SELECT count(*) FROM profile WHERE account = ?1)",
		    id, "the account still has domains, addresses or profiles");
	for (size_t i = 0; r == ADMIN_OK && i < n; i++)
		r = remove_by_id(a, parts[i], id);
	return r;
}

/* clang-format off */
#define ACCOUNT_TABLES \
	" FROM account x JOIN plan ON plan.id = x.plan LEFT JOIN profile rp ON rp.id = x.route_profile" \
	" LEFT JOIN profile fp ON fp.id = x.fallback_profile"
static const char account_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/account.def"
#include "conf/directory/columns.def"
    ACCOUNT_TABLES " WHERE x.id = ?1";
static const char account_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/account.def"
#include "conf/directory/columns.def"
    ACCOUNT_TABLES " ORDER BY x.name";
static const char account_add_sql[] = "INSERT INTO account (id"
#define AS_NAMES "conf/directory/account.def"
#include "conf/directory/columns.def"
    ") VALUES (NULL"
#define AS_VALUES "conf/directory/account.def"
#include "conf/directory/columns.def"
    ")";
static const char account_set_sql[] = "UPDATE account SET id = id"
#define AS_SETS "conf/directory/account.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";
/* clang-format on */

const struct table table_account = {
	.of = &entity_account,
	.find = "SELECT id FROM account WHERE name = ?1",
	.get = account_get_sql,
	.all = account_all_sql,
	.add = account_add_sql,
	.set = account_set_sql,
	.drop = "DELETE FROM account WHERE id = ?1",
	.check = check_account,
	.bind = bind_account,
	.after = write_lists,
	.clear = clear_account,
};

/* ---- routes ---- */

static enum admin_result
write_route(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route)
{
	bool of_domain = domain && *domain;
	struct put in = put_into(db_stmt(&a->db,
	    of_domain ? "UPDATE domain SET route = :route, route_profile = :route_profile,"
	                " fallback = :fallback, fallback_profile = :fallback_profile"
	                " WHERE account = :account AND name = :name"
	              : "UPDATE account SET route = :route, route_profile = :route_profile,"
	                " fallback = :fallback, fallback_profile = :fallback_profile"
	                " WHERE id = :account"));
	uint64_t id;
	uint64_t ignored;
	enum admin_result r = find_account(a, account, &id);

	if (r == ADMIN_OK)
		r = put_route(a, &in, id, account, route);
	if (r == ADMIN_OK && of_domain)
		r = table_find(a, &table_domain, domain, &ignored);
	if (r != ADMIN_OK)
		return r;
	put_named(&in, ":account");
	put_u64(&in, id);
	if (of_domain) {
		put_named(&in, ":name");
		put_str(&in, domain);
	}
	r = admin_run(a, &in, "route");
	if (r == ADMIN_OK && sqlite3_changes(a->db.h) == 0)
		r = admin_say(a, ADMIN_MISSING, "domain %s is not of account %s", domain, account);
	return r;
}

enum admin_result
admin_route_set(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route)
{
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, write_route(a, account, domain, route)) : r;
}
