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
/* The words of a 250 with the recipients that it is not true for; they fit a reply. */
enum { LEFT_MAX = 1500 };
/* What dots_decode() may give beyond what it was fed now: line ends held back from before. */
enum { DOTS_SLACK = 8 };

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
	c->outcome = txn_has_early(t) ? OUTCOME_SAID : OUTCOME_OPEN;
	pace_begin(&s->pace, loop_patient(s->worker->loop));
	t->content = c;
	t->state = TXN_CONTENT;
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

/* Once the header has passed: whose name is in From: (S5, S6)? */
static void
check_from(struct session *s)
{
	struct content *c = s->txn.content;

	if (c->from != FROM_AHEAD || !c->header.over || c->outcome != OUTCOME_OPEN)
		return;
	c->from = FROM_READ;
	c->from_said = sender_check_header(s);
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

void
content_say_refusal(struct session *s)
{
	struct txn *t = &s->txn;
	enum reply_id r = refusal(t->content);

	if (r == SAY_NONE) {
		session_forward(s, &t->early);
		txn_end(s, t->early.code, &t->early, NULL);
	} else {
		session_reply(s, r);
		txn_refuse(s, r);
	}
}

/* The content has ended. False: the directory's answer, or the upstream's last word, is awaited. */
static bool
conclude(struct session *s)
{
	struct txn *t = &s->txn;
	struct content *c = t->content;
	bool judge =
	    c->from == FROM_ASKED || c->outcome == OUTCOME_OPEN || c->outcome == OUTCOME_FROM;
	enum reply_id said = judge ? sender_check_owners(s) : SAY_NONE;

	if (said == SAY_OK) {
		s->parked = true;
		return false;
	}
	if (said != SAY_NONE && c->outcome == OUTCOME_OPEN)
		spoil(s, OUTCOME_FROM);
	if (c->outcome != OUTCOME_OPEN) {
		content_say_refusal(s);
		return true;
	}
	if (t->sandboxed) {
		sandbox_finish(s);
		return true;
	}
	relay_finish(t->relay);
	t->finished = loop_now(s->worker->loop);
	t->state = TXN_FINAL;
	s->parked = true;
	session_enter(s, STATE_FINAL);
	return false;
}

/* The client's end has come. False: an answer is awaited. */
static bool
finish(struct session *s)
{
	if (s->txn.content->outcome == OUTCOME_OPEN)
		header_finish(&s->txn.content->header, emit, s);
	check_from(s);
	return conclude(s);
}

bool
content_end_chunks(struct session *s)
{
	struct slice span = { "", 0 };

	if (s->txn.content->from > FROM_READ)
		return conclude(s);
	dots_decode_finish(&s->txn.content->dots, &span);
	if (span.n > 0)
		take_span(s, span);
	check_line_ends(s);
	return finish(s);
}

bool
content_keeps_pace(struct session *s, size_t n)
{
	double now = loop_patient(s->worker->loop);

	pace_add(&s->pace, now, n);
	if (pace_is_too_slow(&s->pace, now, s->lane->conf->timeouts.data_rate)) {
		session_end(s, CLOSE_TOO_SLOW, SAY_TOO_SLOW);
		return false;
	}
	session_touch(s);
	return true;
}

unsigned
content_cost(const struct session *s)
{
	const struct content *c = s->txn.content;

	return c != NULL && c->outcome == OUTCOME_OPEN && !c->header.over ? HEADER_COST : 1;
}

bool
content_take(struct session *s, uint64_t max, size_t *used_r)
{
	struct slice in = stream_in(&s->stream);
	size_t may = budget(s);

	if (content_cost(s) > 1 && max > HEADER_PIECE)
		max = HEADER_PIECE;

	if (in.n == 0)
		return false;
	if (may == 0) {
		pace_stop(&s->pace, loop_patient(s->worker->loop));
		stream_deadline(&s->stream, 0); /* the relay watches its own */
		return false;
	}
	in = slice_head(in, may < max ? may : (size_t)max);
	size_t before = in.n;

	(void)decode(s, &in);
	*used_r = before - in.n;
	stream_consume(&s->stream, *used_r);
	return content_keeps_pace(s, *used_r);
}

bool
content_feed(struct session *s)
{
	size_t used;

	if (s->txn.content->from > FROM_READ)
		return conclude(s);
	if (!content_take(s, SIZE_MAX, &used))
		return false;
	return s->txn.content->dots.ended ? finish(s) : true;
}

void
content_on_room(struct session *s)
{
	if (s->state == STATE_GONE || s->txn.content == NULL || s->pace.stopped == 0)
		return;
	pace_go_on(&s->pace, loop_patient(s->worker->loop));
	session_resume(s);
}

static const struct rcpt *
rcpt_at(const struct txn *t, unsigned index)
{
	const struct rcpt *r = t->first;

	while (r != NULL && index-- > 0)
		r = r->next;
	return r;
}

/* Each recipient that a good answer names as refused: for the log, by itself. */
static void
log_left(struct session *s, const struct relay_verdict *v)
{
	struct relay_verdict refused = { .class = VERDICT_RCPT, .code = 550 };

	for (size_t i = 0; i < v->left_n; i++) {
		const struct rcpt *r = rcpt_at(&s->txn, v->left[i].index);

		refused.upstream = v->left[i].said;
		if (r != NULL)
			envelope_log_rcpt(s, r, &refused);
	}
}

/* The same for the client, in lines of their own: the 250 is not true for them. */
static void
put_left(const struct session *s, const struct relay_verdict *v, struct text *t)
{
	size_t i = 0;

	for (; i < v->left_n; i++) {
		const struct rcpt *r = rcpt_at(&s->txn, v->left[i].index);

		if (r == NULL || t->n + r->address.n > LEFT_MAX)
			break;
		text_put(t, i == 0 ? SLICE("\nRefused: ") : SLICE(", "));
		text_put(t, r->address);
	}
	if (i > 0 && v->left_out > i)
		text_fmt(t, " and %llu more", (unsigned long long)(v->left_out - i));
}

/* 250 2.0.0 Ok <id> (upstream: 250 2.0.0 Ok: queued as 4F2)   (L4) */
static void
say_sent(struct session *s, const struct relay_verdict *v)
{
	char mem[LEFT_MAX + 64];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, id_slice(&s->txn.id));
	text_put(&t, SLICE(" (upstream: "));
	text_escaped(&t, v->upstream, 400);
	text_char(&t, ')');
	if (s->lane->conf->upstream.partial == PARTIAL_REJECT)
		put_left(s, v, &t);
	session_reply_more(s, SAY_OK, text_slice(&t));
	s->messages++;
}

static void
last_word(struct session *s, const struct relay_verdict *v)
{
	bool gone = s->state == STATE_GONE;

	if (v->code < 300) /* no more than there are: the number is the provider's */
		s->txn.accepted -=
		    v->left_out < s->txn.accepted ? (unsigned)v->left_out : s->txn.accepted;
	log_left(s, v);
	if (!gone && v->code < 300)
		say_sent(s, v);
	else if (!gone)
		session_forward(s, v);
	txn_detach(s);
	txn_end(s, v->code, v, gone ? "the client had left" : NULL);
	if (gone)
		session_after_last_word(s);
	else
		session_resume(s);
}

void
content_on_done(struct session *s, const struct relay_verdict *v)
{
	struct txn *t = &s->txn;

	if (t->state == TXN_FINAL) {
		last_word(s, v);
		return;
	}
	if (s->state == STATE_GONE)
		return;
	txn_detach(s);
	txn_keep_early(s, v);
	if (t->content != NULL) {
		t->content->outcome = OUTCOME_SAID;
		pace_go_on(&s->pace, loop_patient(s->worker->loop));
		session_resume(s);
	} else {
		envelope_on_quota(s);
	}
}
