/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/verdict/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct reply
reply_of(const char *wire)
{
	struct reply r;
	size_t used;

	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_str(wire), &r, &used),
	    REPLY_WHOLE);
	return r;
}

struct row {
	enum phase phase;
	const char *said;
	enum verdict_class class;
	int code;
	const char *enhanced;
	const char *words; /* NULL: the class's */
};

static const struct row rows[] = {
	{ PHASE_GREETING, "421 4.3.2 busy\r\n", VERDICT_CONNECT, 451, "4.4.1", NULL },
	{ PHASE_GREETING, "554 go away\r\n", VERDICT_GREETING, 451, "4.3.2", NULL },
	{ PHASE_EHLO, "450 no\r\n", VERDICT_INTERNAL, 451, "4.3.0", NULL },
	{ PHASE_EHLO, "550 no\r\n", VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_STARTTLS, "454 TLS not available\r\n", VERDICT_TLS, 451, "4.7.5", NULL },
	{ PHASE_AUTH, "535 5.7.8 Authentication failed\r\n", VERDICT_AUTH, 554, "5.3.5", NULL },
	{ PHASE_AUTH, "534 5.7.9 application password\r\n", VERDICT_AUTH, 554, "5.3.5", NULL },
	{ PHASE_AUTH, "454 4.7.0 Temporary authentication failure\r\n", VERDICT_AUTH_TEMP, 451,
	    "4.3.0", NULL },
	{ PHASE_AUTH, "535 5.7.8 Too many connections per account\r\n", VERDICT_RATE, 451, "4.4.5",
	    "Too many connections per account" },
	{ PHASE_AUTH, "454 4.7.0 Too many login attempts, please try again later\r\n", VERDICT_RATE,
	    451, "4.4.5", "Too many login attempts, please try again later" },
	{ PHASE_AUTH, "451 Authentication failed: Maximum credits exceeded\r\n", VERDICT_QUOTA, 451,
	    "4.7.0", "Authentication failed: Maximum credits exceeded" },
	{ PHASE_AUTH, "504 5.7.4 no such mechanism\r\n", VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_AUTH, "535 Your account has been disabled\r\n", VERDICT_ACCOUNT, 554, "5.7.0",
	    "Your account has been disabled" },
	{ PHASE_MAIL, "530 5.7.0 Authentication required\r\n", VERDICT_AUTH, 554, "5.3.5", NULL },
	{ PHASE_MAIL, "530 5.7.0 Must issue a STARTTLS command first\r\n", VERDICT_CONFIG, 451,
	    "4.3.5", NULL },
	{ PHASE_MAIL, "553 5.1.8 no such domain\r\n", VERDICT_SENDER, 550, "5.7.1",
	    "no such domain" },
	{ PHASE_MAIL, "550 no\r\n", VERDICT_SENDER, 550, "5.7.1", "no" },
	{ PHASE_MAIL, "552 5.3.4 Message too big for system\r\n", VERDICT_SIZE, 552, "5.2.3",
	    "Message too big for system" },
	{ PHASE_MAIL, "552 quota? monthly email allowance is exhausted\r\n", VERDICT_QUOTA, 451,
	    "4.7.0", "quota? monthly email allowance is exhausted" },
	{ PHASE_MAIL, "452 4.3.1 Insufficient system storage\r\n", VERDICT_DEFERRED, 452, "4.3.1",
	    "Insufficient system storage" },
	{ PHASE_MAIL, "421 4.7.0 later\r\n", VERDICT_DEFERRED, 451, "4.7.0", "later" },
	{ PHASE_MAIL, "503 bad sequence\r\n", VERDICT_INTERNAL, 451, "4.3.0", NULL },
	{ PHASE_RCPT, "550 5.1.1 nobody\r\n", VERDICT_RCPT, 550, "5.1.1", "nobody" },
	{ PHASE_RCPT, "550 5.7.1 no, thanks\r\n", VERDICT_RCPT, 550, "5.7.1", "no, thanks" },
	{ PHASE_RCPT, "550 5.7.1 no relaying\r\n", VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_RCPT, "550 nobody\r\n", VERDICT_RCPT, 550, "5.0.0", "nobody" },
	{ PHASE_RCPT, "451 4.7.1 greylisted\r\n", VERDICT_RCPT, 451, "4.7.1", "greylisted" },
	{ PHASE_RCPT, "552 5.2.2 mailbox full, over quota\r\n", VERDICT_RCPT, 552, "5.2.2",
	    "mailbox full, over quota" },
	{ PHASE_RCPT, "452 4.5.3 too many recipients\r\n", VERDICT_TOO_MANY_RCPT, 452, "4.5.3",
	    "too many recipients" },
	{ PHASE_RCPT, "450 4.4.4 strange\r\n", VERDICT_RCPT, 450, "4.4.4", "strange" },
	{ PHASE_RCPT, "454 4.7.1 relay access denied\r\n", VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_RCPT, "432 4.2.1 x\r\n", VERDICT_RCPT, 451, "4.2.1", "x" },
	{ PHASE_RCPT, "538 5.7.11 x\r\n", VERDICT_RCPT, 554, "5.7.11", "x" },
	{ PHASE_RCPT, "550 4.1.1 classes differ\r\n", VERDICT_RCPT, 550, "5.0.0",
	    "classes differ" },
	{ PHASE_RCPT, "553 5.7.1 <a@b>: Sender address rejected: not owned by user x\r\n",
	    VERDICT_SENDER, 550, "5.7.1", "<a@b>: Sender address rejected: not owned by user x" },
	{ PHASE_RCPT, "550 5.6.7 utf8\r\n", VERDICT_NO_SMTPUTF8, 550, "5.6.7", NULL },
	{ PHASE_DATA, "451 4.3.0 no\r\n", VERDICT_DEFERRED, 451, "4.3.0", "no" },
	{ PHASE_DATA, "554 5.5.1 no\r\n", VERDICT_CONTENT, 554, "5.7.1", "no" },
	{ PHASE_DOT, "550 5.7.1 spam\r\n", VERDICT_CONTENT, 554, "5.7.1", "spam" },
	{ PHASE_DOT, "554 5.6.0 mime\r\n", VERDICT_MALFORMED, 554, "5.6.0", "mime" },
	{ PHASE_DOT, "552 5.2.3 long\r\n", VERDICT_SIZE, 552, "5.2.3", "long" },
	{ PHASE_DOT, "552 too big\r\n", VERDICT_SIZE, 552, "5.2.3", "too big" },
	{ PHASE_DOT, "550 You are temporarily blocked from sending\r\n", VERDICT_RATE, 451, "4.4.5",
	    "You are temporarily blocked from sending" },
	{ PHASE_DOT, "550 5.4.5 Daily user sending limit exceeded.\r\n", VERDICT_QUOTA, 451,
	    "4.7.0", "Daily user sending limit exceeded." },
	{ PHASE_DOT, "250 2.0.0 Ok: queued as 4F2\r\n", VERDICT_OK, 250, "2.0.0",
	    "Ok: queued as 4F2" },
	/* A limit in words, from any host. */
	{ PHASE_RCPT,
	    "550 Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed.\r\n",
	    VERDICT_QUOTA, 451, "4.7.0",
	    "Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed." },
	{ PHASE_DOT, "550 sorry, too many emails (#5.7.1)\r\n", VERDICT_RATE, 451, "4.4.5",
	    "sorry, too many emails (#5.7.1)" },
	{ PHASE_DOT, "452 4.5.3 Too many messages\r\n", VERDICT_RATE, 451, "4.4.5",
	    "Too many messages" },
	{ PHASE_DOT, "452 4.5.3 too many recipients\r\n", VERDICT_DEFERRED, 452, "4.5.3",
	    "too many recipients" },
	{ PHASE_RCPT, "450 4.7.1 <b@c.example>: Rate limit reached for recipient\r\n", VERDICT_RCPT,
	    450, "4.7.1", "<b@c.example>: Rate limit reached for recipient" },
	{ PHASE_RCPT, "550 5.2.1 receiving mail too quickly, try again later\r\n",
	    VERDICT_RCPT_BUSY, 451, "4.2.1", "receiving mail too quickly, try again later" },
	/* 552 alone is no size. */
	{ PHASE_DOT, "552 5.2.0 message content rejected, spam\r\n", VERDICT_CONTENT, 554, "5.7.1",
	    "message content rejected, spam" },
	{ PHASE_DOT, "552 5.2.2 mailbox of sender over quota\r\n", VERDICT_ACCOUNT, 554, "5.7.0",
	    "mailbox of sender over quota" },
	{ PHASE_DOT, "552 no\r\n", VERDICT_CONTENT, 554, "5.7.1", "no" },
	{ PHASE_DOT, "554 5.7.0 Message Size Violation\r\n", VERDICT_SIZE, 552, "5.2.3",
	    "Message Size Violation" },
	{ PHASE_DOT, "550 5.7.1 Sender rejected: From address is not one of your addresses\r\n",
	    VERDICT_SENDER, 550, "5.7.1",
	    "Sender rejected: From address is not one of your addresses" },
	/* The profile's trouble, not the recipient's. */
	{ PHASE_RCPT, "554 5.7.1 <b@c.example>: Relay access denied\r\n", VERDICT_CONFIG, 451,
	    "4.3.5", NULL },
	{ PHASE_RCPT, "550 5.7.1 Relaying denied. Proper authentication required.\r\n",
	    VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_RCPT, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using x\r\n",
	    VERDICT_CONFIG, 451, "4.3.5", NULL },
	{ PHASE_AUTH, "535 5.7.8 Error: authentication failed: generic failure\r\n",
	    VERDICT_AUTH_TEMP, 451, "4.3.0", NULL },
	{ PHASE_DOT, "250 fine\r\n", VERDICT_OK, 250, "2.0.0", "fine" },
	{ PHASE_RCPT, "251 2.1.5 will forward\r\n", VERDICT_OK, 250, "2.1.5", "will forward" },
	{ PHASE_DOT, "550-5.7.1 one\r\n550 5.7.1 two\r\n", VERDICT_CONTENT, 554, "5.7.1",
	    "one two" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct reply r = reply_of(row->said);
		char mem[VERDICT_TEXT_MAX];
		struct text words = text_over(mem, sizeof(mem));
		enum verdict_class class = verdict_class_of("custom", row->phase, &r);
		struct relay_verdict v = verdict_make(class, &r, SLICE(""), &words);
		char e[32];
		struct text t = text_over(e, sizeof(e));

		enhanced_write(&t, v.enhanced);
		if (class != row->class)
			fail_msg("%s: %s", row->said, verdict_word(class));
		if (v.code != row->code || strcmp(e, row->enhanced) != 0)
			fail_msg("%s: %d %s", row->said, v.code, e);
		if (row->words && !slice_eq(v.text, slice_str(row->words)))
			fail_msg("%s: %.*s", row->said, SLICE_FMT(v.text));
	}
}

