/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/hashing.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/random.h>

struct cell {
	_Atomic bool taken;
	_Atomic uint64_t name, address;
};

struct row {
	_Atomic unsigned top; /* cells from here on were never taken */
	struct cell cell[HASHING_MAX];
};

struct hashing {
	size_t size;
	unsigned processes;
	uint64_t secret;
	struct row row[];
};

struct hashing *
hashing_open(unsigned processes)
{
	size_t size = sizeof(struct hashing) + processes * sizeof(struct row);
	struct hashing *h;

	/* cppcheck-suppress invalidFunctionArg ; -1 is no file */
	h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return NULL;
	h->size = size;
	h->processes = processes;
	if (getrandom(&h->secret, sizeof(h->secret), 0) == (ssize_t)sizeof(h->secret))
		return h;
	hashing_close(h);
	return NULL;
}

void
hashing_close(struct hashing *h)
{
	if (h)
		munmap(h, h->size);
}

unsigned
hashing_processes(const struct hashing *h)
{
	return h->processes;
}

uint64_t
hashing_name(const struct hashing *h, struct slice name)
{
	uint64_t v = 14695981039346656037u ^ h->secret;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		v = (v ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * 1099511628211u;
	}
	return v;
}

/* Checks under way that are of NAME, and of ADDRESS; the asker's own among them. */
static bool
is_room(struct hashing *h, uint64_t name, uint64_t address)
{
	unsigned names = 0, addresses = 0;

	for (unsigned p = 0; p < h->processes; p++) {
		struct row *r = &h->row[p];
		unsigned top = atomic_load(&r->top);

		for (unsigned i = 0; i < top; i++) {
			if (!atomic_load(&r->cell[i].taken))
				continue;
			names += atomic_load(&r->cell[i].name) == name;
			addresses += atomic_load(&r->cell[i].address) == address;
		}
	}
	return names <= HASHING_OF_ONE && addresses <= HASHING_OF_ONE;
}

bool
hashing_take(struct hashing *h, unsigned p, unsigned cell, uint64_t name, uint64_t address)
{
	struct row *r = &h->row[p];
	struct cell *c = &r->cell[cell];

	assert(p < h->processes && cell < HASHING_MAX && !atomic_load(&c->taken));
	atomic_store(&c->name, name);
	atomic_store(&c->address, address);
	atomic_store(&c->taken, true);
	if (atomic_load(&r->top) <= cell)
		atomic_store(&r->top, cell + 1);
	if (is_room(h, name, address))
		return true;
	atomic_store(&c->taken, false);
	return false;
}

void
hashing_leave(struct hashing *h, unsigned p, unsigned cell)
{
	atomic_store(&h->row[p].cell[cell].taken, false);
}

void
hashing_clear(struct hashing *h, unsigned p)
{
	assert(p < h->processes);
	for (unsigned i = 0; i < HASHING_MAX; i++)
		hashing_leave(h, p, i);
}
