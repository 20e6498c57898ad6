/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/hush.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void
test_once_a_minute(void **state)
{
	struct hush h = { 0 };
	uint64_t again = 7;

	(void)state;
	assert_true(hush_passes(&h, "connect", 100, &again));
	assert_int_equal(again, 0);
	for (int i = 0; i < 37; i++)
		assert_false(hush_passes(&h, "connect", 101 + i, &again));
	/* Another kind has a minute of its own. */
	assert_true(hush_passes(&h, "tls", 102, &again));
	assert_null(hush_over(&h, 159, &again));
	assert_true(hush_passes(&h, "connect", 160, &again));
	assert_int_equal(again, 37);
	assert_false(hush_passes(&h, "connect", 161, &again));
	/* None comes any more: the count is told all the same, once. */
	assert_null(hush_over(&h, 219, &again));
	assert_string_equal(hush_over(&h, 220, &again), "connect");
	assert_int_equal(again, 1);
	assert_null(hush_over(&h, 221, &again));
}

/* More kinds than rows: what is told stays bounded, what is counted is not lost. */
static void
test_many_kinds(void **state)
{
	static char words[40][4];
	struct hush h = { 0 };
	uint64_t told = 0, kept = 0, again;

	(void)state;
	for (int n = 0; n < 4000; n++) {
		snprintf(words[n % 40], sizeof(words[0]), "%d", n % 40);
		if (hush_passes(&h, words[n % 40], 100, &again))
			told++;
	}
	assert_int_equal(told, HUSH_KINDS);
	while (hush_over(&h, 160, &again))
		kept += again;
	assert_int_equal(told + kept, 4000);
	/* Rows of those who are silent go to others. */
	assert_true(hush_passes(&h, "new", 300, &again));
	assert_true(hush_passes(&h, "newer", 300, &again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_a_minute),
		cmocka_unit_test(test_many_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
