/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_FAKE_UPSTREAM_H
#define TESTS_UNIT_FAKE_UPSTREAM_H

/*
 * fake_upstream - an SMTP server that follows a script, in a process of its own, on a loopback port
 *
 * The script is lines, each a letter, a blank and an argument:
 *
 *      S 250 ok            say it, with CRLF; "|" stands for a line break
 *      R 250-              say it raw; \r \n as two characters each
 *      C MAIL FROM:        the next line must start so
 *      G 3                 the next three lines must be there at once, after one read
 *      D                   take content up to the final dot
 *      B                   take one BDAT command with its octets
 *      L                   take BDAT commands up to the last, answer each but that
 *      b 20000             take so many octets of content, and go on
 *      T                   start TLS
 *      E                   the EHLO with its answer: PIPELINING 8BITMIME SIZE SMTPUTF8 DSN
 *      W                   be silent until the peer goes (10 s at most)
 *      P 50                pause, milliseconds
 *      Q                   QUIT or the end of the connection
 *      X                   close; Z: with RST
 *      A 421 full          take another connection beside this one, say that, and close it
 *      N                   take the next connection (ends this one)
 *
 * The first connection is taken at the start. What came in is kept, lines and content, with "~"
 * between connections.
 */
#include "wire/crypto.h"
#include "wire/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { FAKE_LOG_MAX = 1 << 20, FAKE_IN_MAX = 1 << 17 };

struct fake_shared {
	unsigned connections;
	char why[512]; /* what went against the script; empty: nothing did */
	size_t n;
	char log[FAKE_LOG_MAX];
};

struct fake {
	pid_t pid;
	unsigned port;
	int listener;
	const char *cert_dir;
	struct fake_shared *shared;
};

/* ---- the child ------------------------------------------------------------------------------- */

struct fake_conn {
	struct fake *f;
	int fd;
	struct tls *tls;
	size_t n;
	char in[FAKE_IN_MAX];
};

static void
fake_wrong(struct fake *f, const char *what, const char *more)
{
	if (!f->shared->why[0])
		snprintf(f->shared->why, sizeof(f->shared->why), "%s: %s", what, more);
	_exit(1);
}

static void
fake_note(struct fake *f, const char *p, size_t n)
{
	struct fake_shared *s = f->shared;

	if (n > sizeof(s->log) - 1 - s->n)
		n = sizeof(s->log) - 1 - s->n;
	memcpy(s->log + s->n, p, n);
	s->n += n;
}

static bool
fake_wait(struct fake_conn *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	return poll(&p, 1, 10000) > 0;
}

static void
fake_write(struct fake_conn *c, const char *p, size_t n)
{
	while (n) {
		size_t put = 0;
		ssize_t got;

		if (c->tls) {
			enum tls_io r = tls_write(c->tls, p, n, &put);

			if (r != TLS_OK && r != TLS_WANT_WRITE && r != TLS_WANT_READ)
				return;
		} else if ((got = send(c->fd, p, n, MSG_NOSIGNAL)) > 0) {
			put = (size_t)got;
		} else if (errno != EAGAIN) {
			return;
		}
		p += put;
		n -= put;
		if (!put && !fake_wait(c, POLLOUT))
			return;
	}
}

/* One read; false at the end of the connection. */
static bool
fake_read(struct fake_conn *c)
{
	for (;;) {
		size_t room = sizeof(c->in) - c->n;
		size_t put = 0;
		ssize_t got;

		if (c->tls) {
			enum tls_io r = tls_read(c->tls, c->in + c->n, room, &put);

			if (r == TLS_OK && put) {
				c->n += put;
				return true;
			}
			if (r != TLS_WANT_READ && r != TLS_WANT_WRITE)
				return false;
		} else {
			got = recv(c->fd, c->in + c->n, room, 0);
			if (got > 0) {
				c->n += (size_t)got;
				return true;
			}
			if (got == 0 || errno != EAGAIN)
				return false;
		}
		if (!fake_wait(c, POLLIN))
			return false;
	}
}

static void
fake_drop(struct fake_conn *c, size_t n)
{
	fake_note(c->f, c->in, n);
	memmove(c->in, c->in + n, c->n - n);
	c->n -= n;
}

