/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_envelope - what is to be sent, written once: never the client's own text
 *
 * The lines end where the parameters begin that only some upstreams take; those are kept beside
 * them.
 */
#include "relay/transaction.h"

enum { PATH_LINE_MAX = 2048 };

static bool
keep(struct relay_txn *t, const struct text *from, struct slice *to)
{
	if (from->overflow)
		return false;
	*to = arena_dup(&t->arena, text_slice(from));
	return to->p != NULL;
}

static bool
keep_line(struct relay_txn *t, struct slice command, const struct path *path, struct slice *to)
{
	char mem[PATH_LINE_MAX];
	struct text line = text_over(mem, sizeof(mem));

	text_put(&line, command);
	path_write(&line, path);
	text_char(&line, '>');
	return keep(t, &line, to);
}

bool
transaction_set_mail(struct relay_txn *t, const struct mail_args *m)
{
	char mem[PATH_LINE_MAX];
	struct text dsn = text_over(mem, sizeof(mem));

	if (m->ret != RET_NONE)
		text_put(&dsn, m->ret == RET_FULL ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
	if (m->envid.n && slice_is_ascii(m->envid)) {
		text_put(&dsn, SLICE(" ENVID="));
		text_put(&dsn, m->envid);
	}
	t->has_size = m->has_size;
	t->size = m->size;
	t->eight_bit = m->has_body && m->body == BODY_8BITMIME;
	t->smtputf8 = m->smtputf8;
	t->utf8_sender = m->path.utf8;
	return keep_line(t, SLICE("MAIL FROM:<"), &m->path, &t->line) && keep(t, &dsn, &t->dsn);
}

static void
put_notify(struct text *t, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(notify & words[i].bit))
			continue;
		text_put(t, slice_str(before));
		text_put(t, slice_str(words[i].word));
		before = ",";
	}
}

bool
transaction_add(struct relay_txn *t, const struct rcpt_args *a)
{
	struct rcpt *rcpt = arena_zalloc(&t->arena, sizeof(*rcpt));
	char mem[PATH_LINE_MAX];
	struct text dsn = text_over(mem, sizeof(mem));

	if (!rcpt)
		return false;
	put_notify(&dsn, a->notify);
	/* Not ASCII: only for an upstream with SMTPUTF8, which such a path asks for. */
	if (a->orcpt.n && (slice_is_ascii(a->orcpt) || (a->path.utf8 && slice_is_text(a->orcpt)))) {
		text_put(&dsn, SLICE(" ORCPT="));
		text_put(&dsn, a->orcpt);
	}
	rcpt->utf8 = a->path.utf8;
	rcpt->notify = a->notify;
	if (!keep_line(t, SLICE("RCPT TO:<"), &a->path, &rcpt->line) || !keep(t, &dsn, &rcpt->dsn))
		return false;
	rcpt->index = t->count++;
	*t->end = rcpt;
	t->end = &rcpt->next;
	return true;
}
