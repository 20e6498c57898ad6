/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/desk/query.h"

#include <stdlib.h>

static const double patience_s = 8.0;

struct waiting {
	struct control_ask *ask; /* NULL: free */
	uint32_t serial;
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

static void
on_too_slow(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	answer(t->data,
	    SLICE("{\"ok\":false,\"error\":\"the worker that was asked does not answer\"}"));
}

void
query_ask(struct query *q, struct control_ask *ask, struct slice words)
{
	struct waiting *w = q->waiting;

	while (w < q->waiting + CONTROL_CLIENTS_MAX && w->ask)
		w++;
	if (w == q->waiting + CONTROL_CLIENTS_MAX) {
		control_answer(ask, SLICE("{\"ok\":false,\"error\":\"too many ask at once\"}"));
		return;
	}
	w->ask = ask;
	w->serial = supervisor_tell(q->supervisor, words);
	if (w->serial == 0) {
		answer(w, SLICE("{\"ok\":false,\"error\":\"no worker is up\"}"));
		return;
	}
	ev_timer_set(&w->timer, patience_s, 0.);
	ev_timer_start(loop_ev(q->loop), &w->timer);
}

void
query_told(struct query *q, uint32_t serial, struct slice words)
{
	for (struct waiting *w = q->waiting; w < q->waiting + CONTROL_CLIENTS_MAX; w++)
		if (w->ask && w->serial == serial) {
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
		ev_timer_init(&w->timer, on_too_slow, 0., 0.);
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
