/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content - from the go-ahead to the upstream's last word: lines in, header mended, lines out,
 * with backpressure (BEHAVIOUR L3, L7 to L11)
 *
 * Once something is wrong with a message the relay's transaction is dropped (the upstream never
 * sees its dot) and what the client still sends is swallowed up to the true end, where it is told
 * why.
 */
#include <stdio.h>
#include <time.h>

#include "conf/provider.h"
#include "proxy/dialogue/dialogue.h"
#include "proxy/rules/policy.h"
#include "proxy/rules/sender_rules.h"
#include "proxy/dialogue/trace.h"

/*
 * What header_feed() may add to a span: the fields put first, the missing ones, a held-back name.
 */
enum { HEADER_SLACK = 1536 };
/* What dots_decode() may give beyond what it was fed now: line ends held back from before. */
enum { DOTS_SLACK = 8 };
/* A slow start is forgiven before the rate counts. */
enum { RATE_GRACE_S = 30 };

static bool
keeps(const struct profile *p, struct slice name)
{
	struct slice rest = slice_str(p != NULL ? p->keep_headers : NULL);

	while (rest.n > 0)
		if (slice_eq_nocase(slice_cut(&rest, ' '), name))
			return true;
	return false;
}

/*
 * Fields that never leave: Bcc and Resent-Bcc (RFC 5322 3.6.6), and those that providers take as
 * orders unless the profile keeps them.
 */
static bool
choose_drops(struct session *s, struct header_options *o)
{
	struct slice orders[PROVIDER_HEADERS_MAX];
	size_t orders_n = provider_headers(orders);
	struct slice *drop = arena_alloc(&s->arena, (orders_n + 2) * sizeof(*drop));

	if (drop == NULL)
		return false;
	drop[o->drop_n++] = SLICE("Bcc");
	drop[o->drop_n++] = SLICE("Resent-Bcc");
	for (size_t i = 0; i < orders_n; i++)
		if (!keeps(s->txn.profile, orders[i]))
			drop[o->drop_n++] = orders[i];
	o->drop = drop;
	return true;
}

/* Room for From:, where somebody will look at it. */
static bool
want_from(struct session *s, struct header_options *o)
{
	if (!sender_rules_want_from(s->sender))
		return true;
	o->from = arena_alloc(&s->arena, SENDER_FROM_MAX);
	o->from_max = SENDER_FROM_MAX;
	return o->from != NULL;
}

bool
content_begin(struct session *s, bool chunked)
{
	struct txn *t = &s->txn;
	const struct conf *conf = s->lane->conf;
	struct header_options o = { 0 };
	struct content *c = arena_zalloc(&s->arena, sizeof(*c));

	if (c == NULL || !choose_drops(s, &o) || !trace_fields(s, &o) || !want_from(s, &o))
		return false;
	dots_decode_init(&c->dots, conf->content.line_ends, chunked);
	header_init(&c->header, &o);
	c->outcome = t->has_early ? OUTCOME_SAID : OUTCOME_OPEN;
	c->since = loop_now(s->worker->loop);
	t->content = c;
	return true;
}

/* The message is lost; the upstream must not get its end. */
static void
spoil(struct session *s, enum outcome why)
{
	struct txn *t = &s->txn;

	t->content->outcome = why;
	if (t->relay != NULL) {
		struct relay_txn *r = t->relay;

		txn_detach(s);
		relay_drop(r);
	}
}

static void
emit(void *ctx, struct slice piece)
{
	struct session *s = ctx;

	if (s->txn.content->outcome == OUTCOME_OPEN && !s->txn.sandboxed)
		relay_content(s->txn.relay, piece);
}

/* Once the header has passed: whose name is in From: (S5)? */
static void
check_from(struct session *s)
{
	struct content *c = s->txn.content;
	const struct header *h = &c->header;

	if (c->from_seen || !h->over || c->outcome != OUTCOME_OPEN)
		return;
	c->from_seen = true;
	c->from_said =
	    sender_rules_from(s->sender, h->froms, slice_of(h->o.from, h->from_n), h->from_cut);
	if (c->from_said != SAY_NONE)
		spoil(s, OUTCOME_FROM);
}

