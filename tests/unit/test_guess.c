/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/guess.h"

#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const struct guess_rules rules = {
	.window_s = 900,
	.name_failures = 20,
	.address_failures = 50,
	.name_free = 2,
	.address_free = 10,
	.per_user = 5,
	.delay_max_s = 8,
	.remember_s = 86400,
};

static struct guess *g;
static double now; /* the clock of all tests */

static int
open_guess(void **state)
{
	(void)state;
	g = guess_open();
	now = 1000;
	return g ? 0 : -1;
}

static int
close_guess(void **state)
{
	(void)state;
	guess_close(g);
	return 0;
}

static const struct sockaddr *
at(const char *text)
{
	static struct sockaddr_storage mem;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&mem;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&mem;

	memset(&mem, 0, sizeof(mem));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
	}
	return (const struct sockaddr *)&mem;
}

static struct guess_verdict
begin(const struct guess_rules *r, const char *address, const char *name, struct guess_attempt *a_r)
{
	assert_true(guess_start(g, r, at(address), slice_str(name), false, now, a_r));
	return guess_decide(g, r, a_r, NULL, now);
}

static struct guess_verdict
wrong(const char *address, const char *name)
{
	struct guess_attempt a;
	struct guess_verdict v = begin(&rules, address, name, &a);

	if (!v.refuse)
		guess_stays(g, &rules, &a, now);
	return v;
}

static struct guess_verdict
right(const char *address, const char *name)
{
	struct guess_attempt a;
	struct guess_verdict v = begin(&rules, address, name, &a);

	if (!v.refuse)
		guess_right(g, &rules, &a, now);
	return v;
}

static const char *
other_name(unsigned i)
{
	static char mem[64];

	snprintf(mem, sizeof(mem), "user%u@example.org", i);
	return mem;
}

/* ---- names ---- */

static void
test_delay_grows(void **state)
{
	static const double delays[] = { 0, 0, 1, 2, 4, 8, 8, 8 };

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct guess_verdict v = wrong("192.0.2.1", "Alice@example.org");

		assert_false(v.refuse);
		assert_false(v.last);
		assert_int_equal(v.delay_s, delays[i]);
	}
}

static void
test_name_limit(void **state)
{
	char address[32];

	(void)state;
	/* From many addresses: what counts is the name, in any case of letters. */
	for (unsigned i = 0; i < rules.name_failures; i++) {
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		assert_false(
		    wrong(address, i % 2 ? "alice@example.org" : "ALICE@example.org").refuse);
	}
	assert_true(wrong("203.0.113.1", "alice@example.org").refuse);
	assert_true(right("203.0.113.1", "alice@example.org").refuse);
	assert_false(wrong("203.0.113.1", "bob@example.org").refuse);
	/* One leaks away every 45 s; those that were refused did not count. */
	now += 46;
	assert_false(wrong("203.0.113.1", "alice@example.org").refuse);
	assert_true(wrong("203.0.113.1", "alice@example.org").refuse);
	now += rules.window_s;
	assert_int_equal(wrong("203.0.113.1", "alice@example.org").delay_s, 0);
}

static void
test_owner_gets_in_from_home(void **state)
{
	char address[32];

	(void)state;
	assert_false(right("192.0.2.7", "alice@example.org").refuse);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		(void)wrong(address, "alice@example.org");
	}
	assert_true(wrong("203.0.113.1", "alice@example.org").refuse);
	assert_false(right("192.0.2.7", "alice@example.org").refuse);
	assert_int_equal(right("192.0.2.7", "alice@example.org").delay_s, 0);
	/* What is mistyped at home is counted apart, and forgotten when it goes right. */
	assert_int_equal(wrong("192.0.2.7", "alice@example.org").delay_s, 0);
	assert_int_equal(wrong("192.0.2.7", "alice@example.org").delay_s, 0);
	assert_int_equal(wrong("192.0.2.7", "alice@example.org").delay_s, 1);
	assert_int_equal(right("192.0.2.7", "alice@example.org").delay_s, 2);
	assert_int_equal(right("192.0.2.7", "alice@example.org").delay_s, 0);
	/* Too often at home is as from elsewhere. */
	for (unsigned i = 0; i < rules.name_failures; i++)
		assert_false(wrong("192.0.2.7", "alice@example.org").refuse);
	assert_true(wrong("192.0.2.7", "alice@example.org").refuse);
	/* And home is forgotten in the end. */
	now += rules.remember_s + 1;
	for (unsigned i = 0; i < rules.name_failures; i++)
		(void)wrong("198.51.100.1", "alice@example.org");
	assert_true(right("192.0.2.7", "alice@example.org").refuse);
}