/* Where a provider's words mean something else than its code. */
static const struct {
	const char *provider;
	enum phase phase;
	const char *said;
	enum verdict_class class;
} theirs[] = {
	{ "mailgun", PHASE_DATA, "421 Domain x is not allowed to send: Account disabled\r\n",
	    VERDICT_ACCOUNT },
	{ "mailgun", PHASE_DATA,
	    "421 Domain x is not allowed to send: The domain is unverified and so on\r\n",
	    VERDICT_SENDER },
	{ "mailgun", PHASE_DATA,
	    "421 Domain x is not allowed to send: request limit exceeded, try again after a day\r\n",
	    VERDICT_RATE },
	{ "sendgrid", PHASE_AUTH, "451 Authentication failed: Maximum credits exceeded\r\n",
	    VERDICT_QUOTA },
	{ "sendgrid", PHASE_DOT, "403 You are not authorized to send from that email address\r\n",
	    VERDICT_SENDER },
	{ "ses", PHASE_MAIL, "421 Maximum message count per session reached.\r\n",
	    VERDICT_RECONNECT },
	{ "ses", PHASE_AUTH, "535 Account not subscribed to SES\r\n", VERDICT_ACCOUNT },
	{ "ses", PHASE_DOT, "454 Throttling failure: Daily message quota exceeded\r\n",
	    VERDICT_QUOTA },
	{ "smtp2go", PHASE_RCPT, "550 Unrouteable address\r\n", VERDICT_RCPT },
	{ "smtp2go", PHASE_MAIL, "550 Unrouteable address\r\n", VERDICT_SENDER },
	{ "mailtrap", PHASE_AUTH, "535 5.7.8 Too many connections per account\r\n", VERDICT_RATE },
	{ "gmail", PHASE_DOT, "550 5.4.5 Daily user sending limit exceeded.\r\n", VERDICT_QUOTA },
	{ "microsoft", PHASE_AUTH,
	    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled\r\n",
	    VERDICT_CONFIG },
	{ "microsoft", PHASE_AUTH, "535 5.7.3 Authentication unsuccessful\r\n", VERDICT_AUTH },
	{ "microsoft", PHASE_MAIL, "530 5.7.57 Client not authenticated\r\n", VERDICT_CONFIG },
	{ "microsoft", PHASE_DOT, "432 4.3.2 Concurrent connections limit exceeded\r\n",
	    VERDICT_RATE },
	/* Another's words are nobody's. */
	{ "gmail", PHASE_DATA, "421 Domain x is not allowed to send: Free accounts\r\n",
	    VERDICT_DEFERRED },
	{ "", PHASE_MAIL, "421 Maximum message count per session reached.\r\n", VERDICT_RECONNECT },
};

