/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/log.h"
#include "wire/log_line.h"
#include "wire/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	GATHERED_MAX = 256 * 1024,
	PATH_MAX_LEN = 1024,
	/* A write of at most this to a pipe is whole or nothing, whoever else writes there (POSIX
	 * PIPE_BUF, Linux). */
	ATOMIC_WRITE = 4096,
	CLOSE_WAIT_MS = 1000,
};

_Static_assert((int)LOG_LINE_MAX <= (int)ATOMIC_WRITE, "a line must fit an atomic write");

enum target { TARGET_UNKNOWN, TARGET_FILE, TARGET_PIPE, TARGET_SOCKET };

static struct {
	int fd;
	bool own_fd; /* opened by us, ours to close */
	enum target target;
	enum log_level level;
	char path[PATH_MAX_LEN]; /* empty: standard error */
	uint64_t lost;           /* lines, since the start */
	uint64_t told;           /* of these, how many a line in the log has told of */
	size_t n;
	char gathered[GATHERED_MAX];
} out = { .fd = STDERR_FILENO, .level = LOG_INFO };

/* ---- where it goes --------------------------------------------------------------------------- */

static enum target
target_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
		return TARGET_FILE;
	return S_ISSOCK(st.st_mode) ? TARGET_SOCKET : TARGET_PIPE;
}

/*
 * O_NONBLOCK belongs to the open file, which others share (the shell's terminal, the parent's
 * pipe): so a description of our own is opened. Where that is refused the flag is left alone; a
 * pipe's writes then wait for poll() to say that there is room.
 */
static void
open_stderr(void)
{
	out.fd = STDERR_FILENO;
	out.own_fd = false;
	out.target = target_of(STDERR_FILENO);
	if (out.target != TARGET_PIPE)
		return;

	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0) {
		out.fd = fd;
		out.own_fd = true;
	}
}

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640);
}

static void
forget_fd(void)
{
	if (out.own_fd)
		close(out.fd);
	out.fd = STDERR_FILENO;
	out.own_fd = false;
	out.target = TARGET_UNKNOWN;
}

static void
use_file(int fd)
{
	forget_fd();
	out.fd = fd;
	out.own_fd = true;
	out.target = target_of(fd);
}

bool
log_open(const struct log_options *o, char *why, size_t why_len)
{
	bool to_file = o->path && strcmp(o->path, "-") != 0;
	struct text t = text_over(why, why_len);

	if (to_file && strlen(o->path) >= sizeof(out.path)) {
		text_fmt(&t, "the log's path is longer than %zu octets", sizeof(out.path) - 1);
		return false;
	}

	int fd = to_file ? open_file(o->path) : -1;

	if (to_file && fd < 0) {
		text_fmt(&t, "cannot open the log %s: %s", o->path, strerror(errno));
		return false;
	}
	log_flush();
	out.path[0] = '\0';
	if (to_file) {
		memcpy(out.path, o->path, strlen(o->path) + 1);
		use_file(fd);
	} else {
		forget_fd();
		open_stderr();
	}
	log_line_format(o->format);
	out.level = o->level;
	if (o->process)
		log_child(o->process);
	return true;
}

void
log_child(const char *process)
{
	log_line_process(process);
	out.n = 0;
	out.lost = 0;
	out.told = 0;
}

void
log_set_level(enum log_level level)
{
	out.level = level;
}

bool
log_reopen(void)
{
	if (out.path[0] == '\0')
		return true;

	int fd = open_file(out.path);

	if (fd < 0)
		return false;
	log_flush();
	use_file(fd);
	return true;
}

uint64_t
log_lost(void)
{
	return out.lost;
}

/* ---- out ------------------------------------------------------------------------------------- */

static ssize_t
write_some(const char *p, size_t n)
{
	struct pollfd ready = { .fd = out.fd, .events = POLLOUT };

	if (out.target == TARGET_SOCKET)
		return send(out.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (out.target == TARGET_PIPE && !out.own_fd && poll(&ready, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(out.fd, p, n);
}

/* What may go in one write: all to a file; to what several processes share no more than stays
 * whole, up to a line's end. */
static size_t
portion(const char *p, size_t n)
{
	if (out.target == TARGET_FILE || n <= ATOMIC_WRITE)
		return n;

	const char *end = memrchr(p, '\n', ATOMIC_WRITE);

	return end ? (size_t)(end - p) + 1 : ATOMIC_WRITE;
}

static void
write_gathered(void)
{
	size_t at = 0;

	if (out.target == TARGET_UNKNOWN)
		open_stderr();
	while (at < out.n) {
		ssize_t n = write_some(out.gathered + at, portion(out.gathered + at, out.n - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	out.n -= at;
	if (at > 0 && out.n > 0)
		memmove(out.gathered, out.gathered + at, out.n);
}

static bool
gather(const char *p, size_t n)
{
	if (n > sizeof(out.gathered) - out.n)
		return false;
	memcpy(out.gathered + out.n, p, n);
	out.n += n;
	return true;
}

/* True when nothing is left to be told. */
static bool
tell_lost(void)
{
	struct log_line l;

	if (out.told == out.lost)
		return true;
	log_line_start(&l, LOG_WARNING, "log-lost", slice_str(NULL), slice_str(NULL));
	log_u64(&l, "lines", out.lost - out.told);
	log_line_finish(&l);
	if (!gather(l.mem, l.n))
		return false;
	out.told = out.lost;
	return true;
}

void
log_flush(void)
{
	if (out.n > 0)
		write_gathered();
	if (out.told != out.lost && tell_lost())
		write_gathered();
}

void
log_close(void)
{
	log_flush();
	for (int i = 0; i < 10 && out.n > 0; i++) {
		struct pollfd ready = { .fd = out.fd, .events = POLLOUT };

		if (poll(&ready, 1, CLOSE_WAIT_MS / 10) > 0)
			log_flush();
	}
	out.n = 0;
	out.path[0] = '\0';
	forget_fd();
}

/* ---- the caller's three steps ---------------------------------------------------------------- */

bool
log_begin(struct log_line *l, enum log_level level, const char *event, struct slice id,
    struct slice at)
{
	if (level < out.level)
		return false;
	log_line_start(l, level, event, id, at);
	return true;
}

void
log_end(struct log_line *l)
{
	log_line_finish(l);
	if (!tell_lost() || !gather(l->mem, l->n)) {
		/* Full: perhaps somebody reads by now. */
		log_flush();
		if (!tell_lost() || !gather(l->mem, l->n))
			out.lost++;
	}
	if (l->level >= LOG_WARNING)
		log_flush();
}

void
log_say(enum log_level level, const char *event, const char *fmt, ...)
{
	struct log_line l;
	char words[LOG_VALUE_MAX * 2];
	va_list args;

	if (!log_begin(&l, level, event, slice_str(NULL), slice_str(NULL)))
		return;
	va_start(args, fmt);
	int n = vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	if (n > 0)
		log_str(&l, "msg", slice_str(words));
	log_end(&l);
}
