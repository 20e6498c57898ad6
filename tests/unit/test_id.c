/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
has_its_form(void **state)
{
	(void)state;
	id_init(5, 0xabcdef12);

	struct id id = id_make(1795277700000);

	assert_int_equal(strlen(id.s), ID_LEN);
	assert_int_equal(strspn(id.s, "0123456789abcdefghjkmnpqrstvwxyz"), ID_LEN);
	assert_true(slice_eq(id_slice(&id), slice_str(id.s)));
}

/* In order and never twice: in one millisecond, over a clock that goes back, and beyond 4096 in a
 * millisecond. */
static void
is_ordered_and_unique(void **state)
{
	(void)state;
	uint64_t now = 1795277800000;
	struct id last = id_make(now);

	for (int i = 0; i < 30000; i++) {
		if (i % 10000 == 9999)
			now += 3;
		if (i == 15000)
			now -= 100000;

		struct id id = id_make(now);

		if (strcmp(last.s, id.s) >= 0)
			fail_msg("%s after %s", id.s, last.s);
		last = id;
	}
}

static void
differs_by_worker_and_node(void **state)
{
	(void)state;
	struct id id[4];
	uint64_t now = 1795277900000;

	for (unsigned i = 0; i < 4; i++) {
		id_init(i & 1 ? 1023 : 0, i & 2 ? 0x100 : 0x1ff);
		id[i] = id_make(now + i * 0);
	}
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(id[i].s, id[k].s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_its_form),
		cmocka_unit_test(is_ordered_and_unique),
		cmocka_unit_test(differs_by_worker_and_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
