/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dial.h"

#include <errno.h>
#include <unistd.h>

static unsigned
bit(unsigned index)
{
	return 1U << index;
}

/* How much a failure tells: that there is no way there says least. */
static unsigned
weight(enum stream_error e)
{
	if (e == STREAM_NO_MEMORY) /* we do not know what the others would have said */
		return 4;
	if (e == STREAM_CONNECT_TIMEOUT)
		return 2;
	return e == STREAM_OK ? 0 : e == STREAM_UNREACHABLE ? 1 : 3;
}

static void
note(struct dial *d, enum stream_error e)
{
	if (weight(e) > weight(d->error))
		d->error = e;
}

static void
close_try(struct dial *d, struct dial_try *t)
{
	ev_io_stop(loop_ev(d->loop), &t->io);
	close(t->fd);
	t->fd = -1;
	d->n--;
}

/* ---- the end --------------------------------------------------------------------------------- */

void
dial_stop(struct dial *d)
{
	if (!d->loop)
		return;
	for (unsigned i = 0; i < DIAL_MAX; i++)
		if (d->tries[i].fd >= 0)
			close_try(d, &d->tries[i]);
	ev_timer_stop(loop_ev(d->loop), &d->timer);
	loop_cancel(d->loop, &d->task);
	d->loop = NULL;
}

static void
lose(struct dial *d)
{
	const struct dial_end end = { .fd = -1, .error = d->error, .failed = d->failed };

	dial_stop(d);
	d->done(d->owner, &end);
}

/* Those that are still out were asked before T, or they are too new to be called late. */
static void
win(struct dial *d, struct dial_try *t)
{
	struct dial_end end = { .fd = t->fd, .index = t->index, .failed = d->failed };

	ev_io_stop(loop_ev(d->loop), &t->io);
	t->fd = -1;
	d->n--;
	for (unsigned i = 0; i < DIAL_MAX; i++)
		if (d->tries[i].fd >= 0 && d->tries[i].until < t->until)
			end.late |= bit(d->tries[i].index);
	dial_stop(d);
	d->done(d->owner, &end);
}

/* ---- trying ---------------------------------------------------------------------------------- */

static void
fail(struct dial *d, unsigned index, int error)
{
	enum stream_error e = stream_error_of(error);

	note(d, e);
	if (e == STREAM_NO_MEMORY)
		d->exhausted = true;
	else
		d->failed |= bit(index);
	d->turn = 0;
}

static struct dial_try *
free_try(struct dial *d)
{
	for (unsigned i = 0; i < DIAL_MAX; i++)
		if (d->tries[i].fd < 0)
			return &d->tries[i];
	return NULL;
}

/* Asks the next address; a connection that is there at once is seen by poll like all others. */
static void
try_one(struct dial *d)
{
	struct dial_try *t = free_try(d);
	struct dial_target target;

	if (!t || !d->next(d->owner, &target)) {
		d->exhausted = true;
		return;
	}

	int fd = socket(target.to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		fail(d, target.index, errno);
		return;
	}
	if (connect(fd, target.to, target.to_len) != 0 && errno != EINPROGRESS) {
		fail(d, target.index, errno);
		close(fd);
		return;
	}
	t->fd = fd;
	t->index = target.index;
	t->until = loop_now(d->loop) + d->patience_s;
	d->n++;
	d->turn = loop_now(d->loop) + dial_delay_s;
	ev_io_set(&t->io, fd, EV_WRITE);
	ev_io_start(loop_ev(d->loop), &t->io);
}

static void
arm(struct dial *d)
{
	ev_tstamp due = d->exhausted ? 0 : d->turn;

	for (unsigned i = 0; i < DIAL_MAX; i++)
		if (d->tries[i].fd >= 0 && (due == 0 || d->tries[i].until < due))
			due = d->tries[i].until;
	ev_timer_stop(loop_ev(d->loop), &d->timer);
	due -= loop_now(d->loop);
	ev_timer_set(&d->timer, due > 0 ? due : 0., 0.);
	ev_timer_start(loop_ev(d->loop), &d->timer);
}

static void
go_on(struct dial *d)
{
	while (!d->exhausted && (d->n == 0 || d->turn <= loop_now(d->loop)))
		try_one(d);
	if (d->n == 0)
		lose(d);
	else
		arm(d);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct dial *d = w->data;

	(void)ev;
	(void)revents;
	for (unsigned i = 0; i < DIAL_MAX; i++) {
		struct dial_try *t = &d->tries[i];

		if (t->fd < 0 || t->until > loop_now(d->loop))
			continue;
		fail(d, t->index, ETIMEDOUT);
		close_try(d, t);
	}
	go_on(d);
}

static void
on_io(struct ev_loop *ev, ev_io *io, int revents)
{
	struct dial_try *t = io->data;
	struct dial *d = t->dial;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)ev;
	(void)revents;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0) {
		win(d, t);
		return;
	}
	fail(d, t->index, error);
	close_try(d, t);
	go_on(d);
}

static void
begin(struct task *t)
{
	go_on((struct dial *)(void *)((char *)t - offsetof(struct dial, task)));
}

void
dial_start(struct dial *d, struct loop *l, double patience_s, dial_next_fn *next,
    dial_done_fn *done, void *owner)
{
	*d = (struct dial){ .loop = l,
		.owner = owner,
		.next = next,
		.done = done,
		.patience_s = patience_s,
		.task.fn = begin };
	ev_init(&d->timer, on_timer);
	d->timer.data = d;
	for (unsigned i = 0; i < DIAL_MAX; i++) {
		struct dial_try *t = &d->tries[i];

		t->dial = d;
		t->fd = -1;
		ev_init(&t->io, on_io);
		t->io.data = t;
	}
	loop_defer(l, &d->task);
}
