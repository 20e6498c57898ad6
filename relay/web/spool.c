/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/spool.h"

#include "wire/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST = 8192 };

void
spool_init(struct spool *s, struct spool_budget *budget)
{
	*s = (struct spool){ .budget = budget, .fd = -1 };
}

void
spool_fini(struct spool *s)
{
	if (!s->budget)
		return;
	s->budget->used -= s->n;
	free(s->mem);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct spool){ .fd = -1 };
}

void
spool_wipe(struct spool *s)
{
	if (s->mem)
		crypto_wipe(s->mem, s->n);
	spool_fini(s);
}

static bool
write_all(int fd, struct slice octets)
{
	while (octets.n) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		octets = slice_skip(octets, (size_t)n);
	}
	return true;
}

/* From memory to a file. */
static bool
move_out(struct spool *s)
{
	s->fd = memfd_create("byway-message", MFD_CLOEXEC);
	if (s->fd < 0)
		return false;
	if (!write_all(s->fd, slice_of(s->mem ? s->mem : "", s->n))) {
		close(s->fd);
		s->fd = -1;
		return false;
	}
	free(s->mem);
	s->mem = NULL;
	s->cap = 0;
	return true;
}

static bool
grow(struct spool *s, size_t need)
{
	size_t cap = s->cap ? s->cap : FIRST;
	char *mem;

	while (cap < need)
		cap *= 2;
	if (cap == s->cap)
		return true;
	mem = realloc(s->mem, cap);
	if (!mem)
		return false;
	s->mem = mem;
	s->cap = cap;
	return true;
}

bool
spool_put(struct spool *s, struct slice octets)
{
	if (octets.n == 0)
		return true;
	if (octets.n > s->budget->max || s->budget->used > s->budget->max - octets.n)
		return false;
	if (s->fd < 0 && s->n + octets.n > SPOOL_MEMORY && !move_out(s))
		return false;
	if (s->fd >= 0) {
		if (!write_all(s->fd, octets))
			return false;
	} else {
		if (!grow(s, s->n + octets.n))
			return false;
		memcpy(s->mem + s->n, octets.p, octets.n);
	}
	s->n += octets.n;
	s->budget->used += octets.n;
	return true;
}

bool
spool_read(const struct spool *s, size_t at, char *to, size_t n, size_t *n_r)
{
	size_t done = 0;

	if (at >= s->n)
		n = 0;
	else if (n > s->n - at)
		n = s->n - at;
	if (s->fd < 0) {
		if (n)
			memcpy(to, s->mem + at, n);
		*n_r = n;
		return true;
	}
	while (done < n) {
		ssize_t got = pread(s->fd, to + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	*n_r = done;
	return true;
}

bool
spool_map(const struct spool *s, struct slice *all_r)
{
	if (s->fd < 0) {
		*all_r = slice_of(s->mem ? s->mem : "", s->n);
		return true;
	}
	void *at = mmap(NULL, s->n, PROT_READ, MAP_PRIVATE, s->fd, 0);

	if (at == MAP_FAILED)
		return false;
	*all_r = slice_of(at, s->n);
	return true;
}

void
spool_unmap(const struct spool *s, struct slice all)
{
	if (s->fd >= 0 && all.n)
		munmap((void *)(uintptr_t)all.p, all.n);
}
