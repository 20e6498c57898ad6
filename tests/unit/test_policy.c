/* SPDX-License-Identifier: Apache-2.0 */
/* policy: who may send (BEHAVIOUR 4) and by which route (R1, R6, S3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/rules/policy.h"

static struct profile profiles[] = {
	{ .id = 7, .name = "first" },
	{ .id = 8, .name = "second" },
};

static struct sender
a_sender(bool can_send, size_t profiles_n)
{
	return (struct sender){
		.account = {
			.plan = { .can_send = can_send },
			.profiles = profiles,
			.profiles_n = profiles_n,
			.owner_verified = true,
		},
	};
}

static const int64_t in_2026_march = 1772323200;

static void
states_refuse_in_order(void **state)
{
	(void)state;
	static const struct {
		enum account_state account;
		enum mailbox_state mailbox;
		bool is_address;
		enum reply_id want;
	} cases[] = {
		{ ACCOUNT_ACTIVE, MAILBOX_ACTIVE, false, SAY_NONE },
		{ ACCOUNT_CLOSED, MAILBOX_ACTIVE, false, SAY_USER_BLOCKED },
		{ ACCOUNT_ACTIVE, MAILBOX_BLOCKED, false, SAY_USER_BLOCKED },
		{ ACCOUNT_ACTIVE, MAILBOX_BLOCKED, true, SAY_ADDRESS_BLOCKED },
		{ ACCOUNT_ACTIVE, MAILBOX_PAUSED_OWNER, false, SAY_MAILBOX_PAUSED },
		{ ACCOUNT_ACTIVE, MAILBOX_PAUSED_ADMIN, false, SAY_MAILBOX_PAUSED },
		{ ACCOUNT_ACTIVE, MAILBOX_PAUSED_ABUSE, false, SAY_MAILBOX_PAUSED },
		{ ACCOUNT_SUSPENDED_BILLING, MAILBOX_ACTIVE, false, SAY_SUSPENDED_BILLING },
		{ ACCOUNT_SUSPENDED_DELIVERABILITY, MAILBOX_ACTIVE, false,
		    SAY_SUSPENDED_DELIVERABILITY },
		{ ACCOUNT_SUSPENDED_ABUSE, MAILBOX_ACTIVE, false, SAY_SUSPENDED_ABUSE },
		/* blocked comes before suspended */
		{ ACCOUNT_SUSPENDED_BILLING, MAILBOX_BLOCKED, false, SAY_USER_BLOCKED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sender s = a_sender(true, 0);

		s.account.state = cases[i].account;
		s.state = cases[i].mailbox;
		s.is_address = cases[i].is_address;
		assert_int_equal(policy_sender(&s, in_2026_march), cases[i].want);
	}
}

