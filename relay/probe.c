/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - a relay with one upstream, one transaction and a watcher (probe_advice.c: what to do
 * then)
 */
#include "relay/probe.h"

#include "relay/transaction.h"
#include "relay/observer.h"
#include "relay/pool/offers.h"
#include "wire/buf.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char content[] =
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "This message was sent to see whether a relay's SMTP profile works. It does.\r\n";

/* Two tries at most, PROBE_S in all: one that hears no greeting, and one in the other TLS mode. */
enum { GREETING_S = 12, OTHER_MODE_S = PROBE_S - GREETING_S };

struct probe {
	const struct probe_order *o;
	struct probe_report *report;
	struct loop *loop;
	struct relay *relay;
	struct relay_txn *txn;
	struct text transcript;
	ev_timer bound, greeting;
	double bound_s;
	enum probe_step at;  /* what is waited for */
	double began, since; /* the start; of the step */
	bool over;
};

static const char *const words[PROBE_STEPS] = { "resolve", "allowed", "connect", "greeting", "ehlo",
	"tls", "token", "auth", "mail", "rcpt", "data", "request", "accepted" };

const char *
probe_word(enum probe_step step)
{
	return words[step];
}

const char *
probe_state_word(enum probe_state state)
{
	static const char *const states[] = { "not reached", "skipped", "ok", "failed" };

	return states[state];
}

static bool
is_api(const struct profile *p)
{
	return p->transport == TRANSPORT_API;
}

bool
probe_has(const struct profile *p, enum probe_step step)
{
	switch (step) {
	case PROBE_RESOLVE:
	case PROBE_ALLOWED:
	case PROBE_CONNECT:
	case PROBE_TLS:
	case PROBE_ACCEPTED:
		return true;
	case PROBE_TOKEN:
		return p->auth == PROFILE_OAUTH2 && !is_api(p);
	case PROBE_REQUEST:
		return is_api(p);
	case PROBE_GREETING:
	case PROBE_EHLO:
	case PROBE_AUTH:
	case PROBE_MAIL:
	case PROBE_RCPT:
	case PROBE_DATA:
		return !is_api(p);
	case PROBE_STEPS:
		break;
	}
	return false;
}

static struct slice
user_of(const struct probe *p)
{
	return slice_str(p->o->profile->username);
}

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec * 1e-6;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void
put_said(char said[PROBE_SAID_MAX + 1], struct slice line, struct slice hide)
{
	struct text t = text_over(said, PROBE_SAID_MAX + 1);

	verdict_clean(&t, line, hide, PROBE_SAID_MAX);
}

static void
mark(struct probe *p, enum probe_step step, enum probe_state state, struct slice said)
{
	struct probe_row *row = &p->report->rows[step];
	double now = now_ms();

	/* The second EHLO, behind TLS, is the same step. */
	row->ms += state == PROBE_SKIPPED ? 0 : now - p->since;
	row->state = state;
	if (said.n)
		put_said(row->said, said, user_of(p));
	p->since = now;
}

static void
stop(struct probe *p)
{
	p->over = true;
	loop_stop(p->loop);
}

static void
fail(struct probe *p, enum verdict_class class, struct slice said)
{
	struct text action = text_over(p->report->action, sizeof(p->report->action));

	if (p->over)
		return;
	mark(p, p->at, PROBE_FAILED, said);
	p->report->failed = p->at;
	p->report->class = class;
	probe_advise(p->o->profile, p->at, class, &action);
	stop(p);
}

static void
finish(struct probe *p)
{
	if (p->over)
		return;
	p->report->good = true;
	stop(p);
}

/* ---- the transcript -------------------------------------------------------------------------- */

static void
put_line(struct probe *p, const char *who, struct slice line)
{
	if (p->transcript.n + PROBE_SAID_MAX + 8 > sizeof(p->report->transcript))
		return;
	text_put(&p->transcript, slice_str(who));
	verdict_clean(&p->transcript, slice_trim(line), user_of(p), PROBE_SAID_MAX);
	text_char(&p->transcript, '\n');
}

