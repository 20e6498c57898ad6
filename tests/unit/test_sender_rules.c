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
with(bool restricts, enum senders_rule rule)
{
	bool verifies = rule != SENDERS_ANY;

	return (struct sender){ .account = {
		                    .domains = domains,
		                    .domains_n = 3,
		                    .restrict_senders = restricts,
		                    .plan = { .senders = rule },
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

static enum reply_id
judge(const struct sender *s, unsigned n, struct slice value, bool cut)
{
	struct mailboxes all;
	enum reply_id no = sender_rules_read(s, n, value, cut, &all);

	return no == SAY_NONE ? sender_rules_from(s, &all) : no;
}

static void
judges_from(void **state)
{
	struct sender neither = with(false, SENDERS_ANY), restricts = with(true, SENDERS_ANY);
	struct sender verifies = with(false, SENDERS_VERIFIED), both = with(true, SENDERS_VERIFIED);

	(void)state;
	for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]); i++) {
		struct slice v = slice_str(froms[i].value);
		enum reply_id r = judge(&restricts, 1, v, false);
		enum reply_id first =
		    froms[i].verifies != SAY_NONE ? froms[i].verifies : froms[i].restricts;

		if (r != froms[i].restricts || judge(&verifies, 1, v, false) != froms[i].verifies)
			fail_msg("%s", froms[i].value);
		assert_int_equal(judge(&both, 1, v, false), first);
		assert_int_equal(judge(&neither, 1, v, false), SAY_NONE);
		assert_int_equal(judge(&both, 2, v, false), SAY_FROM_TWICE);
		assert_int_equal(judge(&both, 0, SLICE(""), false), SAY_FROM_MISSING);
		assert_int_equal(judge(&both, 1, v, true), SAY_FROM_UNREADABLE);
	}
}

/* S6: what each rule makes of an address, in the envelope and in From:, and whether the directory
 * must say whose its domain is. */
static const struct {
	const char *address;
	bool own, verified, asks;
} names[] = {
	{ "a@a.example", true, true, false },
	{ "A@A.EXAMPLE", true, true, false },
	{ "a@b.example", true, false, false },
	{ "single@other.example", true, true, true },
	{ "double@other.example", false, false, true },
	{ "a@sub.a.example", false, false, true },
	{ "a@[192.0.2.1]", false, false, false },
};

static void
knows_own_names(void **state)
{
	struct sender rules[] = { with(false, SENDERS_OWN), with(false, SENDERS_VERIFIED),
		with(false, SENDERS_ANY) };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice text = slice_str(names[i].address);
		struct path p;

		assert_true(path_parse_bare(text, &p));
		enum reply_id own = names[i].own ? SAY_NONE : SAY_SENDER_NOT_ALLOWED;
		enum reply_id verifies = names[i].verified ? SAY_NONE : SAY_FROM_NOT_VERIFIED;

		assert_int_equal(sender_rules_envelope(&rules[0], &p), own);
		assert_int_equal(sender_rules_envelope(&rules[1], &p), SAY_NONE);
		assert_int_equal(sender_rules_envelope(&rules[2], &p), SAY_NONE);
		assert_int_equal(judge(&rules[0], 1, text, false), own);
		assert_int_equal(judge(&rules[1], 1, text, false), verifies);
		assert_int_equal(judge(&rules[2], 1, text, false), SAY_NONE);
		for (size_t r = 0; r < 3; r++)
			assert_int_equal(sender_rules_must_ask(&rules[r], &p), names[i].asks);
	}
	assert_int_equal(judge(&rules[0], 0, SLICE(""), false), SAY_NONE);
	assert_int_equal(judge(&rules[0], 2, SLICE("a@a.example,a@a.example"), false),
	    SAY_FROM_TWICE);
	assert_int_equal(judge(&rules[0], 1, SLICE("root"), false), SAY_FROM_UNREADABLE);
	assert_int_equal(sender_rules_owner(LOGIN_OK), SAY_NONE);
	assert_int_equal(sender_rules_owner(LOGIN_REFUSED), SAY_SENDER_NOT_ALLOWED);
	assert_int_equal(sender_rules_owner(LOGIN_UNAVAILABLE), SAY_DIRECTORY_DOWN);
}

/* An account says it over its plan. */
static void
inherits(void **state)
{
	static const enum senders_rule want[] = {
		[ACCOUNT_SENDERS_INHERIT] = SENDERS_VERIFIED,
		[ACCOUNT_SENDERS_OWN] = SENDERS_OWN,
		[ACCOUNT_SENDERS_VERIFIED] = SENDERS_VERIFIED,
		[ACCOUNT_SENDERS_ANY] = SENDERS_ANY,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct account a = { .plan = { .senders = SENDERS_VERIFIED },
			.senders = (enum account_senders)i };

		assert_int_equal(account_senders_rule(&a), want[i]);
	}
}

/* Where any name may be used, what cannot be read still tells whose domains are in it. */
static void
finds_domains_in_rubbish(void **state)
{
	static const struct {
		const char *value;
		const char *domains;
	} cases[] = {
		{ "boss @ victim.example <a@a.example>", "victim.example a.example " },
		{ "x <boss@victim.example", "victim.example " },
		{ "root", "" },
		{ "a@@b.example>,c@", "b.example " },
		{ "=?utf-8?Q?x?=@victim.example", "victim.example " },
		{ "a@a.example,b@b.example", "a.example b.example " },
	};
	struct sender any = with(false, SENDERS_ANY);
	struct mailboxes all;
	char many[2 * (MAILBOXES_MAX + 1) * 4];
	struct text t = text_over(many, sizeof(many));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[256];
		struct text got = text_over(mem, sizeof(mem));

		assert_int_equal(sender_rules_read(&any, 2, slice_str(cases[i].value), false, &all),
		    SAY_NONE);
		for (size_t k = 0; k < all.n; k++)
			text_fmt(&got, "%.*s ", SLICE_FMT(all.at[k].domain));
		assert_string_equal(all.n ? mem : "", cases[i].domains);
	}
	for (size_t i = 0; i <= MAILBOXES_MAX; i++)
		text_put(&t, SLICE("x@y<"));
	assert_int_equal(sender_rules_read(&any, 1, text_slice(&t), false, &all),
	    SAY_FROM_UNREADABLE);
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
	struct sender neither = with(false, SENDERS_ANY), restricts = with(true, SENDERS_ANY);
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
		cmocka_unit_test(knows_own_names),
		cmocka_unit_test(inherits),
		cmocka_unit_test(finds_domains_in_rubbish),
		cmocka_unit_test(judges_the_envelope),
		cmocka_unit_test(a_failure_is_not_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
