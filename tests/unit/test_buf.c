/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static void
holds_no_memory_when_empty(void **state)
{
	(void)state;
	struct buf b;
	size_t n;

	buf_init(&b, 100);
	assert_null(b.mem);
	assert_true(buf_put(&b, SLICE("")));
	assert_null(b.mem);
	assert_true(buf_put(&b, SLICE("abc")));
	assert_non_null(b.mem);
	buf_skip(&b, 2);
	assert_true(slice_eq(buf_data(&b), SLICE("c")));
	buf_skip(&b, 1);
	assert_null(b.mem);
	assert_non_null(buf_space(&b, 1, &n));
	buf_add(&b, 0);
	assert_null(b.mem);
	assert_int_equal(buf_data(&b).n, 0);
	buf_fini(&b);
}

static void
keeps_to_its_max(void **state)
{
	(void)state;
	struct buf b;
	size_t n = 0;

	buf_init(&b, 10);
	assert_true(buf_put(&b, SLICE("0123456")));
	assert_int_equal(buf_room(&b), 3);
	assert_false(buf_put(&b, SLICE("789a")));
	assert_null(buf_space(&b, 4, &n));
	assert_non_null(buf_space(&b, 2, &n));
	assert_int_equal(n, 3);
	assert_true(buf_put(&b, SLICE("789")));
	assert_null(buf_space(&b, 0, &n));
	buf_clear(&b, true);
	assert_null(b.mem);
	assert_int_equal(buf_room(&b), 10);
	buf_fini(&b);
}

static void
owes_only_what_it_holds(void **state)
{
	(void)state;
	struct buf b;
	char more[BUF_SMALL];

	memset(more, 'x', sizeof(more));
	buf_init(&b, BUF_LARGE);
	assert_true(buf_put(&b, SLICE("abcdef")));
	assert_true(slice_eq(buf_offer(&b, 4), SLICE("abcd")));
	buf_owe(&b, 4);
	assert_true(slice_eq(buf_offer(&b, 1), SLICE("abcd")));
	assert_true(buf_put(&b, slice_of(more, sizeof(more)))); /* it moves */
	assert_true(slice_eq(buf_offer(&b, BUF_LARGE), SLICE("abcd")));
	buf_skip(&b, 4);
	assert_true(slice_eq(buf_offer(&b, 2), SLICE("ef")));
	buf_owe(&b, 2);
	buf_clear(&b, false);
	assert_int_equal(buf_offer(&b, 9).n, 0);
	assert_true(buf_put(&b, SLICE("g")));
	buf_owe(&b, 1);
	buf_skip(&b, 1);
	assert_int_equal(buf_offer(&b, 9).n, 0);
	buf_fini(&b);
}

static void
grows_once_and_moves(void **state)
{
	(void)state;
	struct buf b;
	char line[1000];
	size_t n;

	memset(line, 'x', sizeof(line));
	buf_init(&b, BUF_LARGE);
	for (int i = 0; i < 4; i++)
		assert_true(buf_put(&b, slice_of(line, sizeof(line))));
	assert_int_equal(b.size, BUF_SMALL);
	buf_skip(&b, 1000);
	assert_true(buf_put(&b, slice_of(line, sizeof(line))));
	assert_int_equal(b.size, BUF_SMALL); /* moved to the front: it still fits */
	assert_true(buf_put(&b, slice_of(line, sizeof(line))));
	assert_int_equal(b.size, BUF_LARGE);
	assert_int_equal(buf_used(&b), 5000);
	assert_non_null(buf_space(&b, BUF_LARGE - 5000, &n));
	assert_int_equal(n, BUF_LARGE - 5000);
	buf_fini(&b);
}

/* Against a model that is too simple to be wrong. */
static void
is_a_queue(void **state)
{
	(void)state;
	struct buf b;
	uint8_t in = 0, out = 0;
	size_t used = 0;

	srand(1);
	buf_init(&b, 50000);
	for (int i = 0; i < 20000; i++) {
		size_t n;

		if (rand() % 2) {
			size_t want = (size_t)rand() % (rand() % 8 ? 300 : 9000) + 1;
			char *p = buf_space(&b, want, &n);

			assert_true((p != NULL) == (used + want <= 50000));
			if (p) {
				assert_in_range(n, want, 50000 - used);
				for (size_t k = 0; k < want; k++)
					p[k] = (char)in++;
				buf_add(&b, want);
				used += want;
			}
		} else {
			struct slice d = buf_data(&b);

			assert_int_equal(d.n, used);
			n = used ? (size_t)rand() % used + (rand() % 4 == 0) : 0;
			for (size_t k = 0; k < n; k++)
				if ((uint8_t)d.p[k] != out++)
					fail();
			buf_skip(&b, n);
			used -= n;
		}
	}
	buf_fini(&b);
}

static void
reuses_blocks(void **state)
{
	(void)state;
	struct buf a, b;

	buf_init(&a, 10);
	buf_init(&b, BUF_LARGE);
	assert_true(buf_put(&a, SLICE("x")));

	char *mem = a.mem;

	buf_skip(&a, 1);
	assert_true(buf_put(&b, SLICE("y")));
	assert_ptr_equal(b.mem, mem);
	buf_fini(&a);
	buf_fini(&b);
}

static int
trim_pool(void **state)
{
	(void)state;
	buf_pool_trim();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_no_memory_when_empty),
		cmocka_unit_test(keeps_to_its_max),
		cmocka_unit_test(owes_only_what_it_holds),
		cmocka_unit_test(grows_once_and_moves),
		cmocka_unit_test(is_a_queue),
		cmocka_unit_test(reuses_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, trim_pool);
}
