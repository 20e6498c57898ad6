/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desk - a question: looked up in the directory, then its counters are asked, then it is answered
 */
#include "proxy/desk/desk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "proxy/process/channel.h"
#include "proxy/desk/explain.h"
#include "proxy/limits/guess_nodes.h"
#include "proxy/limits/quota.h"
#include "proxy/desk/recent.h"
#include "wire/log.h"

enum { NAME_ROOM = 320, REFUSALS_MAX = 24, QUESTIONS_MAX = 32 };

enum kind { EXPLAIN, USAGE, LIMITS, RESET, FORGIVE };

struct question {
	struct question *next;
	struct desk *desk;
	uint64_t id;
	uint32_t serial;
	enum kind kind;
	struct sender *sender; /* NULL: nobody of that name */
	char name[NAME_ROOM];
	char to[NAME_ROOM];
};

struct desk {
	struct worker *w;
	desk_fn *fn;
	void *ctx;
	uint64_t last_id;
	struct question *first;
	unsigned n;
};

/* ---- answering ---- */

static void
drop(struct question *q)
{
	struct question **at = &q->desk->first;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->desk->n--;
	sender_unref(q->sender);
	free(q);
}

static void
answer(struct question *q, struct slice json)
{
	q->desk->fn(q->desk->ctx, q->serial, json);
	drop(q);
}

static void
answer_text(struct question *q, const struct text *t)
{
	answer(q,
	    t->overflow ? SLICE("{\"ok\":false,\"error\":\"too much to tell\"}") : text_slice(t));
}

static void
sorry(struct question *q, const char *what)
{
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "{\"ok\":false,\"error\":\"%s", what);
	text_json(&t, slice_str(q->name));
	text_put(&t, SLICE("\"}"));
	answer_text(q, &t);
}

/* ---- usage ---- */

struct gathered {
	struct recent_refusal rows[REFUSALS_MAX];
	size_t n;
};

static bool
is_same_cause(const struct recent_refusal *a, const struct recent_refusal *b)
{
	return strcmp(a->cause, b->cause) == 0 && strcmp(a->sender, b->sender) == 0;
}

/* Workers' rows of one cause become one; the latest are kept, the latest first. */
static void
on_refusal(void *ctx, const struct recent_refusal *row)
{
	struct gathered *g = ctx;
	struct recent_refusal one = *row;
	size_t at = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (!is_same_cause(&g->rows[i], row))
			continue;
		if (g->rows[i].order > one.order)
			one = g->rows[i];
		one.count = g->rows[i].count + row->count;
		one.first_s = g->rows[i].first_s < row->first_s ? g->rows[i].first_s : row->first_s;
		memmove(&g->rows[i], &g->rows[i + 1], (g->n - i - 1) * sizeof(one));
		g->n--;
		break;
	}
	while (at < g->n && g->rows[at].order > one.order)
		at++;
	if (at == REFUSALS_MAX)
		return;
	if (g->n == REFUSALS_MAX)
		g->n--;
	memmove(&g->rows[at + 1], &g->rows[at], (g->n - at) * sizeof(one));
	g->rows[at] = one;
	g->n++;
}

static void
write_refusals(const struct question *q, struct text *out)
{
	struct gathered g = { .n = 0 };

	recent_each(scoreboard_recent(q->desk->w->board), q->sender->account.id,
	    slice_str(q->sender->id != 0 ? q->sender->name : ""), on_refusal, &g);
	text_put(out, SLICE(",\"refusals\":["));
	for (size_t i = 0; i < g.n; i++) {
		const struct recent_refusal *r = &g.rows[i];

		text_put(out, i ? SLICE(",{") : SLICE("{"));
		text_json_member(out, "cause", r->cause);
		text_json_member(out, "sender", r->sender);
		text_json_member(out, "to", r->to);
		text_json_member(out, "words", r->words);
		text_json_member(out, "id", r->id);
		text_fmt(out, "\"code\":%d,\"count\":%u,\"first\":%lld,\"last\":%lld}", r->code,
		    r->count, (long long)r->first_s, (long long)r->last_s);
	}
	text_char(out, ']');
}

