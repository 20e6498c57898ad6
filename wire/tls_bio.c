/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_bio.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	AHEAD_SIZE = 32768,
	FLIGHT_SIZE = 16384,
	FLIGHT_RECORD_MAX = 4096, /* larger ones go straight to the socket */
};

static struct {
	struct tls_bio *owner;
	size_t at;
	size_t n;
	unsigned char mem[AHEAD_SIZE];
} ahead;

static struct {
	size_t n;
	unsigned char mem[FLIGHT_SIZE];
} flight;

void
tls_bio_init(struct tls_bio *b, int fd)
{
	*b = (struct tls_bio){ .fd = fd };
}

void
tls_bio_fini(struct tls_bio *b)
{
	if (ahead.owner == b)
		ahead.owner = NULL;
	free(b->kept);
	free(b->held);
	b->kept = NULL;
	b->held = NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Room for another's octets: what is left of the owner's goes into its own memory. */
static void
evict(void)
{
	struct tls_bio *b = ahead.owner;
	size_t n = ahead.n - ahead.at;

	ahead.owner = NULL;
	if (!b || n == 0)
		return;
	assert(!b->kept);
	b->kept = malloc(n);
	if (!b->kept) {
		b->broken = true;
		return;
	}
	memcpy(b->kept, ahead.mem + ahead.at, n);
	b->kept_at = 0;
	b->kept_n = n;
}

bool
tls_bio_give(struct tls_bio *b, struct slice octets)
{
	assert(!b->kept && ahead.owner != b);
	b->heard = octets.n > 0;
	b->kept = malloc(octets.n ? octets.n : 1);
	if (!b->kept)
		return false;
	memcpy(b->kept, octets.p, octets.n);
	b->kept_at = 0;
	b->kept_n = octets.n;
	return true;
}

static size_t
take(unsigned char *to, size_t n, const unsigned char *from, size_t *at, size_t end)
{
	if (n > end - *at)
		n = end - *at;
	memcpy(to, from + *at, n);
	*at += n;
	return n;
}

static ssize_t
take_kept(struct tls_bio *b, unsigned char *mem, size_t n)
{
	n = take(mem, n, b->kept, &b->kept_at, b->kept_n);
	if (b->kept_at == b->kept_n) {
		free(b->kept);
		b->kept = NULL;
	}
	return (ssize_t)n;
}

ssize_t
tls_bio_recv(struct tls_bio *b, unsigned char *mem, size_t n)
{
	ssize_t got;

	if (b->kept)
		return take_kept(b, mem, n);
	if (ahead.owner == b && ahead.at < ahead.n)
		return (ssize_t)take(mem, n, ahead.mem, &ahead.at, ahead.n);
	if (b->drained) {
		b->drained = false;
		return BIO_WAIT;
	}
	if (ahead.owner != b)
		evict();
	do {
		got = recv(b->fd, ahead.mem, sizeof(ahead.mem), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? BIO_WAIT : BIO_LOST;
	if (got == 0)
		return 0;
	b->heard = true;
	b->drained = (size_t)got < sizeof(ahead.mem);
	ahead.owner = b;
	ahead.at = 0;
	ahead.n = (size_t)got;
	return (ssize_t)take(mem, n, ahead.mem, &ahead.at, ahead.n);
}

bool
tls_bio_pending(const struct tls_bio *b)
{
	return b->kept || (ahead.owner == b && ahead.at < ahead.n);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* As many as the kernel takes, maybe none; -1 where the connection is gone. */
static ssize_t
send_some(const struct tls_bio *b, const unsigned char *mem, size_t n)
{
	ssize_t put;

	do {
		put = send(b->fd, mem, n, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0 && errno == EAGAIN)
		return 0;
	return put;
}

/* True when nothing is held any more. */
static bool
send_held(struct tls_bio *b)
{
	while (b->held) {
		ssize_t put = send_some(b, b->held + b->held_at, b->held_n - b->held_at);

		if (put == 0)
			return false;
		if (put < 0)
			b->unsendable = true;
		else
			b->held_at += (size_t)put;
		if (put < 0 || b->held_at == b->held_n) {
			free(b->held);
			b->held = NULL;
		}
	}
	return true;
}

static void
send_flight(struct tls_bio *b)
{
	size_t n = flight.n;

	flight.n = 0;
	if (n == 0)
		return;
	ssize_t put = send_some(b, flight.mem, n);

	if (put < 0) {
		b->unsendable = true;
		return;
	}
	size_t rest = n - (size_t)put;

	if (rest == 0)
		return;
	b->held = malloc(rest);
	if (!b->held) {
		b->broken = true;
		return;
	}
	memcpy(b->held, flight.mem + put, rest);
	b->held_at = 0;
	b->held_n = rest;
}

ssize_t
tls_bio_send(struct tls_bio *b, const unsigned char *mem, size_t n)
{
	if (!send_held(b))
		return BIO_WAIT;

	bool small = b->gathering && n <= FLIGHT_RECORD_MAX;

	if (!small || n > sizeof(flight.mem) - flight.n)
		send_flight(b);
	if (b->held)
		return BIO_WAIT;
	if (b->unsendable || b->broken)
		return BIO_LOST;
	if (small) {
		memcpy(flight.mem + flight.n, mem, n);
		flight.n += n;
		return (ssize_t)n;
	}
	ssize_t put = send_some(b, mem, n);

	if (put < 0)
		b->unsendable = true;
	return put > 0 ? put : put == 0 ? BIO_WAIT : BIO_LOST;
}

bool
tls_bio_begin(struct tls_bio *b)
{
	b->gathering = true;
	return send_held(b);
}

void
tls_bio_end(struct tls_bio *b)
{
	b->gathering = false;
	send_flight(b); /* empty where something is held */
}
