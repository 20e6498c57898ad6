/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_mail - the steps of one transaction: MAIL to the final dot, and RSET
 */
#include "relay/smtp/smtp_step.h"

#include "wire/log.h"

enum { SIZE_MARGIN = 1024 }; /* what our own header fields may add */

static struct relay_verdict
verdict_of(const struct smtp *c, enum phase phase, const struct reply *r, struct text *mem)
{
	enum verdict_class class = verdict_class_of(c->up->kin, phase, r);

	/* X.1.X and X.2.X are about the recipient, also where it is a rate. */
	bool theirs = phase == PHASE_RCPT && (r->enhanced.subject == 1 || r->enhanced.subject == 2);

	if ((phase == PHASE_DOT || class != VERDICT_OK) && !theirs)
		pool_heard(c->up, class, r, "", false);
	return smtp_verdict(c, class, r, mem);
}

/* The transaction has no more to do with this connection. What is to be sent next. */
static enum step
leave(struct smtp *c)
{
	c->txn = NULL;
	return c->begun ? STEP_RSET : STEP_READY;
}

/* Answers to RCPT come before the one to DATA. */
static enum step
after_rcpt(const struct smtp *c)
{
	return c->rcpts_out ? STEP_RCPT : STEP_DATA;
}

static bool
is_good(const struct reply *r)
{
	return r->code >= 200 && r->code < 300;
}

/* The connection has had its share of messages: another one takes this, as after a 421. */
static bool
is_spent(const struct smtp *c, enum phase phase, const struct reply *r)
{
	return verdict_class_of(c->up->kin, phase, r) == VERDICT_RECONNECT;
}

/* ---- ready ----------------------------------------------------------------------------------- */

enum step
send_ready(struct smtp *c)
{
	if (!c->ready)
		pool_ready(c);
	else if (!c->txn && c->at == &c->up->leased)
		pool_back(c);
	if (c->gone)
		return STEP_GONE;
	if (c->quitting)
		return STEP_QUIT;
	if (!c->txn)
		return STEP_READY;
	if (c->up->xclient && c->offer.xclient && !c->introduced)
		return STEP_XCLIENT;
	return STEP_MAIL;
}

/* ---- MAIL ------------------------------------------------------------------------------------ */

/* The smaller of what it offers and what is known of it. */
static uint64_t
size_max(const struct smtp *c)
{
	uint64_t known = pool_size_max(c->up);
	uint64_t told = c->offer.size_max;

	if (known && (!told || known < told))
		return known;
	return told ? told : UINT64_MAX;
}

/* What is known of it; one that has only told a number (LIMITS) speaks for itself. */
static uint64_t
recipients_max(const struct smtp *c)
{
	uint64_t known = pool_recipients_max(c->up);

	return known ? known : UINT64_MAX;
}

/* What this upstream cannot do is refused before a word is said. */
static enum verdict_class
fit_mail(const struct smtp *c, const struct relay_txn *t)
{
	if (t->utf8_sender && !c->offer.smtputf8)
		return VERDICT_NO_SMTPUTF8;
	if (t->has_size && t->size > size_max(c))
		return VERDICT_SIZE;
	return VERDICT_OK;
}

static enum step
refuse(struct smtp *c, enum verdict_class class)
{
	struct relay_verdict v = transaction_verdict(class);
	struct relay_txn *t = c->txn;
	enum step next = leave(c);

	transaction_refused(t, &v);
	return next;
}