static void
note_sent(struct probe *p, enum step step, struct slice line)
{
	if (step == STEP_USER || step == STEP_PASSWORD || step == STEP_CRAM) {
		put_line(p, "C: ", SLICE("***"));
	} else if (step == STEP_AUTH) {
		struct slice verb = slice_cut(&line, ' ');
		char mem[64];
		struct text t = text_over(mem, sizeof(mem));

		text_put(&t, verb);
		text_char(&t, ' ');
		text_put(&t, slice_head(slice_trim(slice_cut(&line, ' ')), 16));
		text_put(&t, line.n ? SLICE(" ***") : SLICE(""));
		put_line(p, "C: ", text_slice(&t));
	} else {
		put_line(p, "C: ", line);
	}
}

static void
note_heard(struct probe *p, const struct reply *r)
{
	struct slice rest = r->raw;

	while (rest.n)
		put_line(p, "S: ", slice_cut(&rest, '\n'));
}

static void
note_capabilities(struct probe *p, const struct reply *r)
{
	struct text t = text_over(p->report->capabilities, sizeof(p->report->capabilities));
	struct slice rest = r->raw;
	struct slice line;

	if (!reply_next_line(&rest, &line)) /* its name and its compliments */
		return;
	while (reply_next_line(&rest, &line)) {
		if (t.n)
			text_put(&t, SLICE("; "));
		verdict_clean(&t, slice_trim(line), SLICE(""), PROBE_SAID_MAX);
	}
}

static void
note_peer(struct probe *p, const struct smtp *c)
{
	struct text t = text_over(p->report->peer, sizeof(p->report->peer));

	text_put(&t, slice_str(c->peer));
}

static void
note_certificate(struct probe *p, const struct smtp *c)
{
	struct text t = text_over(p->report->certificate, sizeof(p->report->certificate));

	tls_peer_describe(c->s.tls, &t, &p->report->verified);
}

/* ---- what the dialogue tells ----------------------------------------------------------------- */

static void
note_said(const struct reply *r, struct text *t)
{
	verdict_said(t, r, SLICE(""));
}

/* The answer was good as far as the dialogue goes on with it; whether it does, WATCH_FAILED or the
 * verdict says. */
static void
heard(struct probe *p, const struct smtp *c, const struct reply *r)
{
	char mem[VERDICT_TEXT_MAX];
	struct text said = text_over(mem, sizeof(mem));
	enum step step = c->answering;
	bool good = r->code >= 200 && r->code < 400;

	note_heard(p, r);
	note_said(r, &said);
	if (!good)
		return;
	if (step == STEP_GREETING) {
		mark(p, PROBE_GREETING, PROBE_GOOD, text_slice(&said));
		p->at = PROBE_EHLO;
	} else if (step == STEP_EHLO || step == STEP_HELO) {
		note_capabilities(p, r);
		mark(p, PROBE_EHLO, PROBE_GOOD, text_slice(&said));
		p->at = p->o->profile->tls == UPSTREAM_TLS_STARTTLS && !c->secured ? PROBE_TLS
		    : probe_has(p->o->profile, PROBE_TOKEN)                        ? PROBE_TOKEN
		                                                                   : PROBE_AUTH;
	} else if ((step == STEP_AUTH || step == STEP_USER || step == STEP_PASSWORD ||
	               step == STEP_CRAM) &&
	    r->code != 334) {
		mark(p, PROBE_AUTH, PROBE_GOOD, text_slice(&said));
		p->at = PROBE_MAIL;
	} else if (step == STEP_MAIL) {
		mark(p, PROBE_MAIL, PROBE_GOOD, text_slice(&said));
		p->at = PROBE_RCPT;
	} else if (step == STEP_DATA) {
		mark(p, PROBE_DATA, PROBE_GOOD, text_slice(&said));
		p->at = PROBE_ACCEPTED;
	}
}

