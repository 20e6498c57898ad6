/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

static const char *const words_unit[] = {
	[COUNT_RECIPIENTS] = "recipients", [COUNT_MESSAGES] = "messages", NULL
};

#define AT(member) offsetof(struct plan, member)

static const struct field fields[] = {
	{ "can_send", "can-send", FIELD_BOOL, AT(can_send), FIELD_LISTED, "yes", "yes|no", NULL, 0,
	    0, "may send by the native pool; an own upstream is open to all plans (default yes)" },
	{ "unit", "unit", FIELD_WORD, AT(unit), FIELD_LISTED, "recipients", "UNIT", words_unit, 0,
	    0, "what is counted: recipients (default) or messages" },
	{ "mailbox_day", "mailbox-day", FIELD_NUMBER, AT(mailbox_day),
	    FIELD_LISTED | FIELD_UNLIMITED, "0", "N", NULL, 0, 0,
	    "a day, each mailbox; 0: no limit (default)" },
	{ "account_day", "account-day", FIELD_NUMBER, AT(account_day),
	    FIELD_LISTED | FIELD_UNLIMITED, "0", "N", NULL, 0, 0,
	    "a day, the whole account; 0: no limit (default)" },
	{ "account_hour", "account-hour", FIELD_NUMBER, AT(account_hour),
	    FIELD_LISTED | FIELD_UNLIMITED, "0", "N", NULL, 0, 0,
	    "an hour, the whole account; 0: no limit (default)" },
	{ "recipients", "recipients", FIELD_NUMBER, AT(recipients), FIELD_LISTED, "100", "N", NULL,
	    1, 0, "recipients of one message (default 100)" },
	{ "size_max", "size-max", FIELD_SIZE, AT(size_max), FIELD_LISTED, "26214400", "OCTETS",
	    NULL, 1, 0, "size of one message, 25M for instance (the default)" },
	{ "monthly", "monthly", FIELD_NUMBER, AT(monthly), FIELD_LISTED | FIELD_UNLIMITED, "0", "N",
	    NULL, 0, 0, "monthly allowance; 0: no limit (default)" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	(void)c;
	((struct plan *)row)->name = key;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	return cli_dup(c, slice_str(((const struct plan *)row)->name));
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	return admin_plan_get(s->admin, key, &s->cli->arena, row_r);
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_plan_add(s->admin, row);
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	(void)cred;
	return admin_plan_set(s->admin, row);
}

static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	(void)whole;
	return admin_plan_remove(s->admin, key);
}

static bool
on_row(void *ctx, const struct plan *row)
{
	struct visit *v = ctx;

	return v->fn(v->ctx, row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	(void)account;
	return admin_plan_each(s->admin, on_row, &(struct visit){ fn, ctx });
}

const struct kind kind_plan = {
	.name = "plan",
	.plural = "plans",
	.key = "PLAN",
	.key_json = "name",
	.size = sizeof(struct plan),
	.fields = fields,
	.set_key = set_key,
	.key_of = key_of,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
};
