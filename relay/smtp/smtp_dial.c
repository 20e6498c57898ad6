/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_dial - look-up, connect, and the next address where one does not do (BEHAVIOUR R9)
 *
 *      begin -> resolved -> dial -> connected -> (smtp_hello.c ...) -> ready
 *                            ^                        |
 *                            '------ successor <------' it fails otherwise than by a reply to AUTH,
 *                                                       and another address is left
 */
#include "relay/smtp/smtp_step.h"

#include <stdlib.h>
#include <unistd.h>

#include "relay/observer.h"
#include "wire/host.h"
#include "wire/log.h"

/* How long an address may be silent while there are others. */
static const double patience_s = 3;

enum { KEPT_REPLY = 1024, KEPT_WHY = 160 };

/* What an earlier address said, should no other do better. */
struct smtp_kept {
	enum verdict_class class;
	unsigned weight;
	char why[KEPT_WHY];
	size_t n;
	char reply[KEPT_REPLY];
};

static struct relay *
relay_of(const struct smtp *c)
{
	return c->up->r;
}

/* Of the upstream, for what is remembered of its addresses. */
static uint64_t
whose(const struct smtp *c)
{
	return c->up->profile ? c->up->profile : UINT64_MAX;
}

/* "host[192.0.2.1]:587" */
static void
name_peer(struct smtp *c, const struct address *a)
{
	struct text t = text_over(c->peer, sizeof(c->peer));

	text_put(&t, slice_head(slice_str(c->up->host), 255));
	text_char(&t, '[');
	net_write(&t, &a->u.sa);
	text_put(&t, SLICE("]:"));
	text_u64(&t, c->up->port);
}

