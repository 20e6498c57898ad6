/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope - MAIL, RCPT and DATA: from who may send to the go-ahead for content
 */
#include "proxy/dialogue/dialogue.h"
#include "proxy/dialogue/trace.h"
#include "proxy/rules/policy.h"

static const enum reply_id mail_faults[] = {
	[ARGS_OK] = SAY_NONE,
	[ARGS_SYNTAX] = SAY_SYNTAX,
	[ARGS_PATH] = SAY_BAD_SENDER_PATH,
	[ARGS_PARAM_UNKNOWN] = SAY_PARAM_UNKNOWN,
	[ARGS_PARAM_BAD] = SAY_SYNTAX,
};

static const enum reply_id rcpt_faults[] = {
	[ARGS_OK] = SAY_NONE,
	[ARGS_SYNTAX] = SAY_SYNTAX,
	[ARGS_PATH] = SAY_BAD_RCPT_PATH,
	[ARGS_PARAM_UNKNOWN] = SAY_PARAM_UNKNOWN,
	[ARGS_PARAM_BAD] = SAY_SYNTAX,
};

/* The directory's answer about the sender of the MAIL in hand, which then comes again. */
static void
on_looked(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	(void)why;
	if (s == NULL || s->state != STATE_READY || !s->parked) {
		sender_unref(sender);
		return;
	}
	switch (result) {
	case LOGIN_OK:
		sender_unref(s->sender);
		s->sender = sender;
		s->looked = LOOKED_OK;
		break;
	case LOGIN_REFUSED:
		s->looked = LOOKED_REFUSED;
		break;
	case LOGIN_UNAVAILABLE:
		s->looked = LOOKED_FAILED;
		break;
	}
	session_resume(s);
}

/* SAY_NONE: the sender is known and its snapshot is fresh. SAY_OK: being looked up, the command
 * must wait. Else why not. */
static enum reply_id
identify(struct session *s)
{
	struct directory *d = s->worker->directory;

	if (s->looked == LOOKED_FAILED)
		return SAY_DIRECTORY_DOWN;
	if (s->sender == NULL) {
		if (s->looked == LOOKED_REFUSED || !directory_has_addresses(d))
			return SAY_RELAY_DENIED;
		directory_address(d, (const struct sockaddr *)&s->peer, s->number, on_looked);
		return SAY_OK;
	}
	if (s->looked == LOOKED_REFUSED)
		return s->sender->is_address ? SAY_ADDRESS_BLOCKED : SAY_USER_BLOCKED;
	if (s->looked == LOOKED_OK || directory_is_fresh(d, s->sender))
		return SAY_NONE;
	directory_refresh(d, s->sender, s->number, on_looked);
	return SAY_OK;
}

static enum reply_id
check_arguments(const struct session *s, const struct mail_args *mail)
{
	if (mail->path.loose && s->lane->conf->server.strict_addresses)
		return SAY_BAD_SENDER_PATH;
	if (mail->path.utf8 && !mail->smtputf8)
		return SAY_NEED_SMTPUTF8;
	if (mail->has_body && mail->body == BODY_BINARYMIME)
		return SAY_NO_BINARYMIME;
	return SAY_NONE;
}

static struct slice
dup_path(struct session *s, const struct path *path)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	path_write(&t, path);
	return arena_dup(&s->arena, text_slice(&t));
}

static struct relay_txn *
open_relay(struct session *s, const struct mail_args *mail, const struct way *route)
{
	char mem[64];
	struct text address = text_over(mem, sizeof(mem));

	net_write(&address, (const struct sockaddr *)&s->peer);
	struct relay_order order = {
		.owner = s->number,
		.id = id_slice(&s->txn.id),
		.profile = route->profile,
		.has_fallback = route->has_fallback,
		.fallback = route->fallback,
		.mail = *mail,
		.client_address = text_slice(&address),
		.client_helo = trace_client_name(s),
		.client_login = slice_str(s->sender->is_address ? "" : s->sender->name),
		.account = s->sender->account.id,
		.user = s->sender->id << 1 | s->sender->is_address,
	};

	return relay_open(s->worker->relay, &order);
}

