/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/counters_checkpoint.h"

#include "conf/directory/checkpoint.h"
#include "wire/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert((int)CHECKPOINT_PERIODS == (int)COUNTERS_RING, "a row is a ring");

struct checkpointer {
	struct loop *loop;
	struct work *work;
	struct counters_shared *shared;
	ev_timer timer;
	unsigned every_s;
	bool busy;
	char *path;
	char node[512];
	struct counters_remote *remote; /* while restoring */
};

/* What one save takes. */
struct save {
	struct job job; /* first */
	struct checkpointer *k;
	struct checkpoint_row *rows;
	size_t n, room;
	bool all, ok;
	uint64_t now_ms;
	char why[256];
};

/* ---- out ---- */

static bool
take(void *ctx, struct counters_record *r)
{
	struct save *s = ctx;

	if (!r->dirty && !s->all)
		return true;
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct checkpoint_row *rows = realloc(s->rows, room * sizeof(*rows));

		if (!rows)
			return false;
		s->rows = rows;
		s->room = room;
	}
	struct checkpoint_row *row = &s->rows[s->n++];

	*row = (struct checkpoint_row){ .kind = r->kind,
		.id = r->id,
		.account = r->group,
		.grain_s = r->grain_s,
		.keep = r->keep,
		.latest = r->latest,
		.epoch = r->epoch };
	for (size_t i = 0; i < COUNTERS_RING; i++) {
		row->own[i] = r->cell[i].own;
		row->pushed[i] = r->cell[i].pushed;
	}
	r->dirty = false;
	return true;
}

static void
write_rows(struct save *s)
{
	struct checkpointer *k = s->k;
	struct text why = text_over(s->why, sizeof(s->why));
	size_t at = 0;

	s->all = atomic_exchange(&counters_common(k->shared)->save_all, false);
	s->now_ms = counters_wall_ms();
	s->ok = counters_each(k->shared, &at, take, s);
	if (!s->ok)
		text_put(&why, SLICE("out of memory"));
	else if (s->n > 0)
		s->ok = checkpoint_save(k->path, k->node, s->rows, s->n,
		    (int64_t)(s->now_ms / 1000), &why);
	if (!s->ok)
		atomic_store(&counters_common(k->shared)->save_all, true);
}

static void
end_save(struct save *s)
{
	if (!s->ok)
		log_say(LOG_WARNING, "counters", "no checkpoint could be written: %s", s->why);
	free(s->rows);
	free(s);
}

static void
run(struct job *j)
{
	write_rows((struct save *)j);
}

static void
done(struct job *j)
{
	struct save *s = (struct save *)j;

	s->k->busy = false;
	if (work_is_closing(s->k->work) && s->now_ms == 0)
		s->ok = true; /* it did not run; the last one takes all of it */
	end_save(s);
}

static struct save *
new_save(struct checkpointer *k)
{
	struct save *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct save){ .job = { .run = run, .done = done }, .k = k };
	return s;
}

/* Whoever moves the time on is the one who writes. */
static bool
is_our_turn(struct checkpointer *k)
{
	_Atomic uint64_t *at = &counters_common(k->shared)->checkpoint_ms;
	uint64_t was = atomic_load(at);
	uint64_t now = (uint64_t)(loop_now(k->loop) * 1000);

	return now - was >= (uint64_t)k->every_s * 900 &&
	    atomic_compare_exchange_strong(at, &was, now);
}

static void
on_time(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct checkpointer *k = t->data;
	struct save *s;

	(void)ev;
	(void)revents;
	if (k->busy || !is_our_turn(k) || !(s = new_save(k)))
		return;
	k->busy = work_submit(k->work, &s->job);
	if (!k->busy)
		free(s);
}

/* ---- in ---- */

static void
put(void *ctx, const struct checkpoint_row *row)
{
	struct checkpointer *k = ctx;
	struct counters_order o = { .group = row->account, .lines_n = 1 };
	struct counters_hold h;

	o.line[0] = (struct counters_line){
		.kind = row->kind, .id = row->id, .grain_s = row->grain_s, .keep = row->keep
	};
	o.server = k->remote ? counters_remote_server(k->remote, row->account) : 0;
	if (!counters_hold(k->shared, &o, counters_wall_ms(), &h))
		return;
	struct counters_record *r = h.record[0];

	if (r->latest < row->latest)
		r->latest = row->latest;
	r->epoch = row->epoch;
	r->restored = true;
	for (uint32_t i = 0; i < COUNTERS_RING && i <= row->latest; i++) {
		uint32_t period = row->latest - i;
		struct counters_cell *c = counters_cell(r, period, false);

		if (!c)
			break;
		c->own = row->own[period % COUNTERS_RING];
		c->pushed = row->pushed[period % COUNTERS_RING];
		c->seen = c->own;
	}
	counters_release(&h);
}

void
checkpointer_restore(struct checkpointer *k, struct counters_remote *remote)
{
	struct counters_common *c = counters_common(k->shared);
	char mem[256] = "";
	struct text why = text_over(mem, sizeof(mem));

	if (pthread_mutex_lock(&c->restoring) == EOWNERDEAD)
		(void)pthread_mutex_consistent(&c->restoring);
	k->remote = remote;
	if (!c->restored && k->every_s > 0 &&
	    !checkpoint_load(k->path, k->node, (int64_t)(counters_wall_ms() / 1000), put, k, &why))
		log_say(LOG_WARNING, "counters", "the last checkpoint cannot be read: %s", mem);
	c->restored = true;
	pthread_mutex_unlock(&c->restoring);
}

/* ---- life ---- */

static void
set_timer(struct checkpointer *k, unsigned every_s)
{
	if (every_s == k->every_s)
		return;
	ev_timer_stop(loop_ev(k->loop), &k->timer);
	k->every_s = every_s;
	if (every_s == 0)
		return;
	ev_timer_set(&k->timer, (double)every_s, (double)every_s);
	ev_timer_start(loop_ev(k->loop), &k->timer);
}

struct checkpointer *
checkpointer_open(struct loop *l, struct work *w, const struct conf *c,
    struct counters_shared *shared)
{
	struct checkpointer *k = calloc(1, sizeof(*k));

	if (!k || !(k->path = strdup(c->directory.path))) {
		free(k);
		return NULL;
	}
	k->loop = l;
	k->work = w;
	k->shared = shared;
	(void)snprintf(k->node, sizeof(k->node), "%s %s",
	    c->server.instance ? c->server.instance : "",
	    c->server.control_socket ? c->server.control_socket : "");
	ev_timer_init(&k->timer, on_time, 0., 0.);
	k->timer.data = k;
	set_timer(k, c->counters.checkpoint_s);
	return k;
}

void
checkpointer_close(struct checkpointer *k)
{
	struct save *s;

	if (!k)
		return;
	if (k->every_s > 0 && (s = new_save(k))) {
		write_rows(s);
		end_save(s);
	}
	ev_timer_stop(loop_ev(k->loop), &k->timer);
	free(k->path);
	free(k);
}

void
checkpointer_reconf(struct checkpointer *k, const struct conf *c)
{
	set_timer(k, c->counters.checkpoint_s);
}

const char *
checkpointer_node(const struct checkpointer *k)
{
	return k->node;
}
