/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/shape.h"

#include "relay/verdict/retry_after.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct shape *all;
static struct shaping one, two; /* of one profile, in two workers */

static int
set_up(void **state)
{
	(void)state;
	all = shape_open(2);
	assert_non_null(all);
	shape_join(&one, all, 0, shape_key(7), 1);
	shape_join(&two, all, 1, shape_key(7), 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shape_close(all);
	return 0;
}

static void
test_connections(void **state)
{
	(void)state;
	assert_true(shape_enter(&one, 2, 0));
	assert_true(shape_enter(&two, 2, 0));
	assert_false(shape_enter(&one, 2, 0));
	assert_true(shape_is_full(&one, 2, 0));
	shape_leave(&two);
	assert_true(shape_enter(&one, 2, 0));
	assert_int_equal(shape_connections(&two), 2);
	/* Learned, for a minute. */
	shape_cap(&two, 1, 100);
	assert_false(shape_enter(&one, 0, 101));
	assert_true(shape_enter(&one, 0, 161));
	/* A worker that died. */
	shape_clear(all, 0);
	assert_int_equal(shape_connections(&two), 0);
	shape_want(&one, true);
	assert_true(shape_others_want(&two));
	assert_false(shape_others_want(&one));
}

/* Never too few, and of tenants that hold nothing hardly ever any. */
static void
test_lent(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (uint64_t tenant = 0; tenant < 500; tenant++)
		for (uint64_t n = 0; n < tenant % 5; n++)
			shape_lend(n % 2 ? &one : &two, tenant);
	for (uint64_t tenant = 0; tenant < 5000; tenant++) {
		unsigned held = tenant < 500 ? (unsigned)(tenant % 5) : 0;

		assert_true(shape_lent(&one, tenant) >= held);
		wrong += shape_lent(&two, tenant) != held;
	}
	assert_true(wrong <= 5);
	for (uint64_t tenant = 0; tenant < 500; tenant++)
		for (uint64_t n = 0; n < tenant % 5; n++)
			shape_return(n % 2 ? &one : &two, tenant);
	for (uint64_t tenant = 0; tenant < 500; tenant++)
		assert_int_equal(shape_lent(&one, tenant), 0);
	/* A worker that died holds nothing. */
	shape_lend(&one, 9);
	shape_lend(&two, 9);
	shape_clear(all, 0);
	assert_int_equal(shape_lent(&two, 9), 1);
}

static void
test_breaker(void **state)
{
	struct shaping newer;

	(void)state;
	assert_true(shape_refused(&one, 10) == 0);
	assert_true(shape_refused(&two, 10) == 0);
	assert_false(shape_is_broken(&one, 10));
	assert_true(shape_refused(&one, 10) == 300);
	assert_true(shape_is_broken(&two, 309));
	/* Late refusals add nothing. */
	assert_true(shape_refused(&two, 11) == 0);
	/* One may try, and no other. */
	assert_false(shape_is_broken(&two, 311));
	assert_true(shape_is_broken(&one, 311));
	assert_true(shape_refused(&two, 312) == 600);
	assert_true(shape_is_broken(&one, 900));
	shape_join(&newer, all, 0, shape_key(7), 2);
	assert_false(shape_is_broken(&newer, 900));
	assert_false(shape_is_broken(&one, 900));
	assert_true(shape_refused(&one, 900) == 0);
	assert_int_equal(shape_refusals(&newer), 0);
}

/* A credential that has worked is doubted only when it is refused again and again. */
static void
test_doubt(void **state)
{
	(void)state;
	assert_false(shape_doubts(&one)); /* it never worked */
	shape_welcome(&one);
	assert_true(shape_doubts(&two));
	assert_true(shape_refused(&one, 10) == 0);
	assert_true(shape_doubts(&one));
	assert_true(shape_refused(&one, 10) == 0);
	assert_false(shape_doubts(&one)); /* the next one opens the breaker */
	assert_true(shape_refused(&one, 10) == 300);
	assert_false(shape_doubts(&one));
	shape_welcome(&one);
	assert_true(shape_doubts(&one));
	/* Another credential has to show what it can. */
	shape_join(&two, all, 1, shape_key(7), 99);
	assert_false(shape_doubts(&two));
	assert_false(shape_doubts(&one));
}

static void
test_pace(void **state)
{
	double wait;
	unsigned now = 0, minute = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		now += shape_pace(&one, 30, 0, 1000, &wait);
	assert_in_range(now, 6, 7); /* a fifth at once */
	for (double t = 1000; t < 1060; t += 0.05)
		minute += shape_pace(&two, 30, 0, t, &wait);
	assert_in_range(now + minute, 27, 31);
	while (shape_pace(&one, 30, 0, 1060, &wait))
		continue;
	assert_false(shape_pace(&one, 30, 0, 1060, &wait));
	assert_true(shape_pace(&one, 30, 5, 1060, &wait));
	assert_true(wait > 0 && wait <= 5);
}

static void
test_hold(void **state)
{
	(void)state;
	shape_hold(&one, 0, false, 50);
	assert_true(shape_held(&two, 51) > 8.9 && shape_held(&two, 51) < 9.1);
	shape_hold(&two, 0, false, 55); /* under way when it began */
	assert_true(shape_held(&one, 61) == 0);
	shape_hold(&two, 0, false, 61);
	assert_true(shape_held(&one, 61) == 20);
	shape_thank(&one, 90);
	shape_hold(&two, 0, false, 91);
	assert_true(shape_held(&one, 91) == 10);
	shape_hold(&two, 120, true, 91);
	assert_true(shape_held(&one, 91) == 120);
}

static void
test_note(void **state)
{
	const struct shape_said bad = { VERDICT_AUTH, SLICE("535 5.7.8 no \"way\""), true, true,
		77 };
	const struct shape_said good = { VERDICT_OK, SLICE("250 ok"), false, false, 99 };
	char mem[1024];
	struct text json = text_over(mem, sizeof(mem));

	(void)state;
	shape_profile(all, 8, SLICE("acme/mg"), &json);
	assert_string_equal(mem, "\"known\":false");
	shape_note(&one, &bad);
	json = text_over(mem, sizeof(mem));
	shape_profile(all, 7, SLICE("acme/mg"), &json);
	assert_non_null(strstr(mem, "\"class\":\"auth\",\"line\":\"535 5.7.8 no \\\"way\\\"\""));
	assert_non_null(strstr(mem, "\"good\":null,\"failing_since\":77"));
	shape_note(&two, &good);
	json = text_over(mem, sizeof(mem));
	shape_profile(all, 7, SLICE("acme/mg"), &json);
	assert_non_null(strstr(mem, "\"good\":99,\"failing_since\":null"));
}

static const struct {
	const char *said;
	uint64_t seconds; /* 0: none */
} named[] = {
	{ "421 limit exceeded, try again after 120 seconds", 120 },
	{ "please wait 5 minutes.", 300 },
	{ "Try again in 1 hour", 3600 },
	{ "retry after 30s", 30 },
	{ "request limit exceeded, try again after Mon, 20 Dec 2021 20:33:21 UTC", 81 },
	{ "try again after Mon, 20 Dec 2021 20:31:00 UTC", 0 },
	{ "try again after Mon, 20 Dec 2021 20:33:21 CET", 0 },
	{ "try again after 7", 0 },
	{ "within 5 minutes", 0 },
	{ "Relay quota will reset in 21.99 hours.", 79164 },
	{ "try again in 1.5 min", 90 },
	{ "blocked until 2021-12-20 20:33:00 UTC", 60 },
	{ "try again after 2021-12-20T20:33:00Z", 60 },
	{ "blocked until 2021-12-20 20:33:00", 0 },
	{ "try again after 2 days", 172800 },
	{ "try again in 99999999999 hours", 0 },
	{ "after 99999999999999999999 seconds", 0 },
	{ "", 0 },
};

static void
test_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		uint64_t s = 0;

		/* 20 Dec 2021 20:32:00 UTC */
		assert_int_equal(hold_named(slice_str(named[i].said), 1640032320, &s),
		    named[i].seconds != 0);
		assert_int_equal(s, named[i].seconds);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_breaker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_doubt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_note, set_up, tear_down),
		cmocka_unit_test(test_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
