/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_read.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct find_case {
	const char *doc, *path, *text; /* TEXT NULL: nothing there, or nothing to be read as text */
};

static const struct find_case cases[] = {
	{ "{\"id\":\"<1@x>\",\"message\":\"Queued. Thank you.\"}", "message",
	    "Queued. Thank you." },
	{ " { \"results\" : { \"id\" : \"7\" , \"n\" : 12 } } ", "results.id", "7" },
	{ " { \"results\" : { \"id\" : \"7\" , \"n\" : 12 } } ", "results.n", "12" },
	{ "{\"errors\":[{\"message\":\"a\"},{\"message\":\"b\"}]}", "errors.1.message", "b" },
	{ "{\"errors\":[{\"message\":\"a\"}]}", "errors.1.message", NULL },
	{ "[1,[2,3]]", "1.1", "3" },
	{ "{\"a\":\"\\u00e4\\u20ac\\ud83d\\udc18\\n\\\"\\/\"}", "a",
	    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\n\"/" },
	{ "{\"a\":\"\\ud83d\"}", "a", "\xef\xbf\xbd" },
	{ "{\"a\":\"\\x\"}", "a", NULL },
	{ "{\"a\":\"\\u12\"}", "a", NULL },
	{ "{\"a\":\"one\",\"a\":\"two\"}", "a", "one" },
	{ "{\"b\":{\"a\":\"inner\"},\"a\":\"outer\"}", "a", "outer" },
	{ "{\"b\":\"}\\\"{\",\"a\":\"x\"}", "a", "x" },
	{ "{\"a\":true}", "a", "true" },
	{ "{\"a\":null}", "a", NULL },
	{ "{\"a\":{}}", "a", NULL },
	{ "{\"a\":{}}", "a.b", NULL },
	{ "{\"a\":[]}", "a.0", NULL },
	{ "{}", "a", NULL },
	{ "", "a", NULL },
	{ "Forbidden", "message", NULL },
	{ "{\"a\":\"cut", "a", NULL },
	{ "{\"a\" \"b\"}", "a", NULL },
	{ "{\"b\":[1,2},\"a\":1}", "a", NULL },
	{ "{\"a\":\"line\nbreak\"}", "a", NULL },
};

static void
test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[128];
		struct text t = text_over(mem, sizeof(mem));
		struct json_value v;
		bool found =
		    json_find(slice_str(cases[i].doc), cases[i].path, &v) && json_to_text(&v, &t);

		if (found != (cases[i].text != NULL) || (found && strcmp(mem, cases[i].text) != 0))
			fail_msg("case %zu: %s", i, cases[i].doc);
	}
}

/* Nesting is bounded, and any prefix of a text is only a text that is not whole. */
static void
test_hostile(void **state)
{
	char deep[4096];
	static const char doc[] = "{\"a\":{\"b\":[1,\"\\u00e4\",{\"c\":null}]},\"d\":-1.5e3}";
	struct json_value v;

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_false(json_find(slice_of(deep, sizeof(deep)), "0", &v));
	for (size_t n = 0; n < sizeof(doc) - 1; n++)
		(void)!json_find(slice_of(doc, n), "d", &v);
	assert_true(json_find(slice_str(doc), "d", &v));
	assert_int_equal(v.kind, JSON_NUMBER);
}

static void
test_numbers_and_compact(void **state)
{
	char mem[128];
	struct text t = text_over(mem, sizeof(mem));
	struct json_value v;
	uint64_t n = 0;

	(void)state;
	assert_true(json_find(SLICE("{\"n\":42}"), "n", &v) && json_to_u64(&v, &n));
	assert_int_equal(n, 42);
	assert_true(json_find(SLICE("{\"n\":\"42\"}"), "n", &v));
	assert_false(json_to_u64(&v, &n));
	assert_true(json_find(SLICE("{\"n\":-1}"), "n", &v));
	assert_false(json_to_u64(&v, &n));
	json_compact(SLICE(" { \"code\" : \"70 01\" ,\r\n \"n\": 1 } "), &t);
	assert_string_equal(mem, "{\"code\":\"70 01\",\"n\":1}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_numbers_and_compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
