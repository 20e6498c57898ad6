/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/directory/hashing.h"

static void
test_hashing(void **state)
{
	struct hashing *h = hashing_open(4);
	uint64_t a = hashing_name(h, SLICE("a@x.example")),
	         b = hashing_name(h, SLICE("b@x.example"));

	(void)state;
	assert_non_null(h);
	assert_true(a != b && a == hashing_name(h, SLICE("A@X.example")));
	/* Of one address two, whatever the name; in whichever row and cell. */
	assert_true(hashing_take(h, 0, 0, a, 1));
	assert_true(hashing_take(h, 3, HASHING_MAX - 1, b, 1));
	assert_false(hashing_take(h, 0, 1, 77, 1));
	assert_true(hashing_take(h, 0, 1, a, 2));
	assert_false(hashing_take(h, 1, 0, a, 3));
	hashing_leave(h, 0, 0);
	assert_true(hashing_take(h, 1, 0, a, 3));
	assert_false(hashing_take(h, 2, 0, a, 4));
	/* A process that is dead holds nothing. */
	hashing_clear(h, 0);
	assert_true(hashing_take(h, 2, 0, a, 4));
	hashing_close(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
