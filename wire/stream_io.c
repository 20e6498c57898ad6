/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_io - how a stream reads and writes, plain and TLS, in few system calls
 */
#include "wire/stream_private.h"

#include <errno.h>

enum {
	TLS_WRITE_MAX = 16384, /* one record */
	TLS_TURN_MAX = 65536,  /* read from one stream in a turn */
	BULK_ROOM = 16384,
	/* A handshake takes a millisecond of CPU and more; no turn shall take 20. Those that must
	 * wait stand in a line, and poll is not asked about them: else each would be called in
	 * vain in each turn. */
	HANDSHAKES_A_TURN = 4,
	DROPS_A_TURN = 4,
};

enum { HELD_NOT, HELD_NEW, HELD_LONG };

static const double drain_s = 1;
static const double held_tick_s = 0.01;

static struct stream *dirty_first;
static struct stream *line_first;
static struct stream **line_end = &line_first;
static uint64_t handshakes_turn; /* the turn in which HANDSHAKES were begun */
static unsigned handshakes;
static unsigned coming;           /* of the next turn's they are taken already */
static struct stream *held_first; /* whose output waits for more, a tick or two */
static ev_timer held_tick;
static char scrap[16384]; /* where dropped input goes */

/* ---- the list of those that have something to send ------------------------------------------- */

static void
link_first(struct stream **list, struct stream *s)
{
	s->next_dirty = *list;
	if (*list)
		(*list)->at_dirty = &s->next_dirty;
	*list = s;
	s->at_dirty = list;
}

/* From the list of those that are sent at the turn's end, or of those that are held. */
static void
dirty_remove(struct stream *s)
{
	if (!s->at_dirty)
		return;
	*s->at_dirty = s->next_dirty;
	if (s->next_dirty)
		s->next_dirty->at_dirty = s->at_dirty;
	s->at_dirty = NULL;
	s->next_dirty = NULL;
	if (s->held != HELD_NOT && !held_first)
		ev_timer_stop(loop_ev(s->loop), &held_tick);
	s->held = HELD_NOT;
}

void
stream_dirty_put(struct stream *s)
{
	if (s->held != HELD_NOT)
		dirty_remove(s);
	if (!s->at_dirty)
		link_first(&dirty_first, s);
}

/* Who has been held for a whole tick is sent with this turn's. */
static void
on_held_tick(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct stream *next;

	(void)ev;
	(void)t;
	(void)revents;
	for (struct stream *s = held_first; s; s = next) {
		next = s->next_dirty;
		if (s->held == HELD_LONG)
			stream_dirty_put(s);
		else
			s->held = HELD_LONG;
	}
}

void
stream_hold(struct stream *s)
{
	if (!s->at_dirty || s->held != HELD_NOT || s->phase != PHASE_OPEN)
		return;
	dirty_remove(s);
	if (!held_first) {
		ev_timer_init(&held_tick, on_held_tick, held_tick_s, held_tick_s);
		ev_timer_start(loop_ev(s->loop), &held_tick);
	}
	link_first(&held_first, s);
	s->held = HELD_NEW;
}

/* ---- the line of handshakes ------------------------------------------------------------------ */

static void
line_put(struct stream *s)
{
	s->turn = TURN_WAITS;
	s->next_turn = NULL;
	s->at_turn = line_end;
	*line_end = s;
	line_end = &s->next_turn;
}

static void
line_remove(struct stream *s)
{
	if (s->turn == TURN_WAITS) {
		*s->at_turn = s->next_turn;
		if (s->next_turn)
			s->next_turn->at_turn = s->at_turn;
		else
			line_end = s->at_turn;
	}
	s->turn = TURN_NONE;
}

void
stream_leave_lists(struct stream *s)
{
	dirty_remove(s);
	line_remove(s);
}

static void
begin_turn(const struct loop *l)
{
	if (handshakes_turn == loop_turn(l))
		return;
	handshakes_turn = loop_turn(l);
	handshakes = coming;
	coming = 0;
}

/* At the end of a turn: whose the next one is. */
static void
call_next(void)
{
	if (line_first)
		begin_turn(line_first->loop);
	while (line_first && coming < HANDSHAKES_A_TURN) {
		struct stream *s = line_first;

		line_remove(s);
		s->turn = TURN_COMING;
		coming++;
		stream_due_next(s, DUE_HANDSHAKE);
	}
}

/* False: S stands in the line now. */
static bool
has_turn(struct stream *s)
{
	begin_turn(s->loop);
	if (s->turn == TURN_COMING) {
		s->turn = TURN_NONE;
		return true;
	}
	if (s->turn == TURN_NONE && !line_first && handshakes < HANDSHAKES_A_TURN) {
		handshakes++;
		return true;
	}
	if (s->turn == TURN_NONE)
		line_put(s);
	stream_update(s);
	return false;
}

void
stream_turn_end(void *ctx)
{
	(void)ctx;
	while (dirty_first)
		stream_flush(dirty_first);
	call_next();
}

/* A connection that was open may also end with a time-out or an unreachable network: to its owner
 * it is lost, no more. */
