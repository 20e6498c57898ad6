/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp - the machine: cursors, answers, ends
 */
#include "relay/smtp/smtp_step.h"

#include "relay/observer.h"

#include "wire/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
	IN_MAX = BUF_LARGE, /* a whole reply fits */
	GATHER_MAX = BUF_LARGE / 2,
	UNANSWERED_MAX = 1000,
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
#include "relay/smtp/step.def"
#undef STEP
};

double
smtp_limit_s(const struct smtp *c, enum step step)
{
	const char *conf = (const char *)c->up->r->conf;
	unsigned s = *(const unsigned *)(const void *)(conf + rows[step].limit);

	return s ? s : 1;
}

/* "sending RCPT": for the log. */
static const char *
doing(const struct smtp *c)
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
	char mem[VERDICT_TEXT_MAX];
	struct text t = text_over(mem, sizeof(mem));
	struct slice id = c->txn ? c->txn->id : SLICE("");
	uint64_t again = 0;

	/* Trouble is told once a minute; a new connection is none. */
	if (level > LOG_DEBUG && strcmp(what, "ready") != 0 && !pool_may_say(c->up, what, &again))
		return;
	if (!log_begin(&l, level, "upstream", id, slice_str(doing(c))))
		return;
	log_str(&l, "what", slice_str(what));
	log_str(&l, "route", slice_str(c->up->route));
	log_str(&l, "peer", slice_str(c->peer));
	if (why)
		log_str(&l, "why", slice_str(why));
	if (r) {
		verdict_said(&t, r, SLICE(""));
		log_str(&l, "said", text_slice(&t));
	}
	log_u64(&l, "messages", c->messages);
	if (again)
		log_u64(&l, "again", again);
	log_end(&l);
}

bool
smtp_in_auth(const struct smtp *c)
{
	return rows[c->answering].phase == PHASE_AUTH;
}

/* ---- ends ------------------------------------------------------------------------------------ */

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
	smtp_dial_free(c);
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

struct relay_verdict
smtp_verdict(const struct smtp *c, enum verdict_class class, const struct reply *r,
    struct text *mem)
{
	struct relay_verdict v = verdict_make(class, r, slice_str(c->up->username), mem);

	return c->up->refuse_quota ? verdict_refuse_quota(v) : v;
}

/* It was idle, or has served its share, and is over: that says nothing about the message. */
static bool
is_stale(const struct smtp *c, enum verdict_class class, const struct reply *r)
{
	if (c->content)
		return false;
	if (class == VERDICT_RECONNECT) {
		shape_learn_messages(&c->up->shaping, c->messages);
		return true;
	}
	return c->reused &&
	    (r ? r->code == 421 && verdict_is_goodbye(class) : c->s.error != STREAM_OK);
}

static void
watch_failed(const struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	const struct watch *w = c->up->r->watch;
	const struct watch_news news = {
		.event = WATCH_FAILED,
		.c = c,
		.r = r,
		.text = slice_str(why),
		.class = class,
	};

	if (w)
		w->fn(w->ctx, &news);
}

static void
tell_failed(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	struct relay_txn *t = c->txn;
	struct upstream *u = pool_ref(c->up);
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	struct relay_verdict v = smtp_verdict(c, class, r, &words);
	bool was_ready = c->ready;
	bool check = c->check;
	bool stale = is_stale(c, class, r);
	bool quiet = c->ready && (!t || stale);

	watch_failed(c, class, r, why);
	if (!quiet)
		pool_heard(u, class, r, why ? why : verdict_word(class), !was_ready);
	smtp_log(c, quiet ? LOG_DEBUG : LOG_NOTICE, verdict_word(class), r, why);
	c->txn = NULL;
	smtp_cut(c);
	if (!was_ready)
		pool_failed(u, check, &v);
	else if (t)
		transaction_lost(t, &v, stale);
	pool_unref(u);
}

enum step
smtp_fail(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	struct reply kept;

	if (smtp_move_on(c, class, r, why)) {
		smtp_cut(c);
		return STEP_GONE;
	}
	(void)smtp_recall(c, &class, &r, &why, &kept);
	tell_failed(c, class, r, why);
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

/* ---- sending --------------------------------------------------------------------------------- */

void
smtp_expect(struct smtp *c, enum step step)
{
	if (c->unanswered++ > 0)
		return;
	c->answering = step;
	stream_deadline(&c->s, smtp_patience_s(c, step));
}

void
watch_tell(const struct smtp *c, enum watch_event event, const struct reply *r, struct slice text)
{
	const struct watch *w = c->up->r->watch;
	const struct watch_news news = { .event = event, .c = c, .r = r, .text = text };

	if (w)
		w->fn(w->ctx, &news);
}

void
smtp_say(struct smtp *c, struct slice line)
{
	watch_tell(c, WATCH_SENT, NULL, line);

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
		stream_want_lowat(&c->s, SMTP_OUT_LOW);
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

/* ---- answers --------------------------------------------------------------------------------- */

static void
unexpected(struct smtp *c, const struct reply *r)
{
	if (c->content)
		smtp_early(c, r);
	else if (r->code == 421)
		smtp_fail(c, verdict_class_of(c->up->kin, PHASE_MAIL, r), r, NULL);
	else
		smtp_fail(c, VERDICT_PROTOCOL, r, "an answer that nobody waits for");
}

static void
take(struct smtp *c, const struct reply *r)
{
	enum step step = c->answering;

	c->used = loop_now(c->up->r->loop);
	watch_tell(c, WATCH_HEARD, r, SLICE(""));
	if (!c->unanswered) {
		unexpected(c, r);
		return;
	}
	if (r->code == 421 && c->ready && !c->content) {
		smtp_fail(c, verdict_class_of(c->up->kin, rows[step].phase, r), r, NULL);
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
		stream_deadline(&c->s, smtp_patience_s(c, next));
	else if (!c->content || !c->s.lowat)
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
		enum reply_got got = reply_parse(&c->scan, stream_in(&c->s), &r, &used);

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

	if (c->s.error == STREAM_NO_MEMORY && !c->content)
		smtp_fail(c, VERDICT_NO_MEMORY, NULL, why);
	else if (c->answering == STEP_TLS)
		smtp_fail(c, VERDICT_TLS, NULL, why);
	else
		smtp_fail(c, c->ended ? VERDICT_UNKNOWN : VERDICT_LOST, NULL, why);
}

static void
on_timeout(struct smtp *c)
{
	if (c->answering == STEP_TLS && c->unanswered)
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
			transaction_room(c->txn);
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

/* ---- life ------------------------------------------------------------------------------------ */

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
	stream_init(&c->s, u->r->loop, IN_MAX, SMTP_OUT_MAX, on_stream, c);
	buf_init(&c->gather, GATHER_MAX);
	c->task.fn = smtp_begin;
	loop_defer(u->r->loop, &c->task);
	return c;
}

void
smtp_lease(struct smtp *c, struct relay_txn *t)
{
	assert(c->ready && !c->txn && !c->gone);
	watch_tell(c, WATCH_READY, NULL, SLICE(""));
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
