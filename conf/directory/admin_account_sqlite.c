/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans, accounts, routes, and the lists of senders.
 */
#include <time.h>

#include "conf/directory/admin_sqlite.h"

#define PLAN_COLUMNS \
	"name, can_send, count_unit, mailbox_day, account_day, account_hour, recipients, size_max, monthly"
#define PLAN_ROW "SELECT " PLAN_COLUMNS " FROM plan"
#define PLAN_ID  "SELECT id FROM plan WHERE name = ?1"

static const char plan_get_sql[] = PLAN_ROW " WHERE name = ?1";
static const char plan_each_sql[] = PLAN_ROW " ORDER BY name";
static const char plan_add_sql[] =
    "INSERT INTO plan (" PLAN_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char plan_set_sql[] =
    "UPDATE plan SET can_send = ?2, count_unit = ?3, mailbox_day = ?4, account_day = ?5,"
    " account_hour = ?6, recipients = ?7, size_max = ?8, monthly = ?9 WHERE name = ?1";

#define ACCOUNT_ROW                                                                                    \
	"SELECT a.name, p.name, a.state, a.registered, a.owner_email, a.owner_signup,"                 \
	" a.owner_verified, a.renewal_day, a.restrict_senders, a.require_verified_sender,"             \
	" a.check_sender_domain, a.check_sender_callout,"                                              \
	" a.route, coalesce(rp.name, ''), a.fallback, coalesce(fp.name, '')"                           \
	" FROM account a JOIN plan p ON p.id = a.plan LEFT JOIN profile rp ON rp.id = a.route_profile" \
	" LEFT JOIN profile fp ON fp.id = a.fallback_profile"

static const char account_get_sql[] = ACCOUNT_ROW " WHERE a.name = ?1";
static const char account_each_sql[] = ACCOUNT_ROW " ORDER BY a.name";
static const char account_add_sql[] =
    "INSERT INTO account (name, plan, state, registered, owner_email, owner_signup, owner_verified,"
    " renewal_day, restrict_senders, require_verified_sender, route, route_profile, fallback,"
    " fallback_profile, check_sender_domain, check_sender_callout) VALUES"
    " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
static const char account_set_sql[] =
    "UPDATE account SET plan = ?2, state = ?3, registered = ?4, owner_email = ?5,"
    " owner_signup = ?6, owner_verified = ?7, renewal_day = ?8, restrict_senders = ?9,"
    " require_verified_sender = ?10, route = ?11, route_profile = ?12, fallback = ?13,"
    " fallback_profile = ?14, check_sender_domain = ?15, check_sender_callout = ?16 WHERE name = ?1";

static const char *const signups[] = {
	[SIGNUP_EMAIL] = "email",
	[SIGNUP_GOOGLE] = "google",
	[SIGNUP_FACEBOOK] = "facebook",
	[SIGNUP_X] = "x",
	[SIGNUP_MICROSOFT] = "microsoft",
};

const char *
owner_signup_word(enum owner_signup how)
{
	return signups[how];
}

bool
owner_signup_find(struct slice word, enum owner_signup *how_r)
{
	for (size_t i = 0; i < sizeof(signups) / sizeof(signups[0]); i++) {
		if (!slice_eq_nocase(word, slice_str(signups[i])))
			continue;
		*how_r = (enum owner_signup)i;
		return true;
	}
	return false;
}

/* ---- plans ---- */

static struct plan
take_plan(struct take *t)
{
	struct plan row = {
		.name = take_str(t), .can_send = take_bool(t), .unit = COUNT_RECIPIENTS
	};

	if (!count_unit_find(take_slice(t), &row.unit))
		row.unit = COUNT_RECIPIENTS;
	row.mailbox_day = take_u64(t);
	row.account_day = take_u64(t);
	row.account_hour = take_u64(t);
	row.recipients = take_u64(t);
	row.size_max = take_u64(t);
	row.monthly = take_u64(t);
	return row;
}

static enum admin_result
check_plan(struct admin *a, const struct plan *row)
{
	if (!name_is_good(slice_str(row->name)))
		return say(a, ADMIN_INVALID,
		    "plan name: 1 to 64 letters, digits, '.', '_', '-', a letter or digit first");
	if (row->recipients == 0)
		return say(a, ADMIN_INVALID, "plan %s: recipients must be 1 or more", row->name);
	if (row->size_max == 0)
		return say(a, ADMIN_INVALID, "plan %s: size_max must be 1 octet or more",
		    row->name);
	return ADMIN_OK;
}