enum step
send_mail(struct smtp *c)
{
	struct relay_txn *t = c->txn;
	char mem[COMMAND_ROOM];
	struct text line = text_over(mem, sizeof(mem));

	if (!t)
		return leave(c);
	if (!t->first && !t->data)
		return STEP_MAIL;

	enum verdict_class fit = fit_mail(c, t);

	if (fit != VERDICT_OK)
		return refuse(c, fit);
	text_put(&line, t->line);
	if (t->has_size && c->offer.size) {
		text_put(&line, SLICE(" SIZE="));
		text_u64(&line, t->size + SIZE_MARGIN);
	}
	if (t->eight_bit && c->offer.eight_bit)
		text_put(&line, SLICE(" BODY=8BITMIME"));
	if ((t->smtputf8 || t->utf8_sender) && c->offer.smtputf8)
		text_put(&line, SLICE(" SMTPUTF8"));
	if (c->offer.dsn)
		text_put(&line, t->dsn);
	text_put(&line, SLICE("\r\n"));
	if (line.overflow)
		return refuse(c, VERDICT_INTERNAL);
	smtp_say(c, text_slice(&line));
	c->begun = true;
	return STEP_RCPT;
}

enum step
got_mail(struct smtp *c, const struct reply *r)
{
	struct relay_txn *t = c->txn;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));

	if (is_good(r))
		return after_rcpt(c);
	if (r->code < 400)
		return smtp_fail(c, VERDICT_PROTOCOL, r, "3xx to MAIL");
	if (is_spent(c, PHASE_MAIL, r))
		return smtp_fail(c, VERDICT_RECONNECT, r, NULL);
	/* Nothing has begun; answers to what was sent behind MAIL are still read. */
	c->begun = false;
	c->txn = NULL;
	if (c->sending != STEP_WAIT)
		c->sending = STEP_READY;
	smtp_log(c, LOG_INFO, "refused", r, NULL);
	if (t) {
		struct relay_verdict v = verdict_of(c, PHASE_MAIL, r, &words);

		transaction_refused(t, &v);
	}
	return after_rcpt(c);
}

/* ---- RCPT ------------------------------------------------------------------------------------ */

static enum verdict_class
fit_rcpt(const struct smtp *c, const struct rcpt *rcpt)
{
	if (c->txn->accepted >= recipients_max(c))
		return VERDICT_TOO_MANY_RCPT;
	if (rcpt->utf8 && !c->offer.smtputf8)
		return VERDICT_NO_SMTPUTF8;
	if (rcpt->notify & (NOTIFY_SUCCESS | NOTIFY_NEVER) && !c->offer.dsn)
		return VERDICT_NO_DSN;
	return VERDICT_OK;
}

enum step
send_rcpt(struct smtp *c)
{
	struct relay_txn *t = c->txn;
	struct rcpt *rcpt;
	char mem[COMMAND_ROOM];
	struct text line = text_over(mem, sizeof(mem));

	if (!t)
		return leave(c);
	/* Whether there is room for one more is not known before these are answered. */
	if (c->rcpts_out && t->accepted + c->rcpts_out >= recipients_max(c) &&
	    transaction_next_rcpt(t))
		return STEP_RCPT;
	while ((rcpt = transaction_next_rcpt(t)) != NULL) {
		rcpt->here = fit_rcpt(c, rcpt);
		if (rcpt->here == VERDICT_OK)
			break;
		transaction_sent(t);
		if (c->txn != t)
			return leave(c);
	}
	if (!rcpt)
		return t->data ? STEP_DATA : STEP_RCPT;
	text_put(&line, rcpt->line);
	if (c->offer.dsn)
		text_put(&line, rcpt->dsn);
	text_put(&line, SLICE("\r\n"));
	c->rcpts_out++;
	smtp_say(c, text_slice(&line));
	transaction_sent(t);
	return STEP_RCPT;
}

enum step
got_rcpt(struct smtp *c, const struct reply *r)
{
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));

	c->rcpts_out--;
	if (r->code >= 300 && r->code < 400)
		return smtp_fail(c, VERDICT_PROTOCOL, r, "3xx to RCPT");
	if (is_spent(c, PHASE_RCPT, r))
		return smtp_fail(c, VERDICT_RECONNECT, r, NULL);
	if (c->txn) {
		struct relay_verdict v = verdict_of(c, PHASE_RCPT, r, &words);

		transaction_rcpt_answer(c->txn, &v);
	}
	return after_rcpt(c);
}

/* ---- DATA, BDAT ------------------------------------------------------------------------------ */