static void
test_forgive(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++)
		(void)wrong("192.0.2.1", "alice@example.org");
	assert_true(wrong("203.0.113.1", "alice@example.org").refuse);
	guess_forgive(g, SLICE("Alice@Example.org"));
	assert_false(wrong("203.0.113.1", "alice@example.org").refuse);
}

/* ---- addresses ---- */

static void
test_address_limit(void **state)
{
	(void)state;
	/* One password over many names. */
	for (unsigned i = 0; i < rules.address_free; i++)
		assert_int_equal(wrong("192.0.2.1", other_name(i)).delay_s, 0);
	assert_int_equal(wrong("192.0.2.1", other_name(100)).delay_s, 1);
	assert_int_equal(wrong("192.0.2.1", other_name(101)).delay_s, 2);
	for (unsigned i = rules.address_free + 2; i < rules.address_failures; i++)
		assert_false(wrong("192.0.2.1", other_name(i)).last);
	struct guess_verdict v = wrong("192.0.2.1", other_name(200));

	assert_true(v.last);
	assert_false(v.refuse);
	assert_int_equal(v.delay_s, rules.delay_max_s);
	/* A right password is taken all the same. */
	assert_false(right("192.0.2.1", other_name(201)).refuse);
	assert_false(wrong("192.0.2.2", other_name(202)).last);
}

static void
test_ipv6_counts_by_64(void **state)
{
	char address[64];

	(void)state;
	for (unsigned i = 0; i < rules.address_failures; i++) {
		snprintf(address, sizeof(address), "2001:db8:1:1::%x", i + 1);
		assert_false(wrong(address, other_name(i)).last);
	}
	assert_true(wrong("2001:db8:1:1:ffff::1", other_name(99)).last);
	assert_false(wrong("2001:db8:1:2::1", other_name(98)).last);
}

/* Who has a /56, or a /48, cannot walk through its /64s: 4 and 16 times the limit for all. */
static void
test_ipv6_counts_by_56_and_48(void **state)
{
	static const struct {
		unsigned step, allowed;
	} cases[] = { { 1, 4 }, { 256, 16 } };

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		unsigned i = 0;
		char address[64];

		(void)close_guess(state);
		assert_int_equal(open_guess(state), 0);
		do
			snprintf(address, sizeof(address), "2001:db8:1:%x::1",
			    i * cases[k].step % 0x10000);
		while (!wrong(address, other_name(i)).last && ++i < 5000);
		assert_int_equal(i, cases[k].allowed * rules.address_failures);
		snprintf(address, sizeof(address), "2001:db8:2:%x::1", 1);
		assert_false(wrong(address, other_name(1)).last);
	}
}

/* Two hundred people behind one address; some mistype, one has a phone with an old password. */
static void
test_office_behind_one_address(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		assert_false(right("192.0.2.1", other_name(i)).refuse);
	for (unsigned i = 0; i < 300; i++)
		(void)wrong("192.0.2.1", "phone@example.org");
	for (unsigned i = 0; i < 150; i++)
		assert_false(wrong("192.0.2.1", other_name(1000 + i)).last);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(right("192.0.2.1", other_name(i)).delay_s, 0);
	/* Somebody new. */
	assert_false(right("192.0.2.1", "new@example.org").refuse);
	assert_int_equal(right("192.0.2.1", "new@example.org").delay_s, 0);
}

/* ---- attempts ---- */

/* A burst is heard up to the free attempts and the limit; and who sends it with the right password
 * waits for nothing. */
static void
test_many_at_once_see_each_other(void **state)
{
	enum { BURST = 2 * GUESS_PENDING };
	struct guess_attempt a[BURST];
	unsigned heard = 0;

	(void)state;
	for (unsigned i = 0; i < BURST; i++)
		heard += !begin(&rules, "192.0.2.1", "alice@example.org", &a[i]).refuse;
	assert_int_equal(heard, GUESS_PENDING + rules.name_failures);
}