static enum admin_result
write_plan(struct admin *a, const char *sql, const struct plan *row)
{
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, row->name);
	put_i64(&in, row->can_send);
	put_str(&in, count_unit_word(row->unit));
	put_u64(&in, row->mailbox_day);
	put_u64(&in, row->account_day);
	put_u64(&in, row->account_hour);
	put_u64(&in, row->recipients);
	put_u64(&in, row->size_max);
	put_u64(&in, row->monthly);
	return run(a, &in, row->name);
}

enum admin_result
admin_plan_add(struct admin *a, const struct plan *row)
{
	enum admin_result r = check_plan(a, row);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = must_be_new(a, PLAN_ID, "plan", row->name);
	return write_end(a, r == ADMIN_OK ? write_plan(a, plan_add_sql, row) : r);
}

enum admin_result
admin_plan_set(struct admin *a, const struct plan *row)
{
	uint64_t id;
	enum admin_result r = check_plan(a, row);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_id(a, PLAN_ID, "plan", row->name, &id);
	return write_end(a, r == ADMIN_OK ? write_plan(a, plan_set_sql, row) : r);
}

enum admin_result
admin_plan_remove(struct admin *a, const char *name)
{
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = find_id(a, PLAN_ID, "plan", name, &id);
	if (r == ADMIN_OK)
		r = must_be_unused(a, "SELECT count(*) FROM account WHERE plan = ?1", id,
		    "accounts are on this plan");
	return write_end(a,
	    r == ADMIN_OK ? remove_by_id(a, "DELETE FROM plan WHERE id = ?1", id) : r);
}

struct keep_plan {
	struct arena *mem;
	struct plan *row;
};

static bool
keep_plan(void *ctx, struct take *t)
{
	struct keep_plan *k = ctx;
	bool ok = true;

	*k->row = take_plan(t);
	k->row->name = keep_str(k->mem, k->row->name, &ok);
	return ok;
}

enum admin_result
admin_plan_get(struct admin *a, const char *name, struct arena *mem, struct plan *row_r)
{
	struct put in = put_into(db_stmt(&a->db, plan_get_sql));
	struct keep_plan k = { mem, row_r };

	put_str(&in, name);
	return one_row(a, &in, keep_plan, &k, "plan", name);
}

struct hand_plan {
	admin_plan_fn *fn;
	void *ctx;
};

static bool
hand_plan(void *ctx, struct take *t)
{
	struct hand_plan *h = ctx;
	struct plan row = take_plan(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_plan_each(struct admin *a, admin_plan_fn *fn, void *ctx)
{
	struct hand_plan h = { fn, ctx };

	return each_row(a, plan_each_sql, NULL, NULL, hand_plan, &h);
}

/* ---- accounts ---- */

static struct admin_account
take_account(struct take *t)
{
	struct admin_account row = { .name = take_str(t), .plan = take_str(t) };

	if (!account_state_find(take_slice(t), &row.state))
		row.state = ACCOUNT_CLOSED;
	row.registered = take_i64(t);
	row.owner_email = take_str(t);
	if (!owner_signup_find(take_slice(t), &row.owner_signup))
		row.owner_signup = SIGNUP_EMAIL;
	row.owner_verified = take_bool(t);
	row.renewal_day = take_unsigned(t);
	row.restrict_senders = take_bool(t);
	row.require_verified_sender = take_bool(t);
	row.check_sender_domain = take_bool(t);
	row.check_sender_callout = take_bool(t);
	row.route = take_route_names(t);
	return row;
}

static enum admin_result
check_account(struct admin *a, const struct admin_account *row)
{
	char address[ADDRESS_MAX + 1];
	struct slice email = slice_str(row->owner_email);

	if (!name_is_good(slice_str(row->name)))
		return say(a, ADMIN_INVALID,
		    "account name: 1 to 64 letters, digits, '.', '_', '-', a letter or digit first");
	if (row->renewal_day > 31)
		return say(a, ADMIN_INVALID, "account %s: renewal_day must be 1 to 31", row->name);
	if (row->registered < 0)
		return say(a, ADMIN_INVALID, "account %s: registered is before 1970", row->name);
	if (email.n && !address_normal(email, address))
		return say(a, ADMIN_INVALID, "account %s: owner_email is not an address",
		    row->name);
	return ADMIN_OK;
}

static enum admin_result
write_account(struct admin *a, const char *sql, uint64_t id, const struct admin_account *row)
{
	struct route route;
	uint64_t plan;
	enum admin_result r = find_id(a, PLAN_ID, "plan", row->plan, &plan);

	if (r == ADMIN_OK)
		r = resolve_route(a, id, row->name, &row->route, &route);
	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, sql));

	put_str(&in, row->name);
	put_u64(&in, plan);
	put_str(&in, account_state_word(row->state));
	put_i64(&in, row->registered ? row->registered : (int64_t)time(NULL));
	put_str(&in, row->owner_email);
	put_str(&in, owner_signup_word(row->owner_signup));
	put_i64(&in, row->owner_verified);
	put_u64(&in, row->renewal_day ? row->renewal_day : 1);
	put_i64(&in, row->restrict_senders);
	put_i64(&in, row->require_verified_sender);
	put_route(&in, &route);
	put_i64(&in, row->check_sender_domain);
	put_i64(&in, row->check_sender_callout);
	return run(a, &in, row->name);
}

