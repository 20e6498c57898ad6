/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
hands_out_aligned_memory(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 65536);
	for (size_t n = 0; n < 300; n++) {
		char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		if (n > 0)
			memset(p, 0xa5, n);
	}
	assert_true(a.held <= a.cap);
	arena_fini(&a);
	assert_int_equal(a.held, 0);
}

static void
keeps_to_its_cap(void **state)
{
	(void)state;
	struct arena a;
	size_t got = 0;

	arena_init(&a, 10000);
	while (arena_alloc(&a, 100))
		got += 100;
	assert_in_range(got, 8000, 10000);
	assert_true(a.held <= 10000);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 20));
	assert_null(arena_str(&a,
	    SLICE("a text that is longer than what was left of the cap, which was "
	          "less than a hundred octets before this one was asked for")));

	struct slice s = arena_dup(&a, slice_of(a.first ? "x" : "", 0));

	assert_true(s.n == 0);
	arena_fini(&a);
}

static void
takes_one_large_piece(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 100000);
	assert_non_null(arena_alloc(&a, 90000));
	assert_null(arena_alloc(&a, 20000));
	assert_non_null(arena_alloc(&a, 100));
	arena_fini(&a);
}

static void
goes_back_to_a_mark(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 65536);

	struct arena_mark start = arena_mark(&a);
	struct slice kept = arena_dup(&a, SLICE("kept"));
	struct arena_mark mark = arena_mark(&a);
	struct arena_chunk *first = a.first;

	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 20; j++)
			assert_non_null(arena_zalloc(&a, 1000));
		arena_reset(&a, mark);
		assert_true(slice_eq(kept, SLICE("kept")));
		assert_ptr_equal(a.first, first);
		assert_ptr_equal(a.last, first);
		assert_in_range(a.held, 1, 4096);
	}
	arena_reset(&a, start);
	assert_ptr_equal(a.first, first);
	assert_ptr_equal(arena_dup(&a, SLICE("again")).p, kept.p);
	arena_release(&a);
	assert_int_equal(a.held, 0);
	assert_null(a.first);
	assert_string_equal(arena_str(&a, SLICE("usable")), "usable");
	arena_fini(&a);
}

static void
resets_when_empty(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 100);

	struct arena_mark mark = arena_mark(&a);

	arena_reset(&a, mark);
	arena_release(&a);
	arena_fini(&a);

	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 0));
	assert_null(arena_dup(&a, SLICE("x")).p);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_aligned_memory),
		cmocka_unit_test(keeps_to_its_cap),
		cmocka_unit_test(takes_one_large_piece),
		cmocka_unit_test(goes_back_to_a_mark),
		cmocka_unit_test(resets_when_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