static void
test_providers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		struct reply r = reply_of(theirs[i].said);
		enum verdict_class class =
		    verdict_class_of(theirs[i].provider, theirs[i].phase, &r);

		if (class != theirs[i].class)
			print_error("%s: %s: %s\n", theirs[i].provider, theirs[i].said,
			    verdict_word(class));
		assert_int_equal(class, theirs[i].class);
	}
}

static void
test_quota(void **state)
{
	struct reply r = reply_of("550 5.4.5 Daily user sending limit exceeded.\r\n");
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	struct relay_verdict v = verdict_make(VERDICT_QUOTA, &r, SLICE(""), &words);

	(void)state;
	assert_int_equal(v.code, 451);
	v = verdict_refuse_quota(v);
	assert_int_equal(v.code, 554);
	assert_int_equal(v.enhanced.cls * 100 + v.enhanced.subject * 10 + v.enhanced.detail, 570);
	assert_int_equal(verdict_at_rcpt(v).code, 550);
}

/* Whatever an upstream says in whatever phase: nothing that a client would misread. */
static void
test_never(void **state)
{
	static const int never[] = { 421, 432, 454, 530, 534, 535, 538 };

	(void)state;
	for (unsigned phase = 1; phase < PHASE_ANY; phase <<= 1) {
		for (int code = 400; code < 600; code++) {
			char said[64];
			char mem[VERDICT_TEXT_MAX];
			struct text words = text_over(mem, sizeof(mem));

			snprintf(said, sizeof(said), "%d some words\r\n", code);
			struct reply r = reply_of(said);
			struct relay_verdict v =
			    verdict_make(verdict_class_of("", phase, &r), &r, SLICE(""), &words);
			struct relay_verdict w = verdict_at_rcpt(v);

			assert_true(v.code >= 400 && v.code < 600);
			assert_int_equal(v.enhanced.cls, v.code / 100);
			assert_int_not_equal(w.code, 554);
			for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
				assert_int_not_equal(v.code, never[i]);
			/* What is temporary stays so. */
			if (code < 500)
				assert_in_range(v.code, 400, 499);
		}
	}
}