static enum stream_error
error_of_lost(int e)
{
	return e == ENOMEM || e == ENOBUFS ? STREAM_NO_MEMORY : STREAM_RESET;
}

static enum stream_error
error_of_tls(enum tls_io r)
{
	switch (r) {
	case TLS_EOF:
		return STREAM_EOF;
	case TLS_CUT:
		return STREAM_RESET;
	case TLS_CERTIFICATE:
		return STREAM_CERTIFICATE;
	case TLS_OK:
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
	case TLS_FAIL:
		break;
	}
	return STREAM_TLS;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the next octets go. The small block does for commands; content wants a big one at once. */
static char *
space(struct stream *s, size_t *n_r)
{
	size_t room = buf_room(&s->in);
	size_t min = s->bulk && room > BULK_ROOM ? BULK_ROOM : 1;

	return buf_space(&s->in, min, n_r);
}

/* An end that stands behind data is left for the next turn (poll tells of it again), so that what
 * the owner answers to the data still leaves. */
static void
read_plain(struct stream *s)
{
	uint64_t before = s->received;

	while (buf_room(&s->in) > 0) {
		size_t n;
		char *at = space(s, &n);

		if (!at) {
			stream_end(s, STREAM_NO_MEMORY);
			return;
		}
		ssize_t got = recv(s->fd, at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		buf_add(&s->in, got > 0 ? (size_t)got : 0);
		if (got > 0) {
			s->received += (uint64_t)got;
			s->bulk = (size_t)got == n;
			if (s->bulk)
				continue;
			return; /* short: there is no more, and poll tells when there is */
		}
		if (s->received > before || (got < 0 && errno == EAGAIN))
			return;
		s->eof = got == 0;
		stream_end(s, got == 0 ? STREAM_EOF : error_of_lost(errno));
		return;
	}
}

static void
read_tls(struct stream *s)
{
	uint64_t before = s->received;

	s->tls_wants_write = false;
	s->tls_more = true;
	while (buf_room(&s->in) > 0) {
		size_t n;
		size_t got = 0;

		if (s->received - before >= TLS_TURN_MAX) {
			stream_due_next(s, DUE_READ);
			return;
		}
		char *at = space(s, &n);

		if (!at) {
			stream_end(s, STREAM_NO_MEMORY);
			return;
		}
		enum tls_io r = tls_read(s->tls, at, n, &got);

		buf_add(&s->in, got);
		if (r == TLS_OK) {
			s->received += got;
			s->bulk = got == n;
			continue;
		}
		if (r == TLS_WANT_READ || r == TLS_WANT_WRITE) {
			s->tls_more = false;
			s->tls_wants_write = r == TLS_WANT_WRITE;
			return;
		}
		/* As in read_plain(); but here poll need not tell of it. */
		if (s->received > before) {
			stream_due_next(s, DUE_READ);
			return;
		}
		s->eof = r == TLS_EOF;
		stream_end(s, error_of_tls(r));
		return;
	}
}

void
stream_expect(struct stream *s)
{
	s->bulk = true;
}

static void
read_more(struct stream *s)
{
	if (s->tls)
		read_tls(s);
	else
		read_plain(s);
}

void
stream_input(struct stream *s)
{
	uint64_t before = s->received;

	read_more(s);
	stream_update(s);
	if (s->received > before && !s->paused)
		s->fn(s->owner, STREAM_DATA);
}

void
stream_lost(struct stream *s)
{
	enum stream_error error = s->error;
	uint64_t before = s->received;

	if (s->phase != PHASE_OPEN)
		return;
	read_more(s);
	stream_end(s, error);
	s->error = error;
	if (s->received > before)
		s->due |= DUE_DATA;
}

/* Our last words are out. A socket that is closed while the peer still sends answers with RST,
 * which may overtake them: so what comes is read and dropped. */
void
stream_drop_input(struct stream *s)
{
	for (unsigned i = 0; i < DROPS_A_TURN; i++) {
		ssize_t got = recv(s->fd, scrap, sizeof(scrap), 0);

		if (got > 0) {
			if ((size_t)got < sizeof(scrap))
				return;
			continue;
		}
		if (got == 0 && s->phase == PHASE_FINISHING) {
			s->eof = true;
			stream_update(s);
			return;
		}
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		stream_end(s, STREAM_EOF);
		return;
	}
}

/* ---- TLS ------------------------------------------------------------------------------------- */

void
stream_handshake(struct stream *s)
{
	if (!has_turn(s))
		return;

	enum tls_io r = tls_handshake(s->tls);

	s->blocked = r == TLS_WANT_WRITE;
	if (r == TLS_WANT_READ || r == TLS_WANT_WRITE) {
		stream_update(s);
		return;
	}
	if (r != TLS_OK) {
		stream_end(s, r == TLS_CERTIFICATE ? STREAM_CERTIFICATE : STREAM_TLS);
		return;
	}
	s->phase = PHASE_OPEN;
	/* What came with the last of the handshake: poll knows nothing of it. */
	if (tls_pending(s->tls))
		stream_due(s, DUE_READ);
	if (buf_used(&s->out))
		stream_dirty_put(s);
	stream_update(s);
	s->fn(s->owner, STREAM_SECURED);
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool
output_is_lost(const struct stream *s)
{
	return s->phase == PHASE_OPEN && s->error != STREAM_OK;
}

/* The peer takes no more, and gets no more. What it said before it went (its 421, or a verdict) is
 * often still there. It is read by a task: who writes may hold a slice of the input. */
static void
end_of_output(struct stream *s, enum stream_error error)
{
	if (s->phase != PHASE_OPEN) {
		stream_end(s, error);
		return;
	}
	s->error = error;
	s->blocked = false;
	s->tls_wants_read = false;
	buf_clear(&s->out, false);
	stream_due(s, DUE_LOST);
}

static void
write_plain(struct stream *s)
{
	struct slice rest = buf_data(&s->out);
	ssize_t put;

	if (s->phase == PHASE_SECURING)
		rest = slice_head(rest, s->plain_left);
	if (rest.n == 0)
		return;
	do {
		put = send(s->fd, rest.p, rest.n, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);

	if (put < 0 && errno != EAGAIN) {
		end_of_output(s, error_of_lost(errno));
		return;
	}
	size_t n = put < 0 ? 0 : (size_t)put;

	s->blocked = n < rest.n;
	s->sent += n;
	buf_skip(&s->out, n);
	if (s->phase == PHASE_SECURING)
		s->plain_left -= n;
}

static void
write_tls(struct stream *s)
{
	s->tls_wants_read = false;
	for (;;) {
		struct slice rest = buf_offer(&s->out, TLS_WRITE_MAX);
		size_t put = 0;

		if (rest.n == 0)
			return;
		enum tls_io r = tls_write(s->tls, rest.p, rest.n, &put);

		if (r == TLS_OK) {
			s->sent += put;
			buf_skip(&s->out, put);
			continue;
		}
		buf_owe(&s->out, rest.n);
		if (r == TLS_WANT_WRITE)
			s->blocked = true;
		else if (r == TLS_WANT_READ)
			s->tls_wants_read = true;
		else
			end_of_output(s, error_of_tls(r));
		return;
	}
}

/* Everything has been sent: say goodbye and wait for the peer's. */
static void
begin_drain(struct stream *s)
{
	if (s->tls) {
		tls_shut(s->tls);
		tls_close(s->tls);
		s->tls = NULL;
	}
	if (s->eof || shutdown(s->fd, SHUT_WR) != 0) {
		stream_end(s, STREAM_EOF);
		return;
	}
	s->phase = PHASE_DRAINING;
	stream_deadline(s, drain_s);
}

void
stream_flush(struct stream *s)
{
	dirty_remove(s);
	if (s->blocked || output_is_lost(s))
		return;
	if (s->phase != PHASE_OPEN && s->phase != PHASE_SECURING && s->phase != PHASE_FINISHING)
		return;

	if (s->tls && s->phase != PHASE_SECURING)
		write_tls(s);
	else
		write_plain(s);

	if (s->phase == PHASE_SECURING && s->plain_left == 0) {
		s->phase = PHASE_HANDSHAKING;
		stream_due(s, DUE_HANDSHAKE);
	} else if (s->phase == PHASE_FINISHING && buf_used(&s->out) == 0) {
		begin_drain(s);
	}
	if (s->lowat && buf_used(&s->out) < s->lowat) {
		s->lowat = 0;
		stream_due(s, DUE_LOWAT);
	}
	stream_update(s);
}

/* What is written now leaves for nowhere. */
static bool
is_deaf(const struct stream *s)
{
	return s->phase == PHASE_ENDED || s->phase == PHASE_CLOSED || output_is_lost(s);
}

/* Something was added to the output. */
static void
written(struct stream *s)
{
	if (buf_used(&s->out) > s->out.max / 2)
		stream_flush(s);
	else if (!s->blocked)
		stream_dirty_put(s);
}

bool
stream_write(struct stream *s, struct slice what)
{
	if (is_deaf(s))
		return true;
	if (!buf_put(&s->out, what))
		return false;
	written(s);
	return true;
}

char *
stream_space(struct stream *s, size_t min, size_t *n_r)
{
	if (s->phase == PHASE_CLOSED)
		return NULL;
	return buf_space(&s->out, min, n_r);
}

void
stream_wrote(struct stream *s, size_t n)
{
	if (is_deaf(s)) {
		buf_add(&s->out, 0);
		return;
	}
	buf_add(&s->out, n);
	written(s);
}

void
stream_want_lowat(struct stream *s, size_t n)
{
	if (s->phase == PHASE_ENDED || s->phase == PHASE_CLOSED)
		return;
	s->due &= (uint8_t)~DUE_LOWAT; /* the wish before this one */
	s->lowat = n + 1;
	if (buf_used(&s->out) < s->lowat) {
		s->lowat = 0;
		stream_due(s, DUE_LOWAT);
	}
}
