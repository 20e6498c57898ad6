/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender_check - whose name mail bears: the envelope sender at MAIL, From: in the header. The rules
 * first, then look-ups that the session waits for (BEHAVIOUR S5, S6)
 */
#include "proxy/dialogue/dialogue.h"
#include "proxy/rules/sender_rules.h"
#include "relay/smtp/callout.h"

/* The MAIL in hand comes again, and finds what was said; whether the sender is still as it was is
 * asked anew. */
static void
heard(struct worker *w, uint64_t owner, enum reply_id said)
{
	struct session *s = session_find(w->sessions, owner);

	if (s == NULL || s->state != STATE_READY || !s->parked)
		return;
	s->sender_looked = true;
	s->sender_said = said;
	s->looked = LOOKED_NOT;
	session_resume(s);
}

/* Whether a callout follows is seen when MAIL comes again: SAY_OK, which is no refusal. */
static void
on_domain(void *ctx, uint64_t owner, enum mx_got got)
{
	enum reply_id no = sender_rules_domain(got);

	heard(ctx, owner, no == SAY_NONE ? SAY_OK : no);
}

static const enum reply_id called_out[] = {
	[CALLOUT_GOOD] = SAY_NONE,
	[CALLOUT_REFUSED] = SAY_SENDER_REFUSED,
	[CALLOUT_UNABLE] = SAY_SENDER_UNVERIFIABLE,
	[CALLOUT_LATER] = SAY_SENDER_DNS_FAILED,
};

void
sender_on_callout(void *ctx, uint64_t owner, enum callout_said said)
{
	heard(ctx, owner, called_out[said]);
}

static void
on_mailbox(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	static const enum reply_id said[] = {
		[LOGIN_OK] = SAY_NONE,
		[LOGIN_REFUSED] = SAY_UNROUTEABLE_ADDRESS,
		[LOGIN_UNAVAILABLE] = SAY_DIRECTORY_DOWN,
	};

	(void)why;
	sender_unref(sender);
	heard(ctx, owner, said[result]);
}

/* A domain of the account's own: there must be such a mailbox. alice+news@ is alice@. */
static enum reply_id
look_for_mailbox(struct session *s, const struct path *from)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));
	struct path base = *from;

	if (!base.quoted && slice_find(base.local, '+') > 0)
		base.local = slice_head(base.local, slice_find(base.local, '+'));
	path_write(&t, &base);
	if (!s->sender->is_address && slice_eq_nocase(slice_str(s->sender->name), text_slice(&t)))
		return SAY_NONE;
	directory_mailbox(s->worker->directory, text_slice(&t), s->number, on_mailbox);
	return SAY_OK;
}

/* What the domain's own server says, once the domain is known to take mail. */
static enum reply_id
call_out(struct session *s, const struct path *from)
{
	enum callout_said said;

	if (!s->sender->account.check_sender_callout || from->utf8)
		return SAY_NONE;
	if (!callout(s->worker->callouts, s->sender->account.id, from, s->number, &said))
		return SAY_OK;
	return called_out[said];
}

/* ---- whose the domain is (S6) ---- */

static void
on_owner(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	static const enum looked looked[] = {
		[LOGIN_OK] = LOOKED_OK,
		[LOGIN_REFUSED] = LOOKED_REFUSED,
		[LOGIN_UNAVAILABLE] = LOOKED_FAILED,
	};
	struct session *s = session_find(((struct worker *)ctx)->sessions, owner);

	(void)sender;
	(void)why;
	if (s == NULL || s->state != STATE_READY || !s->parked)
		return;
	s->foreign = looked[result];
	s->looked = LOOKED_NOT;
	session_resume(s);
}

