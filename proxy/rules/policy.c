/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules/policy.h"

/* Accounts registered from then on must confirm the owner's address within the grace (S2):
 * 2026-02-19 00:00 UTC. */
enum { GRACE_S = 7 * 24 * 3600 };
static const int64_t confirm_since = 1771459200;

enum reply_id
policy_identity(const struct sender *s)
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
	enum reply_id no = policy_identity(sender);

	if (no == SAY_NONE)
		no = policy_suspension(sender);
	return no == SAY_NONE ? policy_owner(sender, now_s) : no;
}

/* The domain's route, else the account's; ROUTE_INHERIT where neither says anything. */
static struct route
route_as_set(const struct account *a, struct slice domain)
{
	for (size_t i = 0; i < a->domains_n; i++)
		if (slice_eq_nocase(slice_str(a->domains[i].name), domain) &&
		    a->domains[i].route.kind != ROUTE_INHERIT)
			return a->domains[i].route;
	return a->route;
}

static enum reply_id
find_profile(const struct sender *s, uint64_t id, const struct profile **profile_r)
{
	*profile_r = sender_profile(s, id);
	return *profile_r != NULL ? SAY_NONE : SAY_PROFILE_MISSING;
}

enum reply_id
policy_route(const struct sender *sender, const struct path *from, struct policy_route *route_r)
{
	const struct account *a = &sender->account;
	struct route r = route_as_set(a, from->domain);
	enum reply_id no = SAY_NONE;

	*route_r = (struct policy_route){ 0 };
	/* With nothing set: native where the plan can send (R1), else the account's own upstream if
	 * it has just one (S3). */
	if (r.kind == ROUTE_INHERIT && !a->plan.can_send && a->profiles_n == 1) {
		route_r->profile = &a->profiles[0];
		return SAY_NONE;
	}
	if (r.kind == ROUTE_PROFILE)
		no = find_profile(sender, r.profile, &route_r->profile);
	else if (!a->plan.can_send)
		no = SAY_PLAN_CANNOT_SEND;
	if (no != SAY_NONE)
		return no;
	/* A fallback that the plan does not allow, or that is gone, is none. */
	if (r.fallback == ROUTE_NATIVE)
		route_r->has_fallback = a->plan.can_send;
	else if (r.fallback == ROUTE_PROFILE)
		route_r->has_fallback =
		    find_profile(sender, r.fallback_profile, &route_r->fallback) == SAY_NONE;
	return SAY_NONE;
}

enum reply_id
policy_native(struct policy_route *route, bool has_mta)
{
	if (has_mta)
		return SAY_NONE;
	if (route->has_fallback && !route->fallback)
		route->has_fallback = false;
	/* Where the first route leads nowhere, the other one is the only one. */
	if (!route->profile && route->has_fallback)
		*route = (struct policy_route){ .profile = route->fallback };
	return route->profile ? SAY_NONE : SAY_NO_ROUTE;
}
