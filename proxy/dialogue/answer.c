/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer - all that a session says to its client, and in which order
 *
 * Replies leave in the order of the commands, each whole, none dropped:
 *
 * 1. There is always room. No command is begun, no content taken and no verdict on a recipient said
 *    unless session_has_room(): two replies fit, the one that is due and one more. A client that
 *    does not read its replies is therefore not listened to, nor are its octets read.
 * 2. Only verdicts on recipients come later than their command: they wait in the transaction's
 * list,
 *    and are said from its front. While one of them is unsaid (txn_has_unsaid), every other reply
 *    waits: a command that would be answered is kept in the input (KEEP), and the answer to DATA or
 *    BDAT stays in the transaction (TXN_ANSWERED). Only RCPT and DATA go upstream meanwhile.
 * 3. When there is room again (LOWAT), or the last verdict has come, envelope_say() says what
 * waits,
 *    then the answer to DATA or BDAT follows, or the command that was kept is taken again.
 * 4. A reply that ends the session (421, or 554 to who breaks the protocol) may take the place of
 *    those that are still out: behind it nothing follows.
 * 5. Without memory for its reply a session ends; it never goes on with one reply less.
 */
#include <assert.h>

#include "proxy/dialogue/dialogue.h"

bool
session_has_room(struct session *s)
{
	if (stream_room(&s->stream) >= 2 * REPLY_ROOM)
		return true;
	stream_want_lowat(&s->stream, SESSION_OUT_MAX / 4);
	return false;
}

/* Formats straight into the output buffer. */
static void
write_out(struct session *s, int code, struct enhanced e, struct slice words)
{
	size_t room = 0;
	char *mem = stream_space(&s->stream, REPLY_ROOM, &room);

	if (mem == NULL) {
		stream_fail(&s->stream, STREAM_NO_MEMORY);
		return;
	}
	struct text t = text_over(mem, room);

	reply_write(&t, code, e, words);
	stream_wrote(&s->stream, t.n);
}

/* What the log knows it by, and a refusal ends with (L12): the message in hand, or the session. */
static struct id
subject(const struct session *s)
{
	return txn_is_open(&s->txn) ? s->txn.id : s->id;
}

/* What leads from a refusal to the log (L12); before EHLO a 421 is no answer to anything. */
static bool
has_reference(const struct session *s, int code)
{
	return code >= 400 && (code != 421 || s->helo_n > 0) && s->lane->conf->refusals.reference;
}

static void
put_reference(struct text *t, struct id id)
{
	text_put(t, SLICE("\nid "));
	text_put(t, id_slice(&id));
}

/* ROW's words with what stands behind them. In a function of its own, as below: a room is cleared
 * when it is laid out, and most replies need none. */
static void
say_composed(struct session *s, const struct reply_row *row, struct slice more, bool ref,
    struct id id)
{
	char mem[REPLY_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, slice_str(row->text));
	if (more.n > 0)
		text_char(&t, ' ');
	text_put(&t, more);
	if (ref)
		put_reference(&t, id);
	write_out(s, row->code, row->enhanced, text_slice(&t));
}

/* The row that is about to be said, counted; what refuses is in the log by its id (L5). */
static const struct reply_row *
take_row(struct session *s, enum reply_id r)
{
	const struct reply_row *row = reply_row(r);
	struct worker *w = s->worker;
	struct log_line l;

	scoreboard_count(w->board, w->number, counter_of_reply(r), 1);
	if (row->bad) {
		s->bad_commands++;
		scoreboard_count(w->board, w->number, COUNTER_BAD_COMMANDS, 1);
	}
	if (row->code >= 400 && session_log(&l, s, LOG_DEBUG, "reply")) {
		log_str(&l, "reply", slice_str(row->name));
		log_u64(&l, "code", (uint64_t)row->code);
		log_end(&l);
	}
	return row;
}

void
session_reply(struct session *s, enum reply_id r)
{
	session_reply_more(s, r, SLICE(""));
}

void
session_reply_more(struct session *s, enum reply_id r, struct slice more)
{
	session_reply_about(s, r, more, subject(s));
}

void
session_reply_about(struct session *s, enum reply_id r, struct slice more, struct id id)
{
	const struct reply_row *row = take_row(s, r);
	bool ref = row->ref && has_reference(s, row->code);

	if (more.n > 0 || ref)
		say_composed(s, row, more, ref, id);
	else
		write_out(s, row->code, row->enhanced, slice_str(row->text));
}

