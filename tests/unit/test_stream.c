/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams; test_tls.c has those with TLS. */
#include "tests/unit/duo.h"

#include "wire/stream_private.h"

#include <errno.h>
#include <stdio.h>

static struct end *const a = &duo.a;
static struct end *const b = &duo.b;

static bool
b_has_3(void)
{
	return b->got_n >= 3;
}

static bool
b_closed(void)
{
	return b->trace_n && b->trace[b->trace_n - 1] == 'X';
}

static bool
a_closed(void)
{
	return a->trace_n && a->trace[a->trace_n - 1] == 'X';
}

static bool
a_gone(void)
{
	return a->trace_n && a->trace[a->trace_n - 1] == 'G';
}

static void
test_octets_arrive_and_idle_costs_nothing(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	assert_true(stream_is_open(&a->s));
	assert_true(stream_write(&a->s, SLICE("ab")));
	assert_true(stream_write(&a->s, SLICE("c")));
	assert_int_equal(a->s.sent, 0); /* no system call yet */
	run_until(b_has_3);
	assert_true(end_has(b, "abc"));
	assert_string_equal(b->trace, "D");
	assert_int_equal(a->s.sent, 3);
	assert_int_equal(b->s.received, 3);
	assert_null(a->s.in.mem);
	assert_null(a->s.out.mem);
	assert_null(b->s.in.mem);
	assert_true(sizeof(struct stream) <= 512);
	duo_fini();
}

/* A sequenced-packet socket shows how many send() calls there were. */
static void
test_one_send_a_turn(void **state)
{
	char mem[256];
	int fd[2];

	(void)state;
	duo_init(4096, 64);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	stream_adopt(&a->s, fd[0]);

	assert_true(stream_write(&a->s, SLICE("250 a\r\n")));
	assert_true(stream_write(&a->s, SLICE("250 b\r\n")));
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), -1);
	run_for(0.01);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 14);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), -1);

	/* In place, and past half full: at once. */
	size_t room;
	char *at = stream_space(&a->s, 40, &room);

	assert_non_null(at);
	assert_true(room >= 40);
	memset(at, 'x', 40);
	stream_wrote(&a->s, 40);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 40);

	/* All or nothing. */
	assert_false(stream_write(&a->s, slice_of(mem, 65)));
	assert_int_equal(stream_room(&a->s), 64);

	assert_true(stream_write(&a->s, SLICE("now")));
	stream_flush(&a->s);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 3);
	close(fd[1]);
	duo_fini();
}

/* What is held leaves with what follows it, or by itself. */
static void
test_hold(void **state)
{
	char mem[256];
	int fd[2];

	(void)state;
	duo_init(4096, 4096);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	stream_adopt(&a->s, fd[0]);
	stream_hold(&a->s); /* nothing is there to be held */

	for (unsigned round = 0; round < 2; round++) {
		assert_true(stream_write(&a->s, SLICE("250 mail\r\n")));
		stream_hold(&a->s);
		stream_hold(&a->s);
		stream_turn_end(NULL);
		assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), -1);
		assert_true(stream_write(&a->s, SLICE("250 rcpt\r\n")));
		stream_turn_end(NULL);
		assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 20);
	}
	assert_true(stream_write(&a->s, SLICE("250 mail\r\n")));
	stream_hold(&a->s);
	run_for(0.1);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 10);

	/* An owner that ends it, in one way or the other. */
	assert_true(stream_write(&a->s, SLICE("221 bye\r\n")));
	stream_hold(&a->s);
	stream_finish(&a->s, end_gone);
	stream_turn_end(NULL);
	assert_int_equal(recv(fd[1], mem, sizeof(mem), 0), 9);
	close(fd[1]);
	duo_fini();

	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	assert_true(stream_write(&a->s, SLICE("lost")));
	stream_hold(&a->s);
	stream_close(&a->s);
	assert_true(stream_write(&b->s, SLICE("kept")));
	stream_hold(&b->s);
	run_for(0.1);
	duo_fini();
}

/* ---- much data, slowly ----------------------------------------------------------------------- */

enum { BIG = 5 * 1024 * 1024, PIECE = 3000 };

static struct {
	size_t produced;
	size_t most_in;
	size_t most_out;
	uint64_t sum_out;
	uint64_t sum_in;
	unsigned lowats;
} big;

static uint64_t
checksum(uint64_t sum, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		sum = sum * 1099511628211U + (unsigned char)s.p[i];
	return sum;
}

