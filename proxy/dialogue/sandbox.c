/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox - mail of a sandboxed sender: checked and counted as usual, answered in the relay's
 * place, sent nowhere (BEHAVIOUR A7)
 */
#include "proxy/dialogue/dialogue.h"

void
sandbox_rcpt(struct session *s)
{
	const struct reply_row *row = reply_row(SAY_RCPT_OK);
	const struct relay_verdict ok = {
		.class = VERDICT_OK,
		.code = row->code,
		.enhanced = row->enhanced,
		.text = slice_str(row->text),
	};

	envelope_on_rcpt(s, &ok);
}

static void
on_go(struct task *t)
{
	struct session *s =
	    (struct session *)(void *)((char *)t - offsetof(struct session, sandbox));
	const struct relay_verdict go = { .class = VERDICT_GO, .code = 354 };

	if (s->state != STATE_GONE && s->txn.state == TXN_ASKED)
		envelope_on_go(s, &go);
}

/* As from the relay: later, when the command is off the input. */
void
sandbox_data(struct session *s)
{
	s->sandbox.fn = on_go;
	loop_defer(s->worker->loop, &s->sandbox);
}

void
sandbox_finish(struct session *s)
{
	char mem[128];
	struct text t = text_over(mem, sizeof(mem));

	s->txn.finished = loop_now(s->worker->loop);
	text_fmt(&t, "%s (sandbox: discarded, nothing was sent)", s->txn.id.s);
	session_reply_more(s, SAY_OK, text_slice(&t));
	s->messages++;
	txn_end(s, reply_row(SAY_OK)->code, NULL, NULL);
}