static void
write_line(const struct recent_line *l, struct text *out)
{
	text_fmt(out, "\"sent\":%llu,\"failed\":%llu,\"last_sent\":%lld,\"last_failed\":%lld,",
	    (unsigned long long)l->sent, (unsigned long long)l->failed, (long long)l->sent_s,
	    (long long)l->failed_s);
	text_json_member(out, "class", l->class);
	text_json_member(out, "said", l->said);
	text_put(out, SLICE("\"id\":\""));
	text_json(out, slice_str(l->id));
	text_put(out, SLICE("\"}"));
}

/* In the words of explain. */
static void
write_todo(const struct question *q, const struct profile *p, const char *class, struct text *out)
{
	enum verdict_class v = verdict_of_word(slice_str(class));
	char key_mem[256];
	char mem[512];
	struct text key = text_over(key_mem, sizeof(key_mem));
	struct text todo = text_over(mem, sizeof(mem));

	if (v == VERDICT_CLASS_COUNT)
		return;
	text_fmt(&key, "%s/%s", q->sender->account.name, p->name);
	verdict_advise(v, text_slice(&key), &todo);
	text_json_member(out, "todo", mem);
}

static void
write_profile(const struct question *q, const struct profile *p, struct text *out)
{
	struct recent_line line;
	bool used = recent_line(scoreboard_recent(q->desk->w->board), p->account, p->id, &line);
	struct relay_health h = relay_health(q->desk->w->relay, p);
	const char *state = h.closed_s > 0 ? "refused"
	    : h.held_s > 0                 ? "held"
	    : !used                        ? "unused"
	    : line.failed_s > line.sent_s  ? "failing"
	                                   : "ok";

	text_char(out, '{');
	text_json_member(out, "name", p->name);
	text_json_member(out, "provider", p->provider);
	text_json_member(out, "host", p->host);
	text_json_member(out, "state", state);
	text_fmt(out, "\"port\":%u,\"retry_s\":%.0f,", p->port,
	    h.closed_s > 0 ? h.closed_s : h.held_s);
	if (strcmp(state, "ok") != 0 && strcmp(state, "unused") != 0)
		write_todo(q, p, h.closed_s > 0 ? "auth" : h.held_s > 0 ? "rate" : line.class, out);
	write_line(&line, out);
}

static void
write_profiles(const struct question *q, struct text *out)
{
	const struct account *a = &q->sender->account;
	struct relay_health h = relay_health(q->desk->w->relay, NULL);
	struct recent_line line;

	text_put(out, SLICE(",\"profiles\":["));
	for (size_t i = 0; i < a->profiles_n && !out->overflow; i++) {
		write_profile(q, &a->profiles[i], out);
		text_char(out, ',');
	}
	(void)!recent_line(scoreboard_recent(q->desk->w->board), 0, 0, &line);
	text_fmt(out,
	    "{\"name\":\"native\",\"provider\":\"native\",\"servers\":%u,\"alive\":%u,\"state\":\"%s\",",
	    h.servers, h.alive, h.alive > 0 ? "ok" : "failing");
	/* What it said last was perhaps about somebody else's mail. */
	text_fmt(out, "\"sent\":%llu,\"failed\":%llu,\"last_sent\":%lld,\"last_failed\":%lld}]",
	    (unsigned long long)line.sent, (unsigned long long)line.failed, (long long)line.sent_s,
	    (long long)line.failed_s);
}

static void
write_usage(const struct question *q, struct slice limits, struct text *out)
{
	const struct sender *s = q->sender;

	text_put(out, SLICE("{\"ok\":true,"));
	text_json_member(out, "name", s->name);
	text_json_member(out, "kind",
	    s->id == 0          ? "account"
	        : s->is_address ? "address"
	                        : "mailbox");
	text_json_member(out, "account", s->account.name);
	text_json_member(out, "plan", s->account.plan.name);
	text_json_member(out, "state", account_state_word(s->account.state));
	if (s->id != 0)
		text_json_member(out, "mailbox_state", mailbox_state_word(s->state));
	text_put(out, limits.n > 0 ? limits : SLICE("\"limits\":null"));
	if (q->kind == USAGE) {
		write_refusals(q, out);
		write_profiles(q, out);
	}
	text_char(out, '}');
}

/* ---- explain ---- */