enum admin_result
admin_account_add(struct admin *a, const struct admin_account *row)
{
	enum admin_result r = check_account(a, row);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = must_be_new(a, "SELECT id FROM account WHERE name = ?1", "account", row->name);
	return write_end(a, r == ADMIN_OK ? write_account(a, account_add_sql, 0, row) : r);
}

enum admin_result
admin_account_set(struct admin *a, const struct admin_account *row)
{
	uint64_t id;
	enum admin_result r = check_account(a, row);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_account(a, row->name, &id);
	return write_end(a, r == ADMIN_OK ? write_account(a, account_set_sql, id, row) : r);
}

/* Its parts, those first that hang on others. */
static enum admin_result
remove_parts(struct admin *a, uint64_t id)
{
	static const char *const parts[] = {
		"DELETE FROM mailbox WHERE domain IN (SELECT id FROM domain WHERE account = ?1)",
		"DELETE FROM domain WHERE account = ?1",
		"DELETE FROM ip WHERE account = ?1",
		"DELETE FROM allowed_sender WHERE account = ?1",
		"DELETE FROM verified_sender WHERE account = ?1",
		("UPDATE account SET route = 'inherit', route_profile = NULL, fallback = 'inherit',"
		 " fallback_profile = NULL WHERE id = ?1"),
		"DELETE FROM profile WHERE account = ?1",
	};
	enum admin_result r = ADMIN_OK;

	for (size_t i = 0; r == ADMIN_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = remove_by_id(a, parts[i], id);
	return r;
}

enum admin_result
admin_account_remove(struct admin *a, const char *name, bool whole)
{
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = find_account(a, name, &id);
	if (r == ADMIN_OK && whole)
		r = remove_parts(a, id);
	else if (r == ADMIN_OK)
		r = must_be_unused(a,
		    "SELECT (SELECT count(*) FROM domain WHERE account = ?1)"
		    " + (SELECT count(*) FROM ip WHERE account = ?1)"
		    " + (SELECT count(*) FROM profile WHERE account = ?1)"
		    " + (SELECT count(*) FROM allowed_sender WHERE account = ?1)"
		    " + (SELECT count(*) FROM verified_sender WHERE account = ?1)",
		    id, "the account still has domains, addresses, profiles or senders");
	return write_end(a,
	    r == ADMIN_OK ? remove_by_id(a, "DELETE FROM account WHERE id = ?1", id) : r);
}

struct keep_account {
	struct arena *mem;
	struct admin_account *row;
};

static bool
keep_account(void *ctx, struct take *t)
{
	struct keep_account *k = ctx;
	struct admin_account *row = k->row;
	bool ok = true;

	*row = take_account(t);
	row->name = keep_str(k->mem, row->name, &ok);
	row->plan = keep_str(k->mem, row->plan, &ok);
	row->owner_email = keep_str(k->mem, row->owner_email, &ok);
	keep_route(k->mem, &row->route, &ok);
	return ok;
}

enum admin_result
admin_account_get(struct admin *a, const char *name, struct arena *mem, struct admin_account *row_r)
{
	struct put in = put_into(db_stmt(&a->db, account_get_sql));
	struct keep_account k = { mem, row_r };

	put_str(&in, name);
	return one_row(a, &in, keep_account, &k, "account", name);
}

struct hand_account {
	admin_account_fn *fn;
	void *ctx;
};

static bool
hand_account(void *ctx, struct take *t)
{
	struct hand_account *h = ctx;
	struct admin_account row = take_account(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_account_each(struct admin *a, admin_account_fn *fn, void *ctx)
{
	struct hand_account h = { fn, ctx };

	return each_row(a, account_each_sql, NULL, NULL, hand_account, &h);
}

/* ---- routes ---- */

static enum admin_result
write_route(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route)
{
	struct route ids;
	uint64_t id;
	enum admin_result r = find_account(a, account, &id);

	if (r == ADMIN_OK)
		r = resolve_route(a, id, account, route, &ids);
	if (r == ADMIN_OK && domain && *domain)
		r = find_id(a, "SELECT id FROM domain WHERE name = ?1", "domain", domain,
		    &(uint64_t){ 0 });
	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db,
	    domain && *domain
	        ? "UPDATE domain SET route = ?1, route_profile = ?2, fallback = ?3, fallback_profile = ?4"
	          " WHERE account = ?5 AND name = ?6"
	        : "UPDATE account SET route = ?1, route_profile = ?2, fallback = ?3, fallback_profile = ?4"
	          " WHERE id = ?5"));

	put_route(&in, &ids);
	put_u64(&in, id);
	if (domain && *domain)
		put_str(&in, domain);
	r = run(a, &in, "route");
	if (r == ADMIN_OK && sqlite3_changes(a->db.h) == 0)
		r = say(a, ADMIN_MISSING, "domain %s is not of account %s", domain, account);
	return r;
}

enum admin_result
admin_route_set(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route)
{
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, write_route(a, account, domain, route)) : r;
}

