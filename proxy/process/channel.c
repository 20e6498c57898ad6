/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel - SOCK_SEQPACKET keeps packets apart, in order, and tells the end
 */
#include "proxy/process/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PACKETS_A_TURN = 16 };

struct head {
	uint32_t verb;
	uint32_t serial;
};

bool
channel_pair(int fds_r[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_r) == 0;
}

static void
gone(struct channel *c)
{
	channel_close(c);
	c->fn(c->owner, CHANNEL_GONE, 0, SLICE(""));
}

static void
on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct channel *c = w->data;
	char words[CHANNEL_WORDS_MAX];
	struct head head;
	struct iovec parts[2] = { { &head, sizeof(head) }, { words, sizeof(words) } };

	(void)ev;
	(void)revents;
	for (int i = 0; i < PACKETS_A_TURN && c->fd >= 0; i++) {
		ssize_t n = readv(c->fd, parts, 2);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < (ssize_t)sizeof(head)) {
			gone(c);
			return;
		}
		c->fn(c->owner, (enum channel_verb)head.verb, head.serial,
		    slice_of(words, (size_t)n - sizeof(head)));
	}
}

void
channel_open(struct channel *c, struct loop *l, int fd, channel_fn *fn, void *owner)
{
	*c = (struct channel){ .loop = l, .fd = fd, .fn = fn, .owner = owner };
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	c->rd.data = c;
	ev_io_start(loop_ev(l), &c->rd);
}

void
channel_close(struct channel *c)
{
	if (c->fd < 0)
		return;
	ev_io_stop(loop_ev(c->loop), &c->rd);
	close(c->fd);
	c->fd = -1;
}

bool
channel_say(struct channel *c, enum channel_verb verb, uint32_t serial, struct slice words)
{
	struct head head = { .verb = (uint32_t)verb, .serial = serial };
	struct slice cut = slice_head(words, CHANNEL_WORDS_MAX);
	char none = 0;
	struct msghdr m = { 0 };
	struct iovec parts[2] = { { &head, sizeof(head) }, { &none, 0 } };
	ssize_t n;

	if (c->fd < 0)
		return false;
	memcpy(&parts[1].iov_base, &cut.p, sizeof(cut.p)); /* iovec has no const */
	parts[1].iov_len = cut.n;
	m.msg_iov = parts;
	m.msg_iovlen = cut.n ? 2 : 1;
	do {
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}