static const struct {
	const char *word;
	const char *what;
	enum reply_id say;
} limit_rows[] = {
	{ "account_month", "this month", SAY_QUOTA_MONTH },
	{ "mailbox_day", "today", SAY_QUOTA_MAILBOX_DAY },
	{ "account_day", "today in all mailboxes", SAY_QUOTA_ACCOUNT_DAY },
	{ "account_hour", "this hour", SAY_QUOTA_HOUR },
	{ "rate", "this minute", SAY_RATE_USER },
};

/* The number behind KEY in one of quota's objects; 0 where it does not stand. */
static uint64_t
number(struct slice object, struct slice key)
{
	uint64_t v = 0;

	while (object.n > key.n && !slice_starts(object, key))
		object = slice_skip(object, 1);
	object = slice_skip(object, key.n);
	for (; object.n > 0 && object.p[0] >= '0' && object.p[0] <= '9';
	     object = slice_skip(object, 1))
		v = v * 10 + (uint64_t)(object.p[0] - '0');
	return v;
}

/* Out of what quota_usage() wrote: {"limit":"account_hour","used":3, ... }, ... */
static void
take_limits(struct explain_facts *f, struct slice limits)
{
	const struct slice begin = SLICE("{\"limit\":\"");

	while (limits.n > 0 && f->limits_n < EXPLAIN_LIMITS_MAX) {
		struct slice object = slice_cut(&limits, '}');
		size_t at = slice_find(object, '{');
		struct slice word = slice_skip(object, at + begin.n);

		word = slice_head(word, slice_find(word, '"'));
		for (size_t i = 0; i < sizeof(limit_rows) / sizeof(limit_rows[0]); i++) {
			if (!slice_eq(word, slice_str(limit_rows[i].word)))
				continue;
			uint64_t next = number(object, SLICE("\"next\":"));

			f->limits[f->limits_n++] = (struct explain_limit){
				.what = limit_rows[i].what,
				.say = limit_rows[i].say == SAY_RATE_USER && f->sender->is_address
				    ? SAY_RATE_ADDRESS
				    : limit_rows[i].say,
				.used = number(object, SLICE("\"used\":")),
				.cap = number(object, SLICE("\"cap\":")),
				.next_s =
				    (int64_t)(next ? next : number(object, SLICE("\"resets\":"))),
			};
		}
	}
}

static void
write_explanation(const struct question *q, struct slice limits, struct text *out)
{
	struct worker *w = q->desk->w;
	struct explain_facts f = {
		.name = slice_str(q->name),
		.sender = q->sender,
		.to = slice_str(q->to),
		.now_s = (int64_t)(loop_wall_ms(w->loop) / 1000),
		.owner_at_auth = q->sender && !q->sender->is_address &&
		    w->conf->senders.unverified_owner == UNVERIFIED_AT_AUTH,
		.relay = w->relay,
		.recent = scoreboard_recent(w->board),
	};

	f.limits_known = limits.n > 0;
	take_limits(&f, limits);
	explain_write(&f, out);
}

/* ---- the steps ---- */

static void
finish(struct question *q, struct slice limits)
{
	static char mem[CHANNEL_WORDS_MAX];
	struct text out = text_over(mem, sizeof(mem));

	if (q->kind == EXPLAIN)
		write_explanation(q, limits, &out);
	else
		write_usage(q, limits, &out);
	answer_text(q, &out);
}

static void
on_usage(void *ctx, struct slice json)
{
	finish(ctx, json);
}

static void
on_reset(void *ctx, bool ok, struct slice unreached)
{
	struct question *q = ctx;
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));

	if (!ok) {
		sorry(q, "the counters cannot be asked about ");
		return;
	}
	if (unreached.n > 0) {
		text_fmt(&why,
		    "%.*s cannot be reached: what this node knows is 0, but what that server holds and other nodes have counted may come back with it. Reset again then: ",
		    SLICE_FMT(unreached));
		sorry(q, mem);
		return;
	}
	log_say(LOG_NOTICE, "limits", "the counters of %s are reset", q->name);
	answer(q, SLICE("{\"ok\":true}"));
}

static void
ask_counters(struct question *q)
{
	struct quota *quota = q->desk->w->quota;
	bool whole = q->sender->id == 0;
	bool asked = q->kind == RESET ? quota_reset(quota, q->sender, whole, on_reset, q)
	                              : quota_usage(quota, q->sender, whole, on_usage, q);

	if (!asked)
		sorry(q, "no memory to ask about ");
}