static bool
begin(struct session *s, const struct mail_args *mail, const struct way *route)
{
	struct worker *w = s->worker;
	struct txn *t = &s->txn;
	uint64_t plan = s->sender->account.plan.size_max;
	uint64_t all = s->lane->conf->limits.message_size;

	*t = (struct txn){
		.state = TXN_RCPT,
		.id = id_make(loop_wall_ms(w->loop)),
		.profile = route->profile,
		.smtputf8 = mail->smtputf8,
		.sandboxed = s->sender->sandboxed,
		.size_max = plan > 0 && plan < all ? plan : all,
		.began = loop_now(w->loop),
	};
	scoreboard_gauge(w->board, w->number, GAUGE_TRANSACTIONS, 1);
	t->from = dup_path(s, &mail->path);
	if (t->sandboxed)
		t->route = SLICE("sandbox");
	else if (t->from.p != NULL)
		t->relay = open_relay(s, mail, route);
	if (t->from.p == NULL || (t->relay == NULL && !t->sandboxed))
		txn_refuse(s, SAY_NO_MEMORY);
	return txn_is_open(t);
}

static void
log_refusal(struct session *s, enum reply_id r, const struct path *from)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));
	struct log_line l;

	remember_refusal(s, reply_row(r)->code, reply_row(r)->name, id_slice(&s->id));
	if (!session_log(&l, s, LOG_INFO, "refused"))
		return;
	path_write(&t, from);
	log_str(&l, "reply", slice_str(reply_row(r)->name));
	log_u64(&l, "code", (uint64_t)reply_row(r)->code);
	log_str(&l, "from", text_slice(&t));
	if (s->sender != NULL)
		session_log_sender(&l, s->sender);
	log_end(&l);
}

/* Is a limit used up? Nothing is reserved before content comes. */
static enum quota_state
look(struct session *s)
{
	if (s->look == NULL)
		s->look = quota_look(s->worker->quota, s->sender, s->number);
	/* Without memory for a look the message may go on: it is counted later in any case. */
	return s->look != NULL ? quota_state(s->look) : QUOTA_OK;
}

static enum verdict
refuse_sender(struct session *s, const struct path *from)
{
	struct quota_refusal no = *quota_refusal(s->look);

	quota_drop(s->look);
	s->look = NULL;
	log_refusal(s, no.say, from);
	return envelope_say_limit(s, &no, s->id);
}

/* Who MAIL is from, and whether and how that sender may send: policy in the order of BEHAVIOUR
 * 4. */
static enum reply_id
check_policy(struct session *s, const struct mail_args *mail, struct way *route)
{
	enum reply_id no = identify(s);

	if (no == SAY_NONE)
		no = policy_sender(s->sender, (int64_t)(loop_wall_ms(s->worker->loop) / 1000));
	if (no == SAY_NONE)
		no = policy_route(s->sender, &mail->path, route);
	return no;
}

/* What comes behind the limits in that order; the route's own limit, too, where it is known: what
 * it will refuse need not be sent. */
static enum reply_id
check_size(const struct session *s, const struct mail_args *mail, const struct way *route)
{
	uint64_t carried =
	    s->sender->sandboxed ? 0 : relay_offers(s->worker->relay, route->profile).size;
	uint64_t plan = s->sender->account.plan.size_max;
	uint64_t all = s->lane->conf->limits.message_size;
	uint64_t max = plan > 0 && plan < all ? plan : all;

	if (carried > 0 && carried < max)
		max = carried;
	return mail->has_size && mail->size > max ? SAY_TOO_LARGE : SAY_NONE;
}

static void
say_refusal(struct session *s, enum reply_id no, const struct path *from)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	if (no != SAY_SENDER_REFUSED) {
		session_reply(s, no);
		return;
	}
	text_char(&t, '<');
	path_write(&t, from);
	text_char(&t, '>');
	session_reply_more(s, no, text_slice(&t));
}

