/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - life and events (the octets are stream_io.c's)
 */
#include "wire/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static const double finish_s = 5;

/* ---- what libev watches ---------------------------------------------------------------------- */

static void
watch(struct stream *s, ev_io *w, bool *on, bool want)
{
	if (want == *on)
		return;
	*on = want;
	if (want)
		ev_io_start(loop_ev(s->loop), w);
	else
		ev_io_stop(loop_ev(s->loop), w);
}

void
stream_update(struct stream *s)
{
	bool rd = false;
	bool wr = false;

	switch (s->phase) {
	case PHASE_CONNECTING:
		wr = true;
		break;
	case PHASE_SECURING:
		wr = s->blocked;
		break;
	case PHASE_HANDSHAKING:
		wr = s->blocked && s->turn == TURN_NONE;
		rd = !s->blocked && s->turn == TURN_NONE;
		break;
	case PHASE_OPEN:
		rd = buf_room(&s->in) > 0 || s->tls_wants_read;
		wr = s->blocked || s->tls_wants_write;
		break;
	case PHASE_FINISHING:
		rd = !s->eof;
		wr = s->blocked;
		break;
	case PHASE_DRAINING:
		rd = true;
		break;
	default:
		break;
	}
	watch(s, &s->rd, &s->rd_on, rd);
	watch(s, &s->wr, &s->wr_on, wr);
}

void
stream_due(struct stream *s, unsigned what)
{
	s->due |= (uint8_t)what;
	loop_defer(s->loop, &s->again);
}

void
stream_due_next(struct stream *s, unsigned what)
{
	s->due |= (uint8_t)what;
	loop_next(s->loop, &s->again);
}

/* ---- ends ------------------------------------------------------------------------------------ */

enum stream_error
stream_error_of(int e)
{
	switch (e) {
	case ECONNREFUSED:
	case ENOENT: /* a local socket that nobody has bound */
		return STREAM_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EACCES:
	case EPERM:
		return STREAM_UNREACHABLE;
	case ETIMEDOUT:
		return STREAM_CONNECT_TIMEOUT;
	case ENOMEM:
	case ENOBUFS:
	case EMFILE:
	case ENFILE:
		return STREAM_NO_MEMORY;
	default:
		return STREAM_RESET;
	}
}

void
stream_end(struct stream *s, enum stream_error error)
{
	if (s->phase == PHASE_ENDED || s->phase == PHASE_CLOSED)
		return;
	bool finishing = s->phase == PHASE_FINISHING || s->phase == PHASE_DRAINING;

	s->error = error;
	s->phase = PHASE_ENDED;
	s->deadline = 0;
	s->due &= DUE_DATA;
	s->tls_more = false;
	s->lowat = 0;
	stream_leave_lists(s);
	buf_clear(&s->out, false);
	stream_update(s);
	stream_due(s, finishing ? DUE_GONE : DUE_CLOSED);
}

static void
close_fd(struct stream *s)
{
	if (s->phase == PHASE_CLOSED)
		return;
	s->phase = PHASE_CLOSED;
	stream_update(s);
	ev_timer_stop(loop_ev(s->loop), &s->timer);
	loop_cancel(s->loop, &s->again);
	s->due = 0;
	s->deadline = 0;
	s->armed = 0;
	stream_leave_lists(s);
	if (s->tls)
		tls_close(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	/* A line with credentials may be half in, or half out. */
	buf_clear(&s->in, true);
	buf_clear(&s->out, true);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
on_connected(struct stream *s)
{
	int e = 0;
	socklen_t len = sizeof(e);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
		e = errno;
	if (e) {
		stream_end(s, stream_error_of(e));
		return;
	}
	s->phase = PHASE_OPEN;
	if (buf_used(&s->out))
		stream_dirty_put(s);
	stream_update(s);
	s->fn(s->owner, STREAM_CONNECTED);
}

static void
on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct stream *s = w->data;

	(void)ev;
	(void)revents;
	if (s->tls_wants_read && s->phase == PHASE_OPEN)
		stream_flush(s);

	switch (s->phase) {
	case PHASE_HANDSHAKING:
		stream_handshake(s);
		break;
	case PHASE_OPEN:
		stream_input(s);
		break;
	case PHASE_FINISHING:
	case PHASE_DRAINING:
		stream_drop_input(s);
		break;
	default:
		break;
	}
}

static void
on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct stream *s = w->data;

	(void)ev;
	(void)revents;
	switch (s->phase) {
	case PHASE_CONNECTING:
		on_connected(s);
		return;
	case PHASE_HANDSHAKING:
		stream_handshake(s);
		return;
	default:
		break;
	}
	s->blocked = false;
	stream_flush(s);
	if (s->phase == PHASE_OPEN && s->tls_wants_write)
		stream_input(s);
}

static void
on_again(struct task *t)
{
	struct stream *s = (struct stream *)((char *)t - offsetof(struct stream, again));
	unsigned what = s->due & -(unsigned)s->due; /* the lowest bit */

	s->due &= (uint8_t)~what;
	if (s->due)
		loop_defer(s->loop, &s->again);

	switch (what) {
	case DUE_CONNECTED:
		if (s->phase == PHASE_CONNECTING)
			on_connected(s);
		break;
	case DUE_HANDSHAKE:
		if (s->phase == PHASE_HANDSHAKING)
			stream_handshake(s);
		break;
	case DUE_READ:
		if (s->phase == PHASE_OPEN)
			stream_input(s);
		break;
	case DUE_LOST:
		stream_lost(s);
		break;
	case DUE_DATA:
		if (!s->paused && buf_used(&s->in))
			s->fn(s->owner, STREAM_DATA);
		break;
	case DUE_LOWAT:
		s->fn(s->owner, STREAM_LOWAT);
		break;
	case DUE_CLOSED:
		s->fn(s->owner, STREAM_CLOSED);
		break;
	case DUE_GONE:
		close_fd(s);
		s->on_gone(s->owner);
		break;
	default:
		break;
	}
}

/* The timer is set anew only for an earlier deadline; one that moved away is found out here. */
static void
arm(struct stream *s)
{
	ev_tstamp after = s->deadline - loop_patient(s->loop);

	ev_timer_stop(loop_ev(s->loop), &s->timer);
	ev_timer_set(&s->timer, after > 0 ? after : 0, 0);
	ev_timer_start(loop_ev(s->loop), &s->timer);
	s->armed = s->deadline;
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct stream *s = w->data;

	(void)ev;
	(void)revents;
	s->armed = 0;
	if (s->deadline == 0)
		return;
	if (s->deadline > loop_patient(s->loop) + 1e-3) {
		arm(s);
		return;
	}
	s->deadline = 0;
	if (s->phase == PHASE_FINISHING || s->phase == PHASE_DRAINING)
		stream_end(s, STREAM_EOF);
	else
		s->fn(s->owner, STREAM_TIMEOUT);
}

void
stream_deadline(struct stream *s, double seconds)
{
	if (s->phase == PHASE_ENDED || s->phase == PHASE_CLOSED)
		return;
	if (seconds <= 0) {
		s->deadline = 0;
		return;
	}
	s->deadline = loop_patient(s->loop) + seconds;
	if (s->armed == 0 || s->deadline < s->armed)
		arm(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

void
stream_init(struct stream *s, struct loop *l, size_t in_max, size_t out_max, stream_fn *fn,
    void *owner)
{
	*s = (struct stream){
		.loop = l,
		.fd = -1,
		.fn = fn,
		.owner = owner,
		.again = { .fn = on_again },
	};
	buf_init(&s->in, in_max);
	buf_init(&s->out, out_max);
	ev_init(&s->rd, on_readable);
	ev_init(&s->wr, on_writable);
	ev_init(&s->timer, on_timer);
	s->rd.data = s;
	s->wr.data = s;
	s->timer.data = s;
	loop_at_turn_end(l, stream_turn_end, NULL);
}

/* A stream may be opened again after it was closed; only its bounds and its owner stay. */
static void
begin(struct stream *s, int fd, uint8_t phase)
{
	int one = 1;

	assert(s->phase == PHASE_CLOSED);
	stream_init(s, s->loop, s->in.max, s->out.max, s->fn, s->owner);
	s->fd = fd;
	s->phase = phase;
	/* A local socket knows no delay: no failure that matters. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ev_io_set(&s->rd, fd, EV_READ);
	ev_io_set(&s->wr, fd, EV_WRITE);
	stream_update(s);
}

void
stream_adopt(struct stream *s, int fd)
{
	begin(s, fd, PHASE_OPEN);
}

bool
stream_connect(struct stream *s, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *from, socklen_t from_len)
{
	assert(s->phase == PHASE_CLOSED);

	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0) {
		s->error = stream_error_of(errno);
		return false;
	}
	if (from && from_len) {
		/* The port is chosen at connect(), by the four-tuple: many more connections than
		 * ports. */
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, from, from_len) != 0)
			goto fail;
	}
	if (connect(fd, to, to_len) == 0) {
		begin(s, fd, PHASE_CONNECTING);
		stream_due(s, DUE_CONNECTED);
		return true;
	}
	if (errno == EINPROGRESS) {
		begin(s, fd, PHASE_CONNECTING);
		return true;
	}
fail:
	s->error = stream_error_of(errno);
	close(fd);
	return false;
}

