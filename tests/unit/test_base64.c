/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
knows_the_rfc_vectors(void **state)
{
	(void)state;
	static const struct {
		struct slice plain;
		struct slice coded;
	} cases[] = {
		{ SLICE(""), SLICE("") },
		{ SLICE("f"), SLICE("Zg==") },
		{ SLICE("fo"), SLICE("Zm8=") },
		{ SLICE("foo"), SLICE("Zm9v") },
		{ SLICE("foob"), SLICE("Zm9vYg==") },
		{ SLICE("fooba"), SLICE("Zm9vYmE=") },
		{ SLICE("foobar"), SLICE("Zm9vYmFy") },
		{ SLICE("\0u\0p"), SLICE("AHUAcA==") },
		{ SLICE("\xff\xfe\xfd\xfb\xef"), SLICE("//79++8=") },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[64], out[64];
		size_t n = 99;
		struct text t = text_over(mem, sizeof(mem));

		base64_encode(&t, cases[i].plain);
		assert_true(slice_eq(text_slice(&t), cases[i].coded));
		assert_true(base64_decode(cases[i].coded, out, cases[i].plain.n, &n));
		assert_true(slice_eq(slice_of(out, n), cases[i].plain));
	}
}

static void
refuses_what_does_not_belong(void **state)
{
	(void)state;
	static const struct slice cases[] = {
		SLICE("Z"),
		SLICE("Zg"),
		SLICE("Zg="),
		SLICE("Zm9vY"), /* padding missing */
		SLICE("Zh=="),
		SLICE("Zm9="),
		SLICE("//79++9="), /* spare bits */
		SLICE("===="),
		SLICE("Z==="),
		SLICE("=Zg="),
		SLICE("Zg==Zg=="), /* padding within */
		SLICE("Z=g="),
		SLICE("Zm9v===="),
		SLICE("Zg=Z"),
		SLICE(" Zg="),
		SLICE("Zg\r\n"),
		SLICE("Zm 9"),
		SLICE("Zm-_"),
		SLICE("Zm9\0"),
		SLICE("Zm9\xc3"),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];
		size_t n;

		if (base64_decode(cases[i], out, sizeof(out), &n))
			fail_msg("case %zu", i);
	}
}

/*
 * The same text with all, some and no padding; too much of it, or a text that lacks more, is
 * refused.
 */
static void
does_without_padding(void **state)
{
	(void)state;
	static const struct {
		struct slice coded;
		const char *plain; /* NULL: refused */
	} cases[] = {
		{ SLICE(""), "" },
		{ SLICE("Zg"), "f" },
		{ SLICE("Zg="), "f" },
		{ SLICE("Zg=="), "f" },
		{ SLICE("Zm8"), "fo" },
		{ SLICE("Zm8="), "fo" },
		{ SLICE("Zm9v"), "foo" },
		{ SLICE("Zm9vYg"), "foob" },
		{ SLICE("Zm9vYmE"), "fooba" },
		{ SLICE("Z"), NULL },
		{ SLICE("="), NULL },
		{ SLICE("=="), NULL },
		{ SLICE("Z="), NULL },
		{ SLICE("Zm9vY"), NULL },
		{ SLICE("Zm9v="), NULL },
		{ SLICE("Zm9v=="), NULL },
		{ SLICE("Zm8=="), NULL },
		{ SLICE("Zg==="), NULL },
		{ SLICE("Zg==Zg"), NULL },
		{ SLICE("Zg=Zg"), NULL },
		{ SLICE("Zh"), NULL }, /* spare bits */
		{ SLICE("Zm9"), NULL },
		{ SLICE("Zm 9v"), NULL },
		{ SLICE("Zm9vYg\0"), NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];
		size_t n = 0;
		bool ok = base64_decode_unpadded(cases[i].coded, out, sizeof(out), &n);

		if (ok != (cases[i].plain != NULL))
			fail_msg("case %zu", i);
		if (ok)
			assert_true(slice_eq(slice_of(out, n), slice_str(cases[i].plain)));
	}
}

static void
keeps_to_its_cap(void **state)
{
	(void)state;
	char out[8];
	size_t n;

	assert_false(base64_decode(SLICE("Zm9vYmFy"), out, 5, &n));
	assert_true(base64_decode(SLICE("Zm9vYmFy"), out, 6, &n));
	assert_false(base64_decode_unpadded(SLICE("Zm9vYg"), out, 3, &n));
	assert_true(base64_decode_unpadded(SLICE("Zm9vYg"), out, 4, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_rfc_vectors),
		cmocka_unit_test(refuses_what_does_not_belong),
		cmocka_unit_test(does_without_padding),
		cmocka_unit_test(keeps_to_its_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
