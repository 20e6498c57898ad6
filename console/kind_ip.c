/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

#define AT(member) offsetof(struct admin_ip, member)

static const struct field fields[] = {
	{ "account", "account", FIELD_NAME, AT(account), FIELD_FIXED | FIELD_LISTED, NULL,
	    "ACCOUNT", NULL, 0, 0, "whose it is" },
	{ "state", "state", FIELD_WORD, AT(state), FIELD_LISTED, "active", "STATE",
	    words_mailbox_state, 0, 0, "active (default) or blocked" },
	{ "sandboxed", "sandboxed", FIELD_BOOL, AT(sandboxed), FIELD_LISTED, "no", "yes|no", NULL,
	    0, 0, "mail is accepted and discarded: a test lane (default no)" },
	{ "rate_per_minute", "rate-per-minute", FIELD_NUMBER, AT(rate_per_minute),
	    FIELD_LISTED | FIELD_UNLIMITED, "0", "N", NULL, 0, 0,
	    "speed limit; 0: none (default)" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	(void)c;
	((struct admin_ip *)row)->network = key;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	return cli_dup(c, slice_str(((const struct admin_ip *)row)->network));
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	return admin_ip_get(s->admin, key, &s->cli->arena, row_r);
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_ip_add(s->admin, row);
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_ip_set(s->admin, row);
}

static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	(void)whole;
	return admin_ip_remove(s->admin, key);
}

static bool
on_row(void *ctx, const struct admin_ip *row)
{
	struct visit *v = ctx;

	return v->fn(v->ctx, row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	return admin_ip_each(s->admin, account, on_row, &(struct visit){ fn, ctx });
}

const struct kind kind_ip = {
	.name = "ip",
	.plural = "IP identities",
	.key = "NETWORK",
	.key_json = "network",
	.size = sizeof(struct admin_ip),
	.fields = fields,
	.set_key = set_key,
	.key_of = key_of,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
	.of_account = true,
};
