/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_DUO_H
#define TESTS_UNIT_DUO_H

/*
 * duo - two streams on one loop that talk to each other, and a trace of what they heard
 *
 * Trace letters: C connected, S secured, D data, L low water, T timeout, X closed, G gone.
 */
#include "wire/loop.h"
#include "wire/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>

struct end {
	struct stream s;
	char trace[128];
	size_t trace_n;
	char *got; /* what was consumed */
	size_t got_n;
	size_t got_max;
	bool keep;   /* leave the input where it is */
	bool inside; /* an event is being told: none may come from inside a call */
	void (*hook)(struct end *e, enum stream_event event);
	void *ctx;
};

struct duo {
	struct loop *loop;
	struct end a;
	struct end b;
	ev_timer guard;
	bool timed_out;
	bool (*done)(void);
	int port; /* of listen_on_loopback() */
};

static struct duo duo;

static inline void
end_trace(struct end *e, char c)
{
	if (e->trace_n && e->trace[e->trace_n - 1] == 'D' && c == 'D')
		return; /* how many reads it took is the kernel's affair */
	assert_true(e->trace_n + 1 < sizeof(e->trace));
	e->trace[e->trace_n++] = c;
	e->trace[e->trace_n] = 0;
}

static inline void
end_consume(struct end *e)
{
	struct slice in = stream_in(&e->s);

	if (e->got_n + in.n > e->got_max) {
		e->got_max = (e->got_n + in.n) * 2;
		e->got = realloc(e->got, e->got_max);
		assert_non_null(e->got);
	}
	if (in.n)
		memcpy(e->got + e->got_n, in.p, in.n);
	e->got_n += in.n;
	stream_consume(&e->s, in.n);
}

static inline void
end_event(void *owner, enum stream_event event)
{
	struct end *e = owner;

	assert_false(e->inside);
	e->inside = true;
	end_trace(e, "CSDLTX"[event]);
	if (event == STREAM_DATA && !e->keep)
		end_consume(e);
	if (e->hook)
		e->hook(e, event);
	e->inside = false;
}

static inline void
end_gone(void *owner)
{
	end_trace(owner, 'G');
}

static inline bool
end_has(const struct end *e, const char *what)
{
	return slice_eq(slice_of(e->got, e->got_n), slice_str(what));
}

static inline void
duo_expired(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	duo.timed_out = true;
	loop_stop(duo.loop);
}

/* False when SECONDS went by before loop_stop(). */
static inline bool
duo_wait(double seconds)
{
	duo.timed_out = false;
	ev_timer_init(&duo.guard, duo_expired, seconds, 0);
	ev_timer_start(loop_ev(duo.loop), &duo.guard);
	loop_run(duo.loop);
	ev_timer_stop(loop_ev(duo.loop), &duo.guard);
	return !duo.timed_out;
}

static inline void
duo_turn_end(void *ctx)
{
	(void)ctx;
	if (duo.done && duo.done())
		loop_stop(duo.loop);
}

/* Runs until DONE() is true at the end of a turn; fails the test after 10 s. */
static inline void
run_until(bool (*done)(void))
{
	duo.done = done;
	bool in_time = duo_wait(10);

	duo.done = NULL;
	if (!in_time)
		print_error("a: %s (%zu octets), b: %s (%zu octets)\n", duo.a.trace, duo.a.got_n,
		    duo.b.trace, duo.b.got_n);
	assert_true(in_time);
}

static inline void
run_for(double seconds)
{
	(void)duo_wait(seconds);
}

static inline void
duo_init(size_t in_max, size_t out_max)
{
	duo = (struct duo){ .loop = loop_open() };
	assert_non_null(duo.loop);
	loop_at_turn_end(duo.loop, duo_turn_end, NULL);
	stream_init(&duo.a.s, duo.loop, in_max, out_max, end_event, &duo.a);
	stream_init(&duo.b.s, duo.loop, in_max, out_max, end_event, &duo.b);
}

/* The two ends of a local socket pair. */
static inline void
duo_pair(int type)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	stream_adopt(&duo.a.s, fd[0]);
	stream_adopt(&duo.b.s, fd[1]);
}

static inline int
listen_on_loopback(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	duo.port = ntohs(sin.sin_port);
	return fd;
}

static inline struct sockaddr_in
loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port),
	};
}

/* The two ends of a TCP connection over loopback. */
static inline void
duo_tcp(void)
{
	int l = listen_on_loopback();
	struct sockaddr_in to = loopback(duo.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	int other = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(other >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	close(l);
	stream_adopt(&duo.a.s, fd);
	stream_adopt(&duo.b.s, other);
}

static inline void
duo_fini(void)
{
	stream_close(&duo.a.s);
	stream_close(&duo.b.s);
	free(duo.a.got);
	free(duo.b.got);
	loop_close(duo.loop);
	buf_pool_trim();
}

#endif
