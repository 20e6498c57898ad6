/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_CHANNEL_H
#define PROXY_PROCESS_CHANNEL_H

/*
 * channel - what the master and one worker say to each other: packets over a socketpair
 *
 * A packet is a verb, a serial number and words. An answer bears the serial of what it answers. The
 * end of the stream is a packet too: CHANNEL_GONE, once, last. So a worker notices at once that its
 * master is dead, however it died, and the other way round.
 *
 * Owns:   the descriptor.
 * Errors: channel_say is false where the other side does not read: it is stuck or dying.
 */
#include "wire/loop.h"

enum { CHANNEL_WORDS_MAX = 16384 };

enum channel_verb {
	CHANNEL_GONE,
	/* master to worker */
	CHANNEL_RELOAD, /* answered with DONE, or FAILED and why */
	CHANNEL_STATUS, /* answered with DONE: JSON members */
	CHANNEL_ASK,    /* a question with its words, answered with DONE: a JSON object */
	CHANNEL_REOPEN,
	CHANNEL_COVER,   /* serve the sockets of the worker SERIAL, too */
	CHANNEL_UNCOVER, /* no more */
	CHANNEL_DRAIN,
	CHANNEL_KILL,
	/* worker to master */
	CHANNEL_UP, /* it accepts connections */
	CHANNEL_DONE,
	CHANNEL_FAILED,
};

typedef void channel_fn(void *owner, enum channel_verb verb, uint32_t serial, struct slice words);

struct channel {
	struct loop *loop;
	int fd; /* -1 while closed */
	ev_io rd;
	channel_fn *fn;
	void *owner;
};

bool channel_pair(int fds_r[2]) MUST_CHECK;
void channel_open(struct channel *c, struct loop *l, int fd, channel_fn *fn, void *owner);
void channel_close(struct channel *c);
bool channel_say(struct channel *c, enum channel_verb verb, uint32_t serial, struct slice words)
    MUST_CHECK;

#endif