enum verdict
do_mail(struct session *s, struct slice args)
{
	struct mail_args mail;
	struct way route;
	enum reply_id no = mail_faults[mail_parse(args, &mail)];

	if (no == SAY_NONE)
		no = check_arguments(s, &mail);
	if (no != SAY_NONE) {
		session_reply(s, no);
		return DONE;
	}
	no = check_policy(s, &mail, &route);
	if (no == SAY_OK)
		return KEEP;
	if (no == SAY_NONE) {
		switch (look(s)) {
		case QUOTA_WAIT:
			return KEEP;
		case QUOTA_NO:
			return refuse_sender(s, &mail.path);
		case QUOTA_OK:
			break;
		}
		no = sender_check(s, &mail.path);
	}
	if (no == SAY_OK)
		return KEEP;
	if (no == SAY_NONE)
		no = check_size(s, &mail, &route);
	if (no == SAY_NONE && !s->sender->sandboxed)
		no = policy_native(&route, s->lane->conf->mtas_n > 0);
	quota_drop(s->look);
	s->look = NULL;
	if (no != SAY_NONE) {
		log_refusal(s, no, &mail.path);
		say_refusal(s, no, &mail.path);
		return DONE;
	}
	if (!begin(s, &mail, &route)) {
		session_reply(s, SAY_NO_MEMORY);
		return DONE;
	}
	session_enter(s, STATE_MAIL);
	session_reply(s, SAY_SENDER_OK);
	return DONE;
}

/* A refusal of ours keeps its place behind verdicts that are still out. */
static enum verdict
refuse_in_order(struct session *s, enum reply_id r)
{
	if (txn_has_unsaid(&s->txn))
		return KEEP;
	session_reply(s, r);
	return DONE;
}

/* The upstream broke before: what it said of those before is what it says of this one. */
static enum verdict
forward_in_order(struct session *s)
{
	if (txn_has_unsaid(&s->txn))
		return KEEP;
	session_forward(s, &s->txn.early);
	return DONE;
}

static enum verdict
refuse_surplus(struct session *s)
{
	char mem[64];
	struct text t = text_over(mem, sizeof(mem));

	if (txn_has_unsaid(&s->txn))
		return KEEP; /* some of those may yet be refused and count no more */
	s->txn.too_many = true;
	text_fmt(&t, "(%llu per message on your plan)",
	    (unsigned long long)s->sender->account.plan.recipients);
	session_reply_more(s, SAY_TOO_MANY_RCPT, text_slice(&t));
	return DONE;
}

static bool
add_rcpt(struct session *s, const struct rcpt_args *args)
{
	struct txn *t = &s->txn;
	struct rcpt *r = arena_zalloc(&s->arena, sizeof(*r));

	if (r == NULL)
		return false;
	r->address = dup_path(s, &args->path);
	if (r->address.p == NULL || (!t->sandboxed && !relay_rcpt(t->relay, args)))
		return false;
	if (t->last != NULL)
		t->last->next = r;
	else
		t->first = r;
	t->last = r;
	t->asked_n++;
	return true;
}

enum verdict
do_rcpt(struct session *s, struct slice args)
{
	struct txn *t = &s->txn;
	uint64_t cap = s->sender->account.plan.recipients;
	struct rcpt_args rcpt;

	if (t->state != TXN_RCPT)
		return refuse_in_order(s, SAY_BAD_SEQUENCE);
	enum reply_id no = rcpt_faults[rcpt_parse(args, &rcpt)];

	if (no == SAY_NONE && rcpt.path.loose && s->lane->conf->server.strict_addresses)
		no = SAY_BAD_RCPT_PATH;
	if (no == SAY_NONE && rcpt.path.utf8 && !t->smtputf8)
		no = SAY_NEED_SMTPUTF8;
	if (no != SAY_NONE)
		return refuse_in_order(s, no);
	if (cap > 0 && t->asked_n - t->refused >= cap)
		return refuse_surplus(s);
	if (txn_has_early(t))
		return forward_in_order(s);
	if (!add_rcpt(s, &rcpt))
		return refuse_in_order(s, SAY_NO_MEMORY);
	if (t->sandboxed)
		sandbox_rcpt(s);
	return DONE;
}

void
envelope_log_rcpt(struct session *s, const struct rcpt *r, const struct relay_verdict *v)
{
	struct log_line l;

	remember_verdict(s, v, r->address);
	if (!log_begin(&l, LOG_INFO, "recipient", id_slice(&s->txn.id),
	        slice_str(session_doing(s))))
		return;
	log_str(&l, "session", id_slice(&s->id));
	log_str(&l, "to", r->address);
	log_u64(&l, "code", (uint64_t)v->code);
	log_str(&l, "class", slice_str(verdict_word(v->class)));
	log_str(&l, "said", v->upstream);
	log_end(&l);
}

