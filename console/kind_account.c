/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

/* An account's row with the lists behind restrict_senders and require_verified_sender: names with
 * commas between. */
struct row {
	struct admin_account a;
	const char *lists[2]; /* by enum sender_list */
};

static const char *const words_state[] = {
	[ACCOUNT_ACTIVE] = "active",
	[ACCOUNT_SUSPENDED_BILLING] = "suspended_billing",
	[ACCOUNT_SUSPENDED_DELIVERABILITY] = "suspended_deliverability",
	[ACCOUNT_SUSPENDED_ABUSE] = "suspended_abuse",
	[ACCOUNT_CLOSED] = "closed",
	NULL,
};

static const char *const words_signup[] = {
	[SIGNUP_EMAIL] = "email",
	[SIGNUP_GOOGLE] = "google",
	[SIGNUP_FACEBOOK] = "facebook",
	[SIGNUP_X] = "x",
	[SIGNUP_MICROSOFT] = "microsoft",
	NULL,
};

#define AT(member) offsetof(struct row, member)

static const struct field fields[] = {
	{ "plan", "plan", FIELD_NAME, AT(a.plan), FIELD_LISTED, NULL, "PLAN", NULL, 0, 0,
	    "nano, starter, pro, agency, or one of yours" },
	{ "state", "state", FIELD_WORD, AT(a.state), FIELD_LISTED, "active", "STATE", words_state,
	    0, 0,
	    "active (default), suspended_billing, suspended_deliverability, suspended_abuse, closed" },
	{ "registered", "registered", FIELD_DATE, AT(a.registered), 0, "", "DATE", NULL, 0, 0,
	    "when its owner signed up, UTC (default now)" },
	{ "owner_email", "owner-email", FIELD_TEXT, AT(a.owner_email), 0, "", "ADDRESS", NULL, 0, 0,
	    "the owner's own address" },
	{ "owner_signup", "owner-signup", FIELD_WORD, AT(a.owner_signup), 0, "email", "HOW",
	    words_signup, 0, 0,
	    "how the owner signed up: email (default), google, facebook, x, microsoft" },
	{ "owner_verified", "owner-verified", FIELD_BOOL, AT(a.owner_verified), FIELD_LISTED, "no",
	    "yes|no", NULL, 0, 0, "the owner's address was confirmed (default no)" },
	{ "renewal_day", "renewal-day", FIELD_SMALL, AT(a.renewal_day), 0, "1", "DAY", NULL, 1, 31,
	    "of the monthly allowance, 1 to 31 (default 1)" },
	{ "restrict_senders", "restrict-senders", FIELD_BOOL, AT(a.restrict_senders), 0, "no",
	    "yes|no", NULL, 0, 0, "only allowed_senders may be senders (default no)" },
	{ "require_verified_sender", "require-verified-sender", FIELD_BOOL,
	    AT(a.require_verified_sender), 0, "no", "yes|no", NULL, 0, 0,
	    "From: must be of a verified domain or address (default no)" },
	{ "check_sender_domain", "check-sender-domain", FIELD_BOOL, AT(a.check_sender_domain), 0,
	    "no", "yes|no", NULL, 0, 0,
	    "the sender in MAIL must be of a domain that takes mail, and exist if it is one of ours (default no)" },
	{ "check_sender_callout", "check-sender-callout", FIELD_BOOL, AT(a.check_sender_callout), 0,
	    "no", "yes|no", NULL, 0, 0,
	    "the same, and the domain's own server is asked whether the sender exists (default no)" },
	{ "allowed_senders", "allowed-senders", FIELD_LIST, AT(lists[SENDERS_ALLOWED]), 0, "",
	    "LIST", NULL, 0, 0, "addresses, or @domain for all of it, with commas between" },
	{ "verified_senders", "verified-senders", FIELD_LIST, AT(lists[SENDERS_VERIFIED]), 0, "",
	    "LIST", NULL, 0, 0, "addresses that were verified one by one, with commas between" },
	{ "route", "route", FIELD_ROUTE, AT(a.route), FIELD_LISTED, "inherit", "ROUTE", NULL, 0, 0,
	    "where its mail goes: native, one of its profiles, or inherit (default): native where the plan can send" },
	{ "fallback", "fallback", FIELD_FALLBACK, AT(a.route), FIELD_LISTED, "none", "ROUTE", NULL,
	    0, 0,
	    "where mail goes that the route could not take: native, a profile, or none (default)" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	(void)c;
	((struct row *)row)->a.name = key;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	return cli_dup(c, slice_str(((const struct row *)row)->a.name));
}

/* ---- the lists ------------------------------------------------------------------------------- */

struct gather {
	struct cli *cli;
	struct row *row;
};

static bool
on_sender(void *ctx, const struct admin_sender *s)
{
	struct gather *g = ctx;
	const char **list = &g->row->lists[s->list];

	*list = **list ? cli_print(g->cli, "%s, %s", *list, s->name)
	               : cli_dup(g->cli, slice_str(s->name));
	return true;
}

/* The lists in field's order, so that they can be compared. */
static enum admin_result
get_lists(struct store *s, struct row *row)
{
	struct gather g = { s->cli, row };
	enum admin_result r;

	row->lists[SENDERS_ALLOWED] = row->lists[SENDERS_VERIFIED] = "";
	r = admin_sender_each(s->admin, row->a.name, on_sender, &g);
	for (const struct field *f = fields; f->name; f++) {
		const char *why = f->type == FIELD_LIST
		    ? field_read(s->cli, f, *(char **)(void *)((char *)row + f->offset), row)
		    : NULL;

		(void)why;
	}
	return r;
}

static bool
list_has(const char *list, struct slice name)
{
	struct slice rest = slice_str(list);

	while (rest.n > 0)
		if (slice_eq_nocase(slice_trim(slice_cut(&rest, ',')), name))
			return true;
	return false;
}

/* What stands in FROM and not in OTHER is added or removed. */
static enum admin_result
move_senders(struct store *s, const char *account, enum sender_list list, const char *from,
    const char *other, bool adds)
{
	struct slice rest = slice_str(from);

	while (rest.n > 0) {
		struct slice name = slice_trim(slice_cut(&rest, ','));
		struct admin_sender row = { .account = account, .list = list };
		enum admin_result r;

		if (name.n == 0 || list_has(other, name))
			continue;
		row.name = cli_dup(s->cli, name);
		r = adds ? admin_sender_add(s->admin, &row) : admin_sender_remove(s->admin, &row);
		if (r != ADMIN_OK)
			return r;
	}
	return ADMIN_OK;
}

static enum admin_result
set_lists(struct store *s, const struct row *want)
{
	struct row have = { .a = { .name = want->a.name } };
	enum admin_result r = get_lists(s, &have);

	for (unsigned i = 0; i < 2 && r == ADMIN_OK; i++) {
		enum sender_list list = (enum sender_list)i;
		const char *wanted = want->lists[i] ? want->lists[i] : "";

		r = move_senders(s, want->a.name, list, have.lists[i], wanted, false);
		if (r == ADMIN_OK)
			r = move_senders(s, want->a.name, list, wanted, have.lists[i], true);
	}
	return r;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	struct row *row = row_r;
	enum admin_result r = admin_account_get(s->admin, key, &s->cli->arena, &row->a);

	return r == ADMIN_OK ? get_lists(s, row) : r;
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	const struct row *account = row;
	enum admin_result r = admin_account_add(s->admin, &account->a);

	(void)cred;
	return r == ADMIN_OK ? set_lists(s, account) : r;
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	const struct row *account = row;
	enum admin_result r = admin_account_set(s->admin, &account->a);

	(void)cred;
	return r == ADMIN_OK ? set_lists(s, account) : r;
}

/* Its lists are fields of its own, which hold nothing. */
static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	struct row none = { .a = { .name = key } };
	enum admin_result r;

	if (whole)
		return admin_account_remove(s->admin, key, true);
	r = admin_begin(s->admin);
	if (r == ADMIN_OK)
		r = set_lists(s, &none);
	if (r == ADMIN_OK)
		r = admin_account_remove(s->admin, key, false);
	return r == ADMIN_OK ? admin_commit(s->admin) : r;
}

/* A look-up may not be possible inside the walk, so rows are gathered first. */
struct names {
	struct cli *cli;
	const char **list;
	size_t n, cap;
};

static bool
on_row(void *ctx, const struct admin_account *row)
{
	struct names *names = ctx;

	names->list =
	    cli_room(names->cli, names->list, names->n, &names->cap, sizeof(*names->list));
	names->list[names->n++] = cli_dup(names->cli, slice_str(row->name));
	return true;
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	struct names names = { .cli = s->cli };
	enum admin_result r = admin_account_each(s->admin, on_row, &names);

	(void)account;
	for (size_t i = 0; i < names.n && r == ADMIN_OK; i++) {
		struct row row = { 0 };

		r = get(s, names.list[i], &row);
		if (r == ADMIN_OK && !fn(ctx, &row))
			break;
	}
	return r;
}

const struct kind kind_account = {
	.name = "account",
	.plural = "accounts",
	.key = "ACCOUNT",
	.key_json = "name",
	.size = sizeof(struct row),
	.fields = fields,
	.parts = "its domains, mailboxes, IP identities, profiles and senders",
	.set_key = set_key,
	.key_of = key_of,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
};
