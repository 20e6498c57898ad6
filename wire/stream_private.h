/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_STREAM_PRIVATE_H
#define WIRE_STREAM_PRIVATE_H

/*
 * stream_private - what stream.c (life and events) and stream_io.c (octets) share; nobody else
 * includes it
 *
 *                     stream_connect            stream_secure
 *      CLOSED ------> CONNECTING ---> OPEN <---------------------> SECURING (plain output leaves)
 *        |  stream_adopt               ^  ^                            |
 *        '-----------------------------'  '------ HANDSHAKING <--------'
 *
 *      any of these --- failure, end ---> ENDED (CLOSED is told, then stream_close)
 *      OPEN --- stream_finish ---> FINISHING (output leaves) ---> DRAINING (our FIN is out) ---> on_gone
 *
 * Rule: the owner's function is called in tail position only. After it returns nothing of the
 * stream is looked at, so an event may close the stream,
 *       open it anew, or bury the owner. Whatever cannot be told at once becomes a bit in DUE and a
 *       task.
 */
#include "wire/stream.h"

enum {
	PHASE_CLOSED,
	PHASE_CONNECTING,
	PHASE_SECURING,
	PHASE_HANDSHAKING,
	PHASE_OPEN,
	PHASE_FINISHING,
	PHASE_DRAINING,
	PHASE_ENDED,
};

/* In the order in which they are told. */
enum {
	DUE_CONNECTED = 1,
	DUE_HANDSHAKE = 2,
	DUE_READ = 4,
	DUE_LOST = 8, /* output failed: read the last words, then end */
	DUE_DATA = 16,
	DUE_LOWAT = 32,
	DUE_CLOSED = 64,
	DUE_GONE = 128,
};

/* Whether a handshake waits for its turn: then poll need not tell of the socket. */
enum {
	TURN_NONE,
	TURN_WAITS,  /* in the line */
	TURN_COMING, /* the next turn is its own */
};

/* The only place that starts and stops the watchers. */
void stream_update(struct stream *s);
/* Tells WHAT later in this turn, or in the next. */
void stream_due(struct stream *s, unsigned what);
void stream_due_next(struct stream *s, unsigned what);
/* The stream is over. Told by a task, so that it comes behind the last DATA. */
void stream_end(struct stream *s, enum stream_error error);

/* Reads what is there and tells of it. Tail call only. */
void stream_input(struct stream *s);
/* Goes on with the handshake. Tail call only. */
void stream_handshake(struct stream *s);
/* Output has failed: reads the peer's last words and ends. */
void stream_lost(struct stream *s);
/* Reads and forgets. */
void stream_drop_input(struct stream *s);
/* The list of those that have something to send. */
void stream_dirty_put(struct stream *s);
/* That list, and the line of handshakes. */
void stream_leave_lists(struct stream *s);
void stream_turn_end(void *ctx);

#endif