static void
test_many_at_once_with_the_right_password_wait_for_nothing(void **state)
{
	struct guess_attempt a[GUESS_PENDING];

	(void)state;
	for (unsigned round = 0; round < 2; round++) { /* unknown there, then known */
		for (unsigned i = 0; i < GUESS_PENDING; i++) {
			struct guess_verdict v =
			    begin(&rules, "192.0.2.1", "alice@example.org", &a[i]);

			assert_false(v.refuse || v.last);
			assert_int_equal(v.delay_s, 0);
		}
		for (unsigned i = 0; i < GUESS_PENDING; i++)
			guess_right(g, &rules, &a[i], now);
	}
}

/* All of a crowd that may wait, in the order of a queue: how many are refused. RIGHT: those of them
 * who know the password. */
static unsigned
crowd(unsigned n, bool same_name, bool right, unsigned *most_r)
{
	enum { ROOM = 2 * GUESS_CROWD }; /* a name is two: unknown there, then known */
	static struct guess_attempt out[ROOM];
	unsigned started = 0, ended = 0, refused = 0;

	*most_r = 0;
	while (ended < n) {
		unsigned k = started - ended;
		struct guess_attempt a;

		if (started < n &&
		    guess_start(g, &rules, at("192.0.2.1"),
		        slice_str(other_name(same_name ? 0 : started)), true, now, &a)) {
			assert_true(k < ROOM);
			started++;
			if (guess_decide(g, &rules, &a, NULL, now).refuse) {
				refused++;
				n--; /* it is not heard, and not out */
				started--;
				continue;
			}
			out[started % ROOM] = a;
			*most_r = k + 1 > *most_r ? k + 1 : *most_r;
			continue;
		}
		ended++;
		if (right)
			guess_right(g, &rules, &out[ended % ROOM], now);
		else
			guess_stays(g, &rules, &out[ended % ROOM], now);
	}
	return refused;
}

static void
test_a_crowd_that_is_right_is_never_refused(void **state)
{
	(void)state;
	for (unsigned same = 0; same < 2; same++) {
		unsigned most;

		(void)close_guess(state);
		assert_int_equal(open_guess(state), 0);
		assert_int_equal(crowd(500, same, true, &most), 0);
		assert_true(most == GUESS_CROWD || (same && most < 2 * GUESS_CROWD));
	}
}

static void
test_a_crowd_that_guesses_gets_no_more(void **state)
{
	unsigned most;

	(void)state;
	/* The limit, and those that were under way when it was reached. */
	assert_true(crowd(500, true, false, &most) >= 500 - GUESS_CROWD - rules.name_failures);
	assert_true(begin(&rules, "192.0.2.9", other_name(0), &(struct guess_attempt){ 0 }).refuse);
}

/* What a dead worker left there leaks away; it may keep nobody waiting who does not have to. */
static void
test_who_may_not_wait_starts(void **state)
{
	struct guess_attempt a;

	(void)state;
	for (unsigned i = 0; i < GUESS_CROWD; i++)
		assert_true(guess_start(g, &rules, at("192.0.2.1"), slice_str(other_name(i)), true,
		    now, &a));
	assert_false(guess_start(g, &rules, at("192.0.2.1"), slice_str(other_name(99)), true, now,
	    &a));
	assert_int_equal(a.state, GUESS_NONE);
	assert_true(guess_start(g, &rules, at("192.0.2.2"), slice_str(other_name(99)), true, now,
	    &a));
	assert_true(guess_start(g, &rules, at("192.0.2.1"), slice_str(other_name(99)), false, now,
	    &a));
	now += rules.window_s;
	assert_true(guess_start(g, &rules, at("192.0.2.1"), slice_str(other_name(99)), true, now,
	    &a));
}

