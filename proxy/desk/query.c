/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/desk/query.h"

#include <stdlib.h>
#include <string.h>

/* For an answer; and for a worker to be up, which after a start or a death takes a moment. */
static const double patience_s = 8.0;
static const double pause_s = 0.1;
enum { TRIES_MAX = 50 };

struct waiting {
	struct control_ask *ask; /* NULL: free */
	uint32_t serial;         /* 0: nobody has been asked yet */
	unsigned tries;
	char words[CONTROL_LINE_MAX];
	size_t words_n;
	ev_timer timer;
	struct query *of;
};

struct query {
	struct loop *loop;
	struct supervisor *supervisor;
	struct waiting waiting[CONTROL_CLIENTS_MAX];
};

static void
answer(struct waiting *w, struct slice json)
{
	struct control_ask *ask = w->ask;

	w->ask = NULL;
	ev_timer_stop(loop_ev(w->of->loop), &w->timer);
	control_answer(ask, json);
}

/* Asks a worker, or comes again: none may be up yet. */
static void
tell(struct waiting *w)
{
	w->serial = supervisor_tell(w->of->supervisor, slice_of(w->words, w->words_n));
	if (w->serial == 0 && ++w->tries > TRIES_MAX) {
		answer(w, SLICE("{\"ok\":false,\"error\":\"no worker is up\"}"));
		return;
	}
	ev_timer_set(&w->timer, w->serial ? patience_s : pause_s, 0.);
	ev_timer_start(loop_ev(w->of->loop), &w->timer);
}

static void
on_time(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct waiting *w = t->data;

	(void)ev;
	(void)revents;
	if (w->serial == 0)
		tell(w);
	else
		answer(w,
		    SLICE(
		        "{\"ok\":false,\"error\":\"the worker that was asked does not answer\"}"));
}

void
query_ask(struct query *q, struct control_ask *ask, struct slice words)
{
	struct waiting *w = q->waiting;

	while (w < q->waiting + CONTROL_CLIENTS_MAX && w->ask)
		w++;
	if (w == q->waiting + CONTROL_CLIENTS_MAX || words.n > sizeof(w->words)) {
		control_answer(ask, SLICE("{\"ok\":false,\"error\":\"too many ask at once\"}"));
		return;
	}
	w->ask = ask;
	w->tries = 0;
	w->words_n = words.n;
	memcpy(w->words, words.p, words.n);
	tell(w);
}

void
query_told(struct query *q, uint32_t serial, struct slice words)
{
	for (struct waiting *w = q->waiting; w < q->waiting + CONTROL_CLIENTS_MAX; w++)
		if (w->ask && serial != 0 && w->serial == serial) {
			answer(w, words);
			return;
		}
}

struct query *
query_open(struct loop *l, struct supervisor *c)
{
	struct query *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->loop = l;
	q->supervisor = c;
	for (struct waiting *w = q->waiting; w < q->waiting + CONTROL_CLIENTS_MAX; w++) {
		w->of = q;
		ev_timer_init(&w->timer, on_time, 0., 0.);
		w->timer.data = w;
	}
	return q;
}

void
query_close(struct query *q)
{
	if (!q)
		return;
	for (struct waiting *w = q->waiting; w < q->waiting + CONTROL_CLIENTS_MAX; w++)
		ev_timer_stop(loop_ev(q->loop), &w->timer);
	free(q);
}
