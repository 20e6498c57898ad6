/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp - the machine: cursors, answers, ends
 */
#include "relay/smtp_step.h"

#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
	IN_MAX = BUF_LARGE, /* a whole reply fits */
	OUT_MAX = BUF_LARGE,
	OUT_LOW = OUT_MAX / 4,
	GATHER_MAX = BUF_LARGE / 2,
	UNANSWERED_MAX = 1000,
	ROOM_MARGIN = 64, /* for the end of the content, or a chunk's header */
	ROOM_MIN = 2048,  /* less is none: content goes in decent pieces */
};

struct row {
	send_fn *send;
	got_fn *got;
	size_t limit; /* offset in struct conf */
	enum phase phase;
	bool piped;
	const char *doing;
};

static const struct row rows[STEP_COUNT] = {
#define STEP(id, limit_s, ph, pipe, what, send_, got_)            \
	[STEP_##id] = {                                           \
		.send = send_,                                    \
		.got = got_,                                      \
		.limit = offsetof(struct conf, upstream.limit_s), \
		.phase = PHASE_##ph,                              \
		.piped = pipe,                                    \
		.doing = what,                                    \
	},
#include "relay/step.def"
#undef STEP
};

static struct smtp *
of_task(struct task *t)
{
	return LINKED(t, struct smtp, task);
}

static double
limit_s(const struct smtp *c, enum step step)
{
	const char *conf = (const char *)c->up->r->conf;
	unsigned s = *(const unsigned *)(const void *)(conf + rows[step].limit);

	return s ? s : 1;
}

enum phase
smtp_phase(enum step step)
{
	return rows[step].phase;
}

const char *
smtp_doing(const struct smtp *c)
{
	enum step at = c->unanswered || c->sending == STEP_WAIT ? c->answering : c->sending;

	if (c->content && !c->ended)
		at = STEP_BODY;
	return rows[at].doing;
}

