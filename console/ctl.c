/* SPDX-License-Identifier: Apache-2.0 */
#include "console/ctl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wire/text.h"

/* ---- the question ---------------------------------------------------------------------------- */

enum { ANSWER_FIRST = 16 * 1024, ANSWER_MAX = 64 * 1024 * 1024 };

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		int was = errno;

		close(fd);
		errno = was;
		return -1;
	}
	return fd;
}

/* All until the other side ends the stream. */
static const char *
read_all(struct cli *c, int fd, unsigned seconds, struct slice *answer_r)
{
	int64_t until = now_ms() + (int64_t)seconds * 1000;
	size_t cap = ANSWER_FIRST, n = 0;
	char *mem = cli_alloc(c, cap);

	for (;;) {
		int64_t left = until - now_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return cli_print(c, "it did not answer within %u s", seconds);

		ssize_t got = read(fd, mem + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cli_dup(c, slice_str(strerror(errno)));
		if (got == 0)
			break;
		n += (size_t)got;
		if (n < cap)
			continue;
		if (cap >= ANSWER_MAX)
			return "its answer is too long";

		char *more = cli_alloc(c, cap * 2);

		memcpy(more, mem, n);
		mem = more;
		cap *= 2;
	}
	while (n > 0 && (mem[n - 1] == '\n' || mem[n - 1] == '\r'))
		n--;
	*answer_r = slice_of(mem, n);
	return n > 0 ? NULL : "it closed the connection without an answer";
}

enum ctl_result
ctl_ask(struct cli *c, const char *path, const char *word, unsigned seconds, struct slice *answer_r,
    const char **why_r)
{
	const char *line = cli_print(c, "%s\n", word);
	int fd = dial(path);

	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
		*why_r = cli_print(c, "no daemon answers at %s: is bywayd running?", path);
		return CTL_ABSENT;
	}
	if (fd < 0) {
		bool closed = errno == EACCES || errno == EPERM;

		*why_r = cli_print(c, "cannot reach the daemon at %s: %s%s%s", path,
		    strerror(errno), closed ? "; " : "", closed ? cli_who_may(c, path) : "");
		return CTL_FAILED;
	}
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		*why_r = strerror(errno);
	else
		*why_r = read_all(c, fd, seconds, answer_r);
	close(fd);
	if (!*why_r)
		return CTL_OK;
	*why_r = cli_print(c, "the daemon at %s: %s", path, *why_r);
	return CTL_FAILED;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static struct slice
skip_blank(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r'))
		s = slice_skip(s, 1);
	return s;
}

/* Octets of the string that S starts with, quotes included; 0 if it starts with none. */
static size_t
string_len(struct slice s)
{
	if (s.n == 0 || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Octets of the value that S starts with. Brackets are counted, not matched: the answer is our own
 * daemon's. */
static size_t
value_len(struct slice s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"') {
			size_t n = string_len(slice_skip(s, i));

			if (n == 0)
				return 0;
			i += n - 1;
			if (depth == 0)
				return i + 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return i;
			if (--depth == 0)
				return i + 1;
		} else if (depth == 0 && (c == ',' || c == ' ' || c == '\n')) {
			return i;
		}
	}
	return depth == 0 ? s.n : 0;
}

bool
ctl_next(struct slice *array, struct slice *element_r)
{
	struct slice s = skip_blank(*array);

	if (s.n == 0 || (s.p[0] != '[' && s.p[0] != ','))
		return false;
	s = skip_blank(slice_skip(s, 1));

	size_t n = value_len(s);

	if (n == 0)
		return false;
	*element_r = slice_head(s, n);
	*array = slice_skip(s, n);
	return true;
}

bool
ctl_member(struct slice *object, struct slice *key_r, struct slice *value_r)
{
	struct slice s = skip_blank(*object);

	if (s.n == 0 || (s.p[0] != '{' && s.p[0] != ','))
		return false;
	s = skip_blank(slice_skip(s, 1));

	size_t n = string_len(s);

	if (n < 2)
		return false;
	*key_r = slice_of(s.p + 1, n - 2);
	s = skip_blank(slice_skip(s, n));
	if (s.n == 0 || s.p[0] != ':')
		return false;
	s = skip_blank(slice_skip(s, 1));
	n = value_len(s);
	if (n == 0)
		return false;
	*value_r = slice_head(s, n);
	*object = slice_skip(s, n);
	return true;
}

struct slice
ctl_find(struct slice object, const char *key)
{
	struct slice name, value;

	while (ctl_member(&object, &name, &value))
		if (slice_eq(name, slice_str(key)))
			return value;
	return slice_str("");
}

/* \uXXXX at S (behind the u) as UTF-8; surrogates are the daemon's escapes of nothing we need:
 * '?'. */
static void
put_escape(struct text *t, struct slice hex)
{
	unsigned v = 0;

	for (size_t i = 0; i < 4; i++) {
		char c = i < hex.n ? hex.p[i] : '0';

		v = v * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	if (v < 0x80) {
		text_char(t, (char)v);
	} else if (v < 0x800) {
		text_char(t, (char)(0xc0 | v >> 6));
		text_char(t, (char)(0x80 | (v & 0x3f)));
	} else if (v < 0xd800 || (v > 0xdfff && v < 0x10000)) {
		text_char(t, (char)(0xe0 | v >> 12));
		text_char(t, (char)(0x80 | (v >> 6 & 0x3f)));
		text_char(t, (char)(0x80 | (v & 0x3f)));
	} else {
		text_char(t, '?');
	}
}

const char *
ctl_text(struct cli *c, struct slice value)
{
	struct text t = text_over(cli_alloc(c, value.n + 1), value.n + 1);

	if (value.n < 2 || value.p[0] != '"')
		return cli_dup(c, value);
	value = slice_of(value.p + 1, value.n - 2);
	for (size_t i = 0; i < value.n; i++) {
		char escaped = i + 1 < value.n ? value.p[i + 1] : '\\';

		if (value.p[i] != '\\') {
			text_char(&t, value.p[i]);
			continue;
		}
		i++;
		if (escaped == 'u') {
			put_escape(&t, slice_skip(value, i + 1));
			i += 4;
		} else {
			text_char(&t,
			    escaped == 'n'       ? '\n'
			        : escaped == 't' ? '\t'
			        : escaped == 'r' ? '\r'
			                         : escaped);
		}
	}
	return t.mem;
}

uint64_t
ctl_u64(struct slice value)
{
	uint64_t v = 0;

	return slice_to_u64(value, &v) ? v : 0;
}

bool
ctl_true(struct slice value)
{
	return slice_eq(value, SLICE("true"));
}
