/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callout_call - one question: the servers' names on a thread, then a dialogue in lockstep with one
 * of them, then perhaps with another
 *
 *      mx -> found -> attempt -> GREETING -> EHLO [-> HELO] -> MAIL -> RCPT -> over
 *                                      ^                                        |
 *                                      '----- once more, after a pause where it is the same server
 */
#include "relay/smtp/callout_private.h"

#include <stdlib.h>

#include "relay/verdict/verdict.h"
#include "wire/log.h"
#include "wire/net.h"
#include "wire/reply.h"
#include "wire/stream.h"

enum {
	ATTEMPTS = 2,
	IN_MAX = 8192,
	OUT_MAX = 4096,
};

static const double pause_s = 1.0; /* before the same server is asked again */

enum at { AT_GREETING, AT_EHLO, AT_HELO, AT_MAIL, AT_RCPT };

static const char *const doing[] = { "reading the greeting", "sending EHLO", "sending HELO",
	"sending MAIL", "sending RCPT" };

struct callout_call {
	struct grave grave; /* first: the loop frees by it */
	struct link link;
	struct callouts *all;
	struct callout_entry *entry; /* NULL: it has its answer, we only leave */
	struct stream s;
	struct reply_scan scan;
	ev_timer again;
	struct mx mx;
	union mx_address at[ATTEMPTS];
	unsigned n, tried;
	enum at step;
	ev_tstamp until;
};

/* ---- the end ---- */

static void
bury(struct grave *g)
{
	free(g);
}

static void
cut(struct callout_call *c)
{
	stream_close(&c->s);
	mx_forget(&c->mx);
	ev_timer_stop(loop_ev(c->all->loop), &c->again);
	list_remove(&c->all->calls, &c->link);
	c->grave.free_fn = bury;
	loop_bury(c->all->loop, &c->grave);
}

static void
on_gone(void *owner)
{
	cut(owner);
}

static void
note(const struct callout_call *c, enum callout_said said, const struct reply *r, const char *why)
{
	static const char *const words[] = { "good", "refused", "unable", "later" };
	char mem[VERDICT_TEXT_MAX];
	char peer[NET_TEXT_MAX + 1];
	struct text t = text_over(mem, sizeof(mem));
	struct text p = text_over(peer, sizeof(peer));
	struct log_line l;

	if (!log_begin(&l, LOG_INFO, "callout", SLICE(""), slice_str(doing[c->step])))
		return;
	log_str(&l, "address", slice_of(c->entry->address, c->entry->n));
	log_str(&l, "outcome", slice_str(words[said]));
	if (c->tried) {
		net_write(&p, &c->at[(c->tried - 1) % ATTEMPTS].sa);
		log_str(&l, "peer", text_slice(&p));
	}
	if (why)
		log_str(&l, "why", slice_str(why));
	if (r) {
		verdict_said(&t, r, SLICE(""));
		log_str(&l, "said", text_slice(&t));
	}
	log_end(&l);
}

/* The answer is told; the server, where there still is one, hears QUIT. */
static void
over(struct callout_call *c, enum callout_said said, const struct reply *r, const char *why)
{
	struct callout_entry *e = c->entry;

	note(c, said, r, why);
	c->entry = NULL;
	if (stream_is_open(&c->s) && stream_write(&c->s, SLICE("QUIT\r\n")))
		stream_finish(&c->s, on_gone);
	else
		cut(c);
	callout_heard(c->all, e, said);
}

void
callout_cut_all(struct callouts *all)
{
	list_each_safe(l, after, &all->calls)
		cut(LINKED(l, struct callout_call, link));
}

/* ---- the dialogue ---- */

static void attempt(struct callout_call *c, const char *why);

static void
on_again(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	attempt(t->data, "no time left");
}

/* No clear word from this one: the next, or the same once more. */
static void
unclear(struct callout_call *c, const struct reply *r, const char *why)
{
	bool again = c->n == 1 && c->tried < ATTEMPTS;

	if (c->tried >= ATTEMPTS || loop_now(c->all->loop) + pause_s >= c->until) {
		over(c, CALLOUT_UNABLE, r, why);
		return;
	}
	stream_close(&c->s);
	ev_timer_set(&c->again, again ? pause_s : 0., 0.);
	ev_timer_start(loop_ev(c->all->loop), &c->again);
}

/* The time that is left, shared with the attempt to come. */
static void
set_deadline(struct callout_call *c)
{
	double left = c->until - loop_now(c->all->loop);

	if (c->tried < ATTEMPTS)
		left /= 2;
	stream_deadline(&c->s, left > 0.1 ? left : 0.1);
}

