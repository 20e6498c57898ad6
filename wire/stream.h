/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

/*
 * stream - a socket, TLS or not, and two bounded buffers on the loop
 *
 * The owner hears six events and otherwise only looks at the buffers:
 *
 *      STREAM_CONNECTED  connect() went through
 *      STREAM_SECURED    the TLS handshake is done (and, as a client, the certificate is right)
 *      STREAM_DATA       stream_in() has octets that were not there before, or the stream was
 *                        resumed with octets left over
 *      STREAM_LOWAT      output has fallen below the low-water mark after stream_want_lowat()
 *      STREAM_TIMEOUT    the deadline has passed
 *      STREAM_CLOSED     the peer is gone or the stream failed; stream->error says how. Comes once,
 *                        last, after all DATA. Output is dropped.
 *
 * Writing never calls back and never makes a system call at once: output is gathered and sent at
 * the end of the turn, so that a group of replies or commands leaves in one segment; a buffer past
 * half full is sent right away. TCP_NODELAY is set.
 *
 * One function (update, in stream.c) works out from the buffers which events libev watches, and is
 * the only one that starts and stops watchers: input full or paused -> no read; output left over ->
 * write. Backpressure follows.
 *
 * Owns:   the fd (closed by stream_close), the TLS state, the buffers.
 * Life:   part of its owner (init in place). After stream_close() nothing fires any more. Events
 *         never fire from inside a stream_ call, only from the loop. An owner that goes inside an
 *         event must be buried (loop_bury), not freed; after STREAM_CLOSED it still calls
 *         stream_close(), and what is in stream_in() stays readable until then. What is written
 *         after the peer has gone is dropped.
 * Errors: enum stream_error. errno does not leave.
 */
#include <ev.h>
#include <sys/socket.h>

#include "wire/buf.h"
#include "wire/loop.h"
#include "wire/text.h"
#include "wire/tls.h"

enum stream_event {
	STREAM_CONNECTED,
	STREAM_SECURED,
	STREAM_DATA,
	STREAM_LOWAT,
	STREAM_TIMEOUT,
	STREAM_CLOSED,
};

enum stream_error {
	STREAM_OK,
	STREAM_EOF,             /* orderly end: FIN on plain, close_notify on TLS */
	STREAM_RESET,           /* ECONNRESET, EPIPE, FIN without close_notify */
	STREAM_REFUSED,         /* connect: refused */
	STREAM_UNREACHABLE,     /* connect: no route, host down */
	STREAM_CONNECT_TIMEOUT, /* connect: ETIMEDOUT of the system */
	STREAM_TLS,             /* handshake or record layer; stream_why() has the words */
	STREAM_CERTIFICATE,     /* the peer's certificate does not verify */
	STREAM_NO_MEMORY,
};

typedef void stream_fn(void *owner, enum stream_event event);

struct stream {
	struct loop *loop;
	int fd; /* -1 while closed */
	struct tls *tls;
	struct buf in;
	struct buf out;
	ev_io rd;
	ev_io wr;
	ev_timer timer;
	ev_tstamp deadline; /* by loop_patient(); 0: none */
	stream_fn *fn;
	void *owner;
	void (*on_gone)(void *owner); /* while finishing */
	struct stream *next_dirty;
	struct stream **at_dirty; /* what points to us in the list */
	struct stream *next_turn; /* the line of handshakes, as above */
	struct stream **at_turn;
	struct task again; /* what is due without poll saying so */
	ev_tstamp armed;   /* when the timer goes off; 0: it is not running */
	size_t lowat;      /* mark + 1; 0: not wanted */
	size_t plain_left; /* before STARTTLS: octets that still leave in plain */
	uint64_t received; /* octets of payload, whole life */
	uint64_t sent;
	enum stream_error error;
	uint8_t phase; /* stream.c: connecting, handshaking, open, finishing, ended */
	uint8_t due;   /* stream.c: what AGAIN has to do */
	uint8_t turn;  /* whether a handshake waits for its turn */
	uint8_t held;  /* stream_io.c: whether output waits for what follows */
	bool paused;
	bool bulk;    /* the last read filled its room: read big */
	bool blocked; /* the kernel takes no more output */
	bool rd_on;
	bool wr_on;
	bool tls_wants_write; /* what a read waits for */
	bool tls_wants_read;  /* what a write waits for */
	bool tls_more;        /* reading stopped before the TLS layer was empty */
	bool eof;
};