/* Fills the output, then waits for room: what the relay does with content. */
static void
produce(struct end *e)
{
	char piece[PIECE];

	while (big.produced < BIG) {
		size_t n = BIG - big.produced < PIECE ? BIG - big.produced : PIECE;

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)((big.produced + i) * 2654435761U >> 13);
		if (!stream_write(&e->s, slice_of(piece, n))) {
			stream_want_lowat(&e->s, 8192);
			break;
		}
		big.sum_out = checksum(big.sum_out, slice_of(piece, n));
		big.produced += n;
		if (e->s.out.size > big.most_out)
			big.most_out = e->s.out.size;
	}
	if (big.produced == BIG)
		stream_finish(&e->s, end_gone);
}

static void
on_producer(struct end *e, enum stream_event event)
{
	if (event == STREAM_LOWAT) {
		e->trace_n = 0;
		big.lowats++;
		assert_true(buf_used(&e->s.out) <= 8192);
		produce(e);
	}
}

/* Takes a little, pauses, and is resumed by a timer. */
static void
on_slow_consumer(struct end *e, enum stream_event event)
{
	if (event != STREAM_DATA)
		return;
	struct slice in = slice_head(stream_in(&e->s), 20000);

	if (e->s.in.size > big.most_in)
		big.most_in = e->s.in.size;
	big.sum_in = checksum(big.sum_in, in);
	e->got_n += in.n;
	stream_consume(&e->s, in.n);
	e->trace_n = 0;
	stream_pause(&e->s);
}

static void
on_resume(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	stream_resume(&b->s);
}

static bool
all_over(void)
{
	return b_closed() && a_gone();
}

static void
move_big(bool slow)
{
	ev_timer t;

	memset(&big, 0, sizeof(big));
	a->hook = on_producer;
	b->keep = true;
	b->hook = on_slow_consumer;
	produce(a);
	assert_true(big.produced < BIG); /* there is a bound */
	ev_timer_init(&t, on_resume, 0, slow ? 0.0005 : 0.00001);
	ev_timer_start(loop_ev(duo.loop), &t);
	run_until(all_over);
	ev_timer_stop(loop_ev(duo.loop), &t);

	/* What had come when the end was told is still there. */
	big.sum_in = checksum(big.sum_in, stream_in(&b->s));
	b->got_n += stream_in(&b->s).n;
	assert_int_equal(b->got_n, BIG);
	assert_true(big.sum_in == big.sum_out);
	assert_true(big.most_in <= BUF_LARGE);
	assert_true(big.most_out <= BUF_LARGE);
	assert_true(big.lowats > 10);
}

