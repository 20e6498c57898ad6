/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/vault/secret.h"
#include "wire/crypto.h"

/* ---- memory ---- */

/*
 * One region of cells, made at the first use; a secret takes a run of them. What needs more than
 * RUN_MAX has a mapping of its own.
 *
 *      region  |cell|cell|cell|cell|...            taken[]  1 1 0 1 ...
 *              '----secret---'
 *
 * A child of fork() does not inherit the lock (mlock(2)): the worker that opens the key file would
 * write the master key into a region that the master made for a password of its configuration, and
 * that can be swapped out. So the child locks anew all that it finds.
 */
enum { CELL = 128, CELLS = 512, RUN_MAX = 8, FILE_MAX = 64 * 1024 };

struct own {
	struct own *next;
	struct own *prev;
	size_t size; /* of the mapping, this header in it */
	_Alignas(CELL) char mem[];
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t fork_watched;
	char *region;
	struct own *own;
	bool taken[CELLS];
	size_t live;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .fork_watched = PTHREAD_ONCE_INIT };

static char *
map(size_t n)
{
	/* cppcheck-suppress invalidFunctionArg ; -1 is what MAP_ANONYMOUS wants */
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Both may be refused (RLIMIT_MEMLOCK, old kernels); the process is undumpable besides. */
	(void)mlock(p, n);
	(void)madvise(p, n, MADV_DONTDUMP);
	return p;
}