/* IN_MAX and OUT_MAX: bounds of the buffers, at most BUF_LARGE. The stream is not open yet. */
void stream_init(struct stream *s, struct loop *l, size_t in_max, size_t out_max, stream_fn *fn,
    void *owner);
/* Takes FD, connected and non-blocking. */
void stream_adopt(struct stream *s, int fd);
/* Starts a connection; false (error set) where it fails at once. CONNECTED or CLOSED follows. */
bool stream_connect(struct stream *s, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *from, socklen_t from_len) MUST_CHECK;
/* Starts TLS once the output so far is out. Octets already in the input buffer belong to nobody:
 * returns false if there are any (STARTTLS injection; the owner closes). HOST: the name to verify
 * as a client, empty as a server. */
bool stream_secure(struct stream *s, struct tls_ctx *ctx, struct slice host) MUST_CHECK;
/* As a server, where TLS has begun from the first octet and what is in the input buffer is its
 * beginning (behind a PROXY header); never after STARTTLS. */
void stream_secure_begun(struct stream *s, struct tls_ctx *ctx);
bool stream_is_open(const struct stream *s);

static inline struct slice
stream_in(const struct stream *s)
{
	return buf_data(&s->in);
}
/* The first N octets of stream_in() are done with. */
void stream_consume(struct stream *s, size_t n);
/* No DATA until stream_resume(); what arrives waits in the buffer, then in the kernel. */
void stream_pause(struct stream *s) FOR_TESTS;
void stream_resume(struct stream *s) FOR_TESTS;

/* All or nothing; false when the output buffer lacks room. */
bool stream_write(struct stream *s, struct slice what) MUST_CHECK;
/* To write in place: room for at least MIN octets or NULL; then stream_wrote(). */
char *stream_space(struct stream *s, size_t min, size_t *n_r) MUST_CHECK;
void stream_wrote(struct stream *s, size_t n);
static inline size_t
stream_room(const struct stream *s)
{
	return buf_room(&s->out);
}
static inline size_t
stream_used(const struct stream *s)
{
	return buf_used(&s->out);
}
/* One LOWAT event as soon as at most N octets wait to be sent. */
void stream_want_lowat(struct stream *s, size_t n);
/* What was written in this turn may leave with what is written in the next ones; it does so by
 * itself within 20 ms. */
void stream_hold(struct stream *s);
/* Large input is about to come: the next read makes room for it. */
void stream_expect(struct stream *s);
/* Sends now what can be sent, rather than at the end of the turn. */
void stream_flush(struct stream *s);

/* The owner can do no more with it: output is dropped, CLOSED follows with ERROR. */
void stream_fail(struct stream *s, enum stream_error error);

/* TIMEOUT in SECONDS from now, unless set anew; 0 takes it away. Later deadlines cost nothing. */
void stream_deadline(struct stream *s, double seconds);
/* Sends what is left (at most a few seconds), says close_notify, closes by itself without another
 * event. The owner may go: S must then be left in place until the loop buries it, so only an owner
 * that is itself buried by ON_GONE may use this. */
void stream_finish(struct stream *s, void (*on_gone)(void *owner));
/* Closes now, drops output; RESET makes the peer see RST. */
void stream_close(struct stream *s);
void stream_reset(struct stream *s);
/* After CLOSED in a handshake as a client: see tls_wants_again(). */
bool stream_wants_again(const struct stream *s) MUST_CHECK;
/* Words for the log about error: "connection refused", "certificate: name mismatch". */
const char *stream_why(const struct stream *s);
/* The same of an error alone. */
const char *stream_error_why(enum stream_error error);
/* What an errno of socket() or connect() means. */
enum stream_error stream_error_of(int e);

#endif
