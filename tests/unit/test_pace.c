/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Seconds after which a client is found too slow that sends BURST octets at once and then EACH
 * every second; 0: never within an hour. */
static int
lasts(uint64_t burst, uint64_t each, double rate)
{
	struct pace p;

	pace_begin(&p, 1000);
	pace_add(&p, 1000, burst);
	for (int s = 1; s <= 3600; s++) {
		pace_add(&p, 1000 + s, each);
		if (pace_is_too_slow(&p, 1000 + s, rate))
			return s;
	}
	return 0;
}

static void
steady(void **state)
{
	(void)state;
	assert_int_equal(lasts(0, 500, 500), 0);
	assert_int_equal(lasts(0, 0, 0), 0);
	assert_int_equal(lasts(0, 1, 500), PACE_GRACE_S + 1);
	assert_in_range(lasts(0, 400, 500), 60, 300);
}

/* What came in the first second does not pay for the rest. */
static void
burst_then_drip(void **state)
{
	(void)state;
	assert_in_range(lasts(100000000, 1, 500), 55, 66);
}

static void
silence(void **state)
{
	struct pace p;

	(void)state;
	pace_begin(&p, 0);
	pace_add(&p, 0, 1 << 20);
	assert_false(pace_is_too_slow(&p, 40, 500));
	assert_true(pace_is_too_slow(&p, 7200, 500));
	pace_add(&p, 7200, 1 << 20);
	assert_false(pace_is_too_slow(&p, 7200, 500));
}

/* Time that is the upstream's does not count. */
static void
stopped(void **state)
{
	struct pace p;

	(void)state;
	pace_begin(&p, 0);
	pace_add(&p, 0, 20000);
	pace_stop(&p, 10);
	pace_stop(&p, 500);
	pace_go_on(&p, 1000);
	assert_false(pace_is_too_slow(&p, 1045, 500));
	assert_true(pace_is_too_slow(&p, 1100, 500));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady),
		cmocka_unit_test(burst_then_drip),
		cmocka_unit_test(silence),
		cmocka_unit_test(stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