/* Words of every rule, and of some sentences, under every 4xx, in every phase: only what a
 * PROVIDER_FINAL row names gets worse. */
static void
test_never_worse(void **state)
{
	static const struct {
		const char *provider, *words;
		bool final;
	} all[] = {
#define PROVIDER_RULE(p, at, c, w, cl)  { p, w, false },
#define PROVIDER_FINAL(p, at, c, w, cl) { p, w, true },
#define RULE(at, c, w, cl)              { "", w, false },
#include "relay/verdict/rule.def"
#undef RULE
#undef PROVIDER_FINAL
#undef PROVIDER_RULE
		{ "", "5.3.4 message too large", false },
		{ "", "5.7.8 invalid mechanism", false },
		{ "", "4.5.3 too many recipients", false },
		{ "", "your account has been suspended", false },
		{ "", "sender address rejected", false },
		{ "", "the sender's mailbox is over quota", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (unsigned phase = 1; phase < PHASE_ANY && !all[i].final; phase <<= 1) {
			for (int code = 400; code < 500; code++) {
				char said[256];
				char mem[VERDICT_TEXT_MAX];
				struct text words = text_over(mem, sizeof(mem));

				snprintf(said, sizeof(said), "%d %s\r\n", code, all[i].words);
				struct reply r = reply_of(said);
				struct relay_verdict v =
				    verdict_make(verdict_class_of(all[i].provider, phase, &r), &r,
				        SLICE(""), &words);

				if (phase & (PHASE_DATA | PHASE_DOT))
					v = verdict_at_end(v);
				if (v.code >= 500)
					fail_msg("%s %s: %d %s", all[i].provider, said, v.code,
					    verdict_word(v.class));
			}
		}
	}
}

static void
test_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain words", "plain words" },
		{ "caf\xc3\xa9\x1b[1m", "caf???[1m" },
		{ "User `arn:aws:iam::123456789012:user/x-y' is not", "User `***' is not" },
		{ "key AKIAIOSFODNN7EXAMPLE is bad", "key *** is bad" },
		{ "SG.abcdefghijklmnop.qrstuv", "***" },
		{ "use key-3ax6xnjp29jd6fds4gc373sgvjxteol0!", "use ***!" },
		{ "key-words and SG. are harmless", "key-words and SG. are harmless" },
		{ "login someuser@example.com failed", "login *** failed" },
		{ "SOMEUSER@EXAMPLE.COM: no", "***: no" },
		{ "notsomeuser@example.com", "notsomeuser@example.com" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[256];
		struct text t = text_over(mem, sizeof(mem));

		verdict_clean(&t, slice_str(cases[i].in), SLICE("someuser@example.com"), 200);
		assert_string_equal(mem, cases[i].out);
	}
}

