/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk - BDAT (RFC 3030): the command, the octets of a chunk, the answer to it
 *
 * The octets of a chunk are on their way whatever we say to the command: a refused chunk is
 * swallowed first (STATE_SWALLOW), then its refusal is said. A refusal ends the transaction at once
 * (RFC 3030 2, BEHAVIOUR L10), so that a later chunk cannot complete half a message; every BDAT,
 * RCPT or DATA behind it finds no transaction.
 */
#include "proxy/dialogue/dialogue.h"

static enum verdict
swallow(struct session *s, const struct quota_refusal *no, struct id about)
{
	s->chunk.refused = *no;
	s->chunk.about = about;
	pace_begin(&s->pace, loop_patient(s->worker->loop));
	session_enter(s, STATE_SWALLOW);
	return DONE;
}

/* Outside a transaction. */
static enum verdict
refuse(struct session *s, enum reply_id r)
{
	const struct quota_refusal no = { .say = r };

	return swallow(s, &no, s->id);
}

static enum verdict
refuse_message(struct session *s, enum reply_id r)
{
	const struct quota_refusal no = { .say = r };
	struct id about = s->txn.id;

	txn_refuse(s, r);
	return swallow(s, &no, about);
}

static enum verdict
refuse_limit(struct session *s)
{
	struct quota_refusal no = envelope_limit(s);
	struct id about = s->txn.id;

	txn_refuse(s, no.say);
	return swallow(s, &no, about);
}

/* Content may come, or what the upstream said instead waits for the end of the chunk. */
static enum verdict
begin(struct session *s)
{
	if (!content_begin(s, true))
		return refuse_message(s, SAY_NO_MEMORY);
	session_enter(s, STATE_CHUNK);
	return DONE;
}

/* The first chunk of a transaction asks the relay for the go-ahead. */
static enum verdict
first(struct session *s)
{
	struct txn *t = &s->txn;
	enum reply_id no = envelope_check(t);

	if (no == SAY_OK)
		return KEEP;
	if (no != SAY_NONE)
		return refuse_message(s, no);
	if (txn_has_early(t))
		return begin(s);
	enum quota_state q = envelope_claim(s);

	if (q == QUOTA_WAIT && !quota_is_likely(t->ticket))
		return KEEP;
	if (q == QUOTA_NO)
		return refuse_limit(s);
	t->chunked = true;
	envelope_ask(s);
	return WAIT;
}

enum verdict
do_bdat(struct session *s, struct slice args)
{
	uint64_t size;
	bool last;

	if (!bdat_parse(args, &size, &last)) /* how many octets follow is anyone's guess */
		return session_end(s, CLOSE_PIPELINING, SAY_SYNTAX);
	s->chunk.left = size;
	s->chunk.last = last;
	if (s->state != STATE_MAIL)
		return refuse(s, s->state == STATE_NEW ? SAY_NEED_EHLO : SAY_NEED_MAIL);
	if (s->txn.state == TXN_RCPT)
		return first(s);
	session_enter(s, STATE_CHUNK);
	return DONE;
}

void
chunk_go(struct session *s, bool limited)
{
	(void)(limited ? refuse_limit(s) : begin(s));
}

/* The refused chunk's octets are gone. */
static bool
say_refusal(struct session *s)
{
	struct quota_refusal no = s->chunk.refused;

	session_enter(s, s->helo_n > 0 ? STATE_READY : STATE_NEW);
	return envelope_say_limit(s, &no, s->chunk.about) == DONE;
}

bool
chunk_swallow(struct session *s)
{
	size_t n = stream_in(&s->stream).n;

	if (n > s->chunk.left)
		n = (size_t)s->chunk.left;
	stream_consume(&s->stream, n);
	s->chunk.left -= n;
	if (s->chunk.left == 0)
		return say_refusal(s);
	if (n == 0)
		return false;
	return content_keeps_pace(s, n);
}

static void
say_taken(struct session *s)
{
	char mem[32];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "(%llu)", (unsigned long long)s->txn.content->octets);
	session_reply_more(s, SAY_CHUNK_OK, text_slice(&t));
}

/* All octets of the chunk are in. */
static bool
end(struct session *s)
{
	if (s->chunk.last)
		return content_end_chunks(s);
	if (s->txn.content->outcome != OUTCOME_OPEN) {
		content_say_refusal(s);
		return true;
	}
	say_taken(s);
	session_enter(s, STATE_MAIL);
	return true;
}

bool
chunk_feed(struct session *s)
{
	size_t used;

	if (s->chunk.left == 0)
		return end(s);
	if (!content_take(s, s->chunk.left, &used))
		return false;
	s->chunk.left -= used;
	return s->chunk.left == 0 ? end(s) : true;
}
