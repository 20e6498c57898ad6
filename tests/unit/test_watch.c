/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/threads.h"
#include "console/http/watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_int resumed;

static void
on_readable(void *of)
{
	atomic_fetch_add((atomic_int *)of, 1);
}

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
rest(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
}

/* The other end of FD hears an end. */
static bool
is_ended(int fd)
{
	char octet;

	return recv(fd, &octet, 1, MSG_DONTWAIT) == 0;
}

struct pair {
	int ours, theirs;
	struct visitor *v;
};

static struct pair
come(struct watch *w)
{
	int fds[2];
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p = (struct pair){ fds[0], fds[1], NULL };
	p.v = watch_enter(w, p.ours, &resumed);
	assert_non_null(p.v);
	return p;
}

static void
go(struct watch *w, struct pair *p)
{
	watch_leave(w, p->v);
	close(p->ours);
	close(p->theirs);
}

static void
test_who_is_too_slow_is_ended(void **state)
{
	const struct watch_limits limits = { .seconds = { [WATCH_HEAD] = 0.3, [WATCH_BODY] = 0.3 },
		.of_user = 10 };
	struct watch *w = watch_open(&limits, on_readable);

	(void)state;
	assert_non_null(w);
	struct pair head = come(w), body = come(w), work = come(w), answer = come(w);

	watch_set(w, body.v, WATCH_BODY);
	watch_set(w, work.v, WATCH_WORK);
	watch_set(w, answer.v, WATCH_ANSWER);
	assert_false(is_ended(head.theirs));
	for (double until = now_s() + 30; now_s() < until;) {
		if (is_ended(head.theirs) && is_ended(body.theirs))
			break;
		rest();
	}
	assert_true(is_ended(head.theirs) && is_ended(body.theirs));
	assert_false(is_ended(work.theirs));
	assert_false(is_ended(answer.theirs));
	go(w, &work);
	go(w, &head);
	go(w, &answer);
	go(w, &body);
	watch_close(w);
}

static void
test_an_idle_one_makes_room(void **state)
{
	const struct watch_limits limits = { .of_user = 3 };
	struct watch *w = watch_open(&limits, on_readable);
	struct pair p[6];

	(void)state;
	assert_non_null(w);
	p[0] = come(w);
	watch_set(w, p[0].v, WATCH_WORK);
	p[1] = come(w);
	p[2] = come(w);
	p[3] = come(w); /* in the place of p[1] */
	assert_true(is_ended(p[1].theirs));
	watch_set(w, p[2].v, WATCH_BODY);
	watch_set(w, p[3].v, WATCH_ANSWER);
	p[4] = come(w); /* nobody is idle: it has to go itself */
	for (int i = 0; i < 5; i++)
		assert_int_equal(is_ended(p[i].theirs), i == 1 || i == 4);
	go(w, &p[2]);
	p[5] = come(w);
	assert_false(is_ended(p[5].theirs));
	for (int i = 0; i < 6; i++)
		if (i != 2)
			go(w, &p[i]);
	watch_close(w);
}

static void
test_who_waits_is_resumed_once(void **state)
{
	const struct watch_limits limits = { .of_user = 3 };
	struct watch *w = watch_open(&limits, on_readable);
	struct pair p;
	int ends[2];

	(void)state;
	assert_non_null(w);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	p = come(w);
	atomic_store(&resumed, 0);
	assert_true(watch_wait(w, p.v, ends[0]));
	rest();
	assert_int_equal(atomic_load(&resumed), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	for (double until = now_s() + 30; now_s() < until && atomic_load(&resumed) == 0;)
		rest();
	assert_int_equal(atomic_load(&resumed), 1);
	rest();
	assert_int_equal(atomic_load(&resumed), 1);
	/* The end of the watch resumes, too, and then nobody waits any more. */
	assert_int_equal(read(ends[0], (char[1]){ 0 }, 1), 1);
	assert_true(watch_wait(w, p.v, ends[0]));
	watch_stop(w);
	assert_int_equal(atomic_load(&resumed), 2);
	assert_false(watch_wait(w, p.v, ends[0]));
	go(w, &p);
	watch_close(w);
	close(ends[0]);
	close(ends[1]);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct count {
	struct threads_job job; /* first */
	atomic_int *ran;
	atomic_int *gate; /* waits until it is not 0 */
};

static void
run(struct threads_job *job, void *lane)
{
	struct count *c = (struct count *)job;

	while (c->gate && atomic_load(c->gate) == 0)
		rest();
	atomic_fetch_add(c->ran, 1);
	atomic_fetch_add((atomic_int *)lane, 1);
}

static void
test_a_slow_job_holds_one_thread(void **state)
{
	static atomic_int lanes[2], ran, gate;
	void *each[2] = { &lanes[0], &lanes[1] };
	struct threads *t = threads_open(each, 2);
	struct count slow = { { NULL, run }, &ran, &gate }, quick[20];

	(void)state;
	assert_non_null(t);
	assert_true(threads_submit(t, &slow.job));
	for (int i = 0; i < 20; i++) {
		quick[i] = (struct count){ { NULL, run }, &ran, NULL };
		assert_true(threads_submit(t, &quick[i].job));
	}
	for (double until = now_s() + 30; now_s() < until && atomic_load(&ran) < 20;)
		rest();
	assert_int_equal(atomic_load(&ran), 20);
	atomic_store(&gate, 1);
	threads_stop(t);
	/* What was submitted has run. */
	assert_int_equal(atomic_load(&ran), 21);
	assert_int_equal(atomic_load(&lanes[0]) + atomic_load(&lanes[1]), 21);
	assert_false(threads_submit(t, &slow.job));
	threads_close(t);
}

static void
test_a_queue_has_an_end(void **state)
{
	static atomic_int lane, ran, gate;
	void *each[1] = { &lane };
	struct threads *t = threads_open(each, 1);
	struct count *all = calloc(THREADS_QUEUE_MAX + 2, sizeof(*all));
	int taken = 0;

	(void)state;
	assert_non_null(t);
	assert_non_null(all);
	for (int i = 0; i < THREADS_QUEUE_MAX + 2; i++) {
		all[i] = (struct count){ { NULL, run }, &ran, &gate };
		taken += threads_submit(t, &all[i].job);
	}
	/* One may be taken off it already. */
	assert_in_range(taken, THREADS_QUEUE_MAX, THREADS_QUEUE_MAX + 1);
	atomic_store(&gate, 1);
	threads_close(t);
	assert_int_equal(atomic_load(&ran), taken);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_too_slow_is_ended),
		cmocka_unit_test(test_an_idle_one_makes_room),
		cmocka_unit_test(test_who_waits_is_resumed_once),
		cmocka_unit_test(test_a_slow_job_holds_one_thread),
		cmocka_unit_test(test_a_queue_has_an_end),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
