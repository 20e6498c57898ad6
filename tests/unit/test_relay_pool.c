/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: reused, replaced, waited for, kept apart. */
#include "relay_rig.h"

static void
test_reused(void **state)
{
	struct fake f;
	struct mail a = { 0 }, b = { 0 };

	(void)state;
	fake_start(&f, HELLO MESSAGE MESSAGE "Q\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&a, &p);
	send_one(&b, &p);
	expect_good(&a);
	expect_good(&b);
	assert_string_equal(a.upstream, "250 2.0.0 ok");
	assert_string_equal(a.route, "profile:p");
	assert_non_null(strstr(a.peer, "127.0.0.1[127.0.0.1]:"));
	rig_end(&f);
	assert_int_equal(f.shared->connections, 1);
	fake_free(&f);
}

/* A dropped envelope: RSET, and only then the next one. */
static void
test_reset_between(void **state)
{
	struct fake f;
	struct mail a = { .rcpts = { "no@b.example" } }, b = { 0 };

	(void)state;
	fake_start(&f,
	    HELLO
	    "C MAIL\nC RCPT\nC DATA\nS 250 ok|550 5.1.1 no|554 5.5.1 none\nC RSET\nP 30\nS 250 ok\n" MESSAGE
	    "Q\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&a, &p);
	assert_int_equal(a.go, VERDICT_NO_VALID_RCPT);
	send_one(&b, &p);
	expect_good(&b);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 1);
	fake_free(&f);
}

/* A client that goes before content: RSET; in the middle of it: cut, never the dot. */
static void
test_dropped(void **state)
{
	struct fake f;
	struct mail a = { .one_by_one = true }, b = { .no_finish = true }, c = { 0 };

	(void)state;
	fake_start(&f,
	    HELLO "C MAIL\nC RCPT\nS 250 ok|250 ok\nC RSET\nS 250 ok\n" ENVELOPE
	          "S 250 a|250 b|354 go\nW\nN\n" HELLO MESSAGE "Q\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);
	struct relay_order o = { .owner = 0, .profile = &p, .id = SLICE("x") };
	struct rcpt_args args;

	/* The first one by hand. */
	a.over = true;
	rig.mails[rig.n++] = &a;
	assert_int_equal(mail_parse(SLICE("FROM:<from@a.example>"), &o.mail), ARGS_OK);
	assert_int_equal(rcpt_parse(SLICE("TO:<to@b.example>"), &args), ARGS_OK);
	a.t = relay_open(rig.relay, &o);
	a.asked = 1;
	a.rcpts[0] = a.rcpts[1] = "x@y";
	assert_true(relay_rcpt(a.t, &args));
	a.one_by_one = false;
	a.asked = MAIL_RCPTS - 1;
	rig_wait(0.2);
	assert_int_equal(a.told, 1);
	relay_drop(a.t);
	rig_wait(0.1);

	b.profile = &p;
	mail_send(&b);
	rig_wait(0.3);
	assert_int_equal(b.go, VERDICT_GO);
	relay_drop(b.t);
	b.over = true;
	rig_wait(0.1);
	send_one(&c, &p);
	expect_good(&c);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 2);
	assert_null(strstr(f.shared->log, "body\r\n.\r\n~"));
	fake_free(&f);
}

struct stale {
	const char *name;
	const char *script;
	bool good;
	unsigned connections;
};

/* The first message goes well; the second meets what stands here. */
static const struct stale stales[] = {
	{ "closed while idle", "X\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "421 while idle", "S 421 idle\nX\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "421 to MAIL", "C MAIL\nS 421 enough\nX\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "closed at MAIL", "C MAIL\nX\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "reset at RCPT", "C MAIL\nC RCPT\nS 250 ok\nZ\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "421 to RCPT", "C MAIL\nS 250 ok|421 bye\nX\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "closed at DATA, recipient told", ENVELOPE "S 250 ok|250 ok\nX\nN\n" HELLO MESSAGE "Q\n",
	    true, 2 },
	{ "421 to DATA", ENVELOPE "S 250 ok|250 ok|421 no\nX\nN\n" HELLO MESSAGE "Q\n", true, 2 },
	{ "once only", "C MAIL\nX\nN\n" HELLO "C MAIL\nX\nN\n" HELLO MESSAGE "Q\n", false, 2 },
	{ "not after content", ENVELOPE "S 250 ok|250 ok|354 go\nb 10\nX\nN\n" HELLO MESSAGE "Q\n",
	    false, 2 },
	{ "not after the dot", ENVELOPE "S 250 ok|250 ok|354 go\nD\nX\nN\n" HELLO MESSAGE "Q\n",
	    false, 2 },
	{ "not on silence", "C MAIL\nW\nN\n" HELLO MESSAGE "Q\n", false, 2 },
	{ "told good, now refused",
	    ENVELOPE "S 250 ok|250 ok\nX\nN\n" HELLO ENVELOPE "S 250 ok|550 no|554 none\nQ\n",
	    false, 2 },
};

static void
test_replaced(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stales) / sizeof(stales[0]); i++) {
		const struct stale *s = &stales[i];
		struct fake f;
		struct mail a = { 0 }, b = { .content = "0123456789\r\n" };
		char script[4096];

		snprintf(script, sizeof(script), HELLO MESSAGE "P 50\n%s", s->script);
		fake_start(&f, script, NULL);
		rig_begin();
		struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

		send_one(&a, &p);
		expect_good(&a);
		if (strstr(s->name, "idle"))
			rig_wait(0.2);
		send_one(&b, &p);
		if (s->good && (!b.done || b.last != VERDICT_OK))
			fail_msg("%s: not sent: rcpt %d go %d last %d", s->name, b.rcpt[0], b.go,
			    b.last);
		if (!s->good && b.done && b.code == 250)
			fail_msg("%s: sent", s->name);
		if (!s->good && (b.done ? b.code : b.go_code) != 451)
			fail_msg("%s: %d %d", s->name, b.code, b.go_code);
		rig_close();
		const char *wrong = fake_end(&f, true);

		if (wrong)
			fail_msg("%s: %s", s->name, wrong);
		if (s->good && f.shared->connections != s->connections)
			fail_msg("%s: %u connections", s->name, f.shared->connections);
		fake_free(&f);
	}
}

