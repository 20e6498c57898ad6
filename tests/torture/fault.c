/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - makes the n-th call of a kind fail in one process of the daemon, as a test asks
 *
 * Linked into bywayd-faults alone, with --wrap for each function below. A test makes a file of the
 * shape of struct board, names it in BYWAY_FAULTS, and writes the process, the kind, the number of
 * the call and how it fails; what was counted stands in the same file. Without the variable nothing
 * ever fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { KIND_NONE, KIND_ALLOC, KIND_READ, KIND_WRITE, KIND_SQLITE, KIND_COUNT };
enum way { WAY_FAIL, WAY_SHORT, WAY_EINTR, WAY_EAGAIN, WAY_RESET };

struct board {
	_Atomic uint32_t pid; /* 0: nothing fails */
	_Atomic uint32_t kind;
	_Atomic uint32_t way;
	_Atomic uint32_t fired;
	_Atomic uint64_t at; /* the number of the call that fails, from 1 */
	_Atomic uint64_t seen[KIND_COUNT];
};

static struct board *board;

__attribute__((constructor)) static void
find_board(void)
{
	const char *path = getenv("BYWAY_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;

	void *mem = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	if (mem != MAP_FAILED)
		board = mem;
}

static bool
is_due(enum kind kind)
{
	if (!board || atomic_load(&board->pid) != (uint32_t)getpid())
		return false;

	uint64_t n = atomic_fetch_add(&board->seen[kind], 1) + 1;

	if (atomic_load(&board->kind) != kind || atomic_load(&board->at) != n)
		return false;
	atomic_store(&board->fired, 1);
	return true;
}

/* What a call that is due gives: -1 with errno; or it goes on with fewer octets (*N_R). */
static bool
is_over(size_t *n_r)
{
	switch (atomic_load(&board->way)) {
	case WAY_SHORT:
		*n_r = *n_r > 1 ? *n_r / 2 : *n_r;
		return false;
	case WAY_EINTR:
		errno = EINTR;
		return true;
	case WAY_EAGAIN:
		errno = EAGAIN;
		return true;
	default:
		errno = ECONNRESET;
		return true;
	}
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t k, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t k, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static bool
no_memory(void)
{
	if (!is_due(KIND_ALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return no_memory() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t k, size_t n)
{
	return no_memory() ? NULL : __real_calloc(k, n);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return no_memory() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t k, size_t n)
{
	return no_memory() ? NULL : __real_reallocarray(p, k, n);
}

char *
__wrap_strdup(const char *s)
{
	return no_memory() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return no_memory() ? NULL : __real_strndup(s, n);
}

/* ---- octets ---------------------------------------------------------------------------------- */

ssize_t __real_read(int fd, void *mem, size_t n);
ssize_t __real_recv(int fd, void *mem, size_t n, int flags);
ssize_t __real_readv(int fd, const struct iovec *v, int n);
ssize_t __real_write(int fd, const void *mem, size_t n);
ssize_t __real_send(int fd, const void *mem, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_read(int fd, void *mem, size_t n);
ssize_t __wrap_recv(int fd, void *mem, size_t n, int flags);
ssize_t __wrap_readv(int fd, const struct iovec *v, int n);
ssize_t __wrap_write(int fd, const void *mem, size_t n);
ssize_t __wrap_send(int fd, const void *mem, size_t n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);

ssize_t
__wrap_read(int fd, void *mem, size_t n)
{
	return is_due(KIND_READ) && is_over(&n) ? -1 : __real_read(fd, mem, n);
}

ssize_t
__wrap_recv(int fd, void *mem, size_t n, int flags)
{
	return is_due(KIND_READ) && is_over(&n) ? -1 : __real_recv(fd, mem, n, flags);
}

/* A short one: the first piece alone. */
ssize_t
__wrap_readv(int fd, const struct iovec *v, int n)
{
	size_t most = 2;

	if (!is_due(KIND_READ))
		return __real_readv(fd, v, n);
	return is_over(&most) ? -1 : __real_read(fd, v[0].iov_base, v[0].iov_len);
}

ssize_t
__wrap_write(int fd, const void *mem, size_t n)
{
	return is_due(KIND_WRITE) && is_over(&n) ? -1 : __real_write(fd, mem, n);
}

ssize_t
__wrap_send(int fd, const void *mem, size_t n, int flags)
{
	return is_due(KIND_WRITE) && is_over(&n) ? -1 : __real_send(fd, mem, n, flags);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t n = m->msg_iovlen > 0 ? m->msg_iov[0].iov_len : 0;

	if (!is_due(KIND_WRITE))
		return __real_sendmsg(fd, m, flags);
	if (is_over(&n))
		return -1;
	/* Descriptors cannot go by halves. */
	return m->msg_controllen > 0 ? __real_sendmsg(fd, m, flags)
	                             : __real_send(fd, m->msg_iov[0].iov_base, n, flags);
}

/* ---- the database ---------------------------------------------------------------------------- */

int __real_sqlite3_step(sqlite3_stmt *s);
int __wrap_sqlite3_step(sqlite3_stmt *s);

int
__wrap_sqlite3_step(sqlite3_stmt *s)
{
	return is_due(KIND_SQLITE) ? SQLITE_IOERR : __real_sqlite3_step(s);
}