bool
session_say_words(struct session *s, struct slice reply)
{
	if (stream_write(&s->stream, reply))
		return true;
	stream_fail(&s->stream, STREAM_NO_MEMORY);
	return false;
}

/* A client must never take an upstream's trouble for its own: not for a lost session, not for a
 * wrong password. */
static bool
may_be_forwarded(int code)
{
	return code >= 200 && code <= 599 && code / 100 != 3 && code != 421 && code != 530 &&
	    code != 534 && code != 535 && code != 538 && code != 454 && code != 432;
}

/* V's words, and the id behind them. */
static struct slice
with_reference(const struct session *s, const struct relay_verdict *v, struct text *t)
{
	text_put(t, v->text);
	put_reference(t, subject(s));
	return text_slice(t);
}

static void
forward_refusal(struct session *s, const struct relay_verdict *v)
{
	char mem[REPLY_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	write_out(s, v->code, v->enhanced, with_reference(s, v, &t));
}

void
session_forward(struct session *s, const struct relay_verdict *v)
{
	assert(may_be_forwarded(v->code));
	if (has_reference(s, v->code))
		forward_refusal(s, v);
	else
		write_out(s, v->code, v->enhanced, v->text);
}

static void
write_refusal(const struct session *s, const struct relay_verdict *v, struct text *out)
{
	char mem[REPLY_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	reply_write(out, v->code, v->enhanced, with_reference(s, v, &t));
}

struct slice
session_forward_later(struct session *s, const struct relay_verdict *v)
{
	char mem[REPLY_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	assert(may_be_forwarded(v->code));
	if (has_reference(s, v->code))
		write_refusal(s, v, &t);
	else
		reply_write(&t, v->code, v->enhanced, v->text);
	return arena_dup(&s->arena, text_slice(&t));
}

void
session_greet(struct session *s)
{
	char mem[400];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "%s ESMTP Byway %s", s->lane->conf->server.name, s->id.s);
	write_out(s, 220, (struct enhanced){ 0 }, text_slice(&t));
}

/* The smaller of two bounds of which 0 means none. */
static uint64_t
smaller(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* What the sender's usual route can carry, as far as its upstream has told; all of it before login
 * and before the first contact. */
static struct relay_offer
offer_of(const struct session *s)
{
	struct relay_offer all = { .eight_bit = true, .smtputf8 = true, .dsn = true };

	if (s->sender == NULL)
		return all;
	struct way way = account_route(&s->sender->account, sender_domain(s->sender));
	struct relay_offer o = relay_offers(s->worker->relay, way.profile);

	return o.known ? o : all;
}

void
session_say_ehlo(struct session *s)
{
	struct relay_offer o = offer_of(s);
	uint64_t size = s->lane->conf->limits.message_size;
	uint64_t recipients = 0;
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	if (s->sender != NULL) {
		size = smaller(size, s->sender->account.plan.size_max);
		recipients = smaller(s->sender->account.plan.recipients, o.recipients);
	}
	text_fmt(&t, "%s\nPIPELINING\nSIZE %llu\n", s->lane->conf->server.name,
	    (unsigned long long)smaller(size, o.size));
	/* 8-bit content is taken whatever the upstream offers: [upstream] eight_bit decides,
	 * about the content and not the wish. */
	text_put(&t, SLICE("8BITMIME\n"));
	if (o.smtputf8)
		text_put(&t, SLICE("SMTPUTF8\n"));
	if (o.dsn)
		text_put(&t, SLICE("DSN\n"));
	if (s->lane->listener->tls == LISTENER_STARTTLS && !s->secure)
		text_put(&t, SLICE("STARTTLS\n"));
	if (auth_is_offered(s))
		text_put(&t, SLICE("AUTH PLAIN LOGIN\n"));
	if (recipients > 0)
		text_fmt(&t, "LIMITS RCPTMAX=%llu\n", (unsigned long long)recipients);
	/* Last comes what nobody waits for: some clients look for "250-AUTH" and miss "250 AUTH"
	 * (P7). */
	text_put(&t, SLICE("ENHANCEDSTATUSCODES\nCHUNKING\n"));
	assert(!t.overflow);
	/* The last keyword ends the reply, not a line break. */
	write_out(s, 250, (struct enhanced){ 0 }, slice_head(text_slice(&t), t.n - 1));
}
