/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_BUF_H
#define WIRE_BUF_H

/*
 * buf - bounded byte queue in one piece of memory, held only while bytes are in flight
 *
 *      0        head            tail         size            max
 *      | free   | data ....... | room        |  (may grow)   |
 *
 * Memory comes in blocks of BUF_SMALL and BUF_LARGE from a free list of the process (one thread:
 * the loop's). A buf starts small, moves to a large block when it must, and gives the block back
 * when it is empty.
 *
 * A TLS library that could not send what it was offered must be offered as many octets again, with
 * the same content: that number is kept here and goes with the data, so that nobody can owe what is
 * no longer there.
 *
 * Owns:   its block.  Borrowed slices of it die with the next call that is not a const one.
 * Errors: full is an answer (false, or a short count), never an abort; out of memory is the same as
 * full.
 */
#include "wire/slice.h"

enum { BUF_SMALL = 4096, BUF_LARGE = 65536 };

struct buf {
	char *mem;   /* NULL while empty */
	size_t size; /* of mem: BUF_SMALL or BUF_LARGE */
	size_t max;  /* 1 .. BUF_LARGE */
	size_t head;
	size_t tail;
	size_t owed; /* of the data: what buf_offer() gives, whatever its MAX; 0: nothing is owed */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
static inline size_t
buf_used(const struct buf *b)
{
	return b->tail - b->head;
}
/* What may still be put: max - used. */
static inline size_t
buf_room(const struct buf *b)
{
	return b->max - buf_used(b);
}
static inline struct slice
buf_data(const struct buf *b)
{
	return slice_of(b->mem ? b->mem + b->head : "", buf_used(b));
}
/* What is to be sent next: what is owed, or else at most MAX octets. */
static inline struct slice
buf_offer(const struct buf *b, size_t max)
{
	return slice_head(buf_data(b), b->owed ? b->owed : max);
}
/* The first N octets were offered and not taken: they are owed until the next buf_skip() or
 * buf_clear(). */
void buf_owe(struct buf *b, size_t n);
/* A place of at least MIN octets (moves the data if it must); *N_R says how many. NULL when MIN do
 * not fit. */
char *buf_space(struct buf *b, size_t min, size_t *n_r) MUST_CHECK;
/* N octets of that place now hold data; 0 gives a block back that was taken in vain. */
void buf_add(struct buf *b, size_t n);
/* The first N octets are done with. Gives the block back when nothing is left. */
void buf_skip(struct buf *b, size_t n);
/* All or nothing. */
bool buf_put(struct buf *b, struct slice s) MUST_CHECK;
/* Forgets all data; WIPE also overwrites it (it held a secret). */
void buf_clear(struct buf *b, bool wipe);
/* Gives the free list's memory back to the system (tests, end of process). */
void buf_pool_trim(void);

#endif
