/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - its findings, from the loop
 */
#include "proxy/process/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct check {
	struct loop *loop;
	pid_t pid;
	int fd;
	ev_io rd;
	check_fn *fn;
	void *ctx;
	struct text said;
	char mem[INSPECT_WORDS_MAX];
};

void
check_words(struct slice said, enum inspect_grade grade, struct text *out)
{
	struct inspect_finding f;

	while (inspect_next(&said, &f)) {
		if (f.grade == grade)
			text_fmt(out, "%.*s\n", SLICE_FMT(f.words));
	}
}

/* ---- from the loop ---- */

/* What the pipe holds now is added to OUT. False at its end. */
static bool
gather(int fd, struct text *out)
{
	char mem[4096];
	ssize_t n = read(fd, mem, sizeof(mem));

	if (n > 0)
		text_put(out, slice_of(mem, (size_t)n));
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void
on_said(struct ev_loop *ev, ev_io *w, int revents)
{
	struct check *c = w->data;

	(void)revents;
	if (gather(c->fd, &c->said))
		return;
	ev_io_stop(ev, &c->rd);
	close(c->fd);
	/* It closes the pipe by ending. */
	int status = inspect_end(c->pid, &c->said);

	c->fn(c->ctx, status == 0, text_slice(&c->said));
	free(c);
}

struct check *
check_start(struct loop *l, const char *path, check_fn *fn, void *ctx)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->fn = fn;
	c->ctx = ctx;
	c->said = text_over(c->mem, sizeof(c->mem));
	c->pid = inspect_spawn(path, 0, &c->fd);
	if (c->pid < 0) {
		free(c);
		return NULL;
	}
	(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
	ev_io_init(&c->rd, on_said, c->fd, EV_READ);
	c->rd.data = c;
	ev_io_start(loop_ev(l), &c->rd);
	return c;
}

void
check_abandon(struct check *c)
{
	if (!c)
		return;
	ev_io_stop(loop_ev(c->loop), &c->rd);
	close(c->fd);
	free(c);
}

void
check_stop(struct check *c)
{
	if (!c)
		return;
	kill(c->pid, SIGKILL);
	(void)inspect_end(c->pid, &c->said);
	check_abandon(c);
}
