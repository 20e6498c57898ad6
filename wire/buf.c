/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/buf.h"
#include "wire/poison.h"

#include <assert.h>
#include <stdlib.h>

/* A free block holds the next one's address in its first octets. */
struct free_block {
	struct free_block *next;
};

/* Blocks kept for the next session: 8 MiB at most, all in all. */
struct pool {
	struct free_block *first;
	unsigned n;
	const unsigned keep;
	const size_t size;
};

static struct pool small = { .keep = 1024, .size = BUF_SMALL };
static struct pool large = { .keep = 64, .size = BUF_LARGE };

static struct pool *
pool_for(size_t size)
{
	return size == BUF_SMALL ? &small : &large;
}

static char *
block_get(size_t size)
{
	struct pool *p = pool_for(size);
	struct free_block *f = p->first;

	if (!f)
		return malloc(p->size);
	unpoison(f, p->size);
	p->first = f->next;
	p->n--;
	return (char *)f;
}

static void
block_put(char *mem, size_t size)
{
	struct pool *p = pool_for(size);

	if (p->n >= p->keep) {
		free(mem);
		return;
	}

	struct free_block *f = (struct free_block *)(void *)mem;

	f->next = p->first;
	p->first = f;
	p->n++;
	poison(mem, size);
}

static void
trim(struct pool *p)
{
	while (p->first) {
		struct free_block *f = p->first;

		unpoison(f, p->size);
		p->first = f->next;
		free(f);
	}
	p->n = 0;
}

void
buf_pool_trim(void)
{
	trim(&small);
	trim(&large);
}

static void
check(const struct buf *b)
{
	assert(b->head <= b->tail && b->tail <= b->size);
	assert(b->tail - b->head <= b->max);
	assert(b->owed <= b->tail - b->head);
}

static void
give_back(struct buf *b)
{
	if (b->mem)
		block_put(b->mem, b->size);
	b->mem = NULL;
	b->size = 0;
	b->head = 0;
	b->tail = 0;
}

void
buf_init(struct buf *b, size_t max)
{
	assert(max > 0 && max <= BUF_LARGE);
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	give_back(b);
}

/* The data goes to the start of a block of SIZE octets, which may be the same one. */
static bool
move(struct buf *b, size_t size)
{
	size_t used = buf_used(b);

	if (size == b->size) {
		memmove(b->mem, b->mem + b->head, used);
	} else {
		char *mem = block_get(size);

		if (!mem)
			return false;
		if (used > 0)
			memcpy(mem, b->mem + b->head, used);
		give_back(b);
		b->mem = mem;
		b->size = size;
	}
	b->head = 0;
	b->tail = used;
	return true;
}

char *
buf_space(struct buf *b, size_t min, size_t *n_r)
{
	check(b);
	if (min == 0)
		min = 1;
	if (min > buf_room(b))
		return NULL;
	if (b->size - b->tail < min) {
		size_t need = buf_used(b) + min;
		size_t size = need <= BUF_SMALL ? BUF_SMALL : BUF_LARGE;

		if (!move(b, size < b->size ? b->size : size))
			return NULL;
	}

	size_t n = b->size - b->tail;

	*n_r = n < buf_room(b) ? n : buf_room(b);
	return b->mem + b->tail;
}

void
buf_add(struct buf *b, size_t n)
{
	assert(n <= b->size - b->tail && n <= buf_room(b));
	b->tail += n;
	if (buf_used(b) == 0)
		give_back(b);
}

void
buf_skip(struct buf *b, size_t n)
{
	assert(n <= buf_used(b));
	b->head += n;
	b->owed = 0;
	if (buf_used(b) == 0)
		give_back(b);
}

void
buf_owe(struct buf *b, size_t n)
{
	b->owed = n;
	check(b);
}

bool
buf_put(struct buf *b, struct slice s)
{
	size_t n;

	if (s.n == 0)
		return true;

	char *p = buf_space(b, s.n, &n);

	if (!p)
		return false;
	memcpy(p, s.p, s.n);
	buf_add(b, s.n);
	return true;
}

void
buf_clear(struct buf *b, bool wipe)
{
	if (wipe && b->mem)
		explicit_bzero(b->mem, b->size);
	b->owed = 0;
	give_back(b);
}