static void
ready(struct probe *p)
{
	if (p->report->rows[PROBE_AUTH].state == PROBE_NOT_REACHED)
		mark(p, PROBE_AUTH, PROBE_SKIPPED, SLICE("the profile has no user name"));
	if (p->report->rows[PROBE_TLS].state == PROBE_NOT_REACHED)
		mark(p, PROBE_TLS, PROBE_SKIPPED, SLICE("the profile says tls = none"));
	p->at = PROBE_MAIL;
	if (!p->o->to)
		finish(p);
}

/* Where a request to an API fails: what is about the request, whatever of it went, is not the
 * message's fault. */
static enum probe_step
at_of_api(const struct probe *p, enum verdict_class class)
{
	switch ((int)class) {
	case VERDICT_DNS_NONE:
	case VERDICT_DNS_TEMP:
	case VERDICT_DENIED:
	case VERDICT_CONNECT:
	case VERDICT_TLS:
		return p->at;
	case VERDICT_AUTH:
	case VERDICT_AUTH_DOUBT:
	case VERDICT_AUTH_TEMP:
	case VERDICT_ACCOUNT:
	case VERDICT_CONFIG:
	case VERDICT_QUOTA:
	case VERDICT_RATE:
	case VERDICT_BUSY:
	case VERDICT_LOST:
	case VERDICT_VAULT:
		return PROBE_REQUEST;
	default:
		return PROBE_ACCEPTED;
	}
}

static void
failed(struct probe *p, const struct watch_news *n)
{
	char mem[VERDICT_TEXT_MAX];
	struct text said = text_over(mem, sizeof(mem));

	if (n->class == VERDICT_DENIED && p->at < PROBE_CONNECT)
		p->at = PROBE_ALLOWED;
	if (n->class == VERDICT_DENIED) {
		fail(p, n->class, SLICE("host not allowed"));
		return;
	}
	if (n->class == VERDICT_TLS && (!n->c || !n->c->secured))
		p->at = PROBE_TLS;
	/* Before anybody was asked for a token. */
	if (n->class == VERDICT_CONFIG && p->at == PROBE_TOKEN)
		p->at = PROBE_AUTH;
	if (!n->c)
		p->at = at_of_api(p, n->class);
	if (n->r)
		note_said(n->r, &said);
	else
		text_put(&said, n->text);
	fail(p, n->class, text_slice(&said));
}

static void
put_peer(struct probe *p, const struct watch_news *n)
{
	struct text t = text_over(p->report->peer, sizeof(p->report->peer));

	text_put(&t, slice_str(n->peer));
	if (n->text.n) {
		text_char(&t, ' ');
		text_put(&t, n->text);
	}
}

static bool
looks_only(const struct probe_order *o)
{
	return !o->to || o->check_only;
}

static void
api_secured(struct probe *p, const struct watch_news *n)
{
	struct text t = text_over(p->report->certificate, sizeof(p->report->certificate));

	put_peer(p, n);
	text_put(&t, n->certificate);
	p->report->verified = n->verified;
	mark(p, PROBE_TLS, PROBE_GOOD, n->text);
	p->at = PROBE_REQUEST;
	if (!looks_only(p->o))
		return;
	mark(p, PROBE_REQUEST, PROBE_SKIPPED,
	    SLICE("nothing was sent: an API tells of its key only with a message, see --to"));
	finish(p);
}

static void
api_sent(struct probe *p, struct slice path)
{
	char mem[PROBE_SAID_MAX];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, SLICE("POST "));
	text_put(&t, slice_head(path, sizeof(mem) - 8));
	put_line(p, "C: ", text_slice(&t));
	mark(p, PROBE_REQUEST, PROBE_GOOD, text_slice(&t));
	p->at = PROBE_ACCEPTED;
}