static void
take_span(struct session *s, struct slice span)
{
	struct txn *t = &s->txn;
	struct content *c = t->content;

	c->octets += span.n;
	if (c->outcome != OUTCOME_OPEN)
		return;
	if (c->octets > t->size_max) {
		spoil(s, OUTCOME_TOO_LARGE);
		return;
	}
	header_feed(&c->header, span, emit, s);
	if (c->header.loop || c->header.received > s->lane->conf->limits.received_fields)
		spoil(s, OUTCOME_LOOP);
	else if (c->header.too_large)
		spoil(s, OUTCOME_HEADER);
	check_from(s);
}

/* How many octets of input may be decoded now. Repaired line ends double at most. */
static size_t
budget(const struct session *s)
{
	const struct content *c = s->txn.content;

	if (c->outcome != OUTCOME_OPEN || s->txn.sandboxed)
		return SIZE_MAX;
	size_t room = relay_room(s->txn.relay);
	size_t slack = c->header.over ? DOTS_SLACK : HEADER_SLACK;

	room = room > slack ? room - slack : 0;
	return c->dots.policy == DOTS_REPAIR ? room / 2 : room;
}

/* A bare CR, LF or NUL has been met, and they are not repaired. */
static void
check_line_ends(struct session *s)
{
	const struct content *c = s->txn.content;

	if (c->dots.fault != DOTS_NO_FAULT && c->dots.policy == DOTS_REFUSE &&
	    c->outcome == OUTCOME_OPEN)
		spoil(s, OUTCOME_BARE);
}

/* Decodes IN; true at the end of the content. */
static bool
decode(struct session *s, struct slice *in)
{
	struct content *c = s->txn.content;
	struct slice span;

	for (;;) {
		switch (dots_decode(&c->dots, in, &span)) {
		case DOTS_SPAN:
			take_span(s, span);
			break;
		case DOTS_MORE:
		case DOTS_END:
			check_line_ends(s);
			return c->dots.ended;
		}
	}
}

static enum reply_id
refusal(const struct content *c)
{
	switch (c->outcome) {
	case OUTCOME_TOO_LARGE:
		return SAY_TOO_LARGE;
	case OUTCOME_LOOP:
		return SAY_LOOP;
	case OUTCOME_HEADER:
		return SAY_HEADER_TOO_LARGE;
	case OUTCOME_BARE:
		return SAY_BARE_LINE_END;
	case OUTCOME_FROM:
		return c->from_said;
	case OUTCOME_OPEN:
	case OUTCOME_SAID:
		break;
	}
	return SAY_NONE;
}

/* The end of a message that was lost before it ended. */
static void
say_refusal(struct session *s)
{
	struct txn *t = &s->txn;
	enum reply_id r = refusal(t->content);

	if (r == SAY_NONE) {
		session_forward(s, &t->early);
		txn_log(s, t->early.code, &t->early, NULL);
	} else {
		session_reply(s, r);
		remember_refusal(s, r, id_slice(&s->txn.id));
		txn_log(s, reply_row(r)->code, NULL, reply_row(r)->name);
	}
	txn_end(s);
	session_enter(s, STATE_READY);
}

/* The client's end has come. False: the upstream's last word is awaited. */
static bool
finish(struct session *s)
{
	struct txn *t = &s->txn;

	if (t->content->outcome == OUTCOME_OPEN)
		header_finish(&t->content->header, emit, s);
	check_from(s);
	if (t->content->outcome != OUTCOME_OPEN) {
		say_refusal(s);
		return true;
	}
	if (t->sandboxed) {
		sandbox_finish(s);
		return true;
	}
	relay_finish(t->relay);
	t->finished = loop_now(s->worker->loop);
	s->parked = true;
	session_enter(s, STATE_FINAL);
	return false;
}

static void
say_chunk(struct session *s)
{
	char mem[32];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "(%llu)", (unsigned long long)s->txn.content->octets);
	session_reply_more(s, SAY_CHUNK_OK, text_slice(&t));
}

/* All octets of the chunk are in. */
static bool
end_chunk(struct session *s)
{
	struct txn *t = &s->txn;
	struct content *c = t->content;
	struct slice span = { "", 0 };

	if (s->chunk_refused != SAY_NONE && t->ticket != NULL &&
	    quota_state(t->ticket) == QUOTA_NO) {
		envelope_refuse_quota(s);
		return true;
	}
	if (s->chunk_refused != SAY_NONE) {
		session_reply(s, s->chunk_refused);
		/*
		 * The relay was asked and nobody can take what it would send on: that transaction
		 * is over (L10).
		 */
		if (t->asked && c == NULL) {
			txn_log(s, reply_row(s->chunk_refused)->code, NULL,
			    reply_row(s->chunk_refused)->name);
			txn_end(s);
		}
		session_enter(s, t->open ? STATE_MAIL : s->helo_n > 0 ? STATE_READY : STATE_NEW);
		return true;
	}
	if (s->chunk_last) {
		dots_decode_finish(&c->dots, &span);
		if (span.n > 0)
			take_span(s, span);
		check_line_ends(s);
		return finish(s);
	}
	if (c->outcome != OUTCOME_OPEN) {
		say_refusal(s);
		return true;
	}
	say_chunk(s);
	session_enter(s, STATE_MAIL);
	return true;
}