static void
test_places(void **state)
{
	struct reply r = reply_of("452 4.5.3 too many recipients\r\n");
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	struct relay_verdict v = verdict_make(VERDICT_TOO_MANY_RCPT, &r, SLICE(""), &words);

	(void)state;
	assert_int_equal(verdict_at_rcpt(v).code, 452);
	assert_int_equal(verdict_at_end(v).code, 554);
	assert_int_equal(verdict_at_end(v).enhanced.subject, 5);
	assert_true(verdict_make(VERDICT_UNKNOWN, NULL, SLICE(""), &words).unknown);
}

/* Every class that is a trouble says what to do about it, with the profile's name where there is
 * one in it. */
static void
test_advice(void **state)
{
	unsigned named = 0;

	(void)state;
	for (int class = 0; class < VERDICT_CLASS_COUNT; class ++) {
		char with_mem[512], bare_mem[512];
		struct text with = text_over(with_mem, sizeof(with_mem));
		struct text bare = text_over(bare_mem, sizeof(bare_mem));
		enum verdict_class c = (enum verdict_class) class;

		verdict_advise(c, SLICE("acme/mg"), &with);
		verdict_advise(c, SLICE(""), &bare);
		assert_false(with.overflow);
		assert_true(c == VERDICT_OK || c == VERDICT_GO ? with.n == 0 : with.n > 20);
		assert_null(strpbrk(with_mem, "$"));
		assert_null(strpbrk(bare_mem, "$"));
		assert_null(strstr(bare_mem, " ."));
		assert_null(strstr(bare_mem, "  "));
		named += strstr(with_mem, " acme/mg.") != NULL;
		assert_int_equal(verdict_of_word(slice_str(verdict_word(c))), class);
	}
	assert_in_range(named, 3, VERDICT_CLASS_COUNT);
	assert_int_equal(verdict_of_word(SLICE("")), VERDICT_CLASS_COUNT);
}

/* Every class: code and enhanced code agree, and there are words. */
static void
test_classes(void **state)
{
	(void)state;
	for (int class = 0; class < VERDICT_CLASS_COUNT; class ++) {
		char mem[VERDICT_TEXT_MAX];
		struct text words = text_over(mem, sizeof(mem));
		struct relay_verdict v =
		    verdict_make((enum verdict_class) class, NULL, SLICE(""), &words);

		assert_true(v.text.n > 0);
		if (class != VERDICT_GO)
			assert_int_equal(v.enhanced.cls, v.code / 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_providers),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_never_worse),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
