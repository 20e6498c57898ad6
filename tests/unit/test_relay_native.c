/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: the native pool, fallback, names, the guard. */
#include "relay_rig.h"

#include <sys/resource.h>

static struct conf_mta
mta(const char *name, unsigned port)
{
	return (struct conf_mta){ .name = name, .host = "127.0.0.1", .port = port, .weight = 10 };
}

#define CHECK_VISIT HELLO "C QUIT\nX\nN\n"

static void
test_native_skips_the_dead(void **state)
{
	struct fake f;
	struct mail m[4] = { 0 };
	struct conf_mta mtas[2];

	(void)state;
	fake_start(&f, HELLO MESSAGE MESSAGE MESSAGE MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	mtas[0] = mta("dead", free_port());
	mtas[1] = mta("good", f.port);
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 2;
	rig_open();
	/* At once: no check has told anything yet. */
	for (unsigned i = 0; i < 4; i++)
		send_one(&m[i], NULL);
	for (unsigned i = 0; i < 4; i++) {
		expect_good(&m[i]);
		assert_string_equal(m[i].route, "native:good");
	}
	rig_end(&f);
	fake_free(&f);
}

static void
test_native_checks(void **state)
{
	struct fake f;
	struct mail m = { 0 };
	struct conf_mta mtas[2];
	char json[4096];
	struct text out = text_over(json, sizeof(json));

	(void)state;
	fake_start(&f, CHECK_VISIT HELLO MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	mtas[0] = mta("dead", free_port());
	mtas[1] = mta("good", f.port);
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 2;
	rig_open();
	rig_wait(0.3);
	relay_status(rig.relay, &out);
	assert_non_null(strstr(json,
	    "native:dead\",\"leased\":0,\"idle\":0,\"waiting\":0,\"alive\":false"));
	assert_non_null(strstr(json,
	    "native:good\",\"leased\":0,\"idle\":0,\"waiting\":0,\"alive\":true"));
	assert_true(relay_offers(rig.relay, NULL).known);
	assert_int_equal(relay_offers(rig.relay, NULL).size, 1000000);
	send_one(&m, NULL);
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

static void
test_native_xclient(void **state)
{
	struct fake f;
	struct mail m = { .login = "me+you@a.example" };
	struct conf_mta mtas[1];

	(void)state;
	fake_start(&f,
	    "S 220 x\nC EHLO\nS 250-x|250 XCLIENT NAME ADDR PROTO HELO LOGIN\n"
	    "C XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.77 PROTO=ESMTP HELO=client.example LOGIN=me+2Byou@a.example\r\n"
	    "S 220 again\nE\n" MESSAGE "Q\n",
	    NULL);
	rig.conf = rig_conf();
	mtas[0] = mta("x", f.port);
	mtas[0].xclient = true;
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 1;
	rig_open();
	send_one(&m, NULL);
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

/* Dead at first; a check of its own finds it alive before mail is given to it again. */
static void
test_native_comes_back(void **state)
{
	struct fake f;
	struct mail m = { 0 };
	struct conf_mta mtas[1];
	char json[4096];
	struct text out = text_over(json, sizeof(json));

	(void)state;
	fake_start(&f, "X\nN\n" CHECK_VISIT HELLO MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	rig.conf.native.dead_s = 1;
	mtas[0] = mta("one", f.port);
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 1;
	rig_open();
	rig_wait(0.5);
	relay_status(rig.relay, &out);
	assert_non_null(strstr(json, "\"alive\":false"));
	rig_wait(2);
	text_reset(&out);
	relay_status(rig.relay, &out);
	assert_non_null(strstr(json, "\"alive\":true"));
	send_one(&m, NULL);
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

static void
test_native_weights(void **state)
{
	struct fake f, g;
	struct mail m[8] = { 0 };
	struct conf_mta mtas[3];
	unsigned light = 0;

	(void)state;
	fake_start(&f, HELLO MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE "Q\n", NULL);
	fake_start(&g, HELLO MESSAGE MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	mtas[0] = mta("heavy", f.port);
	mtas[0].weight = 30;
	mtas[1] = mta("light", g.port);
	mtas[2] = mta("spare", free_port());
	mtas[2].weight = 0;
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 3;
	rig_open();
	for (unsigned i = 0; i < 8; i++) {
		send_one(&m[i], NULL);
		expect_good(&m[i]);
		light += strcmp(m[i].route, "native:light") == 0;
	}
	assert_int_equal(light, 2);
	rig_end(&f);
	assert_null(fake_end(&g, true));
	fake_free(&f);
	fake_free(&g);
}

static void
test_native_none(void **state)
{
	struct mail m = { 0 };

	(void)state;
	rig_begin();
	send_one(&m, NULL);
	assert_int_equal(m.rcpt[0], VERDICT_CONFIG);
	assert_int_equal(m.rcpt_code[0], 451);
	rig_close();
}

/* ---- fallback, names, the guard -------------------------------------------------------------- */

struct fall {
	const char *first; /* NULL: nobody listens */
	bool falls;
};

static const struct fall falls[] = {
	{ NULL, true },
	{ "S 421 busy\nX\n", true },
	{ HELLO "C MAIL\nS 530 auth\nQ\n", true },
	{ HELLO "C MAIL\nC RCPT\nS 250 ok|550 5.7.1 rate limit exceeded\nQ\n", true },
	{ HELLO ENVELOPE "S 250 ok|550 5.1.1 nobody|554 none\nQ\n", false },
	{ HELLO ENVELOPE "S 250 ok|250 ok|451 account temporarily blocked\nQ\n", false },
	{ HELLO ENVELOPE "S 250 ok|250 ok|354 go\nb 5\nX\n", false },
};

static void
test_fallback(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(falls) / sizeof(falls[0]); i++) {
		struct fake f, g;
		struct mail m = { .has_fallback = true };

		if (falls[i].first)
			fake_start(&f, falls[i].first, NULL);
		else
			f = (struct fake){ .port = free_port() };
		fake_start(&g, HELLO MESSAGE "Q\n", NULL);
		rig_begin();
		struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);
		struct profile q = rig_profile(&g, UPSTREAM_TLS_NONE);

		q.id = 2;
		q.name = "q";
		m.fallback = &q;
		send_one(&m, &p);
		if (falls[i].falls) {
			expect_good(&m);
			assert_string_equal(m.route, "profile:q");
		} else if (m.done && m.code == 250) {
			fail_msg("row %zu fell back", i);
		}
		if (falls[i].first) {
			const char *wrong = fake_end(&f, true);

			if (wrong)
				fail_msg("row %zu: %s", i, wrong);
			fake_free(&f);
		}
		rig_end(&g);
		fake_free(&g);
	}
}

static void
test_names(void **state)
{
	static const struct {
		const char *host;
		enum verdict_class class;
	} rows[] = {
		{ "localhost", VERDICT_OK },
		{ "does-not-exist.invalid", VERDICT_DNS_NONE },
		{ "bad_name!", VERDICT_DENIED },
		{ "10.1.2.3", VERDICT_DENIED },
		{ "169.254.169.254", VERDICT_DENIED },
		{ "::1", VERDICT_DENIED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake f;
		struct mail m = { 0 };

		fake_start(&f, HELLO MESSAGE "Q\n", NULL);
		rig_begin();
		struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

		p.host = rows[i].host;
		send_one(&m, &p);
		if (rows[i].class == VERDICT_OK)
			expect_good(&m);
		else if (m.rcpt[0] != rows[i].class && m.rcpt[0] != VERDICT_DNS_TEMP)
			fail_msg("%s: %d", rows[i].host, m.rcpt[0]);
		rig_end(&f);
		fake_free(&f);
	}
}

static void
test_refused_port(void **state)
{
	struct mail m = { 0 };
	struct fake f = { .port = free_port() };

	(void)state;
	rig_begin();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	send_one(&m, &p);
	assert_int_equal(m.rcpt[0], VERDICT_CONNECT);
	assert_int_equal(m.go, VERDICT_CONNECT);
	assert_int_equal(m.go_code, 451);
	rig_close();
}

/* Without descriptors of ours no MTA is dead, and who waits goes on waiting. */
static void
test_our_own_want(void **state)
{
	struct fake f;
	struct mail m = { 0 };
	struct conf_mta mtas[1];
	struct rlimit old, none;
	char json[4096];
	struct text out = text_over(json, sizeof(json));

	(void)state;
	fake_start(&f, HELLO MESSAGE "Q\n", NULL);
	rig.conf = rig_conf();
	mtas[0] = mta("one", f.port);
	rig.conf.mtas = mtas;
	rig.conf.mtas_n = 1;
	rig_open();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	mail_send(&m);
	rig_wait(0.4);
	relay_status(rig.relay, &out);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_non_null(strstr(json, "\"alive\":true"));
	assert_true(!m.done && m.told == 0);
	rig_run();
	expect_good(&m);
	rig_end(&f);
	fake_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native_skips_the_dead),
		cmocka_unit_test(test_native_checks),
		cmocka_unit_test(test_native_xclient),
		cmocka_unit_test(test_native_comes_back),
		cmocka_unit_test(test_native_weights),
		cmocka_unit_test(test_native_none),
		cmocka_unit_test(test_our_own_want),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_refused_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
