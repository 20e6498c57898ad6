/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules/sender_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct domain domains[] = {
	{ .name = "a.example", .verified = true },
	{ .name = "b.example", .verified = false },
	{ .name = "b\xc3\xbc.example", .verified = true },
};

static const char *allowed[] = { "@a.example", "one@b.example" };
static const char *verified[] = { "\"x y\"@other.example", "single@other.example" };

static struct sender
with(bool restricts, bool verifies)
{
	return (struct sender){ .account = {
		                    .domains = domains,
		                    .domains_n = 3,
		                    .restrict_senders = restricts,
		                    .require_verified_sender = verifies,
		                    .allowed = allowed,
		                    .allowed_n = restricts ? 2 : 0,
		                    .verified = verified,
		                    .verified_n = verifies ? 2 : 0,
		                } };
}

/* What each of the two switches alone makes of a From: field; both together: the first refusal. */
static const struct {
	const char *value;
	enum reply_id verifies, restricts;
} froms[] = {
	{ "a@a.example", SAY_NONE, SAY_NONE },
	{ "Boss <A@A.Example>", SAY_NONE, SAY_NONE },
	{ "a@b.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "one@b.example", SAY_FROM_NOT_VERIFIED, SAY_NONE },
	{ "One@B.EXAMPLE", SAY_FROM_NOT_VERIFIED, SAY_NONE },
	{ "\"one\"@b.example", SAY_FROM_NOT_VERIFIED, SAY_NONE },
	{ "single@other.example", SAY_NONE, SAY_SENDER_NOT_ALLOWED },
	{ "Single@Other.Example", SAY_NONE, SAY_SENDER_NOT_ALLOWED },
	{ "\"x\\ y\"@other.example", SAY_NONE, SAY_SENDER_NOT_ALLOWED },
	{ "double@other.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@sub.a.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@xa.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@[192.0.2.1]", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@b\xc3\xbc.example", SAY_NONE, SAY_SENDER_NOT_ALLOWED },
	{ "a@xn--b-xka.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },

	/* every address of it */
	{ "a@a.example, b@a.example", SAY_NONE, SAY_NONE },
	{ "a@a.example, boss@bank.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "boss@bank.example, a@a.example", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "G: a@a.example, boss@bank.example;", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "\"boss@bank.example\" <a@a.example>", SAY_NONE, SAY_NONE },
	{ "=?utf-8?Q?boss=40bank.example?= <a@a.example>", SAY_NONE, SAY_NONE },
	{ "a@a.example (boss@bank.example)", SAY_NONE, SAY_NONE },

	{ "", SAY_FROM_MISSING, SAY_FROM_MISSING },
	{ "G:;", SAY_FROM_MISSING, SAY_FROM_MISSING },
	{ "boss", SAY_FROM_UNREADABLE, SAY_FROM_UNREADABLE },
	{ "Boss @ bank.example <a@a.example>", SAY_FROM_UNREADABLE, SAY_FROM_UNREADABLE },

	/* S7 */
	{ "boss@bank.example <a@a.example>", SAY_FROM_NOT_VERIFIED, SAY_SENDER_NOT_ALLOWED },
	{ "a@a.example <a@a.example>", SAY_NONE, SAY_NONE },
	{ "[TICKET] Support <a@a.example>", SAY_NONE, SAY_NONE },
	{ "Doe, John <a@a.example>", SAY_NONE, SAY_NONE },
	{ "Doe, \"boss@bank.example\" <a@a.example>", SAY_FROM_NOT_VERIFIED,
	    SAY_SENDER_NOT_ALLOWED },
	{ "<<a@a.example>>", SAY_NONE, SAY_NONE },
	{ "a@a.example;", SAY_NONE, SAY_NONE },
	{ "=?utf-8?Q?boss=40bank.example=3E?=@a.example", SAY_FROM_UNREADABLE,
	    SAY_FROM_UNREADABLE },
};

static void
judges_from(void **state)
{
	struct sender neither = with(false, false), restricts = with(true, false);
	struct sender verifies = with(false, true), both = with(true, true);

	(void)state;
	assert_false(sender_rules_want_from(&neither));
	assert_true(sender_rules_want_from(&restricts) && sender_rules_want_from(&verifies));
	for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]); i++) {
		struct slice v = slice_str(froms[i].value);
		enum reply_id r = sender_rules_from(&restricts, 1, v, false);
		enum reply_id first =
		    froms[i].verifies != SAY_NONE ? froms[i].verifies : froms[i].restricts;

		if (r != froms[i].restricts ||
		    sender_rules_from(&verifies, 1, v, false) != froms[i].verifies)
			fail_msg("%s", froms[i].value);
		assert_int_equal(sender_rules_from(&both, 1, v, false), first);
		assert_int_equal(sender_rules_from(&neither, 1, v, false), SAY_NONE);
		assert_int_equal(sender_rules_from(&neither, 0, v, true), SAY_NONE);
		assert_int_equal(sender_rules_from(&both, 2, v, false), SAY_FROM_TWICE);
		assert_int_equal(sender_rules_from(&both, 0, SLICE(""), false), SAY_FROM_MISSING);
		assert_int_equal(sender_rules_from(&both, 1, v, true), SAY_FROM_UNREADABLE);
	}
}

static void
judges_the_envelope(void **state)
{
	static const struct {
		const char *address;
		bool allowed;
	} cases[] = {
		{ "x@a.example", true },
		{ "x@A.example", true },
		{ "x@sub.a.example", false },
		{ "one@b.example", true },
		{ "ONE@b.example", true },
		{ "two@b.example", false },
		{ "one@other.example", false },
	};
	struct sender neither = with(false, false), restricts = with(true, false);
	struct path null = { .null = true };

	(void)state;
	assert_int_equal(sender_rules_envelope(&restricts, &null), SAY_NONE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path p;

		if (!path_parse_bare(slice_str(cases[i].address), &p))
			continue;
		assert_int_equal(sender_rules_envelope(&neither, &p), SAY_NONE);
		if (sender_rules_envelope(&restricts, &p) !=
		    (cases[i].allowed ? SAY_NONE : SAY_SENDER_NOT_ALLOWED))
			fail_msg("%s", cases[i].address);
	}
}

static void
a_failure_is_not_a_refusal(void **state)
{
	(void)state;
	assert_int_equal(sender_rules_domain(MX_FOUND), SAY_NONE);
	assert_int_equal(sender_rules_domain(MX_NULL), SAY_UNROUTABLE_DOMAIN);
	assert_int_equal(sender_rules_domain(MX_NONE), SAY_UNROUTABLE_DOMAIN);
	assert_int_equal(sender_rules_domain(MX_UNKNOWN), SAY_SENDER_DNS_FAILED);
	assert_int_equal(replies_catalogue()[SAY_SENDER_DNS_FAILED].code, 451);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_from),
		cmocka_unit_test(judges_the_envelope),
		cmocka_unit_test(a_failure_is_not_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
