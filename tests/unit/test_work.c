/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct sum {
	struct job job;
	unsigned in;
	unsigned out;
	bool ran;
	bool masked;
	char name[16];
};

static struct loop *loop;
static struct work *work;
static unsigned done_n;
static unsigned expected;
static uint64_t total;
static bool inside_submit;
static atomic_bool gate;

static void
sleep_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static void
run_sum(struct job *j)
{
	struct sum *s = (struct sum *)(void *)j;
	sigset_t blocked;

	while (atomic_load(&gate))
		sleep_ms(1);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	s->masked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD);
	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	s->out = s->in * 2;
	s->ran = true;
}

static void
on_done(struct job *j)
{
	struct sum *s = (struct sum *)(void *)j;

	assert_false(inside_submit);
	if (s->ran) {
		assert_int_equal(s->out, s->in * 2);
		assert_true(s->masked);
		assert_int_equal(strncmp(s->name, "sums ", 5), 0);
		total += s->out;
	}
	free(s);
	if (++done_n == expected)
		loop_stop(loop);
}

static bool
submit(unsigned in)
{
	struct sum *s = calloc(1, sizeof(*s));

	s->job.run = run_sum;
	s->job.done = on_done;
	s->in = in;
	inside_submit = true;
	bool ok = work_submit(work, &s->job);

	inside_submit = false;
	if (!ok)
		free(s);
	return ok;
}

static int
set_up(void **state)
{
	(void)state;
	done_n = 0;
	total = 0;
	atomic_store(&gate, false);
	loop = loop_open();
	work = work_open(loop, "sums", 3, 1000);
	return loop && work ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	work_close(work);
	loop_close(loop);
	return 0;
}

static void
test_answers_come_back(void **state)
{
	(void)state;
	expected = 1000;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(submit(i));
	loop_run(loop);
	assert_int_equal(done_n, 1000);
	assert_int_equal(total, 999000);
	assert_int_equal(work_waiting(work), 0);
}

static void
test_queue_is_bounded(void **state)
{
	unsigned n = 0;

	(void)state;
	atomic_store(&gate, true);
	while (submit(n))
		n++;
	/* Some may run already, the others wait. */
	assert_in_range(n, 1000, 1003);
	assert_in_range(work_waiting(work), 997, 1000);
	atomic_store(&gate, false);
	expected = n;
	loop_run(loop);
	assert_int_equal(done_n, n);
	assert_true(submit(1));
	expected = n + 1;
	loop_run(loop);
}

/* The loop sleeps while a thread works, and is woken. */
static void
test_a_late_answer_wakes_the_loop(void **state)
{
	struct timespec before;
	struct timespec after;

	(void)state;
	expected = 1;
	atomic_store(&gate, true);
	assert_true(submit(21));

	clock_gettime(CLOCK_MONOTONIC, &before);
	atomic_store(&gate, false);
	loop_run(loop);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(total, 42);
	assert_true(after.tv_sec - before.tv_sec < 2);
}

static void
test_close_ends_all_jobs(void **state)
{
	struct work *w = work;

	(void)state;
	expected = 0;
	atomic_store(&gate, true);
	for (unsigned i = 0; i < 100; i++)
		assert_true(submit(i));
	sleep_ms(20);
	assert_in_range(work_waiting(w), 97, 100);
	assert_false(work_is_closing(w));
	atomic_store(&gate, false);
	work_close(w);
	assert_int_equal(done_n, 100);
	work = work_open(loop, "sums", 1, 1);
	assert_non_null(work);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers_come_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queue_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_late_answer_wakes_the_loop, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_close_ends_all_jobs, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
