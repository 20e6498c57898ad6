/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router: whose a domain is, and which way its mail goes. Pure.
 */
#include "conf/directory/directory.h"

static int
compare_names(struct slice a, struct slice b)
{
	int sign = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return sign ? sign : (a.n > b.n) - (a.n < b.n);
}

const struct domain *
account_domain(const struct account *a, struct slice name)
{
	char lower[256];
	size_t from = 0;
	size_t to = a->domains_n;

	if (name.n == 0 || name.n > sizeof(lower))
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		lower[i] =
		    name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int sign =
		    compare_names(slice_of(lower, name.n), slice_str(a->domains[middle].name));

		if (sign == 0)
			return &a->domains[middle];
		if (sign < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

enum senders_rule
account_senders_rule(const struct account *a)
{
	switch (a->senders) {
	case ACCOUNT_SENDERS_INHERIT:
		return a->plan.senders;
	case ACCOUNT_SENDERS_VERIFIED:
		return SENDERS_VERIFIED;
	case ACCOUNT_SENDERS_ANY:
		return SENDERS_ANY;
	case ACCOUNT_SENDERS_OWN:
		break;
	}
	return SENDERS_OWN;
}

struct slice
sender_domain(const struct sender *s)
{
	struct slice name = slice_str(s->name);
	size_t at = slice_find(name, '@');

	return s->is_address || at == name.n ? SLICE("") : slice_skip(name, at + 1);
}

static const struct profile *
find_profile(const struct account *a, uint64_t id)
{
	size_t from = 0;
	size_t to = a->profiles_n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (a->profiles[middle].id == id)
			return &a->profiles[middle];
		if (a->profiles[middle].id > id)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* A fallback that the plan does not allow, or that is gone, is none. */
static void
add_fallback(const struct account *a, const struct route *r, struct way *way)
{
	if (r->fallback == ROUTE_NATIVE)
		way->has_fallback = a->plan.can_send;
	else if (r->fallback == ROUTE_PROFILE)
		way->has_fallback = (way->fallback = find_profile(a, r->fallback_profile)) != NULL;
}

struct way
account_route(const struct account *a, struct slice domain)
{
	const struct domain *d = account_domain(a, domain);
	struct route r = d && d->route.kind != ROUTE_INHERIT ? d->route : a->route;
	struct way way = { .result = ROUTED };

	if (r.kind == ROUTE_INHERIT && !a->plan.can_send && a->profiles_n == 1) {
		way.profile = &a->profiles[0];
		return way;
	}
	if (r.kind == ROUTE_PROFILE) {
		way.profile = find_profile(a, r.profile);
		way.result = way.profile ? ROUTED : ROUTED_TO_NOTHING;
	} else if (!a->plan.can_send) {
		way.result = ROUTED_NOT;
	}
	if (way.result == ROUTED)
		add_fallback(a, &r, &way);
	return way;
}
