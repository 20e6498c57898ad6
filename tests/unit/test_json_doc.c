/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_doc.h"

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
	{ "{\"a\":\"\\ud83d\"}", "a", NULL },
	{ "{\"a\":\"\xff\"}", "a", NULL },
	{ "{\"a\":\"\"}", "a", NULL },
	{ "{\"a\":-1.5}", "a", "-1.5" },
	{ "{\"a\":1}x", "a", NULL },
	{ "{\"a\":\"\\x\"}", "a", NULL },
	{ "{\"a\":\"\\u12\"}", "a", NULL },
	{ "{\"a\":\"one\",\"a\":\"two\"}", "a", "two" },
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
		struct json_t *doc = json_doc_read(slice_str(cases[i].doc));
		bool found = json_doc_text(json_doc_at(doc, cases[i].path), &t);

		json_doc_free(doc);

		if (found != (cases[i].text != NULL) || (found && strcmp(mem, cases[i].text) != 0))
			fail_msg("case %zu: %s", i, cases[i].doc);
	}
}

/* Nesting is bounded, and any prefix of a document is none. */
static void
test_hostile(void **state)
{
	char deep[2 * JSON_DOC_DEPTH + 2];
	static const char text[] = "{\"a\":{\"b\":[1,\"\\u00e4[[\",{\"c\":null}]},\"d\":-1.5e3}";
	struct json_t *doc;

	(void)state;
	for (size_t n = JSON_DOC_DEPTH; n <= JSON_DOC_DEPTH + 1; n++) {
		memset(deep, '[', n);
		memset(deep + n, ']', n);
		doc = json_doc_read(slice_of(deep, 2 * n));
		assert_int_equal(doc != NULL, n == JSON_DOC_DEPTH);
		json_doc_free(doc);
	}
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		assert_null(json_doc_read(slice_of(text, n)));
	doc = json_doc_read(slice_str(text));
	assert_non_null(json_doc_at(doc, "d"));
	assert_non_null(json_doc_at(doc, "a.b.2.c"));
	json_doc_free(doc);
}

static void
test_numbers_and_compact(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t n;
	} numbers[] = { { "42", true, 42 }, { "0", true, 0 }, { "\"42\"", false, 0 },
		{ "-1", false, 0 }, { "1.5", false, 0 }, { "99999999999999999999", false, 0 } };
	char mem[128];
	struct text t = text_over(mem, sizeof(mem));
	struct json_t *doc;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t n = 0;

		doc = json_doc_read(slice_str(numbers[i].text));
		assert_int_equal(json_doc_u64(doc, &n), numbers[i].good);
		assert_int_equal(n, numbers[i].n);
		json_doc_free(doc);
	}
	doc = json_doc_read(SLICE(" { \"code\" : \"70 01\" ,\r\n \"n\": 1 } "));
	json_doc_compact(doc, &t);
	json_doc_free(doc);
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