static void
owner_has_seven_days_from_2026_02_19(void **state)
{
	(void)state;
	static const int64_t first_day = 1771459200; /* 2026-02-19 00:00 UTC */
	static const int64_t week = 7 * 24 * 3600;
	static const struct {
		int64_t registered, now;
		bool verified;
		enum reply_id want;
	} cases[] = {
		{ first_day, first_day + week - 1, false, SAY_NONE },
		{ first_day, first_day + week, false, SAY_UNVERIFIED_OWNER },
		{ first_day, first_day + week, true, SAY_NONE },
		{ first_day - 1, first_day + 100 * week, false, SAY_NONE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sender s = a_sender(true, 0);

		s.account.registered = cases[i].registered;
		s.account.owner_verified = cases[i].verified;
		assert_int_equal(policy_sender(&s, cases[i].now), cases[i].want);
	}
}

static enum reply_id
route_of(struct sender *s, const char *domain, struct way *r)
{
	struct path from = { .local = SLICE("a"), .domain = slice_str(domain) };

	return policy_route(s, &from, r);
}

/* Native leads nowhere where there is no server of ours. */
static void
native_needs_a_server(void **state)
{
	struct way r = { .profile = NULL };

	(void)state;
	assert_int_equal(policy_native(&r, true), SAY_NONE);
	assert_int_equal(policy_native(&r, false), SAY_NO_ROUTE);
	r = (struct way){ .has_fallback = true, .fallback = &profiles[1] };
	assert_int_equal(policy_native(&r, true), SAY_NONE);
	assert_null(r.profile);
	assert_int_equal(policy_native(&r, false), SAY_NONE);
	assert_ptr_equal(r.profile, &profiles[1]);
	assert_false(r.has_fallback);
	r = (struct way){ .profile = &profiles[0], .has_fallback = true };
	assert_int_equal(policy_native(&r, false), SAY_NONE);
	assert_ptr_equal(r.profile, &profiles[0]);
	assert_false(r.has_fallback);
	r = (struct way){ .has_fallback = true };
	assert_int_equal(policy_native(&r, false), SAY_NO_ROUTE);
}

static void
routes_follow_domain_account_plan(void **state)
{
	(void)state;
	struct domain domains[] = {
		{ .name = "like-account.example", .route = { .kind = ROUTE_INHERIT } },
		{ .name = "native.example", .route = { .kind = ROUTE_NATIVE } },
		{ .name = "own.example", .route = { .kind = ROUTE_PROFILE, .profile = 8 } },
	};
	struct sender s = a_sender(true, 2);
	struct way r;

	s.account.domains = domains;
	s.account.domains_n = 3;
	assert_int_equal(route_of(&s, "elsewhere.example", &r), SAY_NONE);
	assert_null(r.profile);
	s.account.route = (struct route){ .kind = ROUTE_PROFILE, .profile = 7 };
	assert_int_equal(route_of(&s, "like-account.example", &r), SAY_NONE);
	assert_ptr_equal(r.profile, &profiles[0]);
	assert_int_equal(route_of(&s, "OWN.example", &r), SAY_NONE);
	assert_ptr_equal(r.profile, &profiles[1]);
	assert_int_equal(route_of(&s, "native.example", &r), SAY_NONE);
	assert_null(r.profile);
	s.account.plan.can_send = false;
	assert_int_equal(route_of(&s, "native.example", &r), SAY_PLAN_CANNOT_SEND);
	assert_int_equal(route_of(&s, "own.example", &r), SAY_NONE);
}

static void
nano_sends_by_its_only_profile(void **state)
{
	(void)state;
	struct way r;
	struct sender none = a_sender(false, 0);
	struct sender one = a_sender(false, 1);
	struct sender two = a_sender(false, 2);

	assert_int_equal(route_of(&none, "a.example", &r), SAY_PLAN_CANNOT_SEND);
	assert_int_equal(route_of(&one, "a.example", &r), SAY_NONE);
	assert_ptr_equal(r.profile, &profiles[0]);
	assert_int_equal(route_of(&two, "a.example", &r), SAY_PLAN_CANNOT_SEND);
}

static void
a_route_to_nowhere_is_said(void **state)
{
	(void)state;
	struct way r;
	struct sender s = a_sender(true, 1);

	s.account.route = (struct route){ .kind = ROUTE_PROFILE, .profile = 99 };
	assert_int_equal(route_of(&s, "a.example", &r), SAY_PROFILE_MISSING);
}

static void
fallback_only_where_asked_and_allowed(void **state)
{
	(void)state;
	struct way r;
	struct sender s = a_sender(true, 2);

	s.account.route = (struct route){ .kind = ROUTE_PROFILE, .profile = 7 };
	assert_int_equal(route_of(&s, "a.example", &r), SAY_NONE);
	assert_false(r.has_fallback);
	s.account.route.fallback = ROUTE_NATIVE;
	assert_int_equal(route_of(&s, "a.example", &r), SAY_NONE);
	assert_true(r.has_fallback);
	assert_null(r.fallback);
	s.account.plan.can_send = false;
	assert_int_equal(route_of(&s, "a.example", &r), SAY_NONE);
	assert_false(r.has_fallback);
	s.account.route.fallback = ROUTE_PROFILE;
	s.account.route.fallback_profile = 8;
	assert_int_equal(route_of(&s, "a.example", &r), SAY_NONE);
	assert_true(r.has_fallback);
	assert_ptr_equal(r.fallback, &profiles[1]);
}

/* Every row of the catalogue has an enhanced code of its own class (RFC 3463), except 354 (RFC 2034
 * 3). */
static void
catalogue_is_consistent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SAY_COUNT; i++) {
		const struct reply_row *row = reply_row((enum reply_id)i);

		if (row->code == 354) {
			assert_int_equal(row->enhanced.cls, 0);
			continue;
		}
		assert_int_equal(row->enhanced.cls, row->code / 100);
		assert_true(slice_is_ascii(slice_str(row->text)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_refuse_in_order),
		cmocka_unit_test(owner_has_seven_days_from_2026_02_19),
		cmocka_unit_test(routes_follow_domain_account_plan),
		cmocka_unit_test(native_needs_a_server),
		cmocka_unit_test(nano_sends_by_its_only_profile),
		cmocka_unit_test(a_route_to_nowhere_is_said),
		cmocka_unit_test(fallback_only_where_asked_and_allowed),
		cmocka_unit_test(catalogue_is_consistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
