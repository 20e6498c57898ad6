/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

const char *const words_mailbox_state[] = {
	[MAILBOX_ACTIVE] = "active",
	[MAILBOX_PAUSED_OWNER] = "paused_owner",
	[MAILBOX_PAUSED_ADMIN] = "paused_admin",
	[MAILBOX_PAUSED_ABUSE] = "paused_abuse",
	[MAILBOX_BLOCKED] = "blocked",
	NULL,
};

#define AT(member) offsetof(struct admin_mailbox, member)

static const struct field fields[] = {
	{ "account", NULL, FIELD_NAME, AT(account), FIELD_OUT | FIELD_LISTED, NULL, NULL, NULL, 0,
	    0, "whose it is: its domain's" },
	{ "state", "state", FIELD_WORD, AT(state), FIELD_LISTED, "active", "STATE",
	    words_mailbox_state, 0, 0,
	    "active (default), paused_owner, paused_admin, paused_abuse, blocked" },
	{ "sandboxed", "sandboxed", FIELD_BOOL, AT(sandboxed), FIELD_LISTED, "no", "yes|no", NULL,
	    0, 0, "mail is accepted and discarded: a test lane (default no)" },
	{ "rate_per_minute", "rate-per-minute", FIELD_NUMBER, AT(rate_per_minute),
	    FIELD_LISTED | FIELD_UNLIMITED, "0", "N", NULL, 0, 0,
	    "speed limit; 0: none (default)" },
	{ "has_password", NULL, FIELD_BOOL, AT(has_password), FIELD_OUT, NULL, NULL, NULL, 0, 0,
	    "whether it can log in" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	(void)c;
	((struct admin_mailbox *)row)->address = key;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	return cli_dup(c, slice_str(((const struct admin_mailbox *)row)->address));
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	return admin_mailbox_get(s->admin, key, &s->cli->arena, row_r);
}

static enum admin_result
set_hash(struct store *s, const struct admin_mailbox *row, const struct credential *cred)
{
	if (!cred || !cred->given)
		return ADMIN_OK;
	return admin_mailbox_set_hash(s->admin, row->address, cred->hash);
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	enum admin_result r = admin_mailbox_add(s->admin, row);

	return r == ADMIN_OK ? set_hash(s, row, cred) : r;
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	enum admin_result r = admin_mailbox_set(s->admin, row);

	return r == ADMIN_OK ? set_hash(s, row, cred) : r;
}

static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	(void)whole;
	return admin_mailbox_remove(s->admin, key);
}

static bool
on_row(void *ctx, const struct admin_mailbox *row)
{
	struct visit *v = ctx;

	return v->fn(v->ctx, row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	return admin_mailbox_each(s->admin, account, on_row, &(struct visit){ fn, ctx });
}

const struct kind kind_mailbox = {
	.name = "mailbox",
	.plural = "mailboxes",
	.key = "ADDRESS",
	.key_json = "address",
	.size = sizeof(struct admin_mailbox),
	.fields = fields,
	.password = KIND_HASHED,
	.set_key = set_key,
	.key_of = key_of,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
	.of_account = true,
};