/* A request on its way. A connection that is had again has no steps. */
static void
on_way(struct probe *p, const struct watch_news *n)
{
	switch (n->event) {
	case WATCH_RESOLVED:
		mark(p, PROBE_RESOLVE, PROBE_GOOD, SLICE(""));
		p->at = PROBE_ALLOWED;
		break;
	case WATCH_ALLOWED:
		mark(p, PROBE_ALLOWED, PROBE_GOOD, n->text);
		p->at = PROBE_CONNECT;
		break;
	case WATCH_CONNECTED:
		put_peer(p, n);
		mark(p, PROBE_CONNECT, PROBE_GOOD, slice_str(n->peer));
		p->at = PROBE_TLS;
		break;
	case WATCH_SECURED:
		api_secured(p, n);
		break;
	case WATCH_SENT:
		api_sent(p, n->text);
		break;
	case WATCH_FAILED:
		failed(p, n);
		break;
	case WATCH_TOKEN:
	case WATCH_HEARD:
	case WATCH_READY:
		break;
	}
}

static void
on_news(void *ctx, const struct watch_news *n)
{
	struct probe *p = ctx;

	if (p->over)
		return;
	if (!n->c) {
		on_way(p, n);
		return;
	}
	switch (n->event) {
	case WATCH_RESOLVED:
		mark(p, PROBE_RESOLVE, PROBE_GOOD, SLICE(""));
		p->at = PROBE_ALLOWED;
		break;
	case WATCH_ALLOWED:
		mark(p, PROBE_ALLOWED, PROBE_GOOD, slice_str(n->c->peer));
		p->at = PROBE_CONNECT;
		break;
	case WATCH_CONNECTED:
		note_peer(p, n->c);
		mark(p, PROBE_CONNECT, PROBE_GOOD, slice_str(n->c->peer));
		p->at = p->o->profile->tls == UPSTREAM_TLS_IMPLICIT ? PROBE_TLS : PROBE_GREETING;
		break;
	case WATCH_SECURED:
		note_peer(p, n->c);
		note_certificate(p, n->c);
		mark(p, PROBE_TLS, PROBE_GOOD, slice_str(tls_version(n->c->s.tls)));
		p->at = p->o->profile->tls == UPSTREAM_TLS_IMPLICIT ? PROBE_GREETING : PROBE_EHLO;
		break;
	case WATCH_TOKEN:
		mark(p, PROBE_TOKEN, PROBE_GOOD, SLICE(""));
		p->at = PROBE_AUTH;
		break;
	case WATCH_SENT:
		note_sent(p, n->c->sending, n->text);
		break;
	case WATCH_HEARD:
		heard(p, n->c, n->r);
		break;
	case WATCH_READY:
		ready(p);
		break;
	case WATCH_FAILED:
		failed(p, n);
		break;
	}
}

/* ---- what the transaction tells -------------------------------------------------------------- */

static struct slice
words_of(const struct relay_verdict *v)
{
	return v->upstream.n ? v->upstream : v->text;
}

static void
on_rcpt(void *ctx, uint64_t owner, unsigned index, const struct relay_verdict *v)
{
	struct probe *p = ctx;

	(void)owner;
	(void)index;
	if (p->over)
		return;
	if (v->class != VERDICT_OK) {
		if (is_api(p->o->profile))
			p->at = PROBE_REQUEST;
		fail(p, v->class, words_of(v));
		return;
	}
	if (is_api(p->o->profile)) { /* we said so ourselves */
		relay_data(p->txn);
		return;
	}
	mark(p, PROBE_RCPT, PROBE_GOOD, words_of(v));
	p->at = PROBE_DATA;
	if (p->o->check_only)
		finish(p);
	else
		relay_data(p->txn);
}

/* Whom a request to an API would go to that never goes. */
static const char nobody[] = "nobody@probe.invalid";

static const char *
to_of(const struct probe *p)
{
	return p->o->to ? p->o->to : nobody;
}

