/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules/policy.h"

/* Accounts registered from then on must confirm the owner's address within the grace (S2):
 * 2026-02-19 00:00 UTC. */
enum { GRACE_S = 7 * 24 * 3600 };
static const int64_t confirm_since = 1771459200;

static enum reply_id
identity(const struct sender *s)
{
	if (s->account.state == ACCOUNT_CLOSED)
		return SAY_USER_BLOCKED;
	switch (s->state) {
	case MAILBOX_ACTIVE:
		return SAY_NONE;
	case MAILBOX_BLOCKED:
		return s->is_address ? SAY_ADDRESS_BLOCKED : SAY_USER_BLOCKED;
	case MAILBOX_PAUSED_OWNER:
	case MAILBOX_PAUSED_ADMIN:
	case MAILBOX_PAUSED_ABUSE:
		return SAY_MAILBOX_PAUSED;
	}
	return SAY_USER_BLOCKED;
}

enum reply_id
policy_suspension(const struct sender *s)
{
	switch (s->account.state) {
	case ACCOUNT_ACTIVE:
		return SAY_NONE;
	case ACCOUNT_SUSPENDED_BILLING:
		return SAY_SUSPENDED_BILLING;
	case ACCOUNT_SUSPENDED_DELIVERABILITY:
		return SAY_SUSPENDED_DELIVERABILITY;
	case ACCOUNT_SUSPENDED_ABUSE:
		return SAY_SUSPENDED_ABUSE;
	case ACCOUNT_CLOSED:
		return SAY_USER_BLOCKED;
	}
	return SAY_SUSPENDED_ABUSE;
}

int64_t
policy_owner_until(const struct account *a)
{
	if (a->owner_verified || a->registered < confirm_since)
		return INT64_MAX;
	return a->registered + GRACE_S;
}

enum reply_id
policy_owner(const struct sender *s, int64_t now_s)
{
	return now_s < policy_owner_until(&s->account) ? SAY_NONE : SAY_UNVERIFIED_OWNER;
}

enum reply_id
policy_sender(const struct sender *sender, int64_t now_s)
{
	enum reply_id no = identity(sender);

	if (no == SAY_NONE)
		no = policy_suspension(sender);
	return no == SAY_NONE ? policy_owner(sender, now_s) : no;
}

enum reply_id
policy_route(const struct sender *sender, const struct path *from, struct way *way_r)
{
	*way_r = account_route(&sender->account, from->domain);
	switch (way_r->result) {
	case ROUTED:
		return SAY_NONE;
	case ROUTED_NOT:
		return SAY_PLAN_CANNOT_SEND;
	case ROUTED_TO_NOTHING:
		break;
	}
	return SAY_PROFILE_MISSING;
}

enum reply_id
policy_native(struct way *way, bool has_mta)
{
	if (has_mta)
		return SAY_NONE;
	if (way->has_fallback && !way->fallback)
		way->has_fallback = false;
	/* Where the first route leads nowhere, the other one is the only one. */
	if (!way->profile && way->has_fallback)
		*way = (struct way){ .profile = way->fallback };
	return way->profile ? SAY_NONE : SAY_NO_ROUTE;
}