/* All verdicts are said: the answer to DATA or BDAT may follow, or the command that waited. */
static void
go_on_if_said(struct session *s)
{
	if (txn_has_unsaid(&s->txn))
		return;
	if (s->txn.state == TXN_ANSWERED)
		envelope_on_quota(s);
	else if (s->parked && s->state == STATE_MAIL && s->txn.state == TXN_RCPT)
		session_resume(s);
}

static struct rcpt *
after(const struct txn *t, struct rcpt *r)
{
	return r != NULL ? r->next : t->first;
}

void
envelope_say(struct session *s)
{
	struct txn *t = &s->txn;

	while (t->said != t->answered) {
		struct rcpt *r = after(t, t->said);

		if (!session_has_room(s))
			return;
		if (r->words.p == NULL)
			session_reply(s, SAY_NO_MEMORY);
		else if (!session_say_words(s, r->words))
			return;
		t->said = r;
	}
	go_on_if_said(s);
}

void
envelope_on_rcpt(struct session *s, const struct relay_verdict *v)
{
	struct txn *t = &s->txn;
	struct rcpt *r = after(t, t->answered);

	if (s->state == STATE_GONE)
		return;
	r->state = v->code < 300 ? RCPT_ACCEPTED : RCPT_REFUSED;
	if (r->state == RCPT_ACCEPTED) {
		t->accepted++;
	} else {
		t->refused++;
		t->denied += v->code >= 500;
		envelope_log_rcpt(s, r, v);
	}
	bool now = t->said == t->answered && session_has_room(s);

	t->answered = r;
	if (now) {
		session_forward(s, v);
		t->said = r;
		go_on_if_said(s);
		return;
	}
	r->words = session_forward_later(s, v);
}

/* Ends the transaction with a reply of ours. */
static enum verdict
refuse_message(struct session *s, enum reply_id r)
{
	session_reply(s, r);
	txn_refuse(s, r);
	return DONE;
}

/* The limit that stands against content, or want of memory for asking. */
struct quota_refusal
envelope_limit(const struct session *s)
{
	struct quota_refusal none = { .say = SAY_NO_MEMORY };

	return s->txn.ticket != NULL ? *quota_refusal(s->txn.ticket) : none;
}

enum verdict
envelope_say_limit(struct session *s, const struct quota_refusal *no, struct id about)
{
	session_reply_about(s, no->say, slice_str(no->more), about);
	return reply_row(no->say)->code == 421 ? session_end(s, CLOSE_QUOTA, SAY_NONE) : DONE;
}

static enum verdict
refuse_limit(struct session *s)
{
	struct quota_refusal no = envelope_limit(s);
	struct id about = s->txn.id;

	txn_refuse(s, no.say);
	return envelope_say_limit(s, &no, about);
}

/* Reserves for the recipients that are accepted or may yet be. It runs while verdicts are still
 * out; where it fails and some of them are then refused, it is asked again for fewer. */
enum quota_state
envelope_claim(struct session *s)
{
	struct txn *t = &s->txn;
	uint64_t n = t->asked_n - t->refused;

	if (t->ticket != NULL && quota_state(t->ticket) == QUOTA_NO &&
	    n < quota_recipients(t->ticket)) {
		quota_drop(t->ticket);
		t->ticket = NULL;
	}
	if (t->ticket == NULL)
		t->ticket =
		    quota_reserve(s->worker->quota, s->sender, n, id_slice(&t->id), s->number);
	if (t->ticket == NULL)
		return QUOTA_NO;
	enum quota_state q = quota_state(t->ticket);

	return q == QUOTA_NO && txn_has_unsaid(t) ? QUOTA_WAIT : q;
}

/* DATA is refused by a limit. What stands behind it can only be content, which must not be run as
 * commands. */
static enum verdict
refuse_data(struct session *s)
{
	struct slice in = stream_in(&s->stream);

	if (in.n > slice_find(in, '\n') + 1)
		return session_end(s, CLOSE_PIPELINING, SAY_IMPROPER_PIPELINING);
	return refuse_limit(s);
}

