/* SPDX-License-Identifier: Apache-2.0 */
/* What an upstream can and cannot do, and content on its way. */
#include "relay_rig.h"

static void
test_no_pipelining(void **state)
{
	struct fake f;
	struct mail m = { .rcpts = { "a@b.example", "b@b.example" } };

	(void)state;
	fake_start(&f,
	    "S 220 x\nC EHLO\nS 250 x\nC MAIL\nP 20\nS 250 ok\nC RCPT\nP 20\nS 550 no\nC RCPT\nS 250 ok\nC DATA\n"
	    "S 354 go\nD\nS 250 ok\nQ\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	expect_good(&m);
	assert_int_equal(m.rcpt_code[0], 550);
	assert_int_equal(m.rcpt_code[1], 250);
	rig_end(&f);
	fake_free(&f);
}

static void
test_one_by_one(void **state)
{
	struct fake f;
	struct mail m = { .one_by_one = true, .rcpts = { "a@b.example", "b@b.example" } };

	(void)state;
	fake_start(&f,
	    HELLO
	    "G 2\nC MAIL\nC RCPT\nS 250 ok|250 ok\nC RCPT\nS 450 no\nC DATA\nS 354 go\nD\nS 250 ok\nQ\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

static void
test_all_refused_one_by_one(void **state)
{
	struct fake f;
	struct mail m = { .one_by_one = true };

	(void)state;
	fake_start(&f, HELLO "C MAIL\nC RCPT\nS 250 ok|550 no\nC RSET\nS 250 ok\nQ\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_int_equal(m.go, VERDICT_NO_VALID_RCPT);
	assert_string_equal(m.text, "No valid recipients");
	rig_wait(0.1);
	rig_end(&f);
	assert_null(strstr(f.shared->log, "DATA"));
	fake_free(&f);
}

struct able {
	const char *offers;
	const char *from, *params, *rcpt;
	const char *mail_line; /* as it is sent; NULL: nothing is */
	const char *rcpt_line;
	enum verdict_class class;
};

static const struct able ables[] = {
	{ "250-SIZE 0|250 8BITMIME", NULL, "SIZE=1000 BODY=8BITMIME", NULL,
	    "MAIL FROM:<from@a.example> SIZE=2024 BODY=8BITMIME\r", "RCPT TO:<to@b.example>\r",
	    VERDICT_OK },
	{ "250 HELP", NULL, "SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x",
	    "to@b.example NOTIFY=FAILURE,DELAY", "MAIL FROM:<from@a.example>\r",
	    "RCPT TO:<to@b.example>\r", VERDICT_OK },
	{ "250 SIZE 500", NULL, "SIZE=1000", NULL, NULL, NULL, VERDICT_SIZE },
	{ "250 DSN", NULL, "RET=FULL ENVID=a+2Bb",
	    "to@b.example NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;to@b.example",
	    "MAIL FROM:<from@a.example> RET=FULL ENVID=a+2Bb\r",
	    "RCPT TO:<to@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;to@b.example\r",
	    VERDICT_OK },
	{ "250 HELP", NULL, NULL, "to@b.example NOTIFY=SUCCESS", "MAIL FROM:<from@a.example>\r",
	    NULL, VERDICT_NO_DSN },
	{ "250 HELP", NULL, NULL, "to@b.example NOTIFY=NEVER", "MAIL FROM:<from@a.example>\r", NULL,
	    VERDICT_NO_DSN },
	{ "250 HELP", "f\xc3\xbc@a.example", "SMTPUTF8", NULL, NULL, NULL, VERDICT_NO_SMTPUTF8 },
	/* A permission that nobody needs. */
	{ "250 HELP", NULL, "SMTPUTF8 BODY=8BITMIME", NULL, "MAIL FROM:<from@a.example>\r",
	    "RCPT TO:<to@b.example>\r", VERDICT_OK },
	{ "250 SMTPUTF8", NULL, "SMTPUTF8", NULL, "MAIL FROM:<from@a.example> SMTPUTF8\r",
	    "RCPT TO:<to@b.example>\r", VERDICT_OK },
	{ "250 HELP", NULL, "SMTPUTF8", "t\xc3\xbc@b.example", "MAIL FROM:<from@a.example>\r", NULL,
	    VERDICT_NO_SMTPUTF8 },
	{ "250 SMTPUTF8", "f\xc3\xbc@a.example", "SMTPUTF8", "t\xc3\xbc@b.example",
	    "MAIL FROM:<f\xc3\xbc@a.example> SMTPUTF8\r", "RCPT TO:<t\xc3\xbc@b.example>\r",
	    VERDICT_OK },
};

static void
test_able(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ables) / sizeof(ables[0]); i++) {
		const struct able *a = &ables[i];
		struct fake f;
		struct mail m = { .from = a->from, .mail_params = a->params, .rcpts = { a->rcpt } };
		char script[1024];
		size_t n = (size_t)snprintf(script, sizeof(script), "S 220 x\nC EHLO\nS 250-x|%s\n",
		    a->offers);

		if (a->mail_line)
			n += (size_t)snprintf(script + n, sizeof(script) - n, "C %s\nS 250 ok\n",
			    a->mail_line);
		if (a->rcpt_line)
			n += (size_t)snprintf(script + n, sizeof(script) - n,
			    "C %s\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n", a->rcpt_line);
		snprintf(script + n, sizeof(script) - n, "Q\n");
		fake_start(&f, script, NULL);
		rig_begin();
		struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

		send_one(&m, &p);
		if (a->class == VERDICT_OK)
			expect_good(&m);
		else if (m.rcpt[0] != a->class || m.done)
			fail_msg("row %zu: %d", i, m.rcpt[0]);
		rig_end(&f);
		fake_free(&f);
	}
}

/* To an upstream without 8BITMIME it goes as it is, unless the operator says no. */
static void
test_8bit_passes(void **state)
{
	struct fake f;
	struct mail m = { .content = "Subject: x\r\n\r\nna\xc3\xafve\r\n" };

	(void)state;
	fake_start(&f,
	    "S 220 x\nC EHLO\nS 250 x\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\n"
	    "S 250 ok\nQ\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_true(m.done);
	assert_int_equal(m.code, 250);
	rig_end(&f);
	assert_non_null(strstr(f.shared->log, "na\xc3\xafve\r\n"));
	fake_free(&f);
}

static void
test_8bit_refused(void **state)
{
	struct fake f;
	struct mail m = { .content =
		              "Subject: x\r\n\r\nplain and long enough\r\nna\xc3\xafve\r\n" };

	(void)state;
	fake_start(&f,
	    "S 220 x\nC EHLO\nS 250 x\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nW\n",
	    NULL);
	rig_begin();
	rig.conf.upstream.eight_bit = EIGHT_BIT_REFUSE;
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_true(m.done);
	assert_int_equal(m.last, VERDICT_NO_8BIT);
	assert_int_equal(m.code, 554);
	rig_end(&f);
	assert_null(strstr(f.shared->log, "\r\n.\r\n"));
	fake_free(&f);
}

/* 4 MiB against an upstream that reads slowly, then refuses in the middle. */
static void
test_early_reply(void **state)
{
	struct fake f;
	struct mail m = { .content =
		              "0123456789012345678901234567890123456789012345678901234567890\r\n",
		.times = 1000000 };

	(void)state;
	fake_start(&f,
	    HELLO ENVELOPE "S 250 a|250 b|354 go\nb 200000\nS 552 5.3.4 too big\nP 500\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_true(m.done);
	assert_int_equal(m.last, VERDICT_SIZE);
	assert_false(m.finished);
	rig_end(&f);
	fake_free(&f);
}

static void
test_big(void **state)
{
	struct fake f;
	struct mail m = { .content =
		              ".123456789012345678901234567890123456789012345678901234567890\r\n",
		.times = 20000 };

	(void)state;
	fake_start(&f,
	    HELLO ENVELOPE "S 250 a|250 b|354 go\nP 100\nb 200000\nP 100\nD\nS 250 ok\nQ\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

/* An upstream that takes nothing: content_s. */
static void
test_stalled(void **state)
{
	struct fake f;
	struct mail m = { .content =
		              "0123456789012345678901234567890123456789012345678901234567890\r\n",
		.times = 1000000 };

	(void)state;
	fake_start(&f, HELLO ENVELOPE "S 250 a|250 b|354 go\nP 4000\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_int_equal(m.last, VERDICT_LOST);
	rig_end(&f);
	fake_free(&f);
}

static void
test_bdat(void **state)
{
	struct fake f;
	struct mail m = { 0 },
	            n = { .content =
		                ".123456789012345678901234567890123456789012345678901234567890\r\n",
		            .times = 3000 },
	            o = { 0 };

	(void)state;
	fake_start(&f,
	    "S 220 x\nC EHLO\nS 250-x|250-PIPELINING|250 CHUNKING\nG 2\nC MAIL\nC RCPT\nS 250 ok|250 ok\n"
	    "C BDAT 26 LAST\nC Subject: x\nC \r\nC .dot\nC body\nS 250 2.0.0 ok\n"
	    "C MAIL\nC RCPT\nS 250 ok|250 ok\nL\nS 250 2.0.0 last\n"
	    "C MAIL\nC RCPT\nS 250 ok|250 ok\nB\nS 554 5.6.0 bad\nQ\n",
	    NULL);
	rig.conf = rig_conf();
	rig.conf.upstream.chunking = true;
	rig_open();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	expect_good(&m);
	send_one(&n, &p);
	expect_good(&n);
	assert_string_equal(n.upstream, "250 2.0.0 last");
	send_one(&o, &p);
	assert_int_equal(o.last, VERDICT_MALFORMED);
	rig_end(&f);
	fake_free(&f);
}

static void
count_rcpt(void *ctx, uint64_t owner, unsigned index, const struct relay_verdict *v)
{
	struct mail *m = ctx;

	(void)owner;
	assert_int_equal(index, m->told);
	assert_int_equal(v->code, 550);
	m->told++;
}

static void
test_many_recipients(void **state)
{
	struct fake f;
	struct mail m = { 0 };
	static char script[200000];
	size_t n =
	    (size_t)snprintf(script, sizeof(script), "%s", HELLO "C MAIL\nP 200\nS 250 ok\n");
	struct relay_order o = { .owner = 0, .id = SLICE("x") };
	enum { MANY = 2000 };

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		n += (size_t)snprintf(script + n, sizeof(script) - n,
		    "C RCPT TO:<user%u@\nS 550 no\n", i);
	n += (size_t)snprintf(script + n, sizeof(script) - n, "C DATA\nS 554 none\nQ\n");
	assert_true(n < sizeof(script));
	fake_start(&f, script, NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	/* Their verdicts are too many for a struct mail: only the last word counts. */
	m.over = false;
	rig.mails[rig.n++] = &m;
	o.profile = &p;
	assert_int_equal(mail_parse(SLICE("FROM:<from@a.example>"), &o.mail), ARGS_OK);
	relay_free(rig.relay);
	static const struct relay_events count = { count_rcpt, on_go, on_room, on_done };

	rig.relay = relay_new(rig.loop, rig.work, &rig.conf, NULL, &count, &m);
	m.t = relay_open(rig.relay, &o);
	for (unsigned i = 0; i < MANY; i++) {
		char line[100];
		struct rcpt_args args;

		snprintf(line, sizeof(line), "TO:<user%u@a-rather-long-domain-name.example>", i);
		assert_int_equal(rcpt_parse(slice_str(line), &args), ARGS_OK);
		assert_true(relay_rcpt(m.t, &args));
	}
	relay_data(m.t);
	rig_run();
	assert_int_equal(m.told, MANY);
	assert_int_equal(m.go, VERDICT_NO_VALID_RCPT);
	rig_end(&f);
	fake_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_pipelining),
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_all_refused_one_by_one),
		cmocka_unit_test(test_able),
		cmocka_unit_test(test_8bit_passes),
		cmocka_unit_test(test_8bit_refused),
		cmocka_unit_test(test_early_reply),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
