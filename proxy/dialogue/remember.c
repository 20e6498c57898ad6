/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remember - what sessions tell recent.h
 */
#include "proxy/dialogue/dialogue.h"
#include "proxy/desk/recent.h"

static int64_t
now_s(const struct session *s)
{
	return (int64_t)(loop_wall_ms(s->worker->loop) / 1000);
}

static void
refused(struct session *s, struct recent_refusal *row, struct slice id)
{
	if (s->sender != NULL) {
		row->account = s->sender->account.id;
		RECENT_PUT(row->sender, slice_str(s->sender->name));
	}
	RECENT_PUT(row->id, id);
	recent_refused(scoreboard_recent(s->worker->board), s->worker->number, row, now_s(s));
}

void
remember_refusal(struct session *s, int code, const char *cause, struct slice id)
{
	struct recent_refusal row = { .code = code };

	RECENT_PUT(row.cause, slice_str(cause));
	refused(s, &row, id);
}

void
remember_login(struct session *s, struct slice name, const char *why)
{
	struct recent_refusal row = { .code = reply_row(SAY_AUTH_FAILED)->code };

	RECENT_PUT(row.cause, slice_str(reply_row(SAY_AUTH_FAILED)->name));
	RECENT_PUT(row.words, slice_str(why));
	RECENT_PUT(row.sender, name);
	RECENT_PUT(row.id, id_slice(&s->id));
	recent_refused(scoreboard_recent(s->worker->board), s->worker->number, &row, now_s(s));
}

/* What the verdict says of the route that was taken: the profile's, or the native pool's. */
static void
remember_line(struct session *s, const struct relay_verdict *v)
{
	struct txn *t = &s->txn;
	struct slice route = t->relay != NULL ? relay_route(t->relay) : t->route;
	struct recent_line line = { 0 };

	if (t->profile != NULL && !slice_starts(route, SLICE("native:"))) {
		line.account = t->profile->account;
		line.profile = t->profile->id;
	}
	RECENT_PUT(line.class, slice_str(verdict_word(v->class)));
	RECENT_PUT(line.said, v->upstream.n > 0 ? v->upstream : v->text);
	RECENT_PUT(line.id, id_slice(&t->id));
	recent_said(scoreboard_recent(s->worker->board), s->worker->number, &line,
	    !verdict_is_lasting(v->class), now_s(s));
}

void
remember_verdict(struct session *s, const struct relay_verdict *v, struct slice to)
{
	struct recent_refusal row = { .code = v->code };

	if (s->sender == NULL)
		return;
	remember_line(s, v);
	if (v->code < 400)
		return;
	RECENT_PUT(row.cause, slice_str(verdict_word(v->class)));
	RECENT_PUT(row.to, to);
	RECENT_PUT(row.words, v->upstream.n > 0 ? v->upstream : v->text);
	refused(s, &row, id_slice(&s->txn.id));
}