static enum reply_id
check_owner(struct session *s, const struct path *from)
{
	enum login_result said;

	switch (s->foreign) {
	case LOOKED_OK:
		return SAY_NONE;
	case LOOKED_REFUSED:
		return sender_rules_owner(LOGIN_REFUSED);
	case LOOKED_FAILED:
		return sender_rules_owner(LOGIN_UNAVAILABLE);
	case LOOKED_NOT:
		break;
	}
	if (!sender_rules_must_ask(s->sender, from))
		return SAY_NONE;
	if (!directory_foreign(s->worker->directory, from->domain, s->sender->account.id, s->number,
	        on_owner, &said))
		return SAY_OK;
	return sender_rules_owner(said);
}

/* ---- From: ---- */

static enum reply_id
read_from(const struct session *s, struct mailboxes *all_r)
{
	const struct header *h = &s->txn.content->header;

	return sender_rules_read(s->sender, h->froms, slice_of(h->o.from, h->from_n), h->from_cut,
	    all_r);
}

enum reply_id
sender_check_header(struct session *s)
{
	struct mailboxes all;
	enum reply_id no = read_from(s, &all);

	return no == SAY_NONE ? sender_rules_from(s->sender, &all) : no;
}

static void
on_from(void *ctx, uint64_t owner, enum login_result result, struct sender *sender, const char *why)
{
	struct session *s = session_find(((struct worker *)ctx)->sessions, owner);
	struct content *c = s == NULL || s->state == STATE_GONE ? NULL : s->txn.content;

	(void)sender;
	(void)why;
	if (c == NULL || c->from != FROM_ASKED)
		return;
	c->from = FROM_ASKING;
	c->from_at++;
	if (result != LOGIN_OK) {
		c->from_said = sender_rules_owner(result);
		c->from = FROM_JUDGED;
	}
	session_resume(s);
}

/* One address after the other. An answer of the directory's goes before the account's own rules,
 * but for a header that cannot be read. */
static enum reply_id
ask_owners(struct session *s, const struct mailboxes *all)
{
	struct content *c = s->txn.content;

	for (; c->from_at < all->n; c->from_at++) {
		const struct path *address = &all->at[c->from_at];
		enum login_result said;

		if (!sender_rules_must_ask(s->sender, address))
			continue;
		if (!directory_foreign(s->worker->directory, address->domain, s->sender->account.id,
		        s->number, on_from, &said)) {
			c->from = FROM_ASKED;
			return SAY_OK;
		}
		if (said != LOGIN_OK) {
			c->from_said = sender_rules_owner(said);
			break;
		}
	}
	c->from = FROM_JUDGED;
	return c->from_said;
}

enum reply_id
sender_check_owners(struct session *s)
{
	struct content *c = s->txn.content;
	struct mailboxes all;

	if (c->from == FROM_ASKED)
		return SAY_OK;
	if (c->from == FROM_JUDGED || read_from(s, &all) != SAY_NONE)
		return c->from_said;
	c->from = FROM_ASKING;
	return ask_owners(s, &all);
}

/* ---- the envelope ---- */

enum reply_id
sender_check(struct session *s, const struct path *from)
{
	const struct account *a = &s->sender->account;
	enum reply_id no = sender_rules_envelope(s->sender, from);
	enum mx_got got;

	if (no == SAY_NONE)
		no = check_owner(s, from);
	if (no != SAY_NONE || !(a->check_sender_domain || a->check_sender_callout) || from->null)
		return no;
	if (s->sender_looked)
		return s->sender_said == SAY_OK ? call_out(s, from) : s->sender_said;
	if (slice_starts(from->domain, SLICE("[")))
		return SAY_UNROUTEABLE_ADDRESS;
	if (sender_rules_is_own(a, from->domain))
		return look_for_mailbox(s, from);
	/* Its ASCII form only IDNA knows. */
	if (!slice_is_ascii(from->domain))
		return SAY_NONE;
	if (!mail_domain(s->worker->mail_domains, a->id, from->domain, s->number, on_domain, &got))
		return SAY_OK;
	no = sender_rules_domain(got);
	return no == SAY_NONE ? call_out(s, from) : no;
}