/* Connects to the very address that was checked. */
static void
attempt(struct callout_call *c, const char *why)
{
	while (c->tried < ATTEMPTS) {
		union mx_address *a = &c->at[c->n == 1 ? 0 : c->tried];
		bool six = a->sa.sa_family == AF_INET6;

		c->tried++;
		if (six)
			a->v6.sin6_port = htons((uint16_t)c->all->conf->senders.callout_port);
		else
			a->v4.sin_port = htons((uint16_t)c->all->conf->senders.callout_port);
		c->step = AT_GREETING;
		if (guard_ask(c->all->relay->guard, GUARD_ASKS, &a->sa) == GUARD_DENIED) {
			why = "the address or the port is not allowed";
			continue;
		}
		c->scan = (struct reply_scan){ 0 };
		if (!stream_connect(&c->s, &a->sa, six ? sizeof(a->v6) : sizeof(a->v4), NULL, 0)) {
			why = stream_why(&c->s);
			continue;
		}
		set_deadline(c);
		return;
	}
	over(c, CALLOUT_UNABLE, NULL, why);
}

static void
say(struct callout_call *c, enum at next)
{
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));
	const struct conf *conf = c->all->conf;
	const char *name = conf->upstream.ehlo_name;

	c->step = next;
	if (next == AT_EHLO || next == AT_HELO)
		text_fmt(&t, "%s %s\r\n", next == AT_EHLO ? "EHLO" : "HELO",
		    name && *name ? name : conf->server.name);
	else if (next == AT_MAIL)
		text_put(&t, SLICE("MAIL FROM:<>\r\n"));
	else {
		text_put(&t, SLICE("RCPT TO:<"));
		text_put(&t, slice_of(c->entry->address, c->entry->n));
		text_put(&t, SLICE(">\r\n"));
	}
	if (t.overflow || !stream_write(&c->s, text_slice(&t)))
		unclear(c, NULL, "no memory");
}

static void
take(struct callout_call *c, const struct reply *r)
{
	bool good = r->code / 100 == 2;

	if (c->step == AT_EHLO && r->code / 100 == 5)
		say(c, AT_HELO);
	else if (c->step == AT_RCPT && good)
		over(c, CALLOUT_GOOD, r, NULL);
	else if (c->step == AT_RCPT && r->code / 100 == 5)
		over(c, CALLOUT_REFUSED, r, NULL);
	else if (!good)
		unclear(c, r, NULL);
	else
		say(c, c->step == AT_GREETING ? AT_EHLO : c->step == AT_MAIL ? AT_RCPT : AT_MAIL);
}

/* In lockstep: one reply is all that may be there. */
static void
hear(struct callout_call *c)
{
	struct slice in = stream_in(&c->s);
	struct reply r;
	size_t used = 0;

	switch (reply_parse(&c->scan, in, &r, &used)) {
	case REPLY_MORE:
		if (in.n >= IN_MAX)
			unclear(c, NULL, "an endless reply");
		return;
	case REPLY_FAULT:
		unclear(c, NULL, "not an SMTP reply");
		return;
	case REPLY_WHOLE:
		break;
	}
	if (used < in.n) {
		unclear(c, NULL, "an answer that nobody waits for");
		return;
	}
	take(c, &r);
	/* Not before: the reply borrows from it. */
	if (c->entry && stream_is_open(&c->s))
		stream_consume(&c->s, used);
}

static void
on_event(void *owner, enum stream_event event)
{
	struct callout_call *c = owner;

	if (!c->entry)
		return;
	switch (event) {
	case STREAM_DATA:
		hear(c);
		break;
	case STREAM_TIMEOUT:
		unclear(c, NULL, "no answer in time");
		break;
	case STREAM_CLOSED:
		unclear(c, NULL, stream_why(&c->s));
		break;
	case STREAM_CONNECTED:
	case STREAM_SECURED:
	case STREAM_LOWAT:
		break;
	}
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void
on_servers(struct mx *mx, enum mx_got got)
{
	struct callout_call *c = LINKED(mx, struct callout_call, mx);

	c->n = mx->n;
	memcpy(c->at, mx->at, sizeof(c->at));
	if (c->n == 1 && mx->has_spare)
		c->at[c->n++] = mx->spare;
	c->until = loop_now(c->all->loop) + CALLOUT_S;
	switch (got) {
	case MX_FOUND:
		attempt(c, NULL);
		break;
	case MX_UNKNOWN:
		over(c, CALLOUT_LATER, NULL, "its servers cannot be looked up");
		break;
	case MX_NULL:
	case MX_NONE:
		over(c, CALLOUT_UNABLE, NULL, "it has no server");
		break;
	}
}

bool
callout_begin(struct callouts *all, struct callout_entry *e, uint64_t account)
{
	struct callout_call *c;

	if (all->calls.n >= CALLOUT_CALLS_MAX)
		return false;
	c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	c->all = all;
	c->entry = e;
	c->mx.dns = all->relay->dns;
	c->mx.account = account;
	c->mx.wanted = ATTEMPTS;
	c->mx.fn = on_servers;
	ev_timer_init(&c->again, on_again, 0., 0.);
	c->again.data = c;
	stream_init(&c->s, all->loop, IN_MAX, OUT_MAX, on_event, c);
	if (!mx_look_up(&c->mx, all->loop, slice_of(e->address + e->domain, e->n - e->domain))) {
		free(c);
		return false;
	}
	e->call = c;
	list_append(&all->calls, &c->link);
	return true;
}
