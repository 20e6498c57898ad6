/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

#define AT(member) offsetof(struct admin_domain, member)

static const struct field fields[] = {
	{ "account", "account", FIELD_NAME, AT(account), FIELD_FIXED | FIELD_LISTED, NULL,
	    "ACCOUNT", NULL, 0, 0, "whose it is" },
	{ "verified", "verified", FIELD_BOOL, AT(verified), FIELD_LISTED, "no", "yes|no", NULL, 0,
	    0, "its DNS records were seen (default no)" },
	{ "dkim_selector", "dkim-selector", FIELD_TEXT, AT(dkim_selector), 0, "", "NAME", NULL, 0,
	    0, "selector of its DKIM record" },
	{ "route", "route", FIELD_ROUTE, AT(route), FIELD_LISTED, "inherit", "ROUTE", NULL, 0, 0,
	    "where its mail goes: native, a profile of the account, or inherit (default): as the account says" },
	{ "fallback", "fallback", FIELD_FALLBACK, AT(route), FIELD_LISTED, "none", "ROUTE", NULL, 0,
	    0,
	    "where mail goes that the route could not take: native, a profile, or none (default)" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	(void)c;
	((struct admin_domain *)row)->name = key;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	return cli_dup(c, slice_str(((const struct admin_domain *)row)->name));
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	return admin_domain_get(s->admin, key, &s->cli->arena, row_r);
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_domain_add(s->admin, row);
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_domain_set(s->admin, row);
}

static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	return admin_domain_remove(s->admin, key, whole);
}

static bool
on_row(void *ctx, const struct admin_domain *row)
{
	struct visit *v = ctx;

	return v->fn(v->ctx, row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	return admin_domain_each(s->admin, account, on_row, &(struct visit){ fn, ctx });
}

const struct kind kind_domain = {
	.name = "domain",
	.plural = "domains",
	.key = "DOMAIN",
	.key_json = "name",
	.size = sizeof(struct admin_domain),
	.fields = fields,
	.parts = "its mailboxes",
	.set_key = set_key,
	.key_of = key_of,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
	.of_account = true,
};
