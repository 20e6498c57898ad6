/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - one line in, one JSON object out, for a handful of local clients
 *
 *      client: READING -> (asked) WAITING -> WRITING -> gone
 *
 * A struct control_ask is the client itself. A client that goes away while it waits stays until it
 * is answered; then nobody hears it.
 */
#include "proxy/desk/control.h"

#include "wire/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const double line_s = 5.0;

struct control_ask {
	struct grave grave; /* first */
	struct control *control;
	struct control_ask *next;
	int fd; /* -1: the client has gone */
	bool asked;
	ev_io io;
	ev_timer timer;
	size_t line_n;
	char line[CONTROL_LINE_MAX];
	char *answer; /* malloc */
	size_t answer_n;
	size_t sent;
};

struct control {
	struct loop *loop;
	int fd;
	ev_io rd;
	control_fn *fn;
	void *ctx;
	struct control_ask *clients;
	unsigned clients_n;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- clients ---- */

static void
hang_up(struct control_ask *a)
{
	ev_io_stop(loop_ev(a->control->loop), &a->io);
	ev_timer_stop(loop_ev(a->control->loop), &a->timer);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void
free_client(struct grave *g)
{
	struct control_ask *a = (struct control_ask *)g;

	free(a->answer);
	free(a);
}

static void
forget(struct control_ask *a)
{
	struct control *c = a->control;
	struct control_ask **at = &c->clients;

	hang_up(a);
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	c->clients_n--;
	loop_bury(c->loop, &a->grave);
}

static void
write_more(struct control_ask *a)
{
	while (a->sent < a->answer_n) {
		ssize_t n = send(a->fd, a->answer + a->sent, a->answer_n - a->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		a->sent += (size_t)n;
	}
	forget(a);
}

/* Waits for its line: the line is asked as soon as it is whole. Waits for its answer: all that can
 * come is its end. */
static void
read_more(struct control_ask *a)
{
	char rest[64];
	bool reading = !a->asked;
	char *to = reading ? a->line + a->line_n : rest;
	size_t room = reading ? sizeof(a->line) - a->line_n : sizeof(rest);
	ssize_t n = read(a->fd, to, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!reading) {
		/* Half-closed is not gone: it may still read. */
		ev_io_stop(loop_ev(a->control->loop), &a->io);
		return;
	}
	if (n <= 0) {
		forget(a);
		return;
	}
	a->line_n += (size_t)n;

	struct slice line = slice_of(a->line, a->line_n);
	size_t end = slice_find(line, '\n');

	if (end == line.n) {
		if (line.n == sizeof(a->line))
			forget(a);
		return;
	}
	a->asked = true;
	ev_timer_stop(loop_ev(a->control->loop), &a->timer);
	line = slice_head(line, end);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	a->control->fn(a->control->ctx, a, slice_trim(line));
}

static void
on_client(struct ev_loop *ev, ev_io *w, int revents)
{
	struct control_ask *a = w->data;

	(void)ev;
	if (a->answer)
		write_more(a);
	else if (revents & EV_READ)
		read_more(a);
}

static void
on_slow(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	forget(w->data);
}

void
control_answer(struct control_ask *a, struct slice json)
{
	struct ev_loop *ev = loop_ev(a->control->loop);

	if (a->fd < 0 || !(a->answer = malloc(json.n + 1))) {
		forget(a);
		return;
	}
	memcpy(a->answer, json.p, json.n);
	a->answer[json.n] = '\n';
	a->answer_n = json.n + 1;
	ev_io_stop(ev, &a->io);
	ev_io_set(&a->io, a->fd, EV_WRITE);
	ev_io_start(ev, &a->io);
	ev_timer_set(&a->timer, line_s, 0.);
	ev_timer_start(ev, &a->timer);
}

static void
on_connection(struct ev_loop *ev, ev_io *w, int revents)
{
	struct control *c = w->data;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct control_ask *a;

	(void)revents;
	if (fd < 0)
		return;
	if (c->clients_n >= CONTROL_CLIENTS_MAX || !(a = calloc(1, sizeof(*a)))) {
		close(fd);
		return;
	}
	a->grave.free_fn = free_client;
	a->control = c;
	a->fd = fd;
	a->next = c->clients;
	c->clients = a;
	c->clients_n++;
	ev_io_init(&a->io, on_client, fd, EV_READ);
	a->io.data = a;
	ev_io_start(ev, &a->io);
	ev_timer_init(&a->timer, on_slow, line_s, 0.);
	a->timer.data = a;
	ev_timer_start(ev, &a->timer);
}

/* ---- the socket ---- */

/* True where nothing is in the way: no file, or a socket that nobody listens on any more. */
static bool
clear_the_way(const struct sockaddr_un *at, struct text *why)
{
	struct stat st;
	bool alive;
	int fd;

	if (lstat(at->sun_path, &st) != 0)
		return errno == ENOENT ||
		    (text_fmt(why, "%s: %s", at->sun_path, strerror(errno)), false);
	if (!S_ISSOCK(st.st_mode)) {
		text_fmt(why, "%s: is there and is not a socket", at->sun_path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	alive = fd >= 0 &&
	    (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	if (alive) {
		text_fmt(why, "%s: another bywayd answers there", at->sun_path);
		return false;
	}
	if (unlink(at->sun_path) == 0)
		return true;
	text_fmt(why, "%s: cannot replace the old socket: %s", at->sun_path, strerror(errno));
	return false;
}

static int
listen_at(const char *path, struct text *why)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd;

	if (n >= sizeof(at.sun_path)) {
		text_fmt(why, "%s: longer than %zu octets", path, sizeof(at.sun_path) - 1);
		return -1;
	}
	memcpy(at.sun_path, path, n);
	if (!clear_the_way(&at, why))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Nobody can connect before chmod: the umask has made it 0700 at most. */
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    chmod(path, 0660) == 0 && listen(fd, CONTROL_CLIENTS_MAX) == 0)
		return fd;
	text_fmt(why, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control *
control_open(struct loop *l, const char *path, control_fn *fn, void *ctx, struct text *why)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	*c = (struct control){ .loop = l, .fn = fn, .ctx = ctx };
	c->fd = listen_at(path, why);
	if (c->fd < 0) {
		free(c);
		return NULL;
	}
	memcpy(c->path, path, strlen(path) + 1);
	ev_io_init(&c->rd, on_connection, c->fd, EV_READ);
	c->rd.data = c;
	ev_io_start(loop_ev(l), &c->rd);
	return c;
}

void
control_abandon(struct control *c)
{
	struct control_ask *a;

	if (!c)
		return;
	while ((a = c->clients)) {
		hang_up(a);
		c->clients = a->next;
		free_client(&a->grave);
	}
	ev_io_stop(loop_ev(c->loop), &c->rd);
	close(c->fd);
	free(c);
}

void
control_close(struct control *c)
{
	if (!c)
		return;
	unlink(c->path);
	control_abandon(c);
}