/* Octets of the first N lines, 0 if they are not there yet. */
static size_t
fake_lines(struct fake_conn *c, unsigned n)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (c->in[i] == '\r' && c->in[i + 1] == '\n' && --n == 0)
			return i + 2;
	return 0;
}

static void
fake_expect(struct fake_conn *c, const char *prefix)
{
	char line[600];
	size_t n;

	while ((n = fake_lines(c, 1)) == 0)
		if (!fake_read(c))
			fake_wrong(c->f, "the connection ended before", prefix);
	snprintf(line, sizeof(line), "%.*s (wanted %s)", (int)(n < 300 ? n : 300), c->in, prefix);
	if (n < strlen(prefix) || strncmp(c->in, prefix, strlen(prefix)) != 0)
		fake_wrong(c->f, "unexpected", line);
	fake_drop(c, n);
}

static void
fake_content(struct fake_conn *c)
{
	for (;;) {
		char *at = c->n >= 5 ? memmem(c->in, c->n, "\r\n.\r\n", 5) : NULL;

		if (at) {
			fake_drop(c, (size_t)(at + 5 - c->in));
			return;
		}
		if (c->n > 65536)
			fake_drop(c, c->n - 4);
		if (!fake_read(c))
			fake_wrong(c->f, "the connection ended", "in the content");
	}
}

/* True for the last. */
static bool
fake_chunk(struct fake_conn *c)
{
	unsigned long size;
	size_t n;

	while ((n = fake_lines(c, 1)) == 0)
		if (!fake_read(c))
			fake_wrong(c->f, "the connection ended before", "BDAT");
	if (sscanf(c->in, "BDAT %lu", &size) != 1)
		fake_wrong(c->f, "not BDAT", c->in);
	while (c->n < n + size)
		if (!fake_read(c))
			fake_wrong(c->f, "the connection ended", "in a chunk");
	bool last = memmem(c->in, n, "LAST", 4) != NULL;

	fake_drop(c, n + size);
	return last;
}

static void
fake_some(struct fake_conn *c, size_t want)
{
	size_t got = 0;

	while (got < want) {
		got += c->n;
		fake_drop(c, c->n);
		if (got < want && !fake_read(c))
			fake_wrong(c->f, "the connection ended", "in some content");
	}
}

static void
fake_secure(struct fake_conn *c)
{
	char chain[256], key[256], mem[256];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_pair pair = { chain, key };
	struct tls_server_options o = { .pairs = &pair, .pairs_n = 1, .tls13 = true };
	enum tls_io r;

	snprintf(chain, sizeof(chain), "%s/cert.pem", c->f->cert_dir);
	snprintf(key, sizeof(key), "%s/key.pem", c->f->cert_dir);
	struct tls_ctx *ctx = tls_server_ctx(&o, &why);

	if (!ctx)
		fake_wrong(c->f, "TLS", mem);
	c->tls = tls_open(ctx, c->fd, SLICE(""));
	while ((r = tls_handshake(c->tls)) != TLS_OK) {
		if (r != TLS_WANT_READ && r != TLS_WANT_WRITE)
			return; /* the client does not trust us: its test says so */
		if (!fake_wait(c, r == TLS_WANT_READ ? POLLIN : POLLOUT))
			return;
	}
}

static void
fake_close(struct fake_conn *c, bool reset)
{
	struct linger now = { .l_onoff = 1 };

	if (c->fd < 0)
		return;
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (c->tls) {
		tls_shut(c->tls);
		tls_close(c->tls);
	}
	c->tls = NULL;
	fake_note(c->f, c->in, c->n);
	c->n = 0;
	close(c->fd);
	c->fd = -1;
}

static void
fake_accept(struct fake_conn *c)
{
	struct pollfd p = { .fd = c->f->listener, .events = POLLIN };

	fake_close(c, false);
	if (poll(&p, 1, 15000) <= 0)
		_exit(0);
	c->fd = accept4(c->f->listener, NULL, NULL, SOCK_NONBLOCK);
	if (c->f->shared->connections++)
		fake_note(c->f, "~", 1);
}

