/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct sockaddr_storage
address(const char *z)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(25) };

	if (inet_pton(AF_INET, z, &in.sin_addr) == 1)
		memcpy(&sa, &in, sizeof(in));
	else if (inet_pton(AF_INET6, z, &in6.sin6_addr) == 1)
		memcpy(&sa, &in6, sizeof(in6));
	else
		fail_msg("%s", z);
	return sa;
}

static void
parses(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		int family; /* 0: refused */
		unsigned bits;
	} cases[] = {
		{ SLICE("10.0.0.0/8"), 4, 8 },
		{ SLICE("192.0.2.1"), 4, 32 },
		{ SLICE("192.0.2.1/32"), 4, 32 },
		{ SLICE("192.0.2.128/25"), 4, 25 },
		{ SLICE("0.0.0.0/0"), 4, 0 },
		{ SLICE("2001:db8::/32"), 6, 32 },
		{ SLICE("2001:db8::1"), 6, 128 },
		{ SLICE("::/0"), 6, 0 },
		{ SLICE("fe80::/10"), 6, 10 },
		{ SLICE("::ffff:192.0.2.0/120"), 4, 24 },
		{ SLICE("::ffff:192.0.2.1"), 4, 32 },
		{ SLICE("::ffff:0:0/96"), 4, 0 },
		{ SLICE("::/96"), 6, 96 },

		{ SLICE(""), 0, 0 },
		{ SLICE("/8"), 0, 0 },
		{ SLICE("10.0.0.0/"), 0, 0 },
		{ SLICE("10.0.0.0/33"), 0, 0 },
		{ SLICE("10.0.0.0/-1"), 0, 0 },
		{ SLICE("10.0.0.0/8/8"), 0, 0 },
		{ SLICE("10.0.0.0/ 8"), 0, 0 },
		{ SLICE("10.0.0.0/255.0.0.0"), 0, 0 },
		{ SLICE("10.0.0.0/18446744073709551624"), 0, 0 },
		{ SLICE("10.0.0.1/8"), 0, 0 },
		{ SLICE("192.0.2.64/25"), 0, 0 },
		{ SLICE("10.0.0"), 0, 0 },
		{ SLICE("10.0.0.256"), 0, 0 },
		{ SLICE("010.0.0.1"), 0, 0 },
		{ SLICE("10.0.0.1\0"), 0, 0 },
		{ SLICE("2001:db8::/129"), 0, 0 },
		{ SLICE("2001:db8::1/64"), 0, 0 },
		{ SLICE("::ffff:192.0.2.1/120"), 0, 0 },
		{ SLICE("fe80::1%eth0"), 0, 0 },
		{ SLICE("[::1]"), 0, 0 },
		{ SLICE("localhost"), 0, 0 },
		{ SLICE("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"), 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net net = { 0 };

		if (net_parse(cases[i].in, &net) != (cases[i].family != 0) ||
		    net.family != cases[i].family || net.bits != cases[i].bits)
			fail_msg("case %zu: %.*s", i, SLICE_FMT(cases[i].in));
	}
}

static void
matches(void **state)
{
	(void)state;
	static const struct {
		struct slice net;
		const char *address;
		bool has;
	} cases[] = {
		{ SLICE("10.0.0.0/8"), "10.255.255.255", true },
		{ SLICE("10.0.0.0/8"), "11.0.0.0", false },
		{ SLICE("10.0.0.0/8"), "::ffff:10.1.2.3", true },
		{ SLICE("::ffff:10.0.0.0/104"), "10.1.2.3", true },
		{ SLICE("192.0.2.128/25"), "192.0.2.127", false },
		{ SLICE("192.0.2.128/25"), "192.0.2.128", true },
		{ SLICE("192.0.2.1"), "192.0.2.1", true },
		{ SLICE("192.0.2.1"), "192.0.2.0", false },
		{ SLICE("0.0.0.0/0"), "255.255.255.255", true },
		{ SLICE("0.0.0.0/0"), "::1", false },
		{ SLICE("::/0"), "::1", true },
		{ SLICE("::/0"), "10.0.0.1", false },
		{ SLICE("::/0"), "::ffff:10.0.0.1", false },
		{ SLICE("2001:db8::/33"), "2001:db8:7fff::1", true },
		{ SLICE("2001:db8::/33"), "2001:db8:8000::1", false },
		{ SLICE("::1"), "::1", true },
		{ SLICE("::1"), "::2", false },
	};
	struct net none = { 0 };
	struct sockaddr_storage any = address("192.0.2.1");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net net;
		struct sockaddr_storage sa = address(cases[i].address);

		assert_true(net_parse(cases[i].net, &net));
		if (net_has(&net, (struct sockaddr *)&sa) != cases[i].has)
			fail_msg("case %zu", i);
	}
	assert_false(net_has(&none, (struct sockaddr *)&any));
}

static void
writes(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8:0:0::1", "2001:db8::1" },
		{ "::", "::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char mem[NET_TEXT_MAX + 1];
	struct text t = text_over(mem, sizeof(mem));
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage in = address(cases[i].in);

		text_reset(&t);
		net_write(&t, (struct sockaddr *)&in);
		assert_string_equal(mem, cases[i].out);
	}
	text_reset(&t);
	net_write(&t, (struct sockaddr *)&un);
	assert_string_equal(mem, "unix");
	text_reset(&t);
	net_write(&t, (struct sockaddr *)&sa);
	assert_string_equal(mem, "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(matches),
		cmocka_unit_test(writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
