/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/txn.h"

#include <assert.h>

#include "proxy/dialogue/dialogue.h"

/* Copies, or gives the empty slice: the words of a verdict are worth less than the verdict. */
static struct slice
keep(struct arena *a, struct slice s)
{
	struct slice copy = arena_dup(a, s);

	return copy.p != NULL ? copy : slice_of("", 0);
}

void
txn_detach(struct session *s)
{
	struct txn *t = &s->txn;

	t->route = keep(&s->arena, relay_route(t->relay));
	t->peer = keep(&s->arena, relay_peer(t->relay));
	t->relay = NULL;
}

void
txn_keep_early(struct session *s, const struct relay_verdict *v)
{
	struct txn *t = &s->txn;

	t->early = *v;
	t->early.text = keep(&s->arena, v->text);
	t->early.upstream = keep(&s->arena, v->upstream);
}

static const char *const doings[] = {
	[TXN_NONE] = "nothing",
	[TXN_RCPT] = "reading recipients",
	[TXN_ASKED] = "waiting for the go-ahead",
	[TXN_ANSWERED] = "waiting for the limits",
	[TXN_CONTENT] = "receiving content",
	[TXN_FINAL] = "waiting for the upstream's last word",
};

static const char *
outcome_word(const struct session *s, int code, const struct relay_verdict *v)
{
	if (v != NULL && v->unknown)
		return "unknown";
	if (code == 0)
		return s->state == STATE_GONE ? "dropped" : "given-up";
	if (code < 300)
		return s->txn.sandboxed ? "sandboxed" : "sent";
	return code < 500 ? "deferred" : "refused";
}

static void
count(struct session *s, int code, const struct relay_verdict *v)
{
	struct scoreboard *b = s->worker->board;
	unsigned w = s->worker->number;

	if (v != NULL && v->unknown) {
		scoreboard_count(b, w, COUNTER_MESSAGES_UNKNOWN, 1);
	} else if (code >= 500) {
		scoreboard_count(b, w, COUNTER_MESSAGES_REFUSED, 1);
	} else if (code >= 400) {
		scoreboard_count(b, w, COUNTER_MESSAGES_DEFERRED, 1);
	} else if (code >= 200) {
		scoreboard_count(b, w, COUNTER_MESSAGES_SENT, 1);
		scoreboard_count(b, w, COUNTER_RECIPIENTS, s->txn.accepted);
		scoreboard_count(b, w, COUNTER_OCTETS, s->txn.content->octets);
	}
}

static void
log_content(struct log_line *l, const struct content *c)
{
	log_u64(l, "size", c->octets);
	if (c->header.message_id_n > 0)
		log_str(l, "message_id", slice_of(c->header.message_id, c->header.message_id_n));
	if (c->header.dropped > 0)
		log_u64(l, "fields_dropped", c->header.dropped);
}

static void
log_line(struct session *s, int code, const struct relay_verdict *v, const char *why)
{
	struct txn *t = &s->txn;
	ev_tstamp now = loop_now(s->worker->loop);
	struct log_line l;

	if (!log_begin(&l, LOG_INFO, "message", id_slice(&t->id), slice_str(doings[t->state])))
		return;
	log_str(&l, "session", id_slice(&s->id));
	session_log_sender(&l, s->sender);
	log_str(&l, "from", t->from);
	if (t->first != NULL)
		log_str(&l, "to", t->first->address);
	log_u64(&l, "nrcpt", t->asked_n);
	log_u64(&l, "accepted", t->accepted);
	if (v != NULL && v->left_out > 0)
		log_u64(&l, "left_out", v->left_out);
	if (t->content != NULL)
		log_content(&l, t->content);
	log_str(&l, "route", t->relay != NULL ? relay_route(t->relay) : t->route);
	log_str(&l, "upstream", t->relay != NULL ? relay_peer(t->relay) : t->peer);
	log_str(&l, "outcome", slice_str(outcome_word(s, code, v)));
	log_u64(&l, "code", (uint64_t)code);
	if (v != NULL) {
		log_str(&l, "class", slice_str(verdict_word(v->class)));
		log_str(&l, "said", v->upstream);
	}
	if (why != NULL)
		log_str(&l, "why", slice_str(why));
	log_ms(&l, "took", (uint64_t)((now - t->began) * 1000));
	if (t->finished > 0)
		log_ms(&l, "final", (uint64_t)((now - t->finished) * 1000));
	log_end(&l);
}

/* For people who ask later (H2). */
static void
remember(struct session *s, int code, const struct relay_verdict *v, const char *why)
{
	struct txn *t = &s->txn;

	if (v != NULL)
		remember_verdict(s, v, t->first != NULL ? t->first->address : SLICE(""));
	else if (code >= 400)
		remember_refusal(s, code, why, id_slice(&t->id));
}

/* Taken, or perhaps taken: what was accepted stays charged. */
static void
settle(struct txn *t, int code, const struct relay_verdict *v)
{
	if ((code >= 200 && code < 300) || (v != NULL && v->unknown))
		quota_commit(t->ticket, t->accepted);
	else
		quota_drop(t->ticket);
}

void
txn_end(struct session *s, int code, const struct relay_verdict *v, const char *why)
{
	struct txn *t = &s->txn;

	assert(txn_is_open(t));
	count(s, code, v);
	remember(s, code, v, why);
	log_line(s, code, v, why);
	settle(t, code, v);
	if (t->relay != NULL)
		relay_drop(t->relay);
	*t = (struct txn){ .state = TXN_NONE };
	arena_release(&s->arena);
	scoreboard_gauge(s->worker->board, s->worker->number, GAUGE_TRANSACTIONS, -1);
	if (code != 0)
		s->idle_commands = 0; /* a message was brought to its end */
	if (s->state != STATE_GONE)
		session_enter(s, STATE_READY);
}

void
txn_refuse(struct session *s, enum reply_id r)
{
	txn_end(s, reply_row(r)->code, NULL, reply_row(r)->name);
}
