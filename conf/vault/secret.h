/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_VAULT_SECRET_H
#define CONF_VAULT_SECRET_H

/*
 * secret - octets that nobody may see: wiped on free, compared in constant time, unprintable
 *
 * Nothing in log.h, text.h or errors takes one. secret_peek() is for the line that speaks AUTH and
 * for cryptography alone.
 * Owns:   its memory: cells of one region that is locked (where the limit allows it, also in a
 *         child after fork) and kept out of core dumps, or a mapping of its own for what is longer
 *         than a few cells. Calls may be made from any thread.
 */
#include "wire/slice.h"

struct secret {
	char *p;
	size_t n;
};

/* N octets, all zero, to be filled by the caller; p[n] is NUL. */
bool secret_make(struct secret *s, size_t n) MUST_CHECK;
/* Copies; p[n] is NUL. False when there is no memory. An empty secret is valid. */
bool secret_init(struct secret *s, struct slice from) MUST_CHECK;
void secret_fini(struct secret *s);
bool secret_equal(const struct secret *a, struct slice b) MUST_CHECK;
static inline struct slice
secret_peek(const struct secret *s)
{
	return slice_of(s->p ? s->p : "", s->n);
}
/* Reads a file whole, less one trailing line end. Unless SHARED, refuses one that group or others
 * may touch or (unless we are root) that belongs to neither root nor us. Never more than 64 KiB,
 * only regular files. WHY says what and where. */
bool secret_read_file(struct secret *s, const char *path, bool shared, char *why, size_t why_len)
    MUST_CHECK;
/* N random octets as base 32 text (passwords that we make: 128 bits and more). */
bool secret_generate(struct secret *s, size_t octets) MUST_CHECK;
/* How many are alive: for tests, since no leak checker knows our memory. */
size_t secret_live(void) FOR_TESTS;

#endif
