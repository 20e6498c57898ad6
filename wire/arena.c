/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/arena.h"
#include "wire/poison.h"

#include <assert.h>
#include <stdlib.h>

enum { CHUNK_SIZE = 4096, ALIGN = _Alignof(max_align_t) };

/*
 *      struct arena_chunk | handed out ... used | free ... size |
 */
struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of mem */
	size_t used;
	_Alignas(max_align_t) char mem[];
};

void
arena_init(struct arena *a, size_t cap)
{
	*a = (struct arena){ .cap = cap };
}

void
arena_fini(struct arena *a)
{
	arena_release(a);
}

/* A chunk with room for NEED octets, as large as is usual and the cap allows. */
static struct arena_chunk *
add_chunk(struct arena *a, size_t need)
{
	size_t left = a->cap - a->held;
	size_t whole;

	if (__builtin_add_overflow(need, sizeof(struct arena_chunk), &whole) || whole > left)
		return NULL;
	if (whole < CHUNK_SIZE)
		whole = left < CHUNK_SIZE ? left : CHUNK_SIZE;

	struct arena_chunk *c = malloc(whole);

	if (!c)
		return NULL;
	c->next = NULL;
	c->size = whole - sizeof(*c);
	c->used = 0;
	poison(c->mem, c->size);
	if (a->last)
		a->last->next = c;
	else
		a->first = c;
	a->last = c;
	a->held += whole;
	return c;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->last;
	size_t need;

	if (__builtin_add_overflow(n, (size_t)ALIGN - 1, &need))
		return NULL;
	need -= need % ALIGN;
	if (!c || c->size - c->used < need) {
		c = add_chunk(a, need);
		if (!c)
			return NULL;
	}

	char *p = c->mem + c->used;

	c->used += need;
	unpoison(p, n);
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return p ? memset(p, 0, n) : NULL;
}

struct slice
arena_dup(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n);

	if (!p)
		return slice_of(NULL, 0);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

char *
arena_str(struct arena *a, struct slice s)
{
	if (s.n == SIZE_MAX)
		return NULL;

	char *p = arena_alloc(a, s.n + 1);

	if (!p)
		return NULL;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct arena_mark
arena_mark(const struct arena *a)
{
	return (struct arena_mark){ .chunk = a->last, .used = a->last ? a->last->used : 0 };
}

static void
drop_after(struct arena *a, struct arena_chunk *keep)
{
	struct arena_chunk *c = keep->next;

	while (c) {
		struct arena_chunk *next = c->next;

		a->held -= sizeof(*c) + c->size;
		unpoison(c->mem, c->size);
		free(c);
		c = next;
	}
	keep->next = NULL;
	a->last = keep;
}

void
arena_reset(struct arena *a, struct arena_mark to)
{
	struct arena_chunk *keep = to.chunk ? to.chunk : a->first;

	if (!keep)
		return;
	assert(to.used <= keep->used);
	drop_after(a, keep);
	keep->used = to.used;
	poison(keep->mem + keep->used, keep->size - keep->used);
}

void
arena_release(struct arena *a)
{
	if (!a->first)
		return;
	drop_after(a, a->first);
	a->held -= sizeof(*a->first) + a->first->size;
	unpoison(a->first->mem, a->first->size);
	free(a->first);
	assert(a->held == 0);
	a->first = NULL;
	a->last = NULL;
}
