/* SPDX-License-Identifier: Apache-2.0 */
/* counters_shared: windows, edges, clocks that step, orders that are whole or not at all, workers
 * that die, room that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/limits/counters_shared.h"

enum { MINUTE = 60, DAY = 86400 };

/* 2026-11-21 12:00:00 UTC */
static const uint64_t noon = 1795262400000U;

static struct counters_line
hour(uint64_t id, uint64_t cap)
{
	return (struct counters_line){ .kind = 'h',
		.id = id,
		.grain_s = MINUTE,
		.span = 60,
		.adds = true,
		.slides = true,
		.cap = cap };
}

static struct counters_line
day(uint64_t id, uint64_t cap)
{
	return (struct counters_line){
		.kind = 'd', .id = id, .grain_s = DAY, .span = 1, .adds = true, .cap = cap
	};
}

static struct counters_order
order(uint32_t n, struct counters_line a)
{
	return (struct counters_order){
		.verb = COUNTERS_RESERVE, .n = n, .lines_n = 1, .line = { a }
	};
}

static bool
take(struct counters_shared *s, uint32_t n, struct counters_line a, uint64_t now)
{
	struct counters_order o = order(n, a);

	return counters_shared_do(s, &o, now) == COUNTERS_FITS;
}

static uint64_t
used(struct counters_shared *s, struct counters_line a, uint64_t now)
{
	struct counters_order o = order(1, a);

	o.verb = COUNTERS_READ;
	(void)counters_shared_do(s, &o, now);
	return o.line[0].used;
}

static int
setup(void **state)
{
	*state = counters_shared_open(1024);
	return *state ? 0 : -1;
}

static int
teardown(void **state)
{
	counters_shared_close(*state);
	return 0;
}