bool
stream_secure(struct stream *s, struct tls_ctx *ctx, struct slice host)
{
	assert(s->phase == PHASE_OPEN || s->phase == PHASE_ENDED);
	assert(!s->tls || s->phase == PHASE_ENDED);
	if (buf_used(&s->in))
		return false;
	if (s->phase == PHASE_ENDED)
		return true;

	s->tls = tls_open(ctx, s->fd, host);
	if (!s->tls) {
		stream_end(s, STREAM_NO_MEMORY);
		return true;
	}
	s->plain_left = buf_used(&s->out);
	if (s->plain_left) {
		s->phase = PHASE_SECURING;
	} else {
		s->phase = PHASE_HANDSHAKING;
		stream_due(s, DUE_HANDSHAKE);
	}
	stream_update(s);
	return true;
}

void
stream_secure_begun(struct stream *s, struct tls_ctx *ctx)
{
	struct slice in = buf_data(&s->in);
	struct buf ahead = s->in;

	if (in.n == 0) {
		(void)!stream_secure(s, ctx, slice_of("", 0));
		return;
	}
	buf_init(&s->in, ahead.max);
	(void)!stream_secure(s, ctx, slice_of("", 0));
	if (s->tls && !tls_give(s->tls, in))
		stream_end(s, STREAM_NO_MEMORY);
	buf_fini(&ahead);
}

