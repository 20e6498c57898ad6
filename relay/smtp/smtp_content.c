/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_content - content on its way out, dot-stuffed or in chunks
 */
#include "relay/smtp/smtp_step.h"

#include "wire/log.h"

#include <assert.h>

enum {
	ROOM_MARGIN = 64, /* for the end of the content, or a chunk's header */
	ROOM_MIN = 2048,  /* less is none: content goes in decent pieces */
	ROOM_LOW =
	    /* an owner may keep some of the room in reserve: from here on it hears when there is
	     * more */
	8192,
};

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

/* The end of the turn: what has been gathered leaves. Where the end of the content is known
 * already, it leaves with that. */
static void
on_chunk(struct task *t)
{
	struct smtp *c = LINKED(t, struct smtp, task);

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
	if (!c->offer.eight_bit && c->up->r->conf->upstream.eight_bit == EIGHT_BIT_REFUSE &&
	    !is_7bit(octets))
		return VERDICT_NO_8BIT;
	c->octets += octets.n;
	if (pool_size_max(c->up) && c->octets > pool_size_max(c->up))
		return VERDICT_SIZE;
	if (!(c->chunked ? gather(c, octets) : encode(c, octets)))
		return VERDICT_NO_MEMORY; /* the room was there */
	if (smtp_room(c) < ROOM_LOW) {
		if (!c->unanswered)
			stream_deadline(&c->s, smtp_limit_s(c, STEP_BODY));
		stream_want_lowat(&c->s, SMTP_OUT_LOW);
	}
	return VERDICT_OK;
}

enum step
smtp_early(struct smtp *c, const struct reply *r)
{
	struct relay_txn *t = c->txn;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	enum verdict_class class = verdict_class_of(c->up->kin, PHASE_DOT, r);

	if (r->code < 400)
		return smtp_fail(c, VERDICT_PROTOCOL, r, "an answer that nobody waits for");
	smtp_log(c, LOG_NOTICE, "early reply", r, NULL);

	struct relay_verdict v = smtp_verdict(c, class, r, &words);

	pool_heard(c->up, class, r, "", false);

	c->txn = NULL;
	smtp_cut(c);
	if (t)
		transaction_done(t, &v);
	return STEP_GONE;
}
