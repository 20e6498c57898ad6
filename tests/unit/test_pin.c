/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EIGHT "01:23:45:67:89:ab:CD:ef:"
#define PLAIN "0123456789ABcdef"

static void
reads(void **state)
{
	(void)state;
	static const char *const good[] = { EIGHT EIGHT EIGHT EIGHT, PLAIN PLAIN PLAIN PLAIN };
	static const unsigned char octets[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		unsigned char pin[PIN_LEN];

		assert_true(pin_parse(good[i], pin));
		for (size_t at = 0; at < PIN_LEN; at++)
			assert_int_equal(pin[at], octets[at % sizeof(octets)]);
	}
}

static void
refuses(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ":", "0", PLAIN PLAIN PLAIN,
		PLAIN PLAIN PLAIN PLAIN "0", PLAIN PLAIN PLAIN "0123456789abcde",
		PLAIN PLAIN PLAIN "0123456789abcdeg",
		PLAIN PLAIN PLAIN "012345678\x10"
		                  "abcdef",
		PLAIN PLAIN PLAIN "0123456 89abcdef" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		unsigned char pin[PIN_LEN];

		assert_false(pin_parse(bad[i], pin));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads), cmocka_unit_test(refuses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