static void
test_slow_reader_over_tcp(void **state)
{
	int small = 65536;

	(void)state;
	duo_init(BUF_LARGE, BUF_LARGE);
	duo_tcp();
	setsockopt(a->s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	move_big(true);
	duo_fini();
}

static void
test_slow_reader_small_buffers(void **state)
{
	int small = 4096;

	(void)state;
	duo_init(20000, 16384);
	duo_pair(SOCK_STREAM);
	setsockopt(a->s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	move_big(false);
	duo_fini();
}

/* ---- pause, low water ------------------------------------------------------------------------ */

static void
test_pause_and_resume(void **state)
{
	(void)state;
	duo_init(8, 4096);
	duo_pair(SOCK_STREAM);
	stream_pause(&b->s);
	assert_true(stream_write(&a->s, SLICE("0123456789abcdef")));
	run_for(0.02);
	assert_string_equal(b->trace, "");
	assert_int_equal(stream_in(&b->s).n, 8); /* it fills its buffer, no more */
	assert_false(b->s.rd_on);

	b->keep = true;
	stream_resume(&b->s);
	run_for(0.02);
	assert_string_equal(b->trace, "D");
	b->keep = false;
	stream_consume(&b->s, 3);
	run_for(0.02);
	assert_int_equal(b->got_n, 13);
	duo_fini();
}

static void
test_lowat_is_told_once_and_never_at_once(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	a->inside = true; /* an event from inside a call would fail */
	assert_true(stream_write(&a->s, SLICE("abc")));
	stream_want_lowat(&a->s, 10);
	stream_want_lowat(&a->s, 0);
	a->inside = false;
	run_for(0.02);
	assert_string_equal(a->trace, "L");
	assert_true(stream_write(&a->s, SLICE("def")));
	run_for(0.02);
	assert_string_equal(a->trace, "L");
	duo_fini();
}

/* ---- time ------------------------------------------------------------------------------------ */

static void
test_deadline(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	stream_deadline(&a->s, 0.02);
	stream_deadline(&b->s, 0.02);
	stream_deadline(&b->s, 0);
	run_for(0.06);
	assert_string_equal(a->trace, "T");
	assert_string_equal(b->trace, "");

	/* Moved away: the timer that is set already finds that out. */
	stream_deadline(&a->s, 0.02);
	stream_deadline(&a->s, 0.08);
	run_for(0.05);
	assert_string_equal(a->trace, "T");
	run_for(0.06);
	assert_string_equal(a->trace, "TT");

	/* Moved nearer. */
	stream_deadline(&a->s, 10);
	stream_deadline(&a->s, 0.01);
	run_for(0.03);
	assert_string_equal(a->trace, "TTT");
	duo_fini();
}

/* ---- connecting ------------------------------------------------------------------------------ */

static bool
a_has_event(void)
{
	return a->trace_n > 0;
}

static void
test_connect(void **state)
{
	int l = (duo_init(4096, 4096), listen_on_loopback());
	struct sockaddr_in to = loopback(duo.port);
	struct sockaddr_in from = loopback(0);

	(void)state;
	assert_true(stream_connect(&a->s, (struct sockaddr *)&to, sizeof(to),
	    (struct sockaddr *)&from, sizeof(from)));
	assert_true(stream_write(&a->s, SLICE("hello"))); /* waits for the connection */
	assert_string_equal(a->trace, "");
	run_until(a_has_event);
	assert_string_equal(a->trace, "C");
	stream_adopt(&b->s, accept4(l, NULL, NULL, SOCK_NONBLOCK));
	run_until(b_has_3);
	assert_true(end_has(b, "hello"));
	close(l);
	duo_fini();
}

static void
test_connect_fails(void **state)
{
	int l = (duo_init(4096, 4096), listen_on_loopback());
	struct sockaddr_in to = loopback(duo.port);
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = inet_addr("192.0.2.1") };

	(void)state;
	close(l);
	if (stream_connect(&a->s, (struct sockaddr *)&to, sizeof(to), NULL, 0)) {
		run_until(a_has_event);
		assert_string_equal(a->trace, "X");
	}
	assert_int_equal(a->s.error, STREAM_REFUSED);
	assert_string_equal(stream_why(&a->s), "connection refused");
	assert_false(stream_is_open(&a->s));

	/* The same stream again, from an address that is not ours. */
	stream_close(&a->s);
	assert_false(stream_connect(&a->s, (struct sockaddr *)&to, sizeof(to),
	    (struct sockaddr *)&from, sizeof(from)));
	assert_int_equal(a->s.error, STREAM_UNREACHABLE);
	assert_int_equal(a->s.fd, -1);
	duo_fini();
}

static void
on_closed_connect_again(struct end *e, enum stream_event event)
{
	struct sockaddr_in to = loopback(duo.port);

	if (event != STREAM_CLOSED)
		return;
	stream_close(&e->s);
	assert_true(stream_connect(&e->s, (struct sockaddr *)&to, sizeof(to), NULL, 0));
}

static bool
a_has_two(void)
{
	return a->trace_n >= 2;
}

static void
test_open_anew_inside_closed(void **state)
{
	int l = (duo_init(4096, 4096), listen_on_loopback());

	(void)state;
	duo_pair(SOCK_STREAM);
	a->hook = on_closed_connect_again;
	stream_close(&b->s);
	run_until(a_has_two);
	assert_string_equal(a->trace, "XC");
	assert_true(stream_is_open(&a->s));
	close(l);
	duo_fini();
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
on_data_answer(struct end *e, enum stream_event event)
{
	if (event == STREAM_DATA)
		assert_true(stream_write(&e->s, SLICE("answer")));
}

static void
test_end_comes_behind_data(void **state)
{
	char mem[4096];

	(void)state;
	duo_init(8192, 8192);
	duo_pair(SOCK_STREAM);
	/* As many octets as the first read takes, and the end behind them: the answer must leave
	 * all the same. */
	memset(mem, 'x', sizeof(mem));
	assert_true(stream_write(&a->s, slice_of(mem, sizeof(mem))));
	stream_flush(&a->s);
	shutdown(a->s.fd, SHUT_WR);
	b->hook = on_data_answer;
	run_until(b_closed);
	assert_string_equal(b->trace, "DX");
	assert_int_equal(b->s.error, STREAM_EOF);
	assert_int_equal(b->got_n, sizeof(mem));
	run_for(0.01);
	assert_true(end_has(a, "answer"));
	duo_fini();
}

static void
test_end_is_told_to_a_paused_stream(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	stream_pause(&b->s);
	assert_true(stream_write(&a->s, SLICE("abc")));
	stream_flush(&a->s);
	stream_close(&a->s);
	run_until(b_closed);
	assert_string_equal(b->trace, "X");
	assert_true(slice_eq(stream_in(&b->s), SLICE("abc")));
	stream_resume(&b->s);
	run_for(0.01);
	assert_string_equal(b->trace, "X"); /* nothing after the last */
	assert_true(stream_write(&b->s, SLICE("into the void")));
	assert_int_equal(buf_used(&b->s.out), 0);
	duo_fini();
}

static void
test_reset(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_tcp();
	stream_reset(&a->s);
	run_until(b_closed);
	assert_int_equal(b->s.error, STREAM_RESET);
	assert_string_equal(stream_why(&b->s), "connection lost");
	duo_fini();
}

static void
test_last_words_are_heard(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	stream_pause(&b->s);
	stream_pause(&a->s);
	/* b says something and goes while a is about to write. */
	assert_true(stream_write(&b->s, SLICE("421 bye\r\n")));
	stream_flush(&b->s);
	stream_close(&b->s);
	stream_resume(&a->s);
	assert_true(stream_write(&a->s, SLICE("MAIL FROM:<>\r\n")));
	stream_flush(&a->s);
	assert_string_equal(a->trace, "");
	run_until(a_closed);
	assert_string_equal(a->trace, "DX");
	assert_true(end_has(a, "421 bye\r\n"));
	assert_int_equal(a->s.error, STREAM_RESET);
	duo_fini();
}

struct owner {
	struct grave grave;
	struct end end;
};

static bool buried;

static void
free_owner(struct grave *g)
{
	buried = true;
	free(((struct owner *)(void *)g)->end.got);
	free(g);
}

static void
on_data_bury(struct end *e, enum stream_event event)
{
	struct owner *o = (struct owner *)(void *)((char *)e - offsetof(struct owner, end));

	assert_int_equal(event, STREAM_DATA);
	stream_close(&e->s);
	loop_bury(duo.loop, &o->grave);
}

static bool
was_buried(void)
{
	return buried;
}

static void
test_owner_goes_inside_an_event(void **state)
{
	struct owner *o = calloc(1, sizeof(*o));
	int fd[2];

	(void)state;
	buried = false;
	duo_init(4096, 4096);
	o->grave.free_fn = free_owner;
	o->end.hook = on_data_bury;
	stream_init(&o->end.s, duo.loop, 4096, 4096, end_event, &o->end);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	stream_adopt(&o->end.s, fd[0]);
	stream_adopt(&b->s, fd[1]);
	stream_deadline(&o->end.s, 0.001);
	stream_want_lowat(&o->end.s, 0);
	assert_true(stream_write(&o->end.s, SLICE("never sent")));
	stream_want_lowat(&b->s, 0);
	assert_true(stream_write(&b->s, SLICE("x")));
	stream_flush(&b->s);
	o->end.hook = NULL;
	run_for(0); /* LOWAT */
	o->end.hook = on_data_bury;
	assert_true(stream_write(&b->s, SLICE("x")));
	if (!buried)
		run_until(was_buried);
	duo_fini();
}

/* ---- finish ---------------------------------------------------------------------------------- */

static void
test_finish(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_tcp();
	/* The peer goes on talking; our last words must not be lost to a RST. */
	assert_true(stream_write(&b->s, SLICE("more and more")));
	stream_flush(&b->s);
	assert_true(stream_write(&a->s, SLICE("221 bye\r\n")));
	stream_finish(&a->s, end_gone);
	assert_string_equal(a->trace, "");
	run_until(b_closed);
	assert_string_equal(b->trace, "DX");
	assert_true(end_has(b, "221 bye\r\n"));
	assert_int_equal(b->s.error, STREAM_EOF);
	assert_string_equal(a->trace, "");
	stream_close(&b->s);
	run_until(a_gone);
	assert_string_equal(a->trace, "G");
	assert_int_equal(a->s.fd, -1);
	duo_fini();
}

static void
test_finish_waits_a_second_for_the_peer(void **state)
{
	double before;

	(void)state;
	duo_init(4096, 4096);
	duo_tcp();
	stream_deadline(&a->s, 0.01); /* the owner's, void now */
	stream_finish(&a->s, end_gone);
	run_until(b_closed);
	before = loop_now(duo.loop);
	run_until(a_gone);
	assert_true(loop_now(duo.loop) - before > 0.8 && loop_now(duo.loop) - before < 1.5);
	duo_fini();
}

static void
test_finish_of_a_dead_stream(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_pair(SOCK_STREAM);
	stream_close(&b->s);
	run_until(a_closed);
	stream_finish(&a->s, end_gone);
	assert_string_equal(a->trace, "X");
	run_until(a_gone);
	assert_string_equal(a->trace, "XG");
	duo_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets_arrive_and_idle_costs_nothing),
		cmocka_unit_test(test_one_send_a_turn),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_slow_reader_over_tcp),
		cmocka_unit_test(test_slow_reader_small_buffers),
		cmocka_unit_test(test_pause_and_resume),
		cmocka_unit_test(test_lowat_is_told_once_and_never_at_once),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_fails),
		cmocka_unit_test(test_open_anew_inside_closed),
		cmocka_unit_test(test_end_comes_behind_data),
		cmocka_unit_test(test_end_is_told_to_a_paused_stream),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_last_words_are_heard),
		cmocka_unit_test(test_owner_goes_inside_an_event),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_finish_waits_a_second_for_the_peer),
		cmocka_unit_test(test_finish_of_a_dead_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
