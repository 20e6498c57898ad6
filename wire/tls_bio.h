/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TLS_BIO_H
#define WIRE_TLS_BIO_H

/*
 * tls_bio - between a TLS library and its socket, in few system calls
 *
 * A library asks for five octets (a record's header) and then for its body, and sends each
 * handshake message by itself. Between it and the socket stand two buffers of the process, so that
 * a turn's octets come with one recv() and a flight leaves with one send(). They belong to one
 * connection at a time:
 *
 *      ahead   what recv() brought beyond what was asked for. Whoever needs it while another's
 *              octets are in it puts those into the other's own memory (kept); that happens only to
 *              a connection whose owner stopped reading before the end.
 *      flight  small records between tls_bio_begin() and tls_bio_end(). What the kernel did not
 *              take of it is held in the connection's own memory.
 *
 * After a recv() that brought less than it could the next one says BIO_WAIT without a system call:
 * nothing is there, and poll tells when there is.
 *
 * Owns:   kept and held; not the fd.  One thread: the loop's.
 */
#include "wire/slice.h"

#include <sys/types.h>

enum { BIO_WAIT = -1, BIO_LOST = -2 };

struct tls_bio {
	int fd;
	bool heard; /* the peer has said something */
	bool drained;
	bool gathering;
	bool unsendable; /* the peer takes no more; what it has said can still be read */
	bool broken;     /* out of memory: octets are lost */
	unsigned char *kept;
	size_t kept_at;
	size_t kept_n;
	unsigned char *held;
	size_t held_at;
	size_t held_n;
};

void tls_bio_init(struct tls_bio *b, int fd);
void tls_bio_fini(struct tls_bio *b);
/* Octets of the conversation that somebody read before us: they come first. Once, right after
 * tls_bio_init(). */
bool tls_bio_give(struct tls_bio *b, struct slice octets) MUST_CHECK;
/* Octets read, 0 at the end, BIO_WAIT or BIO_LOST. */
ssize_t tls_bio_recv(struct tls_bio *b, unsigned char *mem, size_t n) MUST_CHECK;
/* Octets taken, BIO_WAIT or BIO_LOST. */
ssize_t tls_bio_send(struct tls_bio *b, const unsigned char *mem, size_t n) MUST_CHECK;
/* Around each call into the library. False: something is held that the socket does not take yet;
 * nothing can be sent, but read. */
bool tls_bio_begin(struct tls_bio *b) MUST_CHECK;
void tls_bio_end(struct tls_bio *b);
/* Octets are here that poll does not tell of. */
bool tls_bio_pending(const struct tls_bio *b);

#endif