/* The operator's own MTAs are not the guard's business. */
static bool
is_allowed(const struct smtp *c, const struct address *a, bool *trusted_r)
{
	enum guard_answer answer;

	*trusted_r = c->up->native;
	if (c->up->native)
		return true;
	answer = guard_ask(relay_of(c)->guard, GUARD_SENDS, &a->u.sa);
	*trusted_r = answer == GUARD_TRUSTED;
	return *trusted_r || (answer == GUARD_PUBLIC && c->up->tls != UPSTREAM_TLS_NONE);
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* The next address that may be connected to: that very one was checked. */
static bool
next_address(void *owner, struct dial_target *target_r)
{
	struct smtp *c = owner;
	bool trusted;

	while (c->tried < c->all.n) {
		unsigned i = c->tried++;
		struct address *a = &c->all.at[i];

		name_peer(c, a);
		if (!is_allowed(c, a, &trusted))
			continue;
		if (!c->dialled)
			watch_tell(c, WATCH_ALLOWED, NULL, SLICE(""));
		c->dialled = true;
		*target_r = (struct dial_target){ &a->u.sa, address_len(a), i };
		return true;
	}
	return false;
}

static void
stop_dialling(struct smtp *c)
{
	if (c->dial)
		dial_stop(c->dial);
	free(c->dial);
	c->dial = NULL;
}

/* Those of BITS did not answer; they come last for all. */
static void
bury_addresses(struct smtp *c, unsigned bits)
{
	for (unsigned i = 0; i < c->all.n; i++)
		if (bits >> i & 1)
			dead_note(shape_dead(relay_of(c)->shape), DEAD_FOR_ALL, &c->all.at[i],
			    loop_now(relay_of(c)->loop));
}

static void
on_dialled(void *owner, const struct dial_end *end)
{
	struct smtp *c = owner;

	stop_dialling(c);
	c->unanswered = 0;
	bury_addresses(c, end->failed | end->late);
	c->failed = end->failed;
	if (end->fd < 0) {
		if (end->error == STREAM_NO_MEMORY)
			smtp_fail(c, VERDICT_NO_MEMORY, NULL,
			    "no descriptors or memory of ours are left");
		else if (!c->dialled)
			smtp_fail(c, VERDICT_DENIED, NULL,
			    "the address or the port is not allowed");
		else
			smtp_fail(c, VERDICT_CONNECT, NULL, stream_error_why(end->error));
		return;
	}
	c->current = end->index;
	name_peer(c, &c->all.at[c->current]);
	if (!is_allowed(c, &c->all.at[c->current], &c->trusted)) {
		close(end->fd);
		smtp_fail(c, VERDICT_DENIED, NULL, "the address or the port is not allowed");
		return;
	}
	dead_forget(shape_dead(relay_of(c)->shape), DEAD_FOR_ALL, &c->all.at[c->current]);
	stream_adopt(&c->s, end->fd);
	smtp_connected(c);
}

static void
dial(struct smtp *c)
{
	struct relay *r = relay_of(c);

	for (unsigned i = 0; i < c->all.n; i++)
		address_set_port(&c->all.at[i], c->up->port);
	dead_sort(shape_dead(r->shape), whose(c), &c->all, loop_now(r->loop));
	c->dial = calloc(1, sizeof(*c->dial));
	if (!c->dial) {
		smtp_fail(c, VERDICT_NO_MEMORY, NULL, "out of memory");
		return;
	}
	c->answering = STEP_CONNECT;
	c->unanswered = 1;
	dial_start(c->dial, r->loop, smtp_limit_s(c, STEP_CONNECT), next_address, on_dialled, c);
}

/* ---- the host -------------------------------------------------------------------------------- */

static void
resolved(struct smtp *c, enum resolve_got got)
{
	switch (got) {
	case RESOLVE_OK:
		watch_tell(c, WATCH_RESOLVED, NULL, SLICE(""));
		dial(c);
		break;
	case RESOLVE_NONE:
		smtp_fail(c, VERDICT_DNS_NONE, NULL, "no such host");
		break;
	case RESOLVE_TEMP:
		smtp_fail(c, VERDICT_DNS_TEMP, NULL, "the name server gives no answer");
		break;
	case RESOLVE_LATER:
		break;
	}
}

static void
on_resolved(struct resolve_ask *ask, enum resolve_got got, const struct addresses *all)
{
	struct smtp *c = LINKED(ask, struct smtp, ask);

	c->all = *all;
	resolved(c, got);
}

void
smtp_begin(struct task *t)
{
	struct smtp *c = LINKED(t, struct smtp, task);
	struct slice host = slice_str(c->up->host);

	if (c->all.n) { /* a successor */
		dial(c);
		return;
	}
	/* What goes into SNI and into a look-up is a host name or an address, nothing else. */
	if (!host_is_normal(host)) {
		smtp_fail(c, VERDICT_DENIED, NULL, "not a host name");
		return;
	}
	c->ask.fn = on_resolved;
	resolved(c, resolve_host(relay_of(c)->resolve, c->up->account, host, &c->ask, &c->all));
}

/* ---- the next address ------------------------------------------------------------------------ */

/* Whether I may still be tried after the current one. */
static bool
is_left(const struct smtp *c, unsigned i)
{
	bool trusted;

	return i != c->current && !(c->failed >> i & 1) && is_allowed(c, &c->all.at[i], &trusted);
}

static bool
has_other(const struct smtp *c)
{
	for (unsigned i = 0; i < c->all.n; i++)
		if (is_left(c, i))
			return true;
	return false;
}

double
smtp_patience_s(const struct smtp *c, enum step step)
{
	double limit = smtp_limit_s(c, step);
	bool early = step == STEP_GREETING || step == STEP_EHLO || step == STEP_HELO ||
	    step == STEP_STARTTLS || step == STEP_TLS;

	return early && !c->ready && limit > patience_s && has_other(c) ? patience_s : limit;
}

/* A reply says most; what no other server would do differently says why at least. */
static unsigned
weight_of(enum verdict_class class, const struct reply *r)
{
	if (r)
		return 4;
	if (class == VERDICT_TLS || class == VERDICT_CONFIG)
		return 3;
	return class == VERDICT_PROTOCOL || class == VERDICT_LOST ? 2 : 1;
}

static void
keep(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	unsigned weight = weight_of(class, r);
	struct smtp_kept *k = c->kept ? c->kept : calloc(1, sizeof(*k));
	struct text t;

	c->kept = k;
	if (!k || (k->weight >= weight))
		return;
	k->class = class;
	k->weight = weight;
	t = text_over(k->why, sizeof(k->why));
	text_put(&t, slice_head(slice_str(why), sizeof(k->why) - 1));
	k->n = r && r->raw.n <= sizeof(k->reply) ? r->raw.n : 0;
	if (k->n)
		memcpy(k->reply, r->raw.p, k->n);
}

bool
smtp_recall(const struct smtp *c, enum verdict_class *class, const struct reply **r,
    const char **why, struct reply *mem)
{
	const struct smtp_kept *k = c->kept;
	struct reply_scan scan = { 0 };
	size_t used;

	if (!k || c->ready || k->weight <= weight_of(*class, *r) || *class == VERDICT_NO_MEMORY)
		return false;
	*class = k->class;
	*why = *k->why ? k->why : NULL;
	*r = k->n && reply_parse(&scan, slice_of(k->reply, k->n), mem, &used) == REPLY_WHOLE ? mem
	                                                                                     : NULL;
	return true;
}

/* What would be so with every address: our own trouble, and what AUTH was answered. */
static bool
is_same_everywhere(const struct smtp *c, enum verdict_class class, const struct reply *r)
{
	if (class == VERDICT_DENIED || class == VERDICT_DNS_NONE || class == VERDICT_DNS_TEMP ||
	    class == VERDICT_NO_MEMORY || class == VERDICT_VAULT)
		return true;
	if (r)
		return smtp_in_auth(c);
	return class == VERDICT_AUTH || class == VERDICT_AUTH_TEMP;
}

/* NEXT dials what is left, the current address first where it is to be tried AGAIN. */
static void
succeed(struct smtp *c, struct smtp *next, bool again)
{
	if (again)
		next->all.at[next->all.n++] = c->all.at[c->current];
	for (unsigned i = 0; i < c->all.n; i++)
		if (is_left(c, i))
			next->all.at[next->all.n++] = c->all.at[i];
	next->kept = c->kept;
	c->kept = NULL;
	pool_succeed(c, next);
}

bool
smtp_move_on(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
{
	struct relay *rl = relay_of(c);
	bool again = class == VERDICT_TLS && stream_wants_again(&c->s) && !c->up->second_hello;
	struct smtp *next;

	if (c->ready || c->txn || !c->dialled || rl->closing || is_same_everywhere(c, class, r) ||
	    (!again && !has_other(c)))
		return false;
	next = smtp_open(c->up, c->check);
	if (!next)
		return false;
	if (again) {
		c->up->second_hello = true;
		smtp_log(c, LOG_INFO, "again, with a hello of TLS 1.2", NULL, why);
	} else {
		dead_note(shape_dead(rl->shape), whose(c), &c->all.at[c->current],
		    loop_now(rl->loop));
		smtp_log(c, LOG_INFO, "next address", r, why ? why : verdict_word(class));
		keep(c, class, r, why);
	}
	succeed(c, next, again);
	return true;
}

void
smtp_settled(struct smtp *c)
{
	dead_forget(shape_dead(relay_of(c)->shape), whose(c), &c->all.at[c->current]);
	smtp_dial_free(c);
}

void
smtp_dial_free(struct smtp *c)
{
	resolve_forget(&c->ask);
	stop_dialling(c);
	free(c->kept);
	c->kept = NULL;
}