static void
fake_turn_away(struct fake_conn *c, const char *say)
{
	struct pollfd p = { .fd = c->f->listener, .events = POLLIN };
	int fd = poll(&p, 1, 10000) > 0 ? accept(c->f->listener, NULL, NULL) : -1;
	char line[256];

	if (fd < 0)
		fake_wrong(c->f, "no second connection for", say);
	snprintf(line, sizeof(line), "%.200s\r\n", say);
	send(fd, line, strlen(line), MSG_NOSIGNAL);
	close(fd);
}

static void
fake_pause(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void
fake_say(struct fake_conn *c, const char *arg)
{
	char out[8192];
	size_t n = 0;

	for (; *arg && n < sizeof(out) - 4; arg++) {
		if (*arg == '|')
			n += (size_t)snprintf(out + n, 3, "\r\n");
		else
			out[n++] = *arg;
	}
	memcpy(out + n, "\r\n", 2);
	fake_write(c, out, n + 2);
}

static void
fake_raw(struct fake_conn *c, const char *arg)
{
	for (; *arg; arg++) {
		char ch = *arg;

		if (ch == '\\' && (arg[1] == 'r' || arg[1] == 'n' || arg[1] == '0'))
			ch = *++arg == 'r' ? '\r' : *arg == 'n' ? '\n' : '\0';
		fake_write(c, &ch, 1);
	}
}

static void
fake_step(struct fake_conn *c, char what, const char *arg)
{
	switch (what) {
	case 'S':
		fake_say(c, arg);
		break;
	case 'R':
		fake_raw(c, arg);
		break;
	case 'C':
		fake_expect(c, arg);
		break;
	case 'G':
		while (c->n == 0)
			if (!fake_read(c))
				fake_wrong(c->f, "the connection ended before", "a group");
		if (!fake_lines(c, (unsigned)atol(arg)))
			fake_wrong(c->f, "not in one group", c->in);
		break;
	case 'D':
		fake_content(c);
		break;
	case 'L':
		while (!fake_chunk(c))
			fake_say(c, "250 chunk");
		break;
	case 'B':
		fake_chunk(c);
		break;
	case 'b':
		fake_some(c, (size_t)atol(arg));
		break;
	case 'T':
		fake_secure(c);
		break;
	case 'E':
		fake_expect(c, "EHLO me.example");
		fake_say(c,
		    "250-fake|250-PIPELINING|250-8BITMIME|250-SIZE 1000000|250-SMTPUTF8|250 DSN");
		break;
	case 'W':
		while (fake_read(c))
			fake_drop(c, c->n);
		break;
	case 'P':
		fake_pause(atol(arg));
		break;
	case 'Q':
		while (fake_read(c))
			;
		break;
	case 'X':
		fake_close(c, false);
		break;
	case 'Z':
		fake_close(c, true);
		break;
	case 'A':
		fake_turn_away(c, arg);
		break;
	case 'N':
		fake_accept(c);
		break;
	default:
		fake_wrong(c->f, "no such step", arg);
	}
}

static void
fake_run(struct fake *f, const char *script)
{
	struct fake_conn *c = calloc(1, sizeof(*c));

	c->f = f;
	c->fd = -1;
	fake_accept(c);
	while (*script) {
		char arg[4096];
		size_t n = strcspn(script, "\n");

		snprintf(arg, sizeof(arg), "%.*s", (int)(n > 2 ? n - 2 : 0),
		    n > 2 ? script + 2 : "");
		if (n)
			fake_step(c, script[0], arg);
		script += n + (script[n] == '\n');
	}
	fake_close(c, false);
}

/* ---- the test's side ------------------------------------------------------------------------- */

static void
fake_start(struct fake *f, const char *script, const char *cert_dir)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	*f = (struct fake){ .cert_dir = cert_dir };
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)(void *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listener, 64), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)(void *)&sa, &len), 0);
	f->port = ntohs(sa.sin_port);
	fflush(NULL);
	f->pid = fork();
	if (f->pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		fake_run(f, script);
		_exit(0);
	}
	close(f->listener);
}

/* What it has found wrong, or NULL; it is over then. */
static const char *
fake_end(struct fake *f, bool kill_it)
{
	int status;

	if (kill_it)
		kill(f->pid, SIGTERM);
	waitpid(f->pid, &status, 0);
	return f->shared->why[0] ? f->shared->why : NULL;
}

static void
fake_free(struct fake *f)
{
	munmap(f->shared, sizeof(*f->shared));
	f->shared = NULL;
}

#endif
