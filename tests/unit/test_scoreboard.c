/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/scoreboard.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
	}
	return s;
}

static unsigned
enter(struct scoreboard *b, unsigned w, const char *text)
{
	struct sockaddr_storage s = address(text);

	return scoreboard_enter_address(b, w, (struct sockaddr *)&s);
}

static void
leave(struct scoreboard *b, unsigned w, const char *text)
{
	struct sockaddr_storage s = address(text);

	scoreboard_leave_address(b, w, (struct sockaddr *)&s);
}

static void
test_counts(void **state)
{
	struct scoreboard *b = scoreboard_open(3);

	(void)state;
	assert_non_null(b);
	assert_int_equal(scoreboard_workers(b), 3);
	scoreboard_count(b, 0, COUNTER_ACCEPTED, 2);
	scoreboard_count(b, 2, COUNTER_ACCEPTED, 5);
	scoreboard_gauge(b, 0, GAUGE_SESSIONS, 4);
	scoreboard_gauge(b, 2, GAUGE_SESSIONS, 3);
	scoreboard_gauge(b, 2, GAUGE_SESSIONS, -1);
	assert_int_equal(scoreboard_counter(b, COUNTER_ACCEPTED), 7);
	assert_int_equal(scoreboard_counter(b, COUNTER_REFUSED), 0);
	assert_int_equal(scoreboard_sum(b, GAUGE_SESSIONS), 6);
	assert_int_equal(scoreboard_gauge_of(b, 2, GAUGE_SESSIONS), 2);
	scoreboard_close(b);
}

static void
test_a_dead_worker(void **state)
{
	struct scoreboard *b = scoreboard_open(2);

	(void)state;
	scoreboard_count(b, 1, COUNTER_AUTH_OK, 9);
	scoreboard_gauge(b, 0, GAUGE_SESSIONS, 1);
	scoreboard_gauge(b, 1, GAUGE_SESSIONS, 8);
	assert_int_equal(enter(b, 0, "192.0.2.1"), 1);
	assert_int_equal(enter(b, 1, "192.0.2.1"), 2);
	assert_int_equal(scoreboard_enter_account(b, 1, 42), 1);

	scoreboard_clear_gauges(b, 1);
	assert_int_equal(scoreboard_counter(b, COUNTER_AUTH_OK), 9);
	assert_int_equal(scoreboard_sum(b, GAUGE_SESSIONS), 1);
	assert_int_equal(enter(b, 0, "192.0.2.1"), 2);
	assert_int_equal(scoreboard_enter_account(b, 0, 42), 1);
	scoreboard_close(b);
}

/* What was never counted is not taken away. */
static void
test_nobody_leaves(void **state)
{
	struct scoreboard *b = scoreboard_open(1);

	(void)state;
	scoreboard_leave_account(b, 0, 42);
	assert_int_equal(scoreboard_enter_account(b, 0, 42), 1);
	scoreboard_close(b);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		unsigned want;
	} rows[] = {
		{ "192.0.2.1", 1 },
		{ "192.0.2.1", 2 },
		{ "::ffff:192.0.2.1", 3 }, /* the same client over a dual-stack socket */
		{ "192.0.2.2", 1 },
		{ "2001:db8:1:2::1", 1 },
		{ "2001:db8:1:2:ffff::9", 2 }, /* one /64 is one client */
		{ "2001:db8:1:3::1", 1 },
	};
	struct scoreboard *b = scoreboard_open(1);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(enter(b, 0, rows[i].text), rows[i].want);
	leave(b, 0, "192.0.2.1");
	leave(b, 0, "192.0.2.1");
	assert_int_equal(enter(b, 0, "192.0.2.1"), 2);
	scoreboard_close(b);
}

/* Whatever meets in a cell, nobody is counted below the truth, and few above it. */
static void
test_never_too_low(void **state)
{
	enum { ACCOUNTS = 4000 };
	struct scoreboard *b = scoreboard_open(2);
	unsigned above = 0;

	(void)state;
	for (uint64_t a = 0; a < ACCOUNTS; a++)
		(void)scoreboard_enter_account(b, (unsigned)(a & 1), a);
	for (uint64_t a = 0; a < ACCOUNTS; a++) {
		unsigned n = scoreboard_enter_account(b, 0, a);

		assert_true(n >= 2);
		above += n > 2;
		scoreboard_leave_account(b, 0, a);
	}
	assert_true(above < ACCOUNTS / 10);
	for (uint64_t a = 0; a < ACCOUNTS; a++)
		scoreboard_leave_account(b, (unsigned)(a & 1), a);
	for (uint64_t a = 0; a < ACCOUNTS; a++) {
		assert_int_equal(scoreboard_enter_account(b, 0, a), 1);
		scoreboard_leave_account(b, 0, a);
	}
	scoreboard_close(b);
}

static void
test_shared_with_children(void **state)
{
	struct scoreboard *b = scoreboard_open(2);
	pid_t pid = fork();
	int status = 0;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		scoreboard_count(b, 1, COUNTER_OCTETS, 77);
		_exit(enter(b, 1, "198.51.100.7") == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(scoreboard_counter(b, COUNTER_OCTETS), 77);
	assert_int_equal(enter(b, 0, "198.51.100.7"), 2);
	scoreboard_close(b);
}

static bool
is_word(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

static void
test_words(void **state)
{
	(void)state;
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		assert_true(is_word(scoreboard_counter_word(c)));
		assert_true(*scoreboard_counter_help(c));
		for (enum counter d = 0; d < c; d++)
			assert_string_not_equal(scoreboard_counter_word(c),
			    scoreboard_counter_word(d));
	}
	for (enum gauge g = 0; g < GAUGE_COUNT; g++) {
		assert_true(is_word(scoreboard_gauge_word(g)));
		assert_true(*scoreboard_gauge_help(g));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_a_dead_worker),
		cmocka_unit_test(test_nobody_leaves),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_never_too_low),
		cmocka_unit_test(test_shared_with_children),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
