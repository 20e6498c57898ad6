/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/desk/explain.h"

#include <time.h>

#include "proxy/rules/policy.h"
#include "proxy/rules/sender_rules.h"

enum status { OK, FAIL, NOTE };

static const char *const status_words[] = { [OK] = "ok", [FAIL] = "fail", [NOTE] = "note" };

struct finding {
	enum status status;
	enum reply_id say; /* SAY_NONE: no row of the catalogue */
	/* With FAIL and SAY_NONE: the upstream's trouble, which the client hears at RCPT. */
	enum verdict_class class;
	enum reply_id about; /* the row whose advice it is; SAY_NONE: none */
	const char *todo;    /* more to the point than that of ABOUT or CLASS; NULL: theirs */
	struct text advice;
	char advice_mem[1024];
	struct text words;
	char mem[768];
};

typedef void check_fn(const struct explain_facts *f, struct finding *x);

/* ---- saying ---- */

/* "2026-11-21 19:00 UTC" */
static void
put_time(struct text *t, int64_t s)
{
	time_t at = (time_t)s;
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		text_fmt(t, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1,
		    tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static void
say(struct finding *x, enum status status, enum reply_id r, const char *todo)
{
	x->status = status;
	x->say = r;
	x->about = r;
	x->todo = todo;
}

/* Advice as reply.def has it, with the names of whom it is about. */
static void
fill_in(struct text *t, struct slice advice, const struct explain_facts *f)
{
	const struct sender *s = f->sender;

	while (advice.n > 0) {
		size_t at = slice_find(advice, '$');
		struct slice behind = slice_skip(advice, at);

		text_put(t, slice_head(advice, at));
		if (behind.n < 2)
			return;
		if (behind.p[1] == 'A' && s != NULL)
			text_put(t, slice_str(s->account.name));
		else if (behind.p[1] == 'D' && s != NULL)
			text_put(t, sender_domain(s));
		else
			text_escaped(t, s != NULL ? slice_str(s->name) : f->name, 320);
		advice = slice_skip(behind, 2);
	}
}

/* What can be done about X, unless its class has said so already. */
static void
advise(const struct explain_facts *f, struct finding *x)
{
	const char *todo = x->todo;

	if (todo == NULL && x->about != SAY_NONE)
		todo = reply_row(x->about)->todo;
	if (todo == NULL)
		return;
	text_reset(&x->advice);
	fill_in(&x->advice, slice_str(todo), f);
}

static void
say_time(struct finding *x, int64_t s)
{
	put_time(&x->words, s);
}

/* ---- 1: the owner's address ---- */

static void
check_owner(const struct explain_facts *f, struct finding *x)
{
	const struct account *a = &f->sender->account;
	int64_t until = policy_owner_until(a);

	if (policy_owner(f->sender, f->now_s) != SAY_NONE) {
		say(x, FAIL, f->owner_at_auth ? SAY_AUTH_FAILED : SAY_UNVERIFIED_OWNER, NULL);
		x->about = SAY_UNVERIFIED_OWNER;
		text_put(&x->words,
		    SLICE("The owner's address is not confirmed, and the 7 days were over at "));
		say_time(x, until);
	} else if (until != INT64_MAX) {
		say(x, NOTE, SAY_NONE, "The owner clicks the link in the verification email.");
		text_put(&x->words, SLICE("The owner's address is not confirmed; mail stops at "));
		say_time(x, until);
	} else {
		text_put(&x->words,
		    a->owner_verified ? SLICE("The owner's address is confirmed")
		                      : SLICE("Registered before 19 February 2026: not asked for"));
	}
}

/* ---- 2: the domain's DNS ---- */

/* The sender's own address, as MAIL and From: would have it (S5). */
static enum reply_id
rules_say(const struct sender *s)
{
	struct slice name = slice_str(s->name);
	struct path path = { .local = slice_head(name, slice_find(name, '@')),
		.domain = sender_domain(s) };
	struct mailboxes all = { .n = 1, .at = { path } };
	enum reply_id no = sender_rules_envelope(s, &path);

	return no == SAY_NONE ? sender_rules_from(s, &all) : no;
}

/* The rule that holds (S6). */
static void
say_rule(const struct sender *s, struct finding *x)
{
	static const char *const says[] = {
		[SENDERS_OWN] = "own: only domains of the account, and its verified addresses",
		[SENDERS_VERIFIED] = "verified: From: only of verified domains and addresses",
		[SENDERS_ANY] = "any, but the domains of other accounts here",
	};

	text_fmt(&x->words, "; senders = %s", says[account_senders_rule(&s->account)]);
}

static void
check_domain(const struct explain_facts *f, struct finding *x)
{
	struct slice name = sender_domain(f->sender);
	const struct domain *d = account_domain(&f->sender->account, name);
	enum reply_id no = f->sender->is_address ? SAY_NONE : rules_say(f->sender);

	if (no != SAY_NONE) {
		say(x, FAIL, no, NULL);
		text_fmt(&x->words, "The account's sender rules do not let %s be used",
		    f->sender->name);
	} else if (f->sender->is_address) {
		text_put(&x->words,
		    SLICE("An address that sends without login has no domain of its own"));
	} else if (d != NULL && d->verified) {
		text_fmt(&x->words, "%s is verified", d->name);
	} else {
		say(x, NOTE, SAY_NONE,
		    "Set the SPF, DKIM and DMARC records of $D, then byway domain verify $D; this alone stops nothing here, but recipients' servers may refuse or hide the mail.");
		text_fmt(&x->words, "Domain not verified: %.*s", SLICE_FMT(name));
	}
	say_rule(f->sender, x);
}

/* ---- 3: the plan ---- */

/* Where mail from the sender's own address goes; SAY_NONE, or why nowhere. */
static enum reply_id
find_route(const struct explain_facts *f, const struct profile **profile_r)
{
	const struct sender *s = f->sender;
	struct path from = { .domain = sender_domain(s) };
	struct way route;
	enum reply_id no = policy_route(s, &from, &route);

	if (no == SAY_NONE)
		no = policy_native(&route, relay_health(f->relay, NULL).servers > 0);
	*profile_r = route.profile;
	return no;
}

static void
check_plan(const struct explain_facts *f, struct finding *x)
{
	const struct account *a = &f->sender->account;
	const struct profile *p;

	if (find_route(f, &p) == SAY_PLAN_CANNOT_SEND) {
		say(x, FAIL, SAY_PLAN_CANNOT_SEND, NULL);
		text_fmt(&x->words,
		    "The plan %s does not include sending, and there is no own upstream",
		    a->plan.name);
	} else if (!a->plan.can_send) {
		text_fmt(&x->words,
		    "The plan %s does not include sending; the account's own upstream does",
		    a->plan.name);
	} else {
		text_fmt(&x->words, "The plan %s includes sending", a->plan.name);
	}
}

/* ---- 4: limits ---- */

static void
check_limits(const struct explain_facts *f, struct finding *x)
{
	const char *between = "";

	for (size_t i = 0; i < f->limits_n; i++) {
		const struct explain_limit *l = &f->limits[i];

		if (l->cap == 0)
			continue;
		if (l->used >= l->cap) {
			text_reset(&x->words);
			between = "";
			say(x, FAIL, l->say, NULL);
		}
		text_fmt(&x->words, "%s%llu of %llu %s", between, (unsigned long long)l->used,
		    (unsigned long long)l->cap, l->what);
		between = ", ";
		if (x->status == FAIL) {
			text_put(&x->words, SLICE("; next at "));
			say_time(x, l->next_s);
			return;
		}
	}
	if (!f->limits_known)
		text_put(&x->words, SLICE("The counters cannot be asked now"));
	else if (x->words.n == 0)
		text_put(&x->words, SLICE("The plan has no limits"));
	if (!f->limits_known)
		say(x, NOTE, SAY_NONE,
		    "Look at the log and at the counters' servers: byway status.");
}

/* ---- 5: recipients ---- */

struct sum {
	const char *const *causes;
	struct slice to;
	uint32_t count;
	struct recent_refusal last;
};

static bool
is_among(const char *cause, const char *const *causes)
{
	for (; *causes; causes++)
		if (slice_eq(slice_str(cause), slice_str(*causes)))
			return true;
	return false;
}

static struct slice
behind_at(struct slice address)
{
	return slice_skip(address, slice_find(address, '@') + 1);
}

/* Those of one recipient count, or of his domain: its server speaks for both. */
static void
on_refusal(void *ctx, const struct recent_refusal *row)
{
	struct sum *sum = ctx;
	struct slice to = slice_str(row->to);

	if (!is_among(row->cause, sum->causes))
		return;
	if (sum->to.n > 0 && !slice_eq_nocase(behind_at(to), behind_at(sum->to)))
		return;
	sum->count += row->count;
	if (row->order > sum->last.order)
		sum->last = *row;
}

static struct sum
refusals(const struct explain_facts *f, struct slice to, const char *const *causes)
{
	struct sum sum = { .causes = causes, .to = to };

	recent_each(f->recent, f->sender->account.id, slice_str(f->sender->name), on_refusal, &sum);
	return sum;
}

static void
check_recipients(const struct explain_facts *f, struct finding *x)
{
	static const char *const causes[] = { "too_many_rcpt", "too_many_rcpt_message", NULL };
	uint64_t cap = f->sender->account.plan.recipients;
	struct sum sum = refusals(f, SLICE(""), causes);

	if (cap > 0)
		text_fmt(&x->words,
		    "Up to %llu recipients per message; one more, and nobody gets it",
		    (unsigned long long)cap);
	else
		text_put(&x->words, SLICE("Any number of recipients per message"));
	if (sum.count == 0)
		return;
	say(x, NOTE, SAY_TOO_MANY_RCPT_MESSAGE, NULL);
	text_fmt(&x->words, "; %u refused for that, last at ", sum.count);
	say_time(x, sum.last.last_s);
}

/* ---- 6: the mailbox ---- */

static void
check_mailbox(const struct explain_facts *f, struct finding *x)
{
	enum mailbox_state state = f->sender->state;

	text_fmt(&x->words, "The %s is %s", f->sender->is_address ? "address" : "mailbox",
	    mailbox_state_word(state));
	switch (state) {
	case MAILBOX_ACTIVE:
		if (f->sender->sandboxed) {
			say(x, NOTE, SAY_NONE, "byway mailbox set $M --sandboxed no");
			text_put(&x->words,
			    SLICE(", and sandboxed: mail is accepted and discarded"));
		}
		break;
	case MAILBOX_BLOCKED:
		say(x, FAIL, f->sender->is_address ? SAY_ADDRESS_BLOCKED : SAY_USER_BLOCKED, NULL);
		break;
	case MAILBOX_PAUSED_OWNER:
		say(x, FAIL, SAY_AUTH_FAILED, NULL);
		x->about = SAY_MAILBOX_PAUSED;
		break;
	case MAILBOX_PAUSED_ADMIN:
	case MAILBOX_PAUSED_ABUSE:
		say(x, FAIL, SAY_AUTH_FAILED,
		    "There is usually a reason: support looks into it first, then byway resume $M.");
		break;
	}
}

/* ---- 7: the account ---- */

static void
check_account(const struct explain_facts *f, struct finding *x)
{
	const struct account *a = &f->sender->account;
	enum reply_id no = policy_suspension(f->sender);

	text_fmt(&x->words, "The account %s is %s", a->name, account_state_word(a->state));
	if (no == SAY_NONE)
		return;
	say(x, FAIL, no,
	    a->state == ACCOUNT_CLOSED
	        ? "byway account set $A --state active, if it is to be open again."
	        : NULL);
}

/* ---- 8: authentication ---- */

static void
check_login(const struct explain_facts *f, struct finding *x)
{
	static const char *const causes[] = { "auth_failed", NULL };

	if (f->sender->is_address) {
		text_put(&x->words, SLICE("It sends without login"));
		return;
	}
	struct sum sum = refusals(f, SLICE(""), causes);

	if (sum.count == 0) {
		text_put(&x->words, SLICE("No failed log-in of late"));
		return;
	}
	say(x, NOTE, SAY_AUTH_FAILED, NULL);
	text_fmt(&x->words, "%u failed log-ins, the last at ", sum.count);
	say_time(x, sum.last.last_s);
	text_fmt(&x->words, ": %s", sum.last.words);
}

/* ---- 9: the own upstream ---- */

static void
say_line(struct finding *x, const struct recent_line *line)
{
	text_put(&x->words, SLICE("the last word, at "));
	say_time(x, line->failed_s > line->sent_s ? line->failed_s : line->sent_s);
	text_put(&x->words, SLICE(": "));
	text_escaped(&x->words, slice_str(line->said), sizeof(line->said));
}

/* The trouble is the upstream's: what the client hears and what to do stand in class.def. */
static void
say_class(struct finding *x, enum verdict_class class, const char *todo)
{
	say(x, FAIL, SAY_NONE, todo);
	x->class = class;
}

static void
advise_by_class(const struct explain_facts *f, const struct profile *p, struct finding *x)
{
	char mem[512];
	struct text key = text_over(mem, sizeof(mem));

	text_fmt(&key, "%s/%s", f->sender->account.name, p->name);
	verdict_advise(x->class, text_slice(&key), &x->advice);
}

static void
check_native(const struct explain_facts *f, struct finding *x)
{
	struct relay_health h = relay_health(f->relay, NULL);
	struct recent_line line;

	text_fmt(&x->words, "Mail goes through the native pool: %u of %u servers answer", h.alive,
	    h.servers);
	if (h.alive > 0)
		return;
	say_class(x, VERDICT_CONNECT,
	    "The operator's servers are down: byway status, and the log.");
	if (recent_line(f->recent, 0, 0, &line) && line.failed_s >= line.sent_s) {
		text_put(&x->words, SLICE("; "));
		say_line(x, &line);
	}
}

static void
check_upstream(const struct explain_facts *f, struct finding *x)
{
	const struct profile *p;
	enum reply_id no = find_route(f, &p);
	struct recent_line line;

	if (no == SAY_PROFILE_MISSING) {
		say(x, FAIL, no, NULL);
		text_put(&x->words, SLICE("The route names a profile that is not there"));
		return;
	}
	if (no == SAY_NO_ROUTE) {
		say(x, FAIL, no, NULL);
		text_put(&x->words, SLICE("No outgoing server is set up for the account"));
		return;
	}
	if (no != SAY_NONE) {
		text_put(&x->words, SLICE("No own upstream is set up"));
		return;
	}
	if (p == NULL) {
		check_native(f, x);
		return;
	}
	bool known = recent_line(f->recent, p->account, p->id, &line);
	struct relay_health h = relay_health(f->relay, p);

	text_fmt(&x->words, "Mail goes through the profile %s (%s:%u)", p->name, p->host, p->port);
	if (h.closed_s > 0) {
		say_class(x, VERDICT_AUTH, NULL);
		text_fmt(&x->words,
		    ", which has refused the stored credentials %u times; it is asked again in %.0f s",
		    h.refusals, h.closed_s);
	} else if (h.held_s > 0) {
		say_class(x, VERDICT_RATE, NULL);
		text_fmt(&x->words, ", which asked to be left alone for another %.0f s", h.held_s);
	} else if (known && line.failed_s > line.sent_s) {
		enum verdict_class class = verdict_of_word(slice_str(line.class));

		say_class(x, class < VERDICT_CLASS_COUNT ? class : VERDICT_INTERNAL, NULL);
	}
	if (x->status == FAIL)
		advise_by_class(f, p, x);
	if (!known) {
		text_put(&x->words, SLICE("; nothing was sent through it of late"));
		return;
	}
	text_put(&x->words, SLICE("; "));
	say_line(x, &line);
}

/* ---- 10: the recipient's server ---- */

static void
check_recipient(const struct explain_facts *f, struct finding *x)
{
	static const char *const causes[] = { "rcpt", "content", "deferred", "malformed", NULL };
	struct sum sum = refusals(f, f->to, causes);

	if (sum.count == 0) {
		text_put(&x->words, SLICE("No recipient's server has refused mail of late"));
		if (f->to.n > 0) {
			text_put(&x->words, SLICE(" for "));
			text_escaped(&x->words, behind_at(f->to), 255);
		}
		return;
	}
	say(x, NOTE, SAY_NONE,
	    "Its own words say why; 550 5.1.1 is a wrong address, 550 5.7.1 is policy: SPF, DKIM, DMARC, reputation.");
	text_fmt(&x->words, "%u refused, the last at ", sum.count);
	say_time(x, sum.last.last_s);
	text_put(&x->words, SLICE(" for "));
	text_escaped(&x->words, slice_str(sum.last.to), 95);
	text_put(&x->words, SLICE(": "));
	text_escaped(&x->words, slice_str(sum.last.words), 200);
}

/* ---- all ten ---- */

static const struct {
	const char *name;
	const char *title;
	check_fn *check;
} checks[] = {
	{ "owner", "Account-owner email isn't verified", check_owner },
	{ "domain", "Domain DNS isn't verified", check_domain },
	{ "plan", "The plan cannot send", check_plan },
	{ "limits", "Daily or hourly sending limit hit", check_limits },
	{ "recipients", "Recipient count per message", check_recipients },
	{ "mailbox", "Mailbox is paused", check_mailbox },
	{ "account", "Account is suspended", check_account },
	{ "login", "SMTP authentication itself fails", check_login },
	{ "upstream", "Own SMTP misconfiguration", check_upstream },
	{ "recipient", "The recipient's server is rejecting", check_recipient },
};

enum { CHECKS = sizeof(checks) / sizeof(checks[0]), CHECK_LOGIN = 7 };

static void
write_reply(struct text *out, const char *key, enum reply_id r)
{
	text_fmt(out, ",\"%s\":", key);
	if (r == SAY_NONE) {
		text_put(out, SLICE("null"));
		return;
	}
	const struct reply_row *row = reply_row(r);

	text_fmt(out, "{\"id\":\"%s\",\"code\":%d,\"enhanced\":\"", row->name, row->code);
	enhanced_write(out, row->enhanced);
	text_put(out, SLICE("\",\"text\":\""));
	text_json(out, slice_str(row->text));
	text_put(out, SLICE("\"}"));
}

/* As at RCPT, which is where the upstream's trouble is told. */
static void
write_class(struct text *out, const char *key, const struct finding *x)
{
	struct relay_verdict v = relay_says(x->class);

	text_fmt(out, ",\"%s\":{\"id\":\"%s\",\"code\":%d,\"enhanced\":\"", key,
	    verdict_word(x->class), v.code);
	enhanced_write(out, v.enhanced);
	text_put(out, SLICE("\",\"text\":\""));
	text_json(out, v.text);
	text_put(out, SLICE("\"}"));
}

static void
write_check(size_t i, const struct finding *x, struct text *out)
{
	text_fmt(out,
	    "%s{\"number\":%zu,\"name\":\"%s\",\"title\":\"%s\",\"status\":\"%s\",\"finding\":\"",
	    i ? "," : "", i + 1, checks[i].name, checks[i].title, status_words[x->status]);
	text_json(out, text_slice(&x->words));
	text_put(out, SLICE("\",\"todo\":"));
	if (x->advice.n > 0) {
		text_char(out, '"');
		text_json(out, text_slice(&x->advice));
		text_char(out, '"');
	} else {
		text_put(out, SLICE("null"));
	}
	if (x->status == FAIL && x->say == SAY_NONE)
		write_class(out, "reply", x);
	else
		write_reply(out, "reply", x->say);
	text_char(out, '}');
}

static void
write_string(struct text *out, const char *key, struct slice s)
{
	text_fmt(out, ",\"%s\":\"", key);
	text_json(out, s);
	text_char(out, '"');
}

/* What the SMTP path says first: at AUTH where the mailbox is paused, else at MAIL. */
static enum reply_id
smtp_says(const struct explain_facts *f)
{
	const struct profile *p;
	enum reply_id no;

	if (f->sender == NULL)
		return SAY_AUTH_FAILED;
	no = policy_sender(f->sender, f->now_s);
	/* The listener's option: told at AUTH, and there as any other refusal. */
	if (no == SAY_MAILBOX_PAUSED || (no == SAY_UNVERIFIED_OWNER && f->owner_at_auth))
		return SAY_AUTH_FAILED;
	if (no == SAY_NONE)
		no = find_route(f, &p);
	for (size_t i = 0; i < f->limits_n && no == SAY_NONE; i++)
		if (f->limits[i].cap > 0 && f->limits[i].used >= f->limits[i].cap)
			no = f->limits[i].say;
	if (no == SAY_NONE && !f->sender->is_address)
		no = rules_say(f->sender);
	return no;
}

static void
write_head(const struct explain_facts *f, struct text *out)
{
	const struct profile *p = NULL;

	text_put(out, SLICE("{\"ok\":true"));
	write_string(out, "name", f->sender != NULL ? slice_str(f->sender->name) : f->name);
	if (f->sender == NULL)
		return;
	write_string(out, "account", slice_str(f->sender->account.name));
	write_string(out, "plan", slice_str(f->sender->account.plan.name));
	if (find_route(f, &p) == SAY_NONE)
		write_string(out, "route", p != NULL ? slice_str(p->name) : SLICE("native"));
	else
		text_put(out, SLICE(",\"route\":null"));
}

void
explain_write(const struct explain_facts *f, struct text *out)
{
	struct finding found[CHECKS];
	size_t first = CHECKS;

	for (size_t i = 0; i < CHECKS; i++) {
		struct finding *x = &found[i];

		*x = (struct finding){ .say = SAY_NONE, .about = SAY_NONE };
		x->words = text_over(x->mem, sizeof(x->mem));
		x->advice = text_over(x->advice_mem, sizeof(x->advice_mem));
		if (f->sender != NULL) {
			checks[i].check(f, x);
		} else if (i == CHECK_LOGIN) {
			say(x, FAIL, SAY_AUTH_FAILED,
			    "Look for a slip of the pen: byway mailbox list. Or make it: byway mailbox add $M.");
			text_put(&x->words, SLICE("There is no mailbox of that name"));
		} else {
			text_put(&x->words, SLICE("There is no mailbox to look at"));
		}
		advise(f, x);
		if (x->status == FAIL && first == CHECKS)
			first = i;
	}
	write_head(f, out);
	if (first < CHECKS)
		text_fmt(out, ",\"failing\":%zu", first + 1);
	else
		text_put(out, SLICE(",\"failing\":null"));
	write_reply(out, "smtp", smtp_says(f));
	text_put(out, SLICE(",\"checks\":["));
	for (size_t i = 0; i < CHECKS; i++)
		write_check(i, &found[i], out);
	text_put(out, SLICE("]}"));
}