/* Content may flow. BDAT needs no go-ahead: ours is as good. */
static enum step
go(struct smtp *c, bool chunked)
{
	struct relay_verdict v = transaction_verdict(VERDICT_GO);

	c->content = true;
	c->chunked = chunked;
	c->ended = false;
	c->octets = 0;
	dots_encode_init(&c->dots);
	transaction_go(c->txn, &v);
	return STEP_BODY;
}

enum step
send_data(struct smtp *c)
{
	struct relay_txn *t = c->txn;
	bool chunked =
	    c->offer.chunking && c->offer.pipelining && c->up->r->conf->upstream.chunking;

	if (!t)
		return leave(c);
	if (c->rcpts_out == 0 && t->accepted == 0)
		return refuse(c, VERDICT_NO_VALID_RCPT);
	if (chunked)
		return c->unanswered ? STEP_DATA : go(c, true);
	smtp_say(c, SLICE("DATA\r\n"));
	return STEP_WAIT;
}

enum step
got_data(struct smtp *c, const struct reply *r)
{
	struct relay_txn *t = c->txn;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	bool wanted = t && t->accepted > 0;

	if (r->code == 354 && wanted)
		return go(c, false);
	if (r->code == 354) {
		/* It asks for a message that has no recipients, or no sender any more: it gets
		 * none. */
		c->txn = NULL;
		smtp_cut(c);
		if (t) {
			struct relay_verdict v = transaction_verdict(VERDICT_NO_VALID_RCPT);

			transaction_refused(t, &v);
		}
		return STEP_GONE;
	}
	if (r->code < 400)
		return smtp_fail(c, VERDICT_PROTOCOL, r, "neither 354 nor a refusal to DATA");

	enum step next = leave(c);

	if (t) {
		struct relay_verdict v = wanted ? verdict_of(c, PHASE_DATA, r, &words)
		                                : transaction_verdict(VERDICT_NO_VALID_RCPT);

		transaction_refused(t, &v);
	}
	return next;
}

/* ---- content and its end --------------------------------------------------------------------- */

enum step
send_body(struct smtp *c)
{
	char *at;
	size_t n;

	if (!c->txn || !c->txn->finish)
		return STEP_BODY;
	if (c->chunked) {
		smtp_chunk(c, true);
		return STEP_WAIT;
	}
	at = stream_space(&c->s, 5, &n);
	if (!at)
		return smtp_fail(c, VERDICT_LOST, NULL, "out of memory");
	stream_wrote(&c->s, dots_encode_finish(&c->dots, at));
	c->ended = true;
	smtp_expect(c, STEP_DOT);
	return STEP_WAIT;
}

enum step
got_bdat(struct smtp *c, const struct reply *r)
{
	c->chunks_out--;
	if (!is_good(r))
		return smtp_early(c, r);
	return c->chunks_out ? STEP_BDAT : STEP_DOT;
}

enum step
got_dot(struct smtp *c, const struct reply *r)
{
	struct relay_txn *t = c->txn;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));

	if (r->code >= 300 && r->code < 400)
		return smtp_fail(c, VERDICT_UNKNOWN, NULL, "3xx after the end of the content");

	struct relay_verdict v = verdict_of(c, PHASE_DOT, r, &words);

	c->txn = NULL;
	c->content = false;
	c->ended = false;
	c->begun = false;
	if (is_good(r)) {
		c->messages++;
		c->up->r->messages++;
	}
	if (t)
		transaction_done(t, &v);
	if (r->code != 421 && v.class != VERDICT_RECONNECT)
		return STEP_READY;
	smtp_cut(c);
	return STEP_GONE;
}

/* ---- RSET ------------------------------------------------------------------------------------ */

enum step
send_rset(struct smtp *c)
{
	smtp_say(c, SLICE("RSET\r\n"));
	c->begun = false;
	return STEP_WAIT;
}

enum step
got_rset(struct smtp *c, const struct reply *r)
{
	if (!is_good(r))
		return smtp_fail(c, VERDICT_LOST, r, "RSET refused");
	return STEP_READY;
}
