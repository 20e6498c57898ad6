/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
builds(void **state)
{
	(void)state;
	char mem[128];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, SLICE("a="));
	text_u64(&t, 0);
	text_char(&t, ' ');
	text_u64(&t, UINT64_MAX);
	text_char(&t, ' ');
	text_hex(&t, SLICE("\x00\x7f\xff"));
	text_fmt(&t, " %s %d", "f", 5);
	assert_false(t.overflow);
	assert_string_equal(mem, "a=0 18446744073709551615 007fff f 5");
	assert_int_equal(t.n, strlen(mem));
	text_reset(&t);
	assert_string_equal(mem, "");
	text_put(&t, slice_str(NULL));
	assert_int_equal(t.n, 0);
}

static void
overflow_sticks(void **state)
{
	(void)state;
	char mem[8];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, SLICE("1234567"));
	assert_false(t.overflow);
	assert_string_equal(mem, "1234567");
	text_char(&t, '8');
	assert_true(t.overflow);
	assert_string_equal(mem, "1234567");

	text_reset(&t);
	text_put(&t, SLICE("123"));
	text_fmt(&t, "%s", "45678");
	assert_true(t.overflow);
	assert_string_equal(mem, "123");
	text_char(&t, '4');
	text_fmt(&t, "%d", 4);
	text_hex(&t, SLICE("4"));
	text_json(&t, SLICE("4"));
	text_escaped(&t, SLICE("4"), 10);
	assert_string_equal(mem, "123");

	char one[1];
	struct text none = text_over(one, 1);

	text_put(&none, SLICE(""));
	assert_false(none.overflow);
	text_char(&none, 'x');
	assert_true(none.overflow);

	none = text_over(NULL, 0);
	text_put(&none, SLICE(""));
	text_u64(&none, 1);
	text_fmt(&none, "x");
	text_reset(&none);
	assert_true(none.overflow);
	assert_int_equal(text_slice(&none).n, 0);
}

static void
escapes(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		size_t max;
		const char *out;
	} cases[] = {
		{ SLICE("abc"), 10, "abc" },
		{ SLICE("a\r\n\x1b[1m\xff"), 100, "a\\x0d\\x0a\\x1b[1m\\xff" },
		{ SLICE("ab\n"), 5, "ab" },
		{ SLICE("ab\n"), 6, "ab\\x0a" },
		{ SLICE("abcdef"), 3, "abc" },
		{ SLICE("nul\0x"), 100, "nul\\x00x" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[128];
		struct text t = text_over(mem, sizeof(mem));

		text_escaped(&t, cases[i].in, cases[i].max);
		assert_string_equal(mem, cases[i].out);
	}
}

static void
makes_json(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		const char *out;
	} cases[] = {
		{ SLICE("a b"), "a b" },
		{ SLICE("q\"\\/"), "q\\\"\\\\/" },
		{ SLICE("\r\n\t\x01\x7f"), "\\r\\n\\t\\u0001\\u007f" },
		{ SLICE("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
		{ SLICE("x\xff\xc3y"), "x\xef\xbf\xbd\xef\xbf\xbdy" },
		{ SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ SLICE("n\0"), "n\\u0000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[128];
		struct text t = text_over(mem, sizeof(mem));

		text_json(&t, cases[i].in);
		assert_string_equal(mem, cases[i].out);
	}
}

static void
percent(void **state)
{
	(void)state;
	char mem[64];
	struct text t = text_over(mem, sizeof(mem));

	text_percent(&t, slice_of("aZ09-._~ +/=&\0\xff", 15));
	assert_string_equal(mem, "aZ09-._~%20%2B%2F%3D%26%00%FF");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds),
		cmocka_unit_test(percent),
		cmocka_unit_test(overflow_sticks),
		cmocka_unit_test(escapes),
		cmocka_unit_test(makes_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
