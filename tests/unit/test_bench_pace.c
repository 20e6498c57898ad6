/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/clock.h"
#include "bench/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct pace paces[] = {
	{ .rate = 1000, .duration_ns = 10 * UINT64_C(1000000000) },
	{ .rate = 3, .messages = 100 },
	{ .rate = 50000, .ramp_ns = UINT64_C(2500000000), .duration_ns = UINT64_C(4000000000) },
	{ .rate = 0.5, .ramp_ns = UINT64_C(1000000000), .messages = 7 },
	{ .rate = 7, .ramp_ns = UINT64_C(60000000000), .duration_ns = UINT64_C(30000000000) },
};

enum { PACES = sizeof(paces) / sizeof(paces[0]) };

/* Times never go back, and both functions say the same of each message. */
static void
test_due_and_due_by_agree(void **state)
{
	(void)state;
	for (size_t k = 0; k < PACES; k++) {
		const struct pace *p = &paces[k];
		uint64_t before = 0;

		for (uint64_t i = 0; i < 500; i++) {
			uint64_t due = pace_due(p, i);

			assert_true(due >= before);
			if (pace_is_over(p, i, due))
				break;
			assert_true(pace_due_by(p, due) > i);
			if (due > 0 && due > before)
				assert_int_equal(pace_due_by(p, due - 1), i);
			before = due;
		}
	}
}

/* A constant rate: as many as the rate says in each second after the ramp, half as many in it. */
static void
test_rate(void **state)
{
	const struct pace *p = &paces[2];

	(void)state;
	assert_int_equal(pace_due(&paces[0], 500), 500 * (uint64_t)CLOCK_MS);
	assert_in_range(pace_due_by(p, p->ramp_ns), 62499, 62501);
	assert_in_range(pace_due_by(p, p->ramp_ns + CLOCK_S), 112499, 112501);
	/* A quarter of the messages in the first half of the ramp. */
	assert_in_range(pace_due_by(p, p->ramp_ns / 2), 15624, 15626);
}

/* Nothing is due behind the end, however late one asks. */
static void
test_bounds(void **state)
{
	const struct pace closed = { .duration_ns = CLOCK_S };
	const struct pace graceful = { .rate = 1000, .duration_ns = CLOCK_S, .grace_ns = 100 };

	(void)state;
	assert_int_equal(pace_due_by(&paces[0], 3600 * (uint64_t)CLOCK_S), 10000);
	assert_int_equal(pace_due_by(&paces[1], 3600 * (uint64_t)CLOCK_S), 100);
	assert_true(pace_is_over(&paces[1], 100, 0));
	assert_false(pace_is_over(&paces[1], 99, UINT64_MAX));
	assert_true(pace_is_over(&paces[0], 0, paces[0].duration_ns));
	assert_false(pace_is_over(&paces[0], UINT64_MAX, paces[0].duration_ns - 1));
	assert_true(pace_is_over(&closed, 0, closed.duration_ns));
	/* What was due before the end may still begin behind it, for a moment. */
	assert_false(pace_is_over(&graceful, 999, graceful.duration_ns + 99));
	assert_true(pace_is_over(&graceful, 1000, graceful.duration_ns));
	assert_true(pace_is_over(&graceful, 999, graceful.duration_ns + 100));
}

static void
test_sessions_begin_one_after_the_other(void **state)
{
	struct pace p = { .ramp_ns = 1000 };

	(void)state;
	assert_int_equal(pace_session(&p, 0, 4), 0);
	assert_int_equal(pace_session(&p, 3, 4), 750);
	p.ramp_ns = 0;
	assert_int_equal(pace_session(&p, 3, 4), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due_and_due_by_agree),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_sessions_begin_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