/* ---- senders ---- */

static enum admin_result
check_sender(struct admin *a, const struct admin_sender *row, char name[ADDRESS_MAX + 1])
{
	struct slice s = slice_str(row->name);
	bool good = row->list == SENDERS_ALLOWED ? sender_normal(s, name) : address_normal(s, name);

	if (good)
		return ADMIN_OK;
	return say(a, ADMIN_INVALID, "sender %s: expected %s", row->name ? row->name : "",
	    row->list == SENDERS_ALLOWED ? "an address, or @domain" : "an address");
}

static enum admin_result
write_sender(struct admin *a, const struct admin_sender *row, bool allowed_list, const char *name)
{
	uint64_t id;
	enum admin_result r = find_account(a, row->account, &id);

	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db,
	    allowed_list ? "INSERT INTO allowed_sender (account, name) VALUES (?1, ?2)"
	                 : "INSERT INTO verified_sender (account, name) VALUES (?1, ?2)"));

	put_u64(&in, id);
	put_str(&in, name);
	return run(a, &in, name);
}

enum admin_result
admin_sender_add(struct admin *a, const struct admin_sender *row)
{
	char name[ADDRESS_MAX + 1];
	enum admin_result r = check_sender(a, row, name);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	return write_end(a, write_sender(a, row, row->list == SENDERS_ALLOWED, name));
}

static enum admin_result
drop_sender(struct admin *a, const struct admin_sender *row)
{
	uint64_t id;
	enum admin_result r = find_account(a, row->account, &id);

	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db,
	    row->list == SENDERS_ALLOWED
	        ? "DELETE FROM allowed_sender WHERE account = ?1 AND name = ?2"
	        : "DELETE FROM verified_sender WHERE account = ?1 AND name = ?2"));

	put_u64(&in, id);
	put_str(&in, row->name);
	r = run(a, &in, "sender");
	if (r == ADMIN_OK && sqlite3_changes(a->db.h) == 0)
		r = say(a, ADMIN_MISSING, "no sender %s", row->name ? row->name : "");
	return r;
}

enum admin_result
admin_sender_remove(struct admin *a, const struct admin_sender *row)
{
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, drop_sender(a, row)) : r;
}

struct hand_sender {
	admin_sender_fn *fn;
	void *ctx;
};

static bool
hand_sender(void *ctx, struct take *t)
{
	struct hand_sender *h = ctx;
	struct admin_sender row = { .account = take_str(t) };

	row.list = take_i64(t) ? SENDERS_VERIFIED : SENDERS_ALLOWED;
	row.name = take_str(t);
	return h->fn(h->ctx, &row);
}

#define SENDERS(table, list, where)                                                      \
	"SELECT a.name COLLATE NOCASE, " list ", s.name COLLATE NOCASE FROM " table " s" \
	" JOIN account a ON a.id = s.account " where
#define BOTH_SENDERS(where)                   \
	SENDERS("allowed_sender", "0", where) \
	" UNION ALL " SENDERS("verified_sender", "1", where) " ORDER BY 1, 2, 3"

enum admin_result
admin_sender_each(struct admin *a, const char *account, admin_sender_fn *fn, void *ctx)
{
	struct hand_sender h = { fn, ctx };

	return each_row(a, BOTH_SENDERS(""), BOTH_SENDERS("WHERE s.account = ?1"), account,
	    hand_sender, &h);
}
