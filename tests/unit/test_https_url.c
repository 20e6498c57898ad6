/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/https_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	struct slice in;
	const char *host; /* NULL: refused */
	unsigned port;
	const char *path;
} cases[] = {
	{ SLICE("https://a.example"), "a.example", 443, "/" },
	{ SLICE("https://a.example/"), "a.example", 443, "/" },
	{ SLICE("https://a.example:8443/v3/mail"), "a.example", 8443, "/v3/mail" },
	{ SLICE("https://192.0.2.1:65535/x"), "192.0.2.1", 65535, "/x" },
	{ SLICE("https://[2001:db8::1]/x"), "2001:db8::1", 443, "/x" },
	{ SLICE("https://[::ffff:192.0.2.1]:1"), "::ffff:192.0.2.1", 1, "/" },

	{ SLICE(""), NULL, 0, NULL },
	{ SLICE("http://a.example/"), NULL, 0, NULL },
	{ SLICE("HTTPS://a.example/"), NULL, 0, NULL },
	{ SLICE("https://"), NULL, 0, NULL },
	{ SLICE("https:///x"), NULL, 0, NULL },
	{ SLICE("https://:443/"), NULL, 0, NULL },
	{ SLICE("https://u@a.example/"), NULL, 0, NULL },
	{ SLICE("https://a.example/?x"), NULL, 0, NULL },
	{ SLICE("https://a.example/#x"), NULL, 0, NULL },
	{ SLICE("https://a.example/ x"), NULL, 0, NULL },
	{ SLICE("https://a.example\r\n/x"), NULL, 0, NULL },
	{ SLICE("https://a\0.example/"), NULL, 0, NULL },
	{ SLICE("https://a.example:0/"), NULL, 0, NULL },
	{ SLICE("https://a.example:65536/"), NULL, 0, NULL },
	{ SLICE("https://a.example:/"), NULL, 0, NULL },
	{ SLICE("https://a.example:+1/"), NULL, 0, NULL },
	{ SLICE("https://\xc3\xa4.example/"), NULL, 0, NULL },

	/* brackets hold an IPv6 address and nothing else, and stand nowhere else */
	{ SLICE("https://[]/"), NULL, 0, NULL },
	{ SLICE("https://[a.example]/"), NULL, 0, NULL },
	{ SLICE("https://[192.0.2.1]/"), NULL, 0, NULL },
	{ SLICE("https://[::1/"), NULL, 0, NULL },
	{ SLICE("https://[::1]x/"), NULL, 0, NULL },
	{ SLICE("https://[[s://]"), NULL, 0, NULL },
	{ SLICE("https://[fe80::1%25eth0]/"), NULL, 0, NULL },
	{ SLICE("https://a[::1]/"), NULL, 0, NULL },
	{ SLICE("https://a]/"), NULL, 0, NULL },
};

static void
takes_urls_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct https_url url;
		bool ok = https_url_parse(cases[i].in, &url);

		if (ok != (cases[i].host != NULL))
			fail_msg("case %zu: %.*s", i, SLICE_FMT(cases[i].in));
		if (!ok)
			continue;
		assert_true(slice_eq(url.host, slice_str(cases[i].host)));
		assert_int_equal(url.port, cases[i].port);
		assert_true(slice_eq(url.path, slice_str(cases[i].path)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_urls_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