static struct question *
find(struct desk *d, uint64_t id)
{
	struct question *q = d != NULL ? d->first : NULL;

	while (q != NULL && q->id != id)
		q = q->next;
	return q;
}

static void
on_found(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct worker *w = ctx;
	struct question *q = find(w->desk, owner);

	(void)why;
	if (q == NULL) {
		sender_unref(sender);
		return;
	}
	q->sender = sender;
	if (result == LOGIN_UNAVAILABLE)
		sorry(q, "the directory cannot be asked about ");
	else if (sender == NULL && q->kind == EXPLAIN)
		finish(q, SLICE(""));
	else if (sender == NULL)
		sorry(q, "there is no mailbox and no account ");
	else if (q->kind == EXPLAIN && sender->id == 0)
		sorry(q, "one mailbox is explained, not the account ");
	else
		ask_counters(q);
}

static bool
is_address(const char *name, struct sockaddr_storage *at)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;

	memset(at, 0, sizeof(*at));
	v4->sin_family = AF_INET;
	if (inet_pton(AF_INET, name, &v4->sin_addr) == 1)
		return true;
	v6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, name, &v6->sin6_addr) == 1;
}

static void
look_up(struct question *q)
{
	struct directory *d = q->desk->w->directory;
	struct sockaddr_storage at;

	if (is_address(q->name, &at))
		directory_address(d, (const struct sockaddr *)&at, q->id, on_found);
	else
		directory_find(d, slice_str(q->name), q->id, on_found);
}

static bool
take_word(struct slice *rest, char word[NAME_ROOM])
{
	struct slice w = slice_cut(rest, ' ');

	*rest = slice_trim(*rest);
	if (w.n == 0 || w.n >= NAME_ROOM || !slice_is_text(w))
		return false;
	memcpy(word, w.p, w.n);
	word[w.n] = '\0';
	return true;
}

static bool
parse(struct question *q, struct slice words)
{
	struct slice verb = slice_cut(&words, ' ');

	words = slice_trim(words);
	if (slice_eq(verb, SLICE("limits"))) {
		struct slice what = slice_cut(&words, ' ');

		words = slice_trim(words);
		q->kind = slice_eq(what, SLICE("reset")) ? RESET : LIMITS;
		if (q->kind == LIMITS && !slice_eq(what, SLICE("show")))
			return false;
	} else if (slice_eq(verb, SLICE("explain"))) {
		q->kind = EXPLAIN;
	} else if (slice_eq(verb, SLICE("usage"))) {
		q->kind = USAGE;
	} else if (slice_eq(verb, SLICE("forgive"))) {
		q->kind = FORGIVE;
	} else {
		return false;
	}
	if (!take_word(&words, q->name))
		return false;
	return words.n == 0 || (q->kind == EXPLAIN && take_word(&words, q->to) && words.n == 0);
}

static void
forgive(struct worker *w, struct slice name)
{
	struct guess_rules rules = guess_rules_of(w->conf);

	guess_forgive(scoreboard_guess(w->board), name);
	guess_tell_forgiven(w->counters, w->vault, &rules, name);
}

void
desk_ask(struct desk *d, uint32_t serial, struct slice words)
{
	struct question *q = d->n < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;

	if (q == NULL) {
		d->fn(d->ctx, serial, SLICE("{\"ok\":false,\"error\":\"too many ask at once\"}"));
		return;
	}
	q->desk = d;
	q->id = ++d->last_id;
	q->serial = serial;
	q->next = d->first;
	d->first = q;
	d->n++;
	if (!parse(q, words)) {
		answer(q, SLICE("{\"ok\":false,\"error\":\"the question is not understood\"}"));
	} else if (q->kind == FORGIVE) {
		forgive(d->w, slice_str(q->name));
		answer(q, SLICE("{\"ok\":true}"));
	} else {
		look_up(q);
	}
}

/* ---- life ---- */

struct desk *
desk_open(struct worker *w, desk_fn *fn, void *ctx)
{
	struct desk *d = calloc(1, sizeof(*d));

	if (d != NULL)
		*d = (struct desk){ .w = w, .fn = fn, .ctx = ctx };
	return d;
}

void
desk_close(struct desk *d)
{
	if (d == NULL)
		return;
	while (d->first != NULL)
		drop(d->first);
	free(d);
}
