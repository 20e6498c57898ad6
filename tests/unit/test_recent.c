/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/desk/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static struct recent *r;

static int
open_recent(void **state)
{
	(void)state;
	r = recent_open(2);
	return r ? 0 : -1;
}

static int
close_recent(void **state)
{
	(void)state;
	recent_close(r);
	return 0;
}

static void
refuse(unsigned w, uint64_t account, const char *cause, const char *sender, int64_t now)
{
	struct recent_refusal row = { .account = account, .code = 550 };

	RECENT_PUT(row.cause, slice_str(cause));
	RECENT_PUT(row.sender, slice_str(sender));
	recent_refused(r, w, &row, now);
}

static void
say(unsigned w, uint64_t profile, const char *words, bool good, int64_t now)
{
	struct recent_line line = { .account = 1, .profile = profile };

	RECENT_PUT(line.said, slice_str(words));
	RECENT_PUT(line.class, slice_str(good ? "ok" : words));
	recent_said(r, w, &line, good, now);
}

struct seen {
	unsigned rows;
	unsigned count;
	int64_t last_s;
	uint64_t order;
	char cause[48]; /* of the last */
};

static void
on_row(void *ctx, const struct recent_refusal *row)
{
	struct seen *s = ctx;

	s->rows++;
	s->count += row->count;
	if (row->last_s > s->last_s)
		s->last_s = row->last_s;
	if (row->order > s->order) {
		s->order = row->order;
		RECENT_PUT(s->cause, slice_str(row->cause));
	}
}

static struct seen
look(uint64_t account, const char *sender)
{
	struct seen s = { 0 };

	recent_each(r, account, slice_str(sender), on_row, &s);
	return s;
}

static void
test_causes_fold(void **state)
{
	(void)state;
	refuse(0, 1, "rcpt", "a@x", 10);
	refuse(0, 1, "rcpt", "a@x", 20);
	refuse(1, 1, "rcpt", "a@x", 15);
	refuse(0, 1, "content", "a@x", 5);
	refuse(0, 1, "rcpt", "b@x", 30);
	refuse(0, 2, "rcpt", "c@y", 40);
	struct seen s = look(1, "a@x");

	assert_int_equal(s.rows, 3);
	assert_int_equal(s.count, 4);
	assert_int_equal(s.last_s, 20);
	assert_int_equal(look(1, "").count, 5);
	assert_int_equal(look(1, "A@X").count, 4);
	assert_int_equal(look(2, "").count, 1);
	assert_int_equal(look(3, "").rows, 0);
}

/* What went wrong last is known after all that went well, on whichever worker. */
static void
test_class_of_the_last_failure(void **state)
{
	static const struct {
		unsigned w;
		const char *words, *class;
		bool good;
	} steps[] = {
		{ 0, "taken", "", true },
		{ 0, "rate", "rate", false },
		{ 0, "taken", "rate", true },
		{ 1, "taken", "rate", true },
		{ 1, "config", "config", false },
		{ 0, "taken", "config", true },
		{ 0, "auth", "auth", false },
		{ 1, "taken", "auth", true },
	};
	struct recent_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		say(steps[i].w, 7, steps[i].words, steps[i].good, 10);
		assert_true(recent_line(r, 1, 7, &line));
		assert_string_equal(line.class, steps[i].class);
		assert_string_equal(line.said, steps[i].words);
	}
}

/* Of two in one second the later is the last, whichever worker wrote it. */
static void
test_last_within_a_second(void **state)
{
	static const char *const causes[] = { "one", "two", "three", "one" };
	struct recent_line line;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned w = 0; w < 2; w++) {
			refuse((w + i) % 2, 1, causes[i], "a@x", 10);
			assert_string_equal(look(1, "a@x").cause, causes[i]);
			say((w + i) % 2, 7, causes[i], false, 10);
			assert_true(recent_line(r, 1, 7, &line));
			assert_string_equal(line.said, causes[i]);
		}
}

/* A log-in that failed has no account: it is told of its name alone. */
static void
test_logins(void **state)
{
	(void)state;
	refuse(0, 0, "auth_failed", "a@x", 10);
	assert_int_equal(look(1, "a@x").count, 1);
	assert_int_equal(look(1, "b@x").count, 0);
	assert_int_equal(look(1, "").count, 0);
}

static void
test_the_oldest_make_room(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "user%d@x", i);
		refuse(0, 1, "rcpt", name, i);
	}
	assert_int_equal(look(1, "user19999@x").count, 1);
	assert_in_range(look(1, "").rows, 500, 1024);
}

static void
test_lines_add_up(void **state)
{
	struct recent_line line;

	(void)state;
	assert_false(recent_line(r, 1, 7, &line));
	say(0, 7, "250 ok", true, 10);
	say(0, 7, "250 again", true, 15);
	say(1, 7, "535 no", false, 20);
	say(0, 8, "421 other", false, 30);
	assert_true(recent_line(r, 1, 7, &line));
	assert_int_equal(line.sent, 2);
	assert_int_equal(line.failed, 1);
	assert_int_equal(line.sent_s, 15);
	assert_int_equal(line.failed_s, 20);
	assert_string_equal(line.said, "535 no");
	say(1, 7, "250 well", true, 40);
	assert_true(recent_line(r, 1, 7, &line));
	assert_string_equal(line.said, "250 well");
}

static void
test_put_cuts_between_characters(void **state)
{
	char field[4];

	(void)state;
	RECENT_PUT(field, SLICE("abc\xc3\xa9"));
	assert_string_equal(field, "abc");
	RECENT_PUT(field, SLICE("ab\xc3\xa9"));
	assert_string_equal(field, "ab");
	RECENT_PUT(field, SLICE("ab"));
	assert_string_equal(field, "ab");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_recent, close_recent)
	const struct CMUnitTest tests[] = {
		TEST(test_causes_fold),
		TEST(test_class_of_the_last_failure),
		TEST(test_last_within_a_second),
		TEST(test_logins),
		TEST(test_the_oldest_make_room),
		TEST(test_lines_add_up),
		TEST(test_put_cuts_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