static void
put_content(struct probe *p)
{
	char mem[2048];
	struct text t = text_over(mem, sizeof(mem));
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	text_fmt(&t, "From: <%s>\r\nTo: <%s>\r\nSubject: Test of a relay profile\r\nDate: %s\r\n",
	    p->o->from && *p->o->from ? p->o->from : nobody, to_of(p), date);
	text_fmt(&t, "Message-ID: <probe.%lld.%d@%s>\r\n%s", (long long)now, (int)getpid(),
	    p->o->conf->server.name, content);
	relay_content(p->txn, text_slice(&t));
	relay_finish(p->txn);
}

static void
on_go(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct probe *p = ctx;

	(void)owner;
	if (p->over)
		return;
	if (v->code != 354) {
		p->txn = NULL;
		if (is_api(p->o->profile))
			p->at = PROBE_REQUEST;
		fail(p, v->class, words_of(v));
		return;
	}
	if (is_api(p->o->profile)) {
		put_content(p);
		return;
	}
	/* With BDAT nobody is asked for a go-ahead. */
	if (p->report->rows[PROBE_DATA].state == PROBE_NOT_REACHED)
		mark(p, PROBE_DATA, PROBE_GOOD, SLICE("by BDAT"));
	p->at = PROBE_ACCEPTED;
	put_content(p);
}

static void
on_room(void *ctx, uint64_t owner)
{
	(void)ctx;
	(void)owner;
}

static void
on_done(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct probe *p = ctx;

	(void)owner;
	p->txn = NULL;
	if (p->over)
		return;
	if (is_api(p->o->profile) && v->upstream.n)
		put_line(p, "S: ", v->upstream);
	if (v->class != VERDICT_OK) {
		if (is_api(p->o->profile))
			p->at = at_of_api(p, v->class);
		fail(p, v->class, words_of(v));
		return;
	}
	mark(p, PROBE_ACCEPTED, PROBE_GOOD, words_of(v));
	finish(p);
}

static const struct relay_events events = {
	.on_rcpt = on_rcpt,
	.on_go = on_go,
	.on_room = on_room,
	.on_done = on_done,
};

/* ---- the run --------------------------------------------------------------------------------- */

static void
on_bound(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	fail(w->data, VERDICT_LOST, SLICE("no answer in time"));
}

/* A server that speaks TLS from the start waits for our hello, as we wait for its greeting. */
static void
on_greeting_due(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct probe *p = w->data;

	(void)ev;
	(void)revents;
	if (p->report->rows[PROBE_CONNECT].state == PROBE_GOOD && p->at == PROBE_GREETING)
		fail(p, VERDICT_LOST, SLICE("connected, but no greeting in time"));
}

static bool
keep_refresh(void *ctx, const struct secret *refresh)
{
	const struct probe_order *o = ((struct probe *)ctx)->o;

	return o->keep && o->keep(o->ctx, refresh);
}

static bool
begin(struct probe *p)
{
	struct relay_order order = { .owner = 1, .id = SLICE("probe"), .profile = p->o->profile };
	struct rcpt_args rcpt = { 0 };
	struct upstream *u = pool_profile(p->relay, p->o->profile);

	if (!u || !secret_init(&u->password, secret_peek(p->o->password)) ||
	    (p->o->refresh && !secret_init(&u->refresh, secret_peek(p->o->refresh))))
		return false;
	if (p->o->from && *p->o->from && !path_parse_bare(slice_str(p->o->from), &order.mail.path))
		return false;
	if (!p->o->from || !*p->o->from)
		order.mail.path.null = true;
	p->txn = relay_open(p->relay, &order);
	if (!p->txn)
		return false;
	if (!p->o->to && !is_api(p->o->profile))
		return true;
	return path_parse_bare(slice_str(to_of(p)), &rcpt.path) && relay_rcpt(p->txn, &rcpt);
}

static void
note_offer(struct probe *p)
{
	struct relay_offer o = relay_offers(p->relay, p->o->profile);
	struct text t = text_over(p->report->offer, sizeof(p->report->offer));

	if (o.known && !is_api(p->o->profile))
		offers_write(p->o->profile, &o, &t);
}

