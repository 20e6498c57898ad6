/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
cuts_and_trims(void **state)
{
	(void)state;
	struct slice rest = SLICE("one two  three");

	assert_true(slice_eq(slice_cut(&rest, ' '), SLICE("one")));
	assert_true(slice_eq(slice_cut(&rest, ' '), SLICE("two")));
	assert_true(slice_eq(slice_cut(&rest, ' '), SLICE("")));
	assert_true(slice_eq(slice_cut(&rest, ' '), SLICE("three")));
	assert_int_equal(rest.n, 0);
	assert_int_equal(slice_cut(&rest, ' ').n, 0);
	assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
	assert_int_equal(slice_trim(SLICE(" \t ")).n, 0);
}

static void
bears_the_null_slice(void **state)
{
	(void)state;
	struct slice none = slice_str(NULL);

	assert_true(slice_eq(none, SLICE("")));
	assert_true(slice_eq_nocase(none, SLICE("")));
	assert_int_equal(slice_skip(none, 3).n, 0);
	assert_int_equal(slice_head(none, 3).n, 0);
	assert_int_equal(slice_trim(none).n, 0);
	assert_int_equal(slice_find(none, 'x'), 0);
	assert_int_equal(slice_cut(&none, ' ').n, 0);
	assert_true(slice_is_text(none));
	assert_false(slice_has(none, 'a'));
}

static void
finds_and_compares(void **state)
{
	(void)state;
	assert_true(slice_has(SLICE("abc"), 'c'));
	assert_false(slice_has(SLICE("abc"), 'd'));
	assert_true(slice_starts_nocase(SLICE("from:<>"), SLICE("FROM:")));
	assert_false(slice_starts(SLICE("from:<>"), SLICE("FROM:")));
	assert_int_equal(slice_find(SLICE("abc"), 'c'), 2);
	assert_int_equal(slice_find(SLICE("abc"), 'd'), 3);
	assert_true(slice_is_ascii(SLICE(" ~")));
	assert_false(slice_is_ascii(SLICE("\x7f")));
	assert_false(slice_is_ascii(SLICE("\xc3\xa4")));
	assert_false(slice_is_ascii(SLICE("\t")));
}

static void
knows_text(void **state)
{
	(void)state;
	static const struct {
		struct slice s;
		bool text;
	} cases[] = {
		{ SLICE(""), true }, { SLICE("plain ~!"), true }, { SLICE("tab\t"), false },
		{ SLICE("cr\r"), false }, { SLICE("nul\0"), false }, { SLICE("esc\x1b"), false },
		{ SLICE("del\x7f"), false }, { SLICE("\xc3\xa4"), true }, /* two octets */
		{ SLICE("\xe2\x82\xac"), true },                          /* three */
		{ SLICE("\xf0\x9f\x93\xa7"), true },                      /* four */
		{ SLICE("\xf4\x8f\xbf\xbf"), true },                      /* U+10FFFF */
		{ SLICE("\xc0\x8d"), false },                             /* overlong CR */
		{ SLICE("\xc1\xbf"), false },                             /* overlong */
		{ SLICE("\xe0\x80\x8a"), false },                         /* overlong LF */
		{ SLICE("\xf0\x80\x80\x8a"), false },                     /* overlong LF */
		{ SLICE("\xed\xa0\x80"), false },                         /* surrogate */
		{ SLICE("\xed\x9f\xbf"), true },                          /* just below */
		{ SLICE("\xf4\x90\x80\x80"), false },                     /* beyond U+10FFFF */
		{ SLICE("\xf5\x80\x80\x80"), false },                     /* no such first octet */
		{ SLICE("\x80"), false },                                 /* continuation alone */
		{ SLICE("\xc3"), false },                                 /* cut */
		{ SLICE("\xe2\x82"), false },                             /* cut */
		{ SLICE("\xe2\x82 "), false },                            /* broken off */
		{ SLICE("\xe7\x98\x8d\xe7\x98\x8a"), true }, /* U+760D U+760A: no CR LF */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (slice_is_text(cases[i].s) != cases[i].text)
			fail_msg("case %zu", i);
}

static void
reads_numbers(void **state)
{
	(void)state;
	static const struct {
		struct slice s;
		bool ok;
		uint64_t v;
	} cases[] = {
		{ SLICE("0"), true, 0 },
		{ SLICE("007"), true, 7 },
		{ SLICE("18446744073709551615"), true, UINT64_MAX },
		{ SLICE("18446744073709551616"), false, 0 },
		{ SLICE("99999999999999999999"), false, 0 },
		{ SLICE(""), false, 0 },
		{ SLICE("-1"), false, 0 },
		{ SLICE("+1"), false, 0 },
		{ SLICE(" 1"), false, 0 },
		{ SLICE("1 "), false, 0 },
		{ SLICE("0x1"), false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 42;

		if (slice_to_u64(cases[i].s, &v) != cases[i].ok)
			fail_msg("case %zu", i);
		assert_int_equal(v, cases[i].ok ? cases[i].v : 42);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_and_trims),
		cmocka_unit_test(bears_the_null_slice),
		cmocka_unit_test(finds_and_compares),
		cmocka_unit_test(knows_text),
		cmocka_unit_test(reads_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