/* Who was told that they are refused is left out when it is said again; who was accepted is not
 * told twice. */
static void
test_replaced_partly(void **state)
{
	struct fake f;
	struct mail a = { 0 }, b = { .rcpts = { "a@b.example", "b@b.example", "c@b.example" } };

	(void)state;
	fake_start(&f,
	    HELLO MESSAGE
	    "C MAIL\nC RCPT TO:<a@\nC RCPT TO:<b@\nC RCPT TO:<c@\nS 250 ok|250 ok|550 no\nX\nN\n" HELLO
	    "C MAIL\nC RCPT TO:<a@\nC RCPT TO:<c@\nC DATA\nS 250 ok|250 ok|250 ok|354 go\nD\nS 250 ok\nQ\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&a, &p);
	send_one(&b, &p);
	expect_good(&b);
	assert_int_equal(b.told, 3);
	assert_int_equal(b.rcpt_code[0], 250);
	assert_int_equal(b.rcpt_code[1], 550);
	assert_int_equal(b.rcpt_code[2], 250);
	rig_end(&f);
	fake_free(&f);
}

/* One connection, many transactions: a line. */
static void
test_waiting(void **state)
{
	struct fake f;
	struct mail m[6] = { 0 };

	(void)state;
	fake_start(&f, HELLO MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	rig.conf.upstream.max_connections = 1;
	rig_open();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	for (size_t i = 0; i < 6; i++) {
		m[i].profile = &p;
		mail_send(&m[i]);
	}
	rig_run();
	for (size_t i = 0; i < 6; i++)
		expect_good(&m[i]);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 1);
	fake_free(&f);
}

static void
test_waits_too_long(void **state)
{
	struct fake f;
	struct mail a = { .no_finish = true }, b = { 0 };

	(void)state;
	fake_start(&f, HELLO ENVELOPE "S 250 2.1.0 ok|250 2.1.5 ok|354 go\nW\n", NULL);
	rig.conf = rig_conf();
	rig.conf.upstream.max_connections = 1;
	rig.conf.upstream.wait_s = 1;
	rig_open();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	a.profile = &p;
	a.over = true;
	mail_send(&a);
	rig_wait(0.2);
	send_one(&b, &p);
	assert_int_equal(b.rcpt[0], VERDICT_BUSY);
	assert_int_equal(b.go, VERDICT_BUSY);
	relay_drop(a.t);
	rig_end(&f);
	fake_free(&f);
}

/* An upstream that takes one connection and no more: its limit is learned, nobody fails. */
static void
test_full(void **state)
{
	struct fake f;
	struct mail a = { .no_finish = true }, b = { 0 };

	(void)state;
	fake_start(&f,
	    HELLO ENVELOPE
	    "S 250 a|250 b|354 go\nA 421 4.7.0 Too many connections\nD\nS 250 ok\n" MESSAGE "Q\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	a.profile = &p;
	a.over = true;
	mail_send(&a);
	rig_wait(0.2);
	b.profile = &p;
	mail_send(&b);
	rig_wait(0.3);
	assert_int_equal(b.told, 0);
	relay_finish(a.t);
	rig_run();
	expect_good(&a);
	expect_good(&b);
	rig_end(&f);
	fake_free(&f);
}

/* messages_per_connection: QUIT, and a new one. */
static void
test_spent(void **state)
{
	struct fake f;
	struct mail a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	fake_start(&f, HELLO MESSAGE MESSAGE "C QUIT\nS 221 bye\nX\nN\n" HELLO MESSAGE "Q\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	p.messages_per_connection = 2;
	send_one(&a, &p);
	send_one(&b, &p);
	send_one(&c, &p);
	expect_good(&c);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 2);
	fake_free(&f);
}

/* Another version of the credential, or another profile with the same host: never the same
 * connection. */
static void
test_apart(void **state)
{
	struct fake f;
	struct mail a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	fake_start(&f, HELLO MESSAGE "P 100\nN\n" HELLO MESSAGE "P 100\nN\n" HELLO MESSAGE "Q\n",
	    NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);
	struct profile q = p;

	send_one(&a, &p);
	q.id = 2;
	send_one(&b, &q);
	p.version = 2;
	send_one(&c, &p);
	expect_good(&a);
	expect_good(&b);
	expect_good(&c);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 3);
	fake_free(&f);
}

static void
test_reconf(void **state)
{
	struct fake f;
	struct mail a = { 0 }, b = { 0 };
	struct conf now;

	(void)state;
	fake_start(&f, HELLO MESSAGE "C QUIT\nX\nN\n" HELLO MESSAGE "Q\n", NULL);
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&a, &p);
	now = rig.conf;
	now.revision = 2;
	relay_reconf(rig.relay, &now, NULL);
	send_one(&b, &p);
	expect_good(&b);
	rig_end(&f);
	fake_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reused),
		cmocka_unit_test(test_reset_between),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_replaced_partly),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_waits_too_long),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_spent),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_reconf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
