/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/proxy_protocol.h"

#include "wire/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x01\xc6\x33\x64\x02\x01\xbb\x00\x19"
#define SIXTEEN   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define V6 \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xff\xff\0\x19"
#define TEN    "0123456789"
#define NINETY TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
	struct slice in;
	enum proxy_got got;
	const char *source; /* NULL: local */
	unsigned port;
	const char *dest;
	size_t left;
} cases[] = {
	/* version 1 */
	{ SLICE("PROXY TCP4 192.0.2.1 198.51.100.2 443 25\r\nEHLO x\r\n"), PROXY_WHOLE, "192.0.2.1",
	    443, "198.51.100.2", 8 },
	{ SLICE("PROXY TCP6 2001:db8::1 2001:db8::2 65535 25\r\n"), PROXY_WHOLE, "2001:db8::1",
	    65535, "2001:db8::2", 0 },
	{ SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    PROXY_WHOLE, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0 },
	{ SLICE("PROXY UNKNOWN\r\n"), PROXY_WHOLE, NULL, 0, NULL, 0 },
	{ SLICE("PROXY UNKNOWN ffff:: whatever 1 2\r\nx"), PROXY_WHOLE, NULL, 0, NULL, 1 },
	{ SLICE("PROXY UNKNOWN " NINETY "0\r\n"), PROXY_WHOLE, NULL, 0, NULL, 0 },  /* 107 */
	{ SLICE("PROXY UNKNOWN " NINETY "01\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 }, /* 108 */
	{ SLICE("PROXY UNKNOWN " NINETY TEN TEN), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY \r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), PROXY_WHOLE, "192.0.2.1", 0, "192.0.2.2",
	    0 },
	{ SLICE("PROXY TCP4 ::1 ::1 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("EHLO x\r\n"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("PROXE"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE("\x16\x03\x01"), PROXY_FAULT, NULL, 0, NULL, 0 },

	/* version 2 */
	{ SLICE(SIGNATURE "\x21\x11\0\x0c" V4 "EHLO"), PROXY_WHOLE, "192.0.2.1", 443,
	    "198.51.100.2", 4 },
	{ SLICE(SIGNATURE "\x21\x21\0\x24" V6), PROXY_WHOLE, "2001:db8::1", 65535, "2001:db8::2",
	    0 },
	{ SLICE(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\x04TLVS!"), PROXY_WHOLE, "192.0.2.1", 443,
	    "198.51.100.2", 1 },
	{ SLICE(SIGNATURE "\x20\x11\0\x0c" V4), PROXY_WHOLE, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x20\0\0\0"), PROXY_WHOLE, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\0\0\0x"), PROXY_WHOLE, NULL, 0, NULL, 1 },
	{ SLICE(SIGNATURE "\x21\x31\0\x10" SIXTEEN), PROXY_WHOLE, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\x11\0\x0b" V4), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\x21\0\x23" V6), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\x12\0\x0c" V4), PROXY_FAULT, NULL, 0, NULL, 0 }, /* UDP */
	{ SLICE(SIGNATURE "\x21\x10\0\x0c" V4), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\x41\0\x0c" V4), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x22"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x11"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(SIGNATURE "\x21\x11\x02\x09"), PROXY_FAULT, NULL, 0, NULL, 0 }, /* 521 octets */
	{ SLICE(SIGNATURE "\x21\x11\x02\x08"), PROXY_MORE, NULL, 0, NULL, 0 },
	{ SLICE("\r\n\r\nx"), PROXY_FAULT, NULL, 0, NULL, 0 },
	{ SLICE(""), PROXY_MORE, NULL, 0, NULL, 0 },
};

static void
is_address(const struct sockaddr_storage *sa, const char *want)
{
	char mem[NET_TEXT_MAX + 1];
	struct text t = text_over(mem, sizeof(mem));

	net_write(&t, (const struct sockaddr *)sa);
	assert_string_equal(mem, want);
}

static uint16_t
port_of(const struct sockaddr_storage *sa)
{
	struct sockaddr_in in;

	memcpy(&in, sa, sizeof(in)); /* the port stands at the same place in both families */
	return ntohs(in.sin_port);
}

static void
parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proxy_header h;
		size_t used = 0;
		enum proxy_got got = proxy_header_parse(cases[i].in, &h, &used);

		if (got != cases[i].got)
			fail_msg("case %zu: %d", i, got);
		if (got != PROXY_WHOLE)
			continue;
		assert_int_equal(cases[i].in.n - used, cases[i].left);
		assert_int_equal(h.local, cases[i].source == NULL);
		if (h.local) {
			assert_int_equal(h.source.ss_family, 0);
			continue;
		}
		is_address(&h.source, cases[i].source);
		is_address(&h.dest, cases[i].dest);
		assert_int_equal(port_of(&h.source), cases[i].port);
	}
}

/* Octet by octet: more is asked for until the header is whole, and never more than the limit. */
static void
waits_for_the_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t whole = cases[i].in.n - cases[i].left;
		enum proxy_got last = PROXY_MORE;

		for (size_t n = 0; n <= whole && last == PROXY_MORE; n++) {
			struct proxy_header h;
			size_t used;
			char *copy = malloc(n + 1);

			memcpy(copy, cases[i].in.p, n);
			last = proxy_header_parse(slice_of(copy, n), &h, &used);
			free(copy);
			if (last == PROXY_WHOLE)
				assert_int_equal(n, whole);
		}
		assert_int_equal(last, cases[i].got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(waits_for_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