static bool
run(struct probe *p, struct work *w)
{
	struct watch watch = { on_news, p, looks_only(p->o) };

	p->relay = relay_new_without_mtas(p->loop, w, p->o->conf, &events, p);
	if (!p->relay)
		return false;
	p->relay->watch = &watch;
	p->relay->keep_clear = keep_refresh;
	ev_timer_init(&p->bound, on_bound, p->bound_s, 0.);
	ev_timer_init(&p->greeting, on_greeting_due, GREETING_S, 0.);
	p->bound.data = p->greeting.data = p;
	ev_timer_start(loop_ev(p->loop), &p->bound);
	ev_timer_start(loop_ev(p->loop), &p->greeting);
	p->began = p->since = now_ms();
	if (!begin(p))
		return false;
	if (!p->over)
		loop_run(p->loop);
	ev_timer_stop(loop_ev(p->loop), &p->bound);
	ev_timer_stop(loop_ev(p->loop), &p->greeting);
	p->report->ms = now_ms() - p->began;
	note_offer(p);
	return true;
}

static bool
run_once(const struct probe_order *o, double bound_s, struct probe_report *report_r)
{
	struct probe p = { .o = o, .report = report_r, .bound_s = bound_s };
	struct work *w = NULL;
	bool good = false;

	p.loop = loop_open();
	if (p.loop)
		w = work_open(p.loop, "relay", 1, 16);
	if (w) {
		*report_r = (struct probe_report){ 0 };
		p.transcript = text_over(report_r->transcript, sizeof(report_r->transcript));
		good = run(&p, w);
		/* The thread ends first: what it answers still finds everything there. */
		work_close(w);
		if (p.relay) {
			p.relay->watch = NULL;
			relay_free(p.relay);
		}
	}
	if (p.loop)
		loop_close(p.loop);
	buf_pool_trim();
	return good;
}

/* ---- the other TLS mode (R12) ---------------------------------------------------------------- */

/* Failed where a server would that speaks TLS from the start, or does not. */
static bool
may_be_other_mode(const struct probe_order *o, const struct probe_report *r)
{
	if (r->good || is_api(o->profile))
		return false;
	return r->failed == PROBE_GREETING ||
	    (r->failed == PROBE_TLS && o->profile->tls == UPSTREAM_TLS_IMPLICIT);
}

/* As far as the hello behind TLS, without a login: what is wrong about the mode is wrong before the
 * password is said. */
static void
try_other_mode(const struct probe_order *o, struct probe_report *r)
{
	struct probe_report *other = calloc(1, sizeof(*other));
	struct secret none = { 0 };
	struct profile p = *o->profile;
	struct probe_order order = { .conf = o->conf, .profile = &p, .password = &none };
	bool starts = p.tls == UPSTREAM_TLS_IMPLICIT;

	p.tls = starts ? UPSTREAM_TLS_STARTTLS : UPSTREAM_TLS_IMPLICIT;
	p.username = "";
	p.auth = PROFILE_PASSWORD;
	if (other && secret_init(&none, SLICE("")) && run_once(&order, OTHER_MODE_S, other) &&
	    (other->rows[PROBE_GREETING].state == PROBE_GOOD || *other->certificate)) {
		struct text action = text_over(r->action, sizeof(r->action));

		text_fmt(&action,
		    starts
		        ? "The server speaks in clear text first at port %u: TLS mode starttls is right there (--tls starttls), or another port, usually 465, for implicit."
		        : "The server speaks TLS from the start at port %u: TLS mode implicit is right there (--tls implicit), or another port, usually 587, for STARTTLS.",
		    o->profile->port);
	}
	secret_fini(&none);
	free(other);
}

bool
probe_run(const struct probe_order *o, struct probe_report *report_r)
{
	if (!run_once(o, PROBE_S, report_r))
		return false;
	if (may_be_other_mode(o, report_r))
		try_other_mode(o, report_r);
	return true;
}
