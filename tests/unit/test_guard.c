/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <cmocka.h>

struct row {
	const char *address;
	unsigned port;
	enum guard_answer answer;
};

static struct sockaddr_storage
sa_of(const char *address, unsigned port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&ss;

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
	}
	return ss;
}

static void
check(struct conf *c, const struct row *rows, size_t n)
{
	struct guard *g = guard_open(c);

	assert_non_null(g);
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage to = sa_of(rows[i].address, rows[i].port);
		enum guard_answer got = guard_ask(g, GUARD_SENDS, (struct sockaddr *)(void *)&to);

		if (got != rows[i].answer)
			fail_msg("%s port %u: %d", rows[i].address, rows[i].port, got);
	}
	guard_close(g);
}

#define CHECK(conf, rows) check(conf, rows, sizeof(rows) / sizeof((rows)[0]))

static unsigned ports[] = { 25, 465, 587, 2525 };

static struct conf
plain_conf(void)
{
	struct conf c = { .refs = 1000 };

	c.upstream.allow_ports = ports;
	c.upstream.allow_ports_n = 4;
	return c;
}

static void
test_denied(void **state)
{
	static const struct row rows[] = {
		{ "8.8.8.8", 587, GUARD_PUBLIC },
		{ "8.8.8.8", 2525, GUARD_PUBLIC },
		{ "8.8.8.8", 11211, GUARD_DENIED },
		{ "8.8.8.8", 80, GUARD_DENIED },
		{ "2606:4700::1111", 465, GUARD_PUBLIC },
		{ "2606:4700::1111", 22, GUARD_DENIED },
		{ "0.0.0.0", 25, GUARD_DENIED },
		{ "0.1.2.3", 25, GUARD_DENIED },
		{ "10.0.0.1", 25, GUARD_DENIED },
		{ "10.255.255.255", 25, GUARD_DENIED },
		{ "9.255.255.255", 25, GUARD_PUBLIC },
		{ "11.0.0.0", 25, GUARD_PUBLIC },
		{ "100.63.255.255", 25, GUARD_PUBLIC },
		{ "100.64.0.1", 25, GUARD_DENIED },
		{ "100.127.255.255", 25, GUARD_DENIED },
		{ "100.128.0.0", 25, GUARD_PUBLIC },
		{ "127.0.0.1", 25, GUARD_DENIED },
		{ "127.255.255.254", 25, GUARD_DENIED },
		{ "169.254.169.254", 25, GUARD_DENIED },
		{ "168.63.129.16", 25, GUARD_DENIED },
		{ "172.15.255.255", 25, GUARD_PUBLIC },
		{ "172.16.0.1", 25, GUARD_DENIED },
		{ "172.31.255.255", 25, GUARD_DENIED },
		{ "172.32.0.0", 25, GUARD_PUBLIC },
		{ "192.0.0.8", 25, GUARD_DENIED },
		{ "192.0.2.1", 25, GUARD_DENIED },
		{ "192.168.1.1", 25, GUARD_DENIED },
		{ "198.17.255.255", 25, GUARD_PUBLIC },
		{ "198.18.0.1", 25, GUARD_DENIED },
		{ "198.19.255.255", 25, GUARD_DENIED },
		{ "198.51.100.1", 25, GUARD_DENIED },
		{ "203.0.113.1", 25, GUARD_DENIED },
		{ "224.0.0.1", 25, GUARD_DENIED },
		{ "240.0.0.1", 25, GUARD_DENIED },
		{ "255.255.255.255", 25, GUARD_DENIED },
		{ "::", 25, GUARD_DENIED },
		{ "::1", 25, GUARD_DENIED },
		{ "::2", 25, GUARD_DENIED },
		{ "::127.0.0.1", 25, GUARD_DENIED },
		{ "::ffff:127.0.0.1", 25, GUARD_DENIED },
		{ "::ffff:10.0.0.1", 25, GUARD_DENIED },
		{ "::ffff:8.8.8.8", 25, GUARD_DENIED },
		{ "64:ff9b::10.0.0.1", 25, GUARD_DENIED },
		{ "64:ff9b::8.8.8.8", 25, GUARD_DENIED },
		{ "64:ff9b:1::1", 25, GUARD_DENIED },
		{ "100::1", 25, GUARD_DENIED },
		{ "2001::1", 25, GUARD_DENIED },
		{ "2001:db8::1", 25, GUARD_DENIED },
		{ "2002:7f00:1::", 25, GUARD_DENIED },
		{ "2002:a00:1::1", 25, GUARD_DENIED },
		{ "2002:808:808::1", 25, GUARD_PUBLIC },
		{ "fc00::1", 25, GUARD_DENIED },
		{ "fd00:ec2::254", 25, GUARD_DENIED },
		{ "fe80::1", 25, GUARD_DENIED },
		{ "febf::1", 25, GUARD_DENIED },
		{ "fec0::1", 25, GUARD_DENIED },
		{ "ff02::1", 25, GUARD_DENIED },
	};
	struct conf c = plain_conf();

	(void)state;
	CHECK(&c, rows);
}