/* Hanging up buys nothing: an attempt counts from its start until it proves right. */
static void
test_leaving_early_counts(void **state)
{
	struct guess_attempt a;

	(void)state;
	for (unsigned i = 0; i < rules.name_failures; i++) {
		assert_false(begin(&rules, "192.0.2.1", "alice@example.org", &a).refuse);
		guess_stays(g, &rules, &a, now);
	}
	assert_true(begin(&rules, "192.0.2.2", "alice@example.org", &a).refuse);
	/* A worker that died with its attempts: they count when those that are out are many. */
	for (unsigned i = 0; i < GUESS_PENDING + rules.name_failures; i++)
		assert_false(begin(&rules, "192.0.2.3", "bob@example.org", &a).refuse);
	assert_true(begin(&rules, "192.0.2.3", "bob@example.org", &a).refuse);
}

static void
test_void_does_not_count(void **state)
{
	struct guess_attempt a;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct guess_verdict v = begin(&rules, "192.0.2.1", "alice@example.org", &a);

		assert_false(v.refuse);
		assert_int_equal(v.delay_s, 0);
		guess_void(g, &rules, &a, now);
	}
}

static void
test_looking_often_does_not_stop_the_leak(void **state)
{
	(void)state;
	for (unsigned i = 0; i < rules.name_failures; i++)
		(void)wrong("192.0.2.1", "alice@example.org");
	for (unsigned i = 0; i < 4 * 900; i++) {
		now += 0.25;
		struct guess_attempt a;
		struct guess_verdict v = begin(&rules, "192.0.2.9", "alice@example.org", &a);

		if (!v.refuse)
			guess_void(g, &rules, &a, now);
	}
	assert_int_equal(wrong("192.0.2.1", "alice@example.org").delay_s, 0);
}

static void
test_no_limits(void **state)
{
	struct guess_rules none = rules;
	struct guess_attempt a;

	(void)state;
	none.name_failures = none.address_failures = 0;
	for (unsigned i = 0; i < 1000; i++) {
		struct guess_verdict v = begin(&none, "192.0.2.1", "alice@example.org", &a);

		assert_false(v.refuse || v.last);
		assert_int_equal(v.delay_s, 0);
	}
}

/* ---- other nodes ---- */

static struct guess_verdict
decide(const char *address, const char *name, struct guess_common c, struct guess_attempt *a_r)
{
	assert_true(guess_start(g, &rules, at(address), slice_str(name), false, now, a_r));
	return guess_decide(g, &rules, a_r, &c, now);
}

