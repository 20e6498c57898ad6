/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ARENA_H
#define WIRE_ARENA_H

/*
 * arena - bump memory with a cap, a mark and a way back to it
 *
 * Chunks are linked; the first is kept across resets, so that a session which sends message after
 * message allocates nothing.
 *
 * Owns:   its chunks. What it handed out dies with the reset to an older mark or with arena_fini().
 * Life:   init/fini in place; an idle arena that was reset to its start by arena_release() holds no
 *         memory.
 * Errors: NULL (or an empty slice with p == NULL) when CAP would be passed; that is the world, not
 * a bug: answer 452 4.3.1.
 */
#include "wire/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *first;
	struct arena_chunk *last;
	size_t cap;  /* octets, all chunks */
	size_t held; /* octets, all chunks */
};

struct arena_mark {
	struct arena_chunk *chunk;
	size_t used;
};

void arena_init(struct arena *a, size_t cap);
void arena_fini(struct arena *a);
/* Aligned for any type, not zeroed. */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
void *arena_zalloc(struct arena *a, size_t n) MUST_CHECK;
struct slice arena_dup(struct arena *a, struct slice s) MUST_CHECK;
/* NUL-terminated, for a library's door. */
char *arena_str(struct arena *a, struct slice s) MUST_CHECK;
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark to);
/* Back to the very start, chunks freed. */
void arena_release(struct arena *a);

#endif
