/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions on their way: joined where the same one is already asked, answered from the loop and
 * never from inside the call.
 */
#include "conf/directory/directory_front.h"

#include <assert.h>
#include <stdlib.h>

static void on_done(struct job *j);
static void on_task(struct task *t);

static void
link_ask(struct ask **list, struct ask *a)
{
	a->next = *list;
	a->prev = list;
	if (a->next)
		a->next->prev = &a->next;
	*list = a;
}

static void
unlink_ask(struct ask *a)
{
	if (!a->prev)
		return;
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->next = NULL;
	a->prev = NULL;
}

struct ask *
ask_new(struct directory *d, enum ask_kind kind, uint64_t owner, directory_fn *fn)
{
	struct ask *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->job.run = ask_run;
	a->job.done = on_done;
	a->task.fn = on_task;
	a->d = d;
	a->kind = kind;
	a->owner = owner;
	a->fn = fn;
	a->known_at = d->revision;
	a->lead = a;
	atomic_init(&a->wanted, 1);
	a->result = LOGIN_UNAVAILABLE;
	return a;
}

void
ask_free(struct ask *a)
{
	unlink_ask(a);
	sender_unref(a->sender);
	secret_fini(&a->password);
	rehash_free(a->rehash);
	free(a->changes.accounts);
	free(a);
}

/* ---- answers at the end of the turn ---- */

/* Each hears with a reference of its own. */
static void
tell_all(struct directory *d, struct ask *a)
{
	for (struct ask *one = a; one; one = one->joined) {
		directory_fn *fn = one->fn;

		one->fn = NULL;
		if (fn)
			fn(d->ctx, one->owner, a->result, a->sender ? sender_ref(a->sender) : NULL,
			    a->why);
	}
}

static void
free_all(struct ask *a)
{
	while (a) {
		struct ask *next = a->joined;

		ask_free(a);
		a = next;
	}
}

static void
on_task(struct task *t)
{
	struct ask *a = (struct ask *)((uintptr_t)t - offsetof(struct ask, task));

	unlink_ask(a);
	tell_all(a->d, a);
	free_all(a);
}

void
ask_answer(struct ask *a, enum login_result result, struct sender *sender, const char *why)
{
	a->result = result;
	a->sender = sender;
	a->why = why;
	a->stage = ASK_ANSWERED;
	unlink_ask(a);
	link_ask(&a->d->answering, a);
	loop_defer(a->d->loop, &a->task);
}

void
ask_forget_all(struct directory *d)
{
	while (d->answering) {
		struct ask *a = d->answering;

		loop_cancel(d->loop, &a->task);
		unlink_ask(a);
		free_all(a);
	}
	for (unsigned lane = 0; lane < LANES; lane++) {
		while (d->line[lane]) {
			struct ask *a = d->line[lane];

			turn_leave(d, a);
			unlink_ask(a);
			free_all(a);
		}
	}
	while (d->due) {
		struct ask *a = d->due;

		ev_timer_stop(loop_ev(d->loop), &a->due);
		unlink_ask(a);
		free_all(a);
		d->pending--;
	}
}

/* ---- answers from threads ---- */

/* The end of a question that a thread has answered. */
static void
finish(struct ask *a)
{
	struct directory *d = a->d;

	unlink_ask(a);
	tell_all(d, a);
	free_all(a);
	d->pending--;
	directory_put(d);
}

static void
on_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	finish(t->data);
}

/* How long a refusal waits, so that its time tells nothing of the hash (A1). */
static double
left_to_wait(const struct ask *a)
{
	if (a->kind != ASK_LOGIN || a->result != LOGIN_REFUSED || a->began == 0)
		return 0;
	double stretch = atomic_load(&a->d->stretch);

	return a->began + 1.25 * atomic_load(&a->d->slowest_s) * (stretch > 1 ? stretch : 1) -
	    directory_clock();
}

static void
on_done(struct job *j)
{
	struct ask *a = (struct ask *)j;
	struct directory *d = a->d;

	unlink_ask(a);
	secret_fini(&a->password);
	if (a->kind == ASK_LOGIN) {
		turn_done(d, a);
		if (!d->closed)
			turn_move(d);
	}
	if (d->closed) {
		free_all(a);
		d->pending--;
		directory_put(d);
		return;
	}
	if (a->kind == ASK_POLL)
		directory_learn_changes(d, a);
	else
		directory_learn(d, a);
	if (a->rehash)
		rehash_send(a->rehash);
	a->rehash = NULL;
	double left = left_to_wait(a);

	if (left > 0) {
		link_ask(&d->due, a);
		ev_timer_init(&a->due, on_due, left, 0.);
		a->due.data = a;
		ev_timer_start(loop_ev(d->loop), &a->due);
		return;
	}
	finish(a);
}

/* One that was asked when no less was known than now: whatever it finds is news enough. The known
 * do not wait with strangers. */
static struct ask *
find_same(struct directory *d, const struct ask *a)
{
	for (struct ask *f = d->flying; f; f = f->next) {
		if (f->kind == a->kind && f->known_at == a->known_at &&
		    memcmp(f->key, a->key, ASK_KEY) == 0 &&
		    (f->stage != ASK_IN_LINE || f->lane <= a->lane))
			return f;
	}
	return NULL;
}

static void
join(struct ask *a, struct ask *same)
{
	secret_fini(&a->password);
	a->lead = same;
	atomic_fetch_add(&same->wanted, 1);
	a->joined = same->joined;
	same->joined = a;
}

/* A log-in waits in line for its thread; all else has one of its own. */
static bool
submit(struct ask *a)
{
	struct directory *d = a->d;

	if (a->kind == ASK_LOGIN)
		return turn_put(d, a);
	if (!work_submit(d->reader, &a->job))
		return false;
	a->stage = ASK_AT_WORK;
	d->pending++;
	return true;
}

void
ask_send(struct ask *a)
{
	struct directory *d = a->d;
	struct ask *same = a->kind == ASK_POLL ? NULL : find_same(d, a);

	if (same) {
		join(a, same);
		return;
	}
	if (!submit(a)) {
		if (a->kind == ASK_POLL) {
			d->polling = false;
			ask_free(a);
		} else {
			ask_answer(a, LOGIN_UNAVAILABLE, NULL, "too much to do");
		}
		return;
	}
	if (a->kind != ASK_POLL)
		link_ask(&d->flying, a);
	if (a->kind == ASK_LOGIN)
		turn_move(d);
}

void
directory_drop(struct ask *a)
{
	if (!a)
		return;
	struct ask *lead = a->lead;

	a->fn = NULL;
	if (atomic_fetch_sub(&lead->wanted, 1) > 1 || lead->stage != ASK_IN_LINE)
		return;
	turn_leave(lead->d, lead);
	unlink_ask(lead);
	free_all(lead);
}