static void
test_the_larger_count_decides(void **state)
{
	static const struct {
		unsigned here;
		struct guess_common there;
		bool refuse, last;
		int delay;
	} cases[] = {
		{ 0, { 0 }, false, false, 0 },
		{ 0, { .name = 2 }, false, false, 1 },
		{ 0, { .name = 4 }, false, false, 4 },
		{ 4, { .name = 3 }, false, false, 4 },
		{ 3, { .name = 4 }, false, false, 4 },
		{ 0, { .name = 19 }, false, false, 8 },
		{ 0, { .name = 20 }, true, false, 0 },
		{ 0, { .address = { 9 } }, false, false, 0 },
		{ 0, { .address = { 11 } }, false, false, 2 },
		{ 0, { .address = { 49 } }, false, false, 8 },
		{ 0, { .address = { 50 } }, false, true, 8 },
		{ 0, { .address = { 50 }, .users = { 8 } }, false, false, 1 },
		{ 0, { .name = 65535, .address = { 65535 }, .known = true }, false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[32];
		struct guess_attempt a;

		snprintf(address, sizeof(address), "192.0.2.%zu", i);
		for (unsigned k = 0; k < cases[i].here; k++)
			(void)wrong(address, other_name((unsigned)i));
		struct guess_verdict v =
		    decide(address, other_name((unsigned)i), cases[i].there, &a);

		assert_int_equal(v.refuse, cases[i].refuse);
		assert_int_equal(v.last, cases[i].last);
		assert_int_equal(v.delay_s, cases[i].delay);
	}
}

/* A crowd of this node is in what all nodes count, and weighs no more there. */
static void
test_a_crowd_here_is_no_failure_at_all_nodes(void **state)
{
	struct guess_attempt a[GUESS_CROWD + 1];

	(void)state;
	for (unsigned i = 0; i < GUESS_CROWD; i++)
		(void)begin(&rules, "192.0.2.1", "alice@example.org", &a[i]);
	struct guess_common all = { .name = GUESS_CROWD, .address = { GUESS_CROWD } };
	struct guess_verdict v = decide("192.0.2.1", "alice@example.org", all, &a[GUESS_CROWD]);

	assert_false(v.refuse || v.last);
	assert_int_equal(v.delay_s, 0);
	guess_void(g, &rules, &a[GUESS_CROWD], now);
	all.name += rules.name_failures;
	assert_true(decide("192.0.2.1", "alice@example.org", all, &a[GUESS_CROWD]).refuse);
}

/* What is known elsewhere is no licence to guess here, and a right password makes it known here. */
static void
test_known_elsewhere(void **state)
{
	const struct guess_common there = { .known = true, .name = 65535 };
	struct guess_attempt a;

	(void)state;
	for (unsigned i = 0; i < rules.name_failures; i++) {
		assert_false(decide("192.0.2.1", "alice@example.org", there, &a).refuse);
		assert_true(a.known);
		guess_stays(g, &rules, &a, now);
	}
	assert_true(decide("192.0.2.1", "alice@example.org", there, &a).refuse);
	assert_false(a.known);
	assert_false(decide("192.0.2.2", "alice@example.org", there, &a).refuse);
	guess_right(g, &rules, &a, now);
	assert_true(guess_start(g, &rules, at("192.0.2.2"), SLICE("alice@example.org"), false, now,
	    &a));
	assert_true(a.known);
}

static void
assert_written(char kind, const char *name, const char *address, struct slice want)
{
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	guess_write(kind, slice_str(name), address ? at(address) : NULL, 0, &t);
	assert_false(t.overflow);
	assert_true(slice_eq(text_slice(&t), want));
}

static void
test_subjects_are_the_same_everywhere(void **state)
{
	(void)state;
	assert_written('n', "Alice@Example.org", NULL, SLICE("n17:alice@example.org"));
	assert_written('a', "", "65.66.67.68", SLICE("a4:ABCD"));
	assert_written('p', "bob", "65.66.67.68", SLICE("p3:bobABCD"));
	assert_written('a', "", "4142:4344:4546:4748::1", SLICE("a8:ABCDEFGH"));
	for (unsigned width = 0; width < GUESS_WIDTHS; width++) {
		char mem[64];
		struct text t = text_over(mem, sizeof(mem));

		guess_write('a', SLICE(""), at("4142:4344:4546:4748::1"), width, &t);
		assert_int_equal(text_slice(&t).n, 3 + 8 - width);
	}
	assert_int_equal(guess_widths(at("65.66.67.68")), 1);
}

/* Names that nobody has fill the tables; who is counted for more stays. */
static void
test_flood_of_names(void **state)
{
	(void)state;
	assert_false(right("192.0.2.7", "alice@example.org").refuse);
	for (unsigned i = 0; i < 15; i++)
		(void)wrong("203.0.113.9", "bob@example.org");
	for (unsigned i = 0; i < 200000; i++)
		(void)wrong("198.51.100.1", other_name(i));
	assert_int_equal(wrong("203.0.113.10", "bob@example.org").delay_s, rules.delay_max_s);
	assert_int_equal(right("192.0.2.7", "alice@example.org").delay_s, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_guess, close_guess)
	const struct CMUnitTest tests[] = {
		TEST(test_delay_grows),
		TEST(test_name_limit),
		TEST(test_owner_gets_in_from_home),
		TEST(test_forgive),
		TEST(test_address_limit),
		TEST(test_ipv6_counts_by_64),
		TEST(test_ipv6_counts_by_56_and_48),
		TEST(test_leaving_early_counts),
		TEST(test_office_behind_one_address),
		TEST(test_many_at_once_see_each_other),
		TEST(test_many_at_once_with_the_right_password_wait_for_nothing),
		TEST(test_a_crowd_that_is_right_is_never_refused),
		TEST(test_a_crowd_that_guesses_gets_no_more),
		TEST(test_who_may_not_wait_starts),
		TEST(test_void_does_not_count),
		TEST(test_looking_often_does_not_stop_the_leak),
		TEST(test_no_limits),
		TEST(test_flood_of_names),
		TEST(test_the_larger_count_decides),
		TEST(test_a_crowd_here_is_no_failure_at_all_nodes),
		TEST(test_known_elsewhere),
		TEST(test_subjects_are_the_same_everywhere),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