bool
stream_is_open(const struct stream *s)
{
	return s->phase >= PHASE_CONNECTING && s->phase <= PHASE_OPEN;
}

void
stream_consume(struct stream *s, size_t n)
{
	bool was_full = buf_room(&s->in) == 0;

	buf_skip(&s->in, n);
	if (s->phase != PHASE_OPEN)
		return;
	if (was_full)
		stream_update(s);
	if (s->tls_more && buf_room(&s->in) > 0)
		stream_due_next(s, DUE_READ);
}

void
stream_pause(struct stream *s)
{
	s->paused = true;
}

void
stream_resume(struct stream *s)
{
	if (!s->paused)
		return;
	s->paused = false;
	if (buf_used(&s->in) && (s->phase == PHASE_OPEN || s->due & DUE_CLOSED))
		stream_due(s, DUE_DATA);
}

void
stream_finish(struct stream *s, void (*on_gone)(void *owner))
{
	bool open = s->phase == PHASE_OPEN;

	assert(s->phase != PHASE_CLOSED);
	s->on_gone = on_gone;
	s->due = 0;
	s->deadline = 0;
	s->lowat = 0;
	buf_clear(&s->in, true);
	if (!open) {
		s->phase = PHASE_ENDED;
		stream_leave_lists(s);
		buf_clear(&s->out, true);
		stream_update(s);
		stream_due(s, DUE_GONE);
		return;
	}
	s->phase = PHASE_FINISHING;
	stream_deadline(s, finish_s);
	if (!s->blocked)
		stream_dirty_put(s);
	stream_update(s);
}

void
stream_fail(struct stream *s, enum stream_error error)
{
	stream_end(s, error);
}

void
stream_close(struct stream *s)
{
	close_fd(s);
}

void
stream_reset(struct stream *s)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close_fd(s);
}

bool
stream_wants_again(const struct stream *s)
{
	return s->error == STREAM_TLS && s->tls && tls_wants_again(s->tls);
}

const char *
stream_error_why(enum stream_error error)
{
	switch (error) {
	case STREAM_OK:
		break;
	case STREAM_EOF:
		return "connection closed by peer";
	case STREAM_RESET:
		return "connection lost";
	case STREAM_REFUSED:
		return "connection refused";
	case STREAM_UNREACHABLE:
		return "network unreachable";
	case STREAM_CONNECT_TIMEOUT:
		return "connection timed out";
	case STREAM_TLS:
	case STREAM_CERTIFICATE:
		return "TLS failed";
	case STREAM_NO_MEMORY:
		return "out of memory";
	}
	return "no error";
}

const char *
stream_why(const struct stream *s)
{
	if (s->tls && (s->error == STREAM_TLS || s->error == STREAM_CERTIFICATE))
		return tls_why(s->tls);
	return stream_error_why(s->error);
}