/* Content must come at data_rate on the average, the upstream's own waits aside. */
static bool
is_too_slow(const struct session *s)
{
	const struct content *c = s->txn.content;
	double took = loop_now(s->worker->loop) - c->since - RATE_GRACE_S;

	return took > 0 && (double)c->octets < took * s->lane->conf->timeouts.data_rate;
}

static void
block(struct session *s)
{
	s->txn.content->blocked = loop_now(s->worker->loop);
	stream_deadline(&s->stream, 0); /* the relay watches its own */
}

/* Octets of a chunk that nobody wants. */
static bool
swallow(struct session *s)
{
	struct slice in = stream_in(&s->stream);
	size_t n = in.n < s->chunk ? in.n : (size_t)s->chunk;

	stream_consume(&s->stream, n);
	s->chunk -= n;
	session_touch(s);
	return s->chunk == 0 ? end_chunk(s) : false;
}

bool
content_feed(struct session *s)
{
	bool chunked = s->state == STATE_CHUNK;

	if (chunked && s->chunk_refused != SAY_NONE)
		return swallow(s);
	struct content *c = s->txn.content;
	struct slice in = stream_in(&s->stream);
	size_t may = budget(s);

	if (chunked && s->chunk < in.n)
		in = slice_head(in, (size_t)s->chunk);
	if (chunked && s->chunk == 0)
		return end_chunk(s);
	if (in.n == 0)
		return false;
	if (may == 0) {
		if (c->blocked == 0)
			block(s);
		return false;
	}
	in = slice_head(in, may);
	size_t before = in.n;
	bool end = decode(s, &in);
	size_t used = before - in.n;

	stream_consume(&s->stream, used);
	if (is_too_slow(s)) {
		session_end(s, CLOSE_TOO_SLOW, SAY_TOO_SLOW);
		return false;
	}
	if (chunked) {
		s->chunk -= used;
		end = s->chunk == 0;
	}
	if (!end) {
		session_touch(s);
		return true;
	}
	return chunked ? end_chunk(s) : finish(s);
}

void
content_on_room(struct session *s)
{
	struct content *c = s->txn.content;

	if (s->state == STATE_GONE || c == NULL || c->blocked == 0)
		return;
	c->since += loop_now(s->worker->loop) - c->blocked;
	c->blocked = 0;
	session_resume(s);
}

/* 250 2.0.0 Ok <id> (upstream: 250 2.0.0 Ok: queued as 4F2)   (L4) */
static void
say_sent(struct session *s, const struct relay_verdict *v)
{
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, id_slice(&s->txn.id));
	text_put(&t, SLICE(" (upstream: "));
	text_escaped(&t, v->upstream, 400);
	text_char(&t, ')');
	session_reply_more(s, SAY_OK, text_slice(&t));
	s->messages++;
}

static void
last_word(struct session *s, const struct relay_verdict *v)
{
	bool gone = s->state == STATE_GONE;

	if (!gone && v->code < 300)
		say_sent(s, v);
	else if (!gone)
		session_forward(s, v);
	txn_log(s, v->code, v, gone ? "the client had left" : NULL);
	if (v->code < 300 || v->unknown) { /* taken, or perhaps taken */
		quota_commit(s->txn.ticket, s->txn.accepted);
		s->txn.ticket = NULL;
	}
	txn_detach(s);
	txn_end(s);
	if (gone) {
		session_after_last_word(s);
		return;
	}
	session_enter(s, STATE_READY);
	session_resume(s);
}

void
content_on_done(struct session *s, const struct relay_verdict *v)
{
	struct txn *t = &s->txn;

	if (t->finished > 0) {
		last_word(s, v);
		return;
	}
	if (s->state == STATE_GONE)
		return;
	txn_detach(s);
	txn_keep_early(s, v);
	if (t->content != NULL) {
		t->content->outcome = OUTCOME_SAID;
		t->content->blocked = 0;
		session_resume(s);
	}
}