/* All recipients were refused; what is temporary stays so. */
static enum reply_id
nobody_left(const struct txn *t)
{
	return t->denied > 0 ? SAY_NO_VALID_RCPT : SAY_NO_RCPT_NOW;
}

enum reply_id
envelope_check(const struct txn *t)
{
	bool unsaid = txn_has_unsaid(t);

	if (t->too_many)
		return unsaid ? SAY_OK : SAY_TOO_MANY_RCPT_MESSAGE;
	if (txn_has_early(t))
		return unsaid ? SAY_OK : SAY_NONE;
	if (t->first == NULL)
		return SAY_NEED_RCPT;
	if (!unsaid && t->accepted == 0)
		return nobody_left(t);
	return SAY_NONE;
}

/* The upstream broke before content: its verdict answers DATA. */
static enum verdict
forward_early(struct session *s)
{
	struct relay_verdict *v = &s->txn.early;

	session_forward(s, v);
	txn_end(s, v->code, v, NULL);
	return DONE;
}

void
envelope_ask(struct session *s)
{
	s->txn.state = TXN_ASKED;
	if (s->txn.sandboxed)
		sandbox_data(s);
	else
		relay_data(s->txn.relay);
}

enum verdict
do_data(struct session *s, struct slice args)
{
	struct txn *t = &s->txn;

	if (args.n > 0)
		return refuse_in_order(s, SAY_SYNTAX);
	if (t->state != TXN_RCPT)
		return refuse_in_order(s, SAY_MIXED_CONTENT);
	enum reply_id no = envelope_check(t);

	if (no == SAY_OK)
		return KEEP;
	if (no == SAY_NEED_RCPT) {
		session_reply(s, no);
		return DONE;
	}
	if (no != SAY_NONE)
		return refuse_message(s, no);
	if (txn_has_early(t))
		return forward_early(s);
	enum quota_state q = envelope_claim(s);

	if (q == QUOTA_WAIT && !quota_is_likely(t->ticket))
		return KEEP;
	if (q == QUOTA_NO)
		return refuse_data(s);
	envelope_ask(s);
	return WAIT;
}

/* Nobody is left of the recipients, but some may be later. */
static void
soften(struct session *s)
{
	struct txn *t = &s->txn;
	const struct reply_row *row = reply_row(SAY_NO_RCPT_NOW);

	if (t->early.class != VERDICT_NO_VALID_RCPT || t->denied > 0)
		return;
	t->early.code = row->code;
	t->early.enhanced = row->enhanced;
	t->early.text = slice_str(row->text);
}

static void
go_ahead(struct session *s)
{
	if (txn_has_early(&s->txn)) {
		(void)forward_early(s);
	} else if (!content_begin(s, false)) {
		(void)refuse_message(s, SAY_NO_MEMORY);
	} else {
		session_enter(s, STATE_DATA);
		stream_expect(&s->stream);
		session_reply(s, SAY_GO_AHEAD);
	}
}

/* DATA has its answer, and every verdict before it is said. LIMITED: the upstream would take the
 * content, and a limit does not let it go; its connection is lost, since DATA cannot be taken
 * back. */
static void
answer_data(struct session *s, bool limited)
{
	if (stream_in(&s->stream).n > 0) /* content before the answer (L10, THREATS C8) */
		session_end(s, CLOSE_PIPELINING, SAY_IMPROPER_PIPELINING);
	else if (limited)
		(void)refuse_limit(s);
	else
		go_ahead(s);
}

void
envelope_on_quota(struct session *s)
{
	struct txn *t = &s->txn;

	if (t->state != TXN_ANSWERED || txn_has_unsaid(t))
		return;
	enum quota_state q = txn_has_early(t) ? QUOTA_OK : envelope_claim(s);

	if (q == QUOTA_WAIT)
		return;
	if (t->chunked)
		chunk_go(s, q == QUOTA_NO);
	else
		answer_data(s, q == QUOTA_NO);
	if (s->state != STATE_GONE)
		session_resume(s);
}

void
envelope_on_go(struct session *s, const struct relay_verdict *v)
{
	if (s->state == STATE_GONE)
		return;
	if (v->code != 354) {
		txn_detach(s);
		txn_keep_early(s, v);
		soften(s);
	}
	s->txn.state = TXN_ANSWERED;
	envelope_on_quota(s);
}