/* Q3: a unit frees 59 to 60 minutes after its use, and no 59 minutes hold more than the cap. */
static void
test_hour(void **state)
{
	static const struct {
		uint64_t used_s; /* into the minute */
		uint64_t at_s;   /* after noon */
		bool free;
	} cases[] = {
		{ 0, 59 * 60, false },
		{ 0, 59 * 60 + 59, false },
		{ 0, 60 * 60 + 1, true },
		{ 59, 59 * 60 + 58, false }, /* 58:59 later */
		{ 59, 60 * 60 + 1, true },   /* 59:02 later */
		{ 30, 60 * 60 + 1, true },
		{ 30, 70 * 60, true },
		{ 30, 200 * 60, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counters_shared *s = counters_shared_open(1024);

		assert_true(take(s, 3, hour(1, 3), noon + cases[i].used_s * 1000));
		if (take(s, 1, hour(1, 3), noon + cases[i].at_s * 1000) != cases[i].free)
			fail_msg("case %zu", i);
		counters_shared_close(s);
	}
}

/* Near the edge the neighbour counts too, since another node's clock may be on its other side. */
static void
test_edge(void **state)
{
	struct counters_shared *s = *state;

	assert_true(take(s, 1, hour(1, 1), noon + 10));
	assert_false(take(s, 1, hour(1, 1), noon + 3600 * 1000));
	assert_false(take(s, 1, hour(1, 1), noon + 3600 * 1000 + 199));
	assert_true(take(s, 1, hour(1, 1), noon + 3600 * 1000 + 200));
	/* A node ahead has written into the minute that is about to begin. */
	assert_true(take(s, 1, hour(2, 1), noon + 60000));
	assert_false(take(s, 1, hour(2, 1), noon + 59800));
}

/* Whatever arrives when, no 59 minutes ever hold more than the cap. */
static void
test_any_59_minutes(void **state)
{
	enum { TRIES = 20000, CAP = 17 };
	struct counters_shared *s = *state;
	static uint64_t when[TRIES];
	size_t n = 0;
	uint64_t now = noon;
	unsigned seed = 5;

	for (size_t i = 0; i < TRIES; i++) {
		now += (uint64_t)(rand_r(&seed) % 4000);
		if (i % 500 == 0)
			now += (uint64_t)(rand_r(&seed) % 4000000);
		/* Three nodes whose clocks are up to 200 ms apart. */
		if (take(s, 1, hour(1, CAP), now + (uint64_t)(rand_r(&seed) % 201)))
			when[n++] = now;
	}
	assert_true(n > CAP * 10);
	for (size_t i = CAP; i < n; i++)
		if (when[i] - when[i - CAP] < 59 * 60000 - 1)
			fail_msg("%zu: %llu ms", i, (unsigned long long)(when[i] - when[i - CAP]));
}

static void
test_when_free(void **state)
{
	struct counters_shared *s = *state;
	struct counters_order o = order(2, hour(1, 5));

	assert_true(take(s, 1, hour(1, 5), noon));
	assert_true(take(s, 1, hour(1, 5), noon + 5 * 60000));
	assert_true(take(s, 3, hour(1, 5), noon + 7 * 60000));
	assert_int_equal(counters_shared_do(s, &o, noon + 10 * 60000), COUNTERS_OVER);
	assert_int_equal(o.over, 0);
	assert_int_equal(o.line[0].used, 5);
	/* Two must go: the first leaves at 13:00, the second at 13:05. */
	assert_int_equal(o.line[0].free_s, noon / 1000 + 65 * 60);
	o = order(6, hour(1, 5));
	assert_int_equal(counters_shared_do(s, &o, noon + 10 * 60000), COUNTERS_OVER);
	assert_int_equal(o.line[0].free_s, 0); /* never */
}

static void
test_day(void **state)
{
	struct counters_shared *s = *state;
	uint64_t midnight = noon + 12 * 3600000;

	assert_true(take(s, 2, day(1, 2), noon));
	assert_false(take(s, 1, day(1, 2), midnight - 1));
	assert_true(take(s, 2, day(1, 2), midnight));
	assert_false(take(s, 1, day(1, 2), midnight + 1));
	/* back over midnight: yesterday is as it was */
	assert_false(take(s, 1, day(1, 2), midnight - 1));
	assert_int_equal(used(s, day(1, 2), midnight + 5), 2);
}

/* A month is the sum of its days. */
static void
test_month(void **state)
{
	struct counters_shared *s = *state;
	struct counters_line month = day(1, 10);

	month.adds = false;
	for (uint32_t i = 0; i < 10; i++) {
		struct counters_order o = order(1, month);

		o.line[0].span = i + 1;
		o.line[1] = day(1, 0);
		o.lines_n = 2;
		assert_int_equal(counters_shared_do(s, &o, noon + i * DAY * 1000ULL),
		    COUNTERS_FITS);
		assert_int_equal(o.line[0].used, i);
	}
	month.span = 31;
	assert_false(take(s, 1, month, noon + 30 * DAY * 1000ULL));
	month.span = 22; /* the next one began ten days after the first message */
	assert_int_equal(used(s, month, noon + 31 * DAY * 1000ULL), 0);
}

/* All counters of a message or none (Q4). */
static void
test_whole(void **state)
{
	struct counters_shared *s = *state;
	struct counters_order o = order(3, hour(1, 5));

	o.line[1] = day(1, 100);
	o.line[2] = day(2, 4);
	o.lines_n = 3;
	assert_int_equal(counters_shared_do(s, &o, noon), COUNTERS_FITS);
	o.verb = COUNTERS_RESERVE;
	o.n = 2;
	assert_int_equal(counters_shared_do(s, &o, noon), COUNTERS_OVER);
	assert_int_equal(o.over, 2);
	assert_int_equal(used(s, hour(1, 0), noon), 3);
	assert_int_equal(used(s, day(1, 0), noon), 3);
	o.n = 3;
	counters_shared_refund(s, &o, 2, noon + 1000);
	assert_int_equal(used(s, hour(1, 0), noon), 1);
	assert_int_equal(used(s, day(2, 0), noon), 1);
	/* Never below nothing. */
	counters_shared_refund(s, &o, 2, noon + 1000);
	assert_int_equal(used(s, day(2, 0), noon), 0);
}

/* A refund goes to the minute and the day that it came from. */
static void
test_refund_later(void **state)
{
	struct counters_shared *s = *state;
	uint64_t late = noon + 12 * 3600000 - 1000;
	struct counters_order o = order(4, hour(1, 10));

	o.line[1] = day(1, 10);
	o.lines_n = 2;
	assert_int_equal(counters_shared_do(s, &o, late), COUNTERS_FITS);
	assert_true(take(s, 5, hour(1, 10), late + 60000));
	assert_true(take(s, 5, day(1, 10), late + 60000));
	counters_shared_refund(s, &o, 3, late + 120000);
	assert_int_equal(used(s, hour(1, 0), late + 120000), 6);
	assert_int_equal(used(s, day(1, 0), late + 120000), 5);
	assert_int_equal(used(s, day(1, 0), late), 1);
	/* What has left the window cannot be lowered any more, nor does it disturb what came after
	 * it. */
	counters_shared_refund(s, &o, 1, late + 200 * 60000);
	assert_true(take(s, 5, hour(1, 10), late + 200 * 60000));
	counters_shared_refund(s, &o, 1, late + 200 * 60000);
	assert_int_equal(used(s, hour(1, 0), late + 200 * 60000), 5);
}

/* A clock that goes back resets nothing. */
static void
test_clock_back(void **state)
{
	static const uint64_t back_s[] = { 1, 59, 61, 300, 1800, 3599, 3700, 7200, 86400,
		40 * 86400 };

	(void)state;
	for (size_t i = 0; i < sizeof(back_s) / sizeof(back_s[0]); i++) {
		struct counters_shared *s = counters_shared_open(1024);

		assert_true(take(s, 2, hour(1, 5), noon - 30 * 60000));
		assert_true(take(s, 3, hour(1, 5), noon));
		if (take(s, 1, hour(1, 5), noon - back_s[i] * 1000))
			fail_msg("%llu s back", (unsigned long long)back_s[i]);
		/* and an hour on it is free again */
		assert_true(take(s, 5, hour(1, 5), noon + 61 * 60000));
		counters_shared_close(s);
	}
}

static void
test_clock_forward(void **state)
{
	struct counters_shared *s = *state;

	assert_true(take(s, 5, hour(1, 5), noon));
	assert_true(take(s, 5, hour(1, 5), noon + 3600 * 24 * 1000));
	assert_false(take(s, 1, hour(1, 5), noon + 3600 * 24 * 1000));
}

static void
test_tell_once(void **state)
{
	struct counters_shared *s = *state;
	struct counters_line line = day(1, 10);

	assert_true(counters_shared_tell(s, &line, 0, 7, 80, noon));
	assert_false(counters_shared_tell(s, &line, 0, 7, 80, noon));
	assert_true(counters_shared_tell(s, &line, 1, 7, 80, noon));
	assert_true(counters_shared_tell(s, &line, 0, 7, 95, noon));
	assert_false(counters_shared_tell(s, &line, 0, 7, 90, noon));
	assert_true(counters_shared_tell(s, &line, 0, 8, 80, noon));
}

static void
test_reset(void **state)
{
	struct counters_shared *s = *state;
	struct counters_order o = order(5, hour(1, 5));

	assert_int_equal(counters_shared_do(s, &o, noon), COUNTERS_FITS);
	o.verb = COUNTERS_RESET;
	assert_int_equal(counters_shared_do(s, &o, noon), COUNTERS_FITS);
	assert_true(take(s, 5, hour(1, 5), noon));
}

/* Exactly CAP pass, whoever comes when. */
static void
test_processes(void **state)
{
	enum { PROCESSES = 8, EACH = 5000, CAP = 9001 };
	struct counters_shared *s = *state;
	int status, pipes[2];
	uint64_t passed = 0, one;

	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() > 0)
			continue;
		uint64_t mine = 0;

		for (int k = 0; k < EACH; k++) {
			struct counters_order o = order(1 + (uint32_t)(k % 3), hour(1, CAP));

			o.line[1] = day(2, 0);
			o.lines_n = 2;
			if (counters_shared_do(s, &o, noon) != COUNTERS_FITS)
				continue;
			if (k % 4 == 0) {
				counters_shared_refund(s, &o, o.n, noon);
				continue;
			}
			mine += o.n;
		}
		_exit(write(pipes[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(read(pipes[0], &one, sizeof(one)), sizeof(one));
		passed += one;
	}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(passed, used(s, hour(1, 0), noon));
	assert_int_equal(passed, used(s, day(2, 0), noon));
	assert_true(passed <= CAP);
	while (take(s, 1, hour(1, CAP), noon))
		passed++;
	assert_int_equal(passed, CAP);
}

/* A worker that dies with a lock in its hand stops nobody. */
static void
test_death_with_lock(void **state)
{
	struct counters_shared *s = *state;
	struct counters_order o = order(1, hour(1, 5));
	struct counters_hold h;
	int status;

	if (fork() == 0) {
		if (!counters_hold(s, &o, noon, &h))
			_exit(1);
		_exit(0);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_true(take(s, 5, hour(1, 5), noon));
	assert_false(take(s, 1, hour(1, 5), noon));
}

static void
test_room(void **state)
{
	struct counters_shared *s = *state;
	unsigned lost = 0;

	for (uint64_t id = 1; id <= 4096; id++) {
		struct counters_order o = order(1, hour(id, 5));

		lost += counters_shared_do(s, &o, noon) == COUNTERS_LOST;
	}
	assert_true(lost >= 4096 - 1024);
	assert_int_equal(atomic_load(&counters_common(s)->full), lost);
	/* Those that got in are there, each with its own number. */
	unsigned there = 0;

	for (uint64_t id = 1; id <= 4096; id++) {
		struct counters_order o = order(1, hour(id, 0));

		o.verb = COUNTERS_READ;
		if (counters_shared_do(s, &o, noon) == COUNTERS_FITS) {
			assert_int_equal(o.line[0].used, 1);
			there++;
		}
	}
	assert_int_equal(there, 4096 - lost);
	/* Hours later their places are free. */
	for (uint64_t id = 10001; id <= 10000 + 512; id++)
		assert_true(take(s, 5, hour(id, 5), noon + 4 * 3600000));
	for (uint64_t id = 10001; id <= 10000 + 512; id++)
		assert_int_equal(used(s, hour(id, 5), noon + 4 * 3600000), 5);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(hour),
		TEST(edge),
		TEST(any_59_minutes),
		TEST(when_free),
		TEST(day),
		TEST(month),
		TEST(whole),
		TEST(refund_later),
		TEST(clock_back),
		TEST(clock_forward),
		TEST(tell_once),
		TEST(reset),
		TEST(processes),
		TEST(death_with_lock),
		TEST(room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