void
smtp_log(const struct smtp *c, enum log_level level, const char *what, const struct reply *r,
    const char *why)
{
	struct log_line l;
	char mem[VERDICT_WORDS_MAX + 8];
	struct text t = text_over(mem, sizeof(mem));
	struct slice id = c->txn ? c->txn->id : SLICE("");

	if (!log_begin(&l, level, "upstream", id, slice_str(smtp_doing(c))))
		return;
	log_str(&l, "what", slice_str(what));
	log_str(&l, "route", slice_str(c->up->route));
	log_str(&l, "peer", slice_str(c->peer));
	if (why)
		log_str(&l, "why", slice_str(why));
	if (r) {
		text_u64(&t, (uint64_t)r->code);
		text_char(&t, ' ');
		reply_flatten(&t, r, VERDICT_WORDS_MAX);
		log_str(&l, "said", text_slice(&t));
	}
	log_u64(&l, "messages", c->messages);
	log_end(&l);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void
bury(struct grave *g)
{
	free(g);
}

void
smtp_cut(struct smtp *c)
{
	if (c->gone)
		return;
	assert(!c->txn);
	c->gone = true;
	c->sending = STEP_GONE;
	resolve_forget(&c->ask);
	loop_cancel(c->up->r->loop, &c->task);
	stream_close(&c->s);
	buf_fini(&c->gather);
	c->grave.free_fn = bury;
	loop_bury(c->up->r->loop, &c->grave);
	pool_gone(c);
}

static void
on_gone(void *owner)
{
	smtp_cut(owner);
}

enum step
smtp_fail(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	struct relay_txn *t = c->txn;
	struct upstream *u = pool_ref(c->up);
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	struct relay_verdict v = verdict_make(class, r, slice_str(u->username), &words);
	bool was_ready = c->ready;
	bool check = c->check;
	/* Closed, or sent away, after it had been idle: that says nothing about the message. */
	bool stale = c->reused && !c->content && (r ? r->code == 421 : c->s.error != STREAM_OK);
	bool quiet = c->ready && (!t || stale);

	smtp_log(c, quiet ? LOG_DEBUG : LOG_NOTICE, verdict_word(class), r, why);
	c->txn = NULL;
	smtp_cut(c);
	if (!was_ready)
		pool_failed(u, check, &v);
	else if (t)
		errand_lost(t, &v, stale);
	pool_unref(u);
	return STEP_GONE;
}

void
smtp_quit(struct smtp *c)
{
	assert(!c->txn && c->unanswered == 0);
	c->quitting = true;
	c->sending = STEP_QUIT;
	pool_move(c, &c->up->dying);
	smtp_pump(c);
}

enum step
send_quit(struct smtp *c)
{
	if (!stream_write(&c->s, SLICE("QUIT\r\n")))
		return STEP_GONE;
	stream_finish(&c->s, on_gone);
	return STEP_GONE;
}

/* ---- sending ------------------------------------------------------------------------------------ */

void
smtp_expect(struct smtp *c, enum step step)
{
	if (c->unanswered++ > 0)
		return;
	c->answering = step;
	stream_deadline(&c->s, limit_s(c, step));
}

void
smtp_say(struct smtp *c, struct slice line)
{
	bool fits = stream_write(&c->s, line);

	assert(fits); /* may_send() saw to the room, the envelope's limits to the length */
	(void)fits;
	smtp_expect(c, c->sending);
}

static bool
may_send(struct smtp *c)
{
	const struct row *row = &rows[c->sending];

	if (!row->send)
		return false;
	if (c->unanswered && !(row->piped && c->offer.pipelining))
		return false;
	if (c->unanswered >= UNANSWERED_MAX)
		return false;
	if (c->sending != STEP_BODY && stream_room(&c->s) < COMMAND_ROOM) {
		stream_want_lowat(&c->s, OUT_LOW);
		return false;
	}
	return true;
}

void
smtp_pump(struct smtp *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	while (!c->gone && may_send(c)) {
		enum step was = c->sending;
		unsigned before = c->unanswered;
		enum step next = rows[was].send(c);

		if (c->gone)
			break;
		c->sending = next;
		if (next == was && c->unanswered == before)
			break;
	}
	c->pumping = false;
}

/* ---- content ------------------------------------------------------------------------------------ */

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t
smtp_room(const struct smtp *c)
{
	size_t room = stream_room(&c->s);
	size_t gathered = buf_used(&c->gather);
	size_t n;

	if (room < gathered + ROOM_MARGIN)
		return 0;
	n = room - gathered - ROOM_MARGIN;
	n = c->chunked ? min_size(n, buf_room(&c->gather)) : n / 2;
	return n < ROOM_MIN ? 0 : n;
}

void
smtp_chunk(struct smtp *c, bool last)
{
	char mem[ROOM_MARGIN];
	struct text head = text_over(mem, sizeof(mem));
	struct slice chunk = buf_data(&c->gather);

	text_put(&head, SLICE("BDAT "));
	text_u64(&head, chunk.n);
	text_put(&head, last ? SLICE(" LAST\r\n") : SLICE("\r\n"));

	bool fits = stream_write(&c->s, text_slice(&head)) && stream_write(&c->s, chunk);

	assert(fits); /* smtp_room() left room for both */
	(void)fits;
	buf_clear(&c->gather, false);
	if (!last)
		c->chunks_out++;
	c->ended = last;
	smtp_expect(c, last ? STEP_DOT : STEP_BDAT);
}

/* The end of the turn: what has been gathered leaves. Where the end of the content is known already, it leaves with that. */
static void
on_chunk(struct task *t)
{
	struct smtp *c = of_task(t);

	if (c->txn && !c->txn->finish && c->content && !c->ended && buf_used(&c->gather))
		smtp_chunk(c, false);
}

static bool
is_7bit(struct slice s)
{
	size_t i = 0;

	for (; i + sizeof(uint64_t) <= s.n; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, s.p + i, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			return false;
	}
	for (; i < s.n; i++)
		if (s.p[i] & 0x80)
			return false;
	return true;
}

static bool
gather(struct smtp *c, struct slice octets)
{
	if (!buf_put(&c->gather, octets))
		return false;
	if (buf_room(&c->gather) < ROOM_MIN) {
		smtp_chunk(c, false);
		return true;
	}
	c->task.fn = on_chunk;
	loop_defer(c->up->r->loop, &c->task);
	return true;
}

static bool
encode(struct smtp *c, struct slice octets)
{
	size_t n;
	char *at = stream_space(&c->s, 2 * octets.n, &n);

	if (!at)
		return false;
	stream_wrote(&c->s, dots_encode(&c->dots, octets, at));
	return true;
}

enum verdict_class
smtp_content(struct smtp *c, struct slice octets)
{
	if (octets.n == 0 || c->gone)
		return VERDICT_OK;
	if (!c->offer.eight_bit && !is_7bit(octets))
		return VERDICT_NO_8BIT;
	if (!(c->chunked ? gather(c, octets) : encode(c, octets)))
		return VERDICT_NO_MEMORY; /* the room was there */
	if (smtp_room(c) == 0) {
		if (!c->unanswered)
			stream_deadline(&c->s, limit_s(c, STEP_BODY));
		stream_want_lowat(&c->s, OUT_LOW);
	}
	return VERDICT_OK;
}

enum step
smtp_early(struct smtp *c, const struct reply *r)
{
	struct relay_txn *t = c->txn;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	enum verdict_class class = verdict_class_of(c->up->provider, PHASE_DOT, r);

	if (r->code < 400)
		return smtp_fail(c, VERDICT_PROTOCOL, r, "an answer that nobody waits for");
	smtp_log(c, LOG_NOTICE, "early reply", r, NULL);

	struct relay_verdict v = verdict_make(class, r, slice_str(c->up->username), &words);

	c->txn = NULL;
	smtp_cut(c);
	if (t)
		errand_done(t, &v);
	return STEP_GONE;
}

/* ---- answers ------------------------------------------------------------------------------------ */

static void
unexpected(struct smtp *c, const struct reply *r)
{
	if (c->content)
		smtp_early(c, r);
	else if (r->code == 421)
		smtp_fail(c, verdict_class_of(c->up->provider, PHASE_MAIL, r), r, NULL);
	else
		smtp_fail(c, VERDICT_PROTOCOL, r, "an answer that nobody waits for");
}

static void
take(struct smtp *c, const struct reply *r)
{
	enum step step = c->answering;

	c->used = loop_now(c->up->r->loop);
	if (!c->unanswered) {
		unexpected(c, r);
		return;
	}
	if (r->code == 421 && c->ready && !c->content) {
		smtp_fail(c, verdict_class_of(c->up->provider, rows[step].phase, r), r, NULL);
		return;
	}
	c->unanswered--;

	enum step next = rows[step].got(c, r);

	if (c->gone)
		return;
	c->answering = next;
	if (c->sending == STEP_WAIT && c->unanswered == 0)
		c->sending = next;
	if (c->unanswered)
		stream_deadline(&c->s, limit_s(c, next));
	else if (!c->content || smtp_room(c))
		stream_deadline(&c->s, 0); /* else content waits for room already */
}

static void
fault(struct smtp *c)
{
	smtp_fail(c, c->ended ? VERDICT_UNKNOWN : VERDICT_PROTOCOL, NULL, "not an SMTP reply");
}

static void
hear(struct smtp *c)
{
	struct reply r;
	size_t used;

	c->pumping = true;
	while (!c->gone && stream_in(&c->s).n) {
		enum reply_got got = reply_parse(stream_in(&c->s), &r, &used);

		if (got == REPLY_FAULT || (got == REPLY_MORE && buf_room(&c->s.in) == 0)) {
			fault(c);
			return;
		}
		if (got == REPLY_MORE)
			break;
		take(c, &r);
		if (c->gone)
			return;
		stream_consume(&c->s, used);
	}
	c->pumping = false;
	smtp_pump(c);
}

static void
on_closed(struct smtp *c)
{
	const char *why = stream_why(&c->s);

	if (c->answering == STEP_CONNECT)
		smtp_not_connected(c, why);
	else if (c->answering == STEP_TLS)
		smtp_fail(c, VERDICT_TLS, NULL, why);
	else
		smtp_fail(c, c->ended ? VERDICT_UNKNOWN : VERDICT_LOST, NULL, why);
}

static void
on_timeout(struct smtp *c)
{
	if (c->answering == STEP_CONNECT && c->unanswered)
		smtp_not_connected(c, "timed out");
	else if (c->answering == STEP_TLS && c->unanswered)
		smtp_fail(c, VERDICT_TLS, NULL, "timed out");
	else if (c->ready && !c->txn && !c->unanswered)
		smtp_quit(c);
	else
		smtp_fail(c, c->ended ? VERDICT_UNKNOWN : VERDICT_LOST, NULL, "timed out");
}

static void
on_lowat(struct smtp *c)
{
	if (c->content && !c->ended) {
		if (!c->unanswered)
			stream_deadline(&c->s, 0);
		if (c->txn && smtp_room(c))
			errand_room(c->txn);
		else
			stream_want_lowat(&c->s, 0);
	}
	smtp_pump(c);
}

static void
on_stream(void *owner, enum stream_event event)
{
	struct smtp *c = owner;

	switch (event) {
	case STREAM_CONNECTED:
		smtp_connected(c);
		break;
	case STREAM_SECURED:
		smtp_secured(c);
		break;
	case STREAM_DATA:
		hear(c);
		break;
	case STREAM_LOWAT:
		on_lowat(c);
		break;
	case STREAM_TIMEOUT:
		on_timeout(c);
		break;
	case STREAM_CLOSED:
		on_closed(c);
		break;
	}
}

/* ---- life --------------------------------------------------------------------------------------- */

struct smtp *
smtp_open(struct upstream *u, bool check)
{
	struct smtp *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->up = u;
	c->check = check;
	c->sending = STEP_WAIT;
	c->answering = STEP_RESOLVE;
	c->conf_revision = u->r->conf->revision;
	c->born = loop_now(u->r->loop);
	c->used = c->born;
	stream_init(&c->s, u->r->loop, IN_MAX, OUT_MAX, on_stream, c);
	buf_init(&c->gather, GATHER_MAX);
	c->task.fn = smtp_begin;
	loop_defer(u->r->loop, &c->task);
	return c;
}

void
smtp_lease(struct smtp *c, struct relay_txn *t)
{
	assert(c->ready && !c->txn && !c->gone);
	c->txn = t;
	c->introduced = false;
	stream_deadline(&c->s, 0);
	smtp_pump(c);
}

void
smtp_let_go(struct smtp *c)
{
	c->txn = NULL;
	if (c->content) {
		smtp_cut(c);
		return;
	}
	if (c->sending != STEP_WAIT)
		c->sending = c->begun ? STEP_RSET : STEP_READY;
	smtp_pump(c);
}
