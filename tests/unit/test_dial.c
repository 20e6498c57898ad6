/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The race for a connection: who answers, who refuses, who is silent, and what we lack ourselves.
 * A listener whose backlog is full stands for an address that swallows all.
 */
#include "wire/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

enum { ANSWERS, REFUSES, SWALLOWS, KINDS };

struct fixture {
	struct loop *loop;
	struct dial dial;
	ev_timer guard;
	int fds[KINDS], fillers[4];
	struct sockaddr_in at[KINDS];
	const int *kinds; /* of the addresses, -1 behind them */
	unsigned asked, ends;
	struct dial_end end;
	ev_tstamp began, ended;
};

static void
on_guard(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct fixture *f = t->data;

	(void)ev;
	(void)revents;
	loop_stop(f->loop);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->loop = loop_open();
	assert_non_null(f->loop);
	for (int i = 0; i < KINDS; i++) {
		socklen_t len = sizeof(f->at[i]);

		f->at[i] = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		f->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(f->fds[i], (struct sockaddr *)&f->at[i], len), 0);
		assert_int_equal(getsockname(f->fds[i], (struct sockaddr *)&f->at[i], &len), 0);
		if (i != REFUSES)
			assert_int_equal(listen(f->fds[i], i == SWALLOWS ? 0 : 16), 0);
	}
	for (int i = 0; i < 4; i++) {
		f->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(f->fillers[i], (struct sockaddr *)&f->at[SWALLOWS],
		    sizeof(f->at[SWALLOWS]));
	}
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < KINDS; i++)
		close(f->fds[i]);
	for (int i = 0; i < 4; i++)
		close(f->fillers[i]);
	loop_close(f->loop);
	free(f);
	return 0;
}

static bool
next(void *owner, struct dial_target *target_r)
{
	struct fixture *f = owner;
	int kind = f->kinds[f->asked];

	if (kind < 0)
		return false;
	*target_r = (struct dial_target){
		.to = (struct sockaddr *)&f->at[kind],
		.to_len = sizeof(f->at[kind]),
		.index = f->asked++,
	};
	return true;
}

static void
done(void *owner, const struct dial_end *end)
{
	struct fixture *f = owner;

	f->ends++;
	f->end = *end;
	f->ended = loop_now(f->loop);
	loop_stop(f->loop);
}

static void
run(struct fixture *f, const int *kinds, double patience_s, double seconds)
{
	f->kinds = kinds;
	f->asked = f->ends = 0;
	f->began = ev_time();
	ev_now_update(loop_ev(f->loop));
	f->began = loop_now(f->loop);
	dial_start(&f->dial, f->loop, patience_s, next, done, f);
	assert_int_equal(f->ends, 0);
	ev_timer_init(&f->guard, on_guard, seconds, 0);
	f->guard.data = f;
	ev_timer_start(loop_ev(f->loop), &f->guard);
	loop_run(f->loop);
	ev_timer_stop(loop_ev(f->loop), &f->guard);
}

static double
took(const struct fixture *f)
{
	return f->ended - f->began;
}

static void
takes_the_first_that_answers(void **state)
{
	struct fixture *f = *state;

	run(f, (const int[]){ ANSWERS, ANSWERS, -1 }, 5, 5);
	assert_true(f->ends == 1 && f->end.fd >= 0 && f->end.index == 0);
	assert_int_equal(f->asked, 1);
	close(f->end.fd);
	/* A refusal brings the next at once. */
	run(f, (const int[]){ REFUSES, REFUSES, ANSWERS, -1 }, 5, 5);
	assert_true(f->ends == 1 && f->end.fd >= 0 && f->end.index == 2);
	assert_int_equal(f->end.failed, 3);
	assert_int_equal(f->end.late, 0);
	assert_true(took(f) < dial_delay_s);
	close(f->end.fd);
}

static void
does_not_wait_for_the_silent(void **state)
{
	struct fixture *f = *state;

	run(f, (const int[]){ SWALLOWS, SWALLOWS, ANSWERS, ANSWERS, -1 }, 5, 5);
	assert_true(f->ends == 1 && f->end.fd >= 0 && f->end.index == 2);
	assert_int_equal(f->end.late, 3);
	assert_int_equal(f->end.failed, 0);
	assert_true(took(f) >= 2 * dial_delay_s && took(f) < 4);
	close(f->end.fd);
}

static void
tells_most_of_what_failed(void **state)
{
	struct fixture *f = *state;

	run(f, (const int[]){ SWALLOWS, REFUSES, -1 }, 0.5, 5);
	assert_true(f->ends == 1 && f->end.fd == -1 && f->end.error == STREAM_REFUSED);
	assert_int_equal(f->end.failed, 3);
	run(f, (const int[]){ SWALLOWS, -1 }, 0.5, 5);
	assert_true(f->ends == 1 && f->end.fd == -1 && f->end.error == STREAM_CONNECT_TIMEOUT);
	assert_true(took(f) >= 0.5 && took(f) < 4);
	run(f, (const int[]){ -1 }, 0.5, 5);
	assert_true(f->ends == 1 && f->end.fd == -1 && f->end.error == STREAM_OK);
}

/* Without descriptors no address has failed. */
static void
blames_nobody_for_our_own_want(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	run(f, (const int[]){ ANSWERS, ANSWERS, -1 }, 5, 5);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(f->ends == 1 && f->end.fd == -1 && f->end.error == STREAM_NO_MEMORY);
	assert_int_equal(f->end.failed, 0);
	assert_int_equal(f->asked, 1);
}

static void
stops(void **state)
{
	struct fixture *f = *state;

	run(f, (const int[]){ SWALLOWS, SWALLOWS, -1 }, 5, 0.4);
	assert_int_equal(f->ends, 0);
	assert_int_equal(f->asked, 2);
	dial_stop(&f->dial);
	dial_stop(&f->dial);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_the_first_that_answers),
		TEST(does_not_wait_for_the_silent),
		TEST(tells_most_of_what_failed),
		TEST(blames_nobody_for_our_own_want),
		TEST(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
