/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/entity.h"

#include "conf/directory/admin.h"

/* clang-format off */
#define ROW_TYPE struct plan
static const struct column plan_columns[] = {
#define AS_ROW_TABLE "conf/directory/plan.def"
#include "conf/directory/columns.def"
	{ 0 },
};
const struct column snapshot_plan[] = {
#define AS_SNAPSHOT_TABLE "conf/directory/plan.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct admin_account
static const struct column account_columns[] = {
#define AS_ROW_TABLE "conf/directory/account.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE
#define ROW_TYPE struct account
const struct column snapshot_account[] = {
#define AS_SNAPSHOT_TABLE "conf/directory/account.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct admin_profile
static const struct column profile_columns[] = {
#define AS_ROW_TABLE "conf/directory/profile.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE
#define ROW_TYPE struct profile
const struct column snapshot_profile[] = {
#define AS_SNAPSHOT_TABLE "conf/directory/profile.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct admin_domain
static const struct column domain_columns[] = {
#define AS_ROW_TABLE "conf/directory/domain.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE
#define ROW_TYPE struct domain
const struct column snapshot_domain[] = {
#define AS_SNAPSHOT_TABLE "conf/directory/domain.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct admin_mailbox
static const struct column mailbox_columns[] = {
#define AS_ROW_TABLE "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct admin_ip
static const struct column ip_columns[] = {
#define AS_ROW_TABLE "conf/directory/ip.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE

#define ROW_TYPE struct sender
const struct column snapshot_identity[] = {
#define AS_SNAPSHOT_TABLE "conf/directory/identity.def"
#include "conf/directory/columns.def"
	{ 0 },
};
#undef ROW_TYPE
/* clang-format on */

const struct entity entity_plan = { "plan", plan_columns, 1, sizeof(struct plan) };
const struct entity entity_account = { "account", account_columns, 1,
	sizeof(struct admin_account) };
const struct entity entity_profile = { "profile", profile_columns, 2,
	sizeof(struct admin_profile) };
const struct entity entity_domain = { "domain", domain_columns, 1, sizeof(struct admin_domain) };
const struct entity entity_mailbox = { "mailbox", mailbox_columns, 1,
	sizeof(struct admin_mailbox) };
const struct entity entity_ip = { "ip", ip_columns, 1, sizeof(struct admin_ip) };

/* Accounts before what is theirs, profiles before the domains that route to them. */
const struct entity *const entities[] = { &entity_plan, &entity_account, &entity_profile,
	&entity_domain, &entity_mailbox, &entity_ip, NULL };

bool
column_is_text(const struct column *c)
{
	return c->type == COLUMN_TEXT || c->type == COLUMN_NAME || c->type == COLUMN_PEM ||
	    c->type == COLUMN_HOST || c->type == COLUMN_PIN || c->type == COLUMN_LIST;
}

const char **
column_text(const struct column *c, void *row)
{
	return (const char **)(void *)((char *)row + c->at);
}

static size_t
value_size(const struct column *c)
{
	switch (c->type) {
	case COLUMN_BOOL:
		return sizeof(bool);
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
	case COLUMN_DATE:
		return sizeof(uint64_t);
	case COLUMN_SMALL:
	case COLUMN_WORD:
		return sizeof(unsigned);
	case COLUMN_ROUTE:
		return sizeof(struct admin_route);
	case COLUMN_ROUTE_IDS:
		return sizeof(struct route);
	case COLUMN_FALLBACK:
		return 0;
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_PEM:
	case COLUMN_HOST:
	case COLUMN_PIN:
	case COLUMN_LIST:
		break;
	}
	return sizeof(const char *);
}

void
columns_copy(const struct column *to_columns, void *to, const struct column *from_columns,
    const void *from)
{
	for (const struct column *t = to_columns; t->name; t++) {
		const struct column *f = from_columns;

		while (f->name && (f->type != t->type || strcmp(f->name, t->name) != 0))
			f++;
		if (f->name)
			memcpy((char *)to + t->at, (const char *)from + f->at, value_size(t));
		else if (column_is_text(t))
			*column_text(t, to) = "";
	}
}
