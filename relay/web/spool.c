/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/spool.h"

#include "wire/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST = 8192 };

struct spool_share {
	struct spool_share *next;
	uint64_t account;
	size_t used;
};

static struct spool_share **
find(struct spool_budget *b, uint64_t account)
{
	struct spool_share **at = &b->shares[account % SPOOL_BUCKETS];

	while (*at && (*at)->account != account)
		at = &(*at)->next;
	return at;
}

/* N octets more for S. */
static bool
charge(struct spool *s, size_t n)
{
	struct spool_budget *b = s->budget;
	struct spool_share **at = find(b, s->account);
	size_t quarter = b->max / 4;

	if (n > b->max || b->used > b->max - n)
		return false;
	if (s->account) {
		size_t has = *at ? (*at)->used : 0;

		if ((n > quarter || has > quarter - n) && b->used + n > b->max / 2)
			return false;
		if (!*at && !(*at = calloc(1, sizeof(**at))))
			return false;
		(*at)->account = s->account;
		(*at)->used += n;
	}
	b->used += n;
	return true;
}

static void
uncharge(struct spool *s, size_t n)
{
	struct spool_share **at = find(s->budget, s->account);
	struct spool_share *share = *at;

	s->budget->used -= n;
	if (!s->account || !share)
		return;
	share->used -= n;
	if (share->used == 0) {
		*at = share->next;
		free(share);
	}
}

void
spool_init(struct spool *s, struct spool_budget *budget, uint64_t account)
{
	*s = (struct spool){ .budget = budget, .account = account, .fd = -1 };
}

void
spool_fini(struct spool *s)
{
	if (!s->budget)
		return;
	uncharge(s, s->n);
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
	s->fd = memfd_create("byway-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
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

static bool
keep(struct spool *s, struct slice octets)
{
	if (s->fd < 0 && s->n + octets.n > SPOOL_MEMORY && !move_out(s))
		return false;
	if (s->fd >= 0)
		return write_all(s->fd, octets);
	if (!grow(s, s->n + octets.n))
		return false;
	memcpy(s->mem + s->n, octets.p, octets.n);
	return true;
}

bool
spool_put(struct spool *s, struct slice octets)
{
	if (octets.n == 0)
		return true;
	if (!charge(s, octets.n))
		return false;
	if (!keep(s, octets)) {
		uncharge(s, octets.n);
		return false;
	}
	s->n += octets.n;
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

int
spool_seal(struct spool *s)
{
	static const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	if (s->fd < 0 && !move_out(s))
		return -1;
	return fcntl(s->fd, F_ADD_SEALS, seals) == 0 ? s->fd : -1;
}

bool
spool_take(struct spool *s, int fd, size_t n)
{
	struct spool_budget *budget = s->budget;
	uint64_t account = s->account;

	spool_fini(s);
	spool_init(s, budget, account);
	if (!charge(s, n)) {
		close(fd);
		return false;
	}
	s->fd = fd;
	s->n = n;
	return true;
}
