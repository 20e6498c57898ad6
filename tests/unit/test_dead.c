/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that did not do come last, for a time, for all or for one. */
#include "relay/pool/dead.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct address
v4(unsigned last)
{
	return (struct address){ .u.v4 = { .sin_family = AF_INET,
		                     .sin_port = htons(25),
		                     .sin_addr.s_addr = htonl(0x0a000000u + last) } };
}

static void
expect(struct dead *d, uint64_t whose, ev_tstamp now, const char *order)
{
	struct addresses all = { .n = 4 };

	for (unsigned i = 0; i < 4; i++)
		all.at[i] = v4(i);
	dead_sort(d, whose, &all, now);
	assert_int_equal(all.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		unsigned last = ntohl(all.at[i].u.v4.sin_addr.s_addr) & 0xff;

		if (last != (unsigned)(order[i] - '0'))
			fail_msg("%s: %u at %u", order, last, i);
	}
}

static void
sorts(void **state)
{
	/* Not a round one: only its lower bits are kept. */
	static const ev_tstamp now = 1795000000.25;
	struct dead *d = calloc(1, sizeof(*d));
	struct address a = v4(0), b = v4(2), other = v4(1);

	(void)state;
	assert_non_null(d);
	expect(d, 7, now, "0123");
	dead_note(d, DEAD_FOR_ALL, &a, now);
	expect(d, 7, now, "1230");
	expect(d, DEAD_FOR_ALL, now, "1230");
	dead_note(d, 7, &b, now + 100);
	expect(d, 7, now + 100, "1302");
	expect(d, 8, now + 100, "1230");
	/* Another port is another service. */
	other.u.v4.sin_port = htons(587);
	dead_note(d, DEAD_FOR_ALL, &other, now);
	expect(d, 8, now, "1230");
	expect(d, 7, now + DEAD_S + 1, "0132");
	expect(d, 7, now + DEAD_S + 101, "0123");
	dead_note(d, 7, &b, now);
	dead_forget(d, 8, &b);
	expect(d, 7, now + 1, "1302");
	dead_forget(d, 7, &b);
	dead_forget(d, DEAD_FOR_ALL, &a);
	expect(d, 7, now + 1, "0123");
	free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sorts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