static size_t
pages(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

static void
before_fork(void)
{
	pthread_mutex_lock(&pool.lock);
}

static void
in_parent(void)
{
	pthread_mutex_unlock(&pool.lock);
}

static void
in_child(void)
{
	if (pool.region)
		(void)mlock(pool.region, (size_t)CELL * CELLS);
	for (struct own *o = pool.own; o; o = o->next)
		(void)mlock(o, o->size);
	pthread_mutex_unlock(&pool.lock);
}

static void
watch_fork(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

static char *
own_take(size_t n)
{
	size_t size = pages(sizeof(struct own) + n);
	struct own *o = (struct own *)(void *)map(size);

	if (!o)
		return NULL;
	o->size = size;
	o->next = pool.own;
	if (o->next)
		o->next->prev = o;
	pool.own = o;
	return o->mem;
}

static void
own_give_back(char *p)
{
	struct own *o = (struct own *)(void *)(p - offsetof(struct own, mem));

	if (o->prev)
		o->prev->next = o->next;
	else
		pool.own = o->next;
	if (o->next)
		o->next->prev = o->prev;
	munmap(o, o->size);
}

static size_t
cells(size_t n)
{
	return (n + CELL - 1) / CELL;
}

/* The first of RUN free cells, or CELLS. */
static size_t
find_run(size_t run)
{
	size_t free_n = 0;

	for (size_t i = 0; i < CELLS; i++) {
		free_n = pool.taken[i] ? 0 : free_n + 1;
		if (free_n == run)
			return i + 1 - run;
	}
	return CELLS;
}

static char *
take(size_t n)
{
	size_t run = cells(n), at = CELLS;
	char *p = NULL;

	pthread_once(&pool.fork_watched, watch_fork);
	pthread_mutex_lock(&pool.lock);
	if (!pool.region)
		pool.region = map((size_t)CELL * CELLS);
	if (pool.region && run <= RUN_MAX)
		at = find_run(run);
	if (at < CELLS) {
		memset(&pool.taken[at], true, run);
		p = pool.region + at * CELL;
	} else {
		p = own_take(n);
	}
	pool.live += p != NULL;
	pthread_mutex_unlock(&pool.lock);
	return p;
}

static void
give_back(char *p, size_t n)
{
	crypto_wipe(p, n);
	pthread_mutex_lock(&pool.lock);
	/* Not by pointer comparison of unrelated objects: by number. */
	uintptr_t at = (uintptr_t)p - (uintptr_t)pool.region;

	if (pool.region && at < (size_t)CELL * CELLS)
		memset(&pool.taken[at / CELL], false, cells(n));
	else
		own_give_back(p);
	pool.live--;
	pthread_mutex_unlock(&pool.lock);
}

size_t
secret_live(void)
{
	size_t n;

	pthread_mutex_lock(&pool.lock);
	n = pool.live;
	pthread_mutex_unlock(&pool.lock);
	return n;
}

/* ---- secrets ---- */

bool
secret_make(struct secret *s, size_t n)
{
	s->p = n < SIZE_MAX / 2 ? take(n + 1) : NULL;
	s->n = s->p ? n : 0;
	return s->p != NULL;
}

bool
secret_init(struct secret *s, struct slice from)
{
	if (!secret_make(s, from.n))
		return false;
	if (from.n)
		memcpy(s->p, from.p, from.n);
	return true;
}

void
secret_fini(struct secret *s)
{
	if (s->p)
		give_back(s->p, s->n + 1);
	*s = (struct secret){ .p = NULL };
}

bool
secret_equal(const struct secret *a, struct slice b)
{
	/* The length is no secret. */
	return a->n == b.n && (a->n == 0 || crypto_equal(a->p, b.p, b.n));
}

/* ---- files ---- */

/* Says what is wrong with an open file, or NULL. */
static const char *
fault_of(int fd, bool shared, struct stat *st)
{
	if (fstat(fd, st) != 0)
		return strerror(errno);
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_size > FILE_MAX)
		return "is longer than 64 KiB";
	if (!shared && (st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "can be touched by others than its owner: chmod 0600 it";
	/* Root reads what is the service user's; that user then looks again, and for him a third
	 * one's file is not good. */
	if (!shared && geteuid() != 0 && st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to somebody else (expected root, or the user who runs this)";
	return NULL;
}

/* Fills S, whose length is the file's; NULL or what went wrong. */
static const char *
fill(int fd, struct secret *s)
{
	size_t n = 0;

	while (n < s->n) {
		ssize_t got = read(fd, s->p + n, s->n - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return strerror(errno);
		if (got == 0)
			return "has shrunk while it was read";
		n += (size_t)got;
	}
	return NULL;
}

/* Cuts the line end; what is cut is wiped, and the cells stay the same number for secret_fini(). */
static bool
cut_line_end(struct secret *s)
{
	struct secret whole = *s;
	size_t n = s->n;
	bool ok;

	if (n && s->p[n - 1] == '\n')
		n--;
	if (n < s->n && n && s->p[n - 1] == '\r')
		n--;
	if (n == s->n)
		return true;
	ok = secret_init(s, slice_of(whole.p, n));
	secret_fini(&whole);
	return ok;
}

bool
secret_read_file(struct secret *s, const char *path, bool shared, char *why, size_t why_len)
{
	/* Non-blocking: a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *fault;
	struct stat st;

	*s = (struct secret){ .p = NULL };
	if (fd < 0) {
		snprintf(why, why_len, "%s: %s", path, strerror(errno));
		return false;
	}
	fault = fault_of(fd, shared, &st);
	if (!fault && !secret_make(s, (size_t)st.st_size))
		fault = "out of memory";
	if (!fault)
		fault = fill(fd, s);
	if (!fault && !cut_line_end(s))
		fault = "out of memory";
	close(fd);
	if (!fault)
		return true;
	secret_fini(s);
	snprintf(why, why_len, "%s %s", path, fault);
	return false;
}

/* ---- made by us ---- */

bool
secret_generate(struct secret *s, size_t octets)
{
	/* As in ids: no i, l, o, u. */
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	size_t n = (octets * 8 + 4) / 5;

	if (!secret_make(s, n))
		return false;
	if (!crypto_random(s->p, n)) {
		secret_fini(s);
		return false;
	}
	/* One octet for each digit: five of its bits, no bias. */
	for (size_t i = 0; i < n; i++)
		s->p[i] = digits[(unsigned char)s->p[i] & 31];
	return true;
}