static void
test_allowed(void **state)
{
	static const struct row rows[] = {
		{ "10.1.2.3", 4711, GUARD_TRUSTED },
		{ "10.2.0.1", 25, GUARD_DENIED },
		{ "::ffff:10.1.2.3", 25, GUARD_TRUSTED },
		{ "fd00:1::9", 25, GUARD_TRUSTED },
		{ "fd00:2::9", 25, GUARD_DENIED },
		{ "64:ff9b::8.8.8.8", 25, GUARD_PUBLIC },
		{ "64:ff9b::192.168.0.1", 25, GUARD_DENIED },
	};
	struct net nets[3];
	struct conf c = plain_conf();

	(void)state;
	assert_true(net_parse(SLICE("10.1.0.0/16"), &nets[0]));
	assert_true(net_parse(SLICE("fd00:1::/32"), &nets[1]));
	assert_true(net_parse(SLICE("64:ff9b::/96"), &nets[2]));
	c.upstream.allow_networks = nets;
	c.upstream.allow_networks_n = 3;
	CHECK(&c, rows);
}

/* Even where the network is allowed. */
static void
test_our_own(void **state)
{
	static const struct row rows[] = {
		{ "127.0.0.1", 2525, GUARD_DENIED },
		{ "127.0.0.1", 2526, GUARD_TRUSTED },
		{ "::ffff:127.0.0.1", 2525, GUARD_DENIED },
		{ "127.0.0.2", 2525, GUARD_TRUSTED },
		{ "127.0.0.1", 587, GUARD_DENIED },
		{ "127.9.9.9", 587, GUARD_DENIED },
		{ "8.8.8.8", 587, GUARD_PUBLIC },
		{ "0.0.0.0", 2525, GUARD_DENIED },
	};
	struct conf_address at[2] = { { .text = "127.0.0.1:2525" }, { .text = "0.0.0.0:587" } };
	struct conf_listener listener = { .name = "l", .addresses = at, .addresses_n = 2 };
	struct net net;
	struct conf c = plain_conf();

	(void)state;
	at[0].addr = sa_of("127.0.0.1", 2525);
	at[1].addr = sa_of("0.0.0.0", 587);
	assert_true(net_parse(SLICE("127.0.0.0/8"), &net));
	c.upstream.allow_networks = &net;
	c.upstream.allow_networks_n = 1;
	c.listeners = &listener;
	c.listeners_n = 1;
	CHECK(&c, rows);
}

/* The operator's own MTAs and forbidden networks; callouts may ask the former. */
static void
test_own_servers(void **state)
{
	static const struct row rows[] = {
		{ "8.8.8.8", 587, GUARD_PUBLIC }, { "8.8.4.4", 587, GUARD_DENIED },
		{ "::ffff:8.8.4.4", 25, GUARD_DENIED }, { "2002:808:404::1", 25, GUARD_DENIED },
		{ "2a00:1450::25", 25, GUARD_DENIED }, { "2a00:1450::26", 25, GUARD_PUBLIC },
		{ "10.1.2.25", 25, GUARD_TRUSTED }, /* allowed though it is an MTA */
		{ "9.9.9.9", 25, GUARD_DENIED },
		{ "9.9.10.9", 25, GUARD_TRUSTED }, /* the smaller network is an allowed one */
		{ "10.1.3.1", 25, GUARD_DENIED },  /* the smaller network is a forbidden one */
	};
	static const char *const mtas[] = { "8.8.4.4", "2a00:1450::25", "10.1.2.25" };
	struct net own[3], allowed[2], forbidden[2];
	struct conf c = plain_conf();
	struct sockaddr_storage to = sa_of("8.8.4.4", 25);
	struct guard *g;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_true(net_parse(slice_str(mtas[i]), &own[i]));
	assert_true(net_parse(SLICE("10.1.0.0/16"), &allowed[0]));
	assert_true(net_parse(SLICE("9.9.10.0/24"), &allowed[1]));
	assert_true(net_parse(SLICE("9.9.0.0/16"), &forbidden[0]));
	assert_true(net_parse(SLICE("10.1.3.0/24"), &forbidden[1]));
	c.upstream.allow_networks = allowed;
	c.upstream.allow_networks_n = 2;
	c.upstream.deny_networks = forbidden;
	c.upstream.deny_networks_n = 2;
	g = guard_open(&c);
	assert_non_null(g);
	guard_set_mtas(g, own, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sockaddr_storage at = sa_of(rows[i].address, rows[i].port);
		enum guard_answer got = guard_ask(g, GUARD_SENDS, (struct sockaddr *)(void *)&at);

		if (got != rows[i].answer)
			fail_msg("%s: %d", rows[i].address, (int)got);
	}
	assert_int_equal(guard_ask(g, GUARD_ASKS, (struct sockaddr *)(void *)&to), GUARD_PUBLIC);
	guard_close(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_our_own),
		cmocka_unit_test(test_own_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
