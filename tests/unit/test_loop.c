/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

/* What happened, one letter each. */
static char trace[256];
static size_t trace_n;
static struct loop *loop;

static void
note(char c)
{
	assert_true(trace_n + 1 < sizeof(trace));
	trace[trace_n++] = c;
	trace[trace_n] = 0;
}

static int
set_up(void **state)
{
	(void)state;
	trace_n = 0;
	trace[0] = 0;
	loop = loop_open();
	return loop ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static void
on_stop(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	note('T');
	loop_stop(loop);
}

static void
run_for(double seconds)
{
	ev_timer t;

	ev_timer_init(&t, on_stop, seconds, 0);
	ev_timer_start(loop_ev(loop), &t);
	loop_run(loop);
	ev_timer_stop(loop_ev(loop), &t);
}

struct noted {
	struct task task;
	char name;
	struct noted *then;   /* deferred by us */
	struct noted *cancel; /* cancelled by us */
	unsigned again;       /* times that we defer ourselves */
};

static void
run_noted(struct task *t)
{
	struct noted *n = (struct noted *)(void *)t;

	if (n->name)
		note(n->name);
	if (n->then)
		loop_defer(loop, &n->then->task);
	if (n->cancel)
		loop_cancel(loop, &n->cancel->task);
	if (n->again && n->again--)
		loop_defer(loop, t);
}

struct body {
	struct grave grave;
	char name;
};

static void
free_body(struct grave *g)
{
	struct body *b = (struct body *)(void *)g;

	note(b->name);
	free(b);
}

static void
hook(void *ctx)
{
	note(*(char *)ctx);
}

static void
test_order_of_a_turn(void **state)
{
	struct noted c = { .task = { .fn = run_noted }, .name = 'c' };
	struct noted b = { .task = { .fn = run_noted }, .name = 'b', .then = &c };
	struct noted a = { .task = { .fn = run_noted }, .name = 'a' };
	struct body *grave = calloc(1, sizeof(*grave));
	char h = 'h';

	(void)state;
	grave->name = 'g';
	grave->grave.free_fn = free_body;
	loop_at_turn_end(loop, hook, &h);
	loop_at_turn_end(loop, hook, &h); /* once */
	loop_bury(loop, &grave->grave);
	loop_defer(loop, &a.task);
	loop_defer(loop, &b.task);
	loop_defer(loop, &a.task); /* waits already */
	run_for(0);
	/* The first turn; then the one that the timer ended. */
	assert_string_equal(trace, "abchgTh");
}

static void
test_cancel(void **state)
{
	struct noted c = { .task = { .fn = run_noted }, .name = 'c' };
	struct noted b = { .task = { .fn = run_noted }, .name = 'b' };
	struct noted a = { .task = { .fn = run_noted }, .name = 'a', .cancel = &c };
	struct noted later = { .task = { .fn = run_noted }, .name = 'x' };

	(void)state;
	loop_defer(loop, &b.task);
	loop_cancel(loop, &b.task);
	loop_cancel(loop, &b.task);
	loop_next(loop, &later.task);
	loop_cancel(loop, &later.task);
	loop_defer(loop, &a.task);
	loop_defer(loop, &c.task);
	loop_defer(loop, &b.task);
	run_for(0);
	assert_string_equal(trace, "abT");
	assert_false(c.task.waiting);
}

static void
test_chain_does_not_starve_timers(void **state)
{
	struct noted endless = { .task = { .fn = run_noted }, .again = UINT32_MAX };

	(void)state;
	loop_defer(loop, &endless.task);
	run_for(0.01);
	assert_string_equal(trace, "T");
	assert_true(endless.again < UINT32_MAX - 64);
}

static void
test_chain_needs_no_event_to_go_on(void **state)
{
	/* More rounds than fit in one turn, and nothing else happens for a second. */
	struct noted last = { .task = { .fn = run_noted }, .again = 1000 };
	clock_t before = clock();

	(void)state;
	loop_defer(loop, &last.task);
	run_for(0.1);
	assert_int_equal(last.again, 0);
	/* And then the loop sleeps. */
	assert_true(clock() - before < CLOCKS_PER_SEC / 20);
}

static void
test_next_turn(void **state)
{
	struct noted n = { .task = { .fn = run_noted }, .name = 'n' };
	char h = 'h';

	(void)state;
	loop_at_turn_end(loop, hook, &h);
	loop_next(loop, &n.task);
	run_for(0.05);
	/* Not in the first turn; in the second, which has not waited for the timer. */
	assert_int_equal(strncmp(trace, "hnh", 3), 0);
	assert_int_equal(trace[trace_n - 2], 'T');
}

static void
test_clocks(void **state)
{
	ev_tstamp before = loop_now(loop);
	uint64_t wall = loop_wall_ms(loop);
	struct timespec busy = { .tv_nsec = 30000000 };

	(void)state;
	assert_true(llabs((long long)wall - (long long)time(NULL) * 1000) < 2000);
	run_for(0.05);
	assert_true(loop_now(loop) - before >= 0.049);
	(void)loop_worst_us(loop);
	assert_int_equal(loop_worst_us(loop), 0);

	/* A callback that blocks is seen. */
	struct noted n = { .task = { .fn = run_noted } };

	loop_defer(loop, &n.task);
	nanosleep(&busy, NULL);
	run_for(0);
	assert_true(loop_worst_us(loop) < 20000);
}

static void
on_slow(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct timespec busy = { .tv_nsec = 30000000 };

	(void)ev;
	(void)w;
	(void)revents;
	nanosleep(&busy, NULL);
	loop_stop(loop);
}

static void
test_worst_turn(void **state)
{
	ev_timer t;

	(void)state;
	ev_timer_init(&t, on_slow, 0, 0);
	ev_timer_start(loop_ev(loop), &t);
	loop_run(loop);
	assert_true(loop_worst_us(loop) >= 30000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_of_a_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chain_does_not_starve_timers, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_chain_needs_no_event_to_go_on, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_next_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clocks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_worst_turn, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
