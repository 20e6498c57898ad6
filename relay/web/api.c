/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/api_private.h"

#include "relay/credential.h"
#include "relay/observer.h"
#include "wire/log.h"

#include <stdlib.h>

enum { ROOM = 64 * 1024 };

static const struct api_kind *const api_kinds[] = { &api_mailgun, &api_ses, &api_sparkpost,
	&api_sendgrid };

const struct api_kind *
api_kind_of(const struct profile *p)
{
	for (size_t i = 0; i < sizeof(api_kinds) / sizeof(api_kinds[0]); i++)
		if (slice_eq_nocase(slice_str(p->provider), slice_str(api_kinds[i]->provider)))
			return api_kinds[i];
	return NULL;
}

struct relay_offer
api_offer(const struct api_kind *k)
{
	return (struct relay_offer){
		.known = true,
		.size = k->size,
		.recipients = k->recipients,
		.eight_bit = true,
	};
}

/* ---- recipients ------------------------------------------------------------------------------ */

struct slice
api_address(const struct rcpt *rcpt)
{
	static const size_t before = sizeof("RCPT TO:<") - 1;

	return slice_of(rcpt->line.p + before, rcpt->line.n - before - 1);
}

const struct rcpt *
api_rcpt(const struct api *a, const struct rcpt *after)
{
	const struct rcpt *rcpt = after ? after->next : a->txn->first;

	while (rcpt && !rcpt->accepted)
		rcpt = rcpt->next;
	return rcpt;
}

void
api_refuse(struct api *a, enum verdict_class class, const char *why)
{
	struct text t = text_over(a->why, sizeof(a->why));

	if (a->fault != VERDICT_OK)
		return;
	a->fault = class;
	text_put(&t, slice_head(slice_str(why), sizeof(a->why) - 1));
}

/* A provider that reads a list where one address stands would send to two others. */
static bool
is_list(struct slice address)
{
	return slice_find(address, ',') < address.n || slice_find(address, ';') < address.n;
}

static enum verdict_class
fit_rcpt(const struct api *a, const struct rcpt *rcpt)
{
	if (rcpt->utf8)
		return VERDICT_NO_SMTPUTF8;
	if (is_list(api_address(rcpt)))
		return VERDICT_NOT_EXPRESSIBLE;
	if (rcpt->notify & (NOTIFY_SUCCESS | NOTIFY_NEVER))
		return VERDICT_NO_DSN;
	if (a->kind->recipients && a->txn->accepted >= a->kind->recipients)
		return VERDICT_TOO_MANY_RCPT;
	return VERDICT_OK;
}

/* False: the transaction has ended on the way. */
static bool
take_rcpts(struct api *a)
{
	struct relay_txn *t = a->txn;
	struct relay_verdict good = transaction_verdict(VERDICT_OK);
	struct rcpt *rcpt;

	while ((rcpt = transaction_next_rcpt(t)) != NULL) {
		rcpt->here = fit_rcpt(a, rcpt);
		transaction_sent(t);
		if (t->api != a)
			return false;
		if (rcpt->here != VERDICT_OK)
			continue;
		transaction_rcpt_answer(t, &good);
		if (t->api != a)
			return false;
	}
	return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
release(struct api *a)
{
	struct upstream *u = a->up;

	if (a->request)
		http_cancel(a->request);
	if (a->conversion)
		a->kind->forget(a);
	loop_cancel(u->r->loop, &a->task);
	spool_fini(&a->body);
	crypto_hash_close(a->hash, NULL);
	list_remove(&u->calls, &a->link);
	pool_return(u, &a->holder);
	shape_leave(&u->shaping);
	free(a);
	if (!u->r->closing)
		pool_feed(u);
	pool_unref(u);
}

void
api_let_go(struct api *a)
{
	a->txn = NULL;
	release(a);
}

static void
done(struct api *a, const struct relay_verdict *v)
{
	struct relay_txn *t = a->txn;

	a->txn = NULL;
	transaction_done(t, v);
	release(a);
}

/* Why it was not answered goes to the log, and to who watches; the client hears the class's
 * words. */
static void
tell_failed(const struct relay *r, enum verdict_class class, const char *why)
{
	const struct watch_news news = {
		.event = WATCH_FAILED, .class = class, .text = slice_str(why)
	};

	if (r->watch)
		r->watch->fn(r->watch->ctx, &news);
}

static void
done_here(struct api *a, enum verdict_class class, const char *why)
{
	struct relay_verdict v = transaction_verdict(class);

	if (why && *why && class == VERDICT_NOT_EXPRESSIBLE)
		v.text = slice_str(why);
	if (why && *why) {
		pool_say(a->up, LOG_NOTICE, verdict_word(class), slice_str(why));
		tell_failed(a->up->r, class, why);
	}
	done(a, &v);
}

/* Nothing was said to the upstream yet, and nothing will be. */
static void
refuse(struct api *a, enum verdict_class class)
{
	struct relay_verdict v = transaction_verdict(class);
	struct relay_txn *t = a->txn;

	a->txn = NULL;
	transaction_refused(t, &v);
	release(a);
}

/* ---- the request ----------------------------------------------------------------------------- */

void
api_header_end(struct api_head *h, size_t from)
{
	if (h->lines.overflow || h->o->headers_n == HTTP_HEADERS_MAX) {
		h->lines.overflow = true;
		return;
	}
	h->o->headers[h->o->headers_n++] = slice_of(h->lines.mem + from, h->lines.n - from);
}

void
api_header(struct api_head *h, const char *line)
{
	size_t from = h->lines.n;

	text_put(&h->lines, slice_str(line));
	api_header_end(h, from);
}

static void
on_answer(void *ctx, const struct http_answer *answer)
{
	struct api *a = ctx;
	char mem[VERDICT_TEXT_MAX];
	struct text words = text_over(mem, sizeof(mem));
	struct relay_verdict v = api_verdict(a, answer, &words);

	a->request = NULL;
	if (answer->end != HTTP_ANSWERED)
		tell_failed(a->up->r, v.class, answer->why);
	pool_answered(a->up, &v, answer->retry_s);
	if (v.class == VERDICT_OK)
		a->up->r->messages++;
	else
		pool_say(a->up, LOG_INFO, verdict_word(v.class),
		    v.upstream.n ? v.upstream : slice_str(answer->why));
	if (*answer->peer)
		a->txn->peer = arena_dup(&a->txn->arena, slice_str(answer->peer));
	done(a, &v);
}

static struct http_request *
request(struct api *a, const struct secret *key)
{
	const struct upstream *u = a->up;
	struct http_order o = {
		.host = u->host,
		.port = u->port,
		.body = &a->body,
		.total_s = u->r->conf->upstream.final_s,
		.watch = u->r->watch,
		.fn = on_answer,
		.ctx = a,
	};
	struct api_head h = { .o = &o };
	struct http_request *q = NULL;

	h.path = text_over(h.path_mem, sizeof(h.path_mem));
	h.lines = text_over(h.mem, sizeof(h.mem));
	if (a->kind->head(a, key, &h) && !h.path.overflow && !h.lines.overflow) {
		o.path = h.path_mem;
		q = http_send(u->http, &o);
	}
	crypto_wipe(h.mem, sizeof(h.mem));
	return q;
}

static void
send_request(struct api *a)
{
	struct upstream *u = a->up;
	struct secret key = { 0 };

	if (!u->http)
		u->http = http_open(u, u->ca_pem, u->pin, u->connections_max);
	if (!u->http) {
		done_here(a, VERDICT_NO_MEMORY, NULL);
		return;
	}
	if (!credential_password(u, &key)) {
		done_here(a, VERDICT_VAULT, "the stored key cannot be opened");
		return;
	}
	a->request = request(a, &key);
	secret_fini(&key);
	if (a->request)
		return;
	api_refuse(a, VERDICT_CONFIG, "the request cannot be made");
	done_here(a, a->fault, a->why);
}

static void
finish(struct api *a)
{
	if (a->fault == VERDICT_OK && !a->kind->end(a))
		api_refuse(a, VERDICT_NO_MEMORY, "");
	if (a->fault == VERDICT_OK && a->kind->convert) {
		if (a->kind->convert(a))
			return;
		api_refuse(a, VERDICT_NO_MEMORY, "");
	}
	api_converted(a);
}

void
api_converted(struct api *a)
{
	if (a->fault != VERDICT_OK)
		done_here(a, a->fault, a->why);
	else
		send_request(a);
}

/* ---- what the transaction asks --------------------------------------------------------------- */

static enum verdict_class
fit_mail(const struct api *a)
{
	const struct relay_txn *t = a->txn;

	if (t->utf8_sender)
		return VERDICT_NO_SMTPUTF8;
	if (t->has_size && t->size > a->kind->size)
		return VERDICT_SIZE;
	return VERDICT_OK;
}

static void
go(struct api *a)
{
	struct relay_verdict v = transaction_verdict(VERDICT_GO);

	a->going = true;
	if (a->kind->begin(a))
		transaction_go(a->txn, &v);
	else
		refuse(a, VERDICT_NO_MEMORY);
}

void
api_pump(struct api *a)
{
	struct relay_txn *t = a->txn;
	enum verdict_class fit = fit_mail(a);

	if (a->request || a->conversion)
		return;
	if (a->going) {
		if (t->finish)
			finish(a);
		return;
	}
	if (fit != VERDICT_OK && (t->first || t->data)) {
		refuse(a, fit);
		return;
	}
	if (!take_rcpts(a) || !t->data)
		return;
	if (t->accepted == 0)
		refuse(a, VERDICT_NO_VALID_RCPT);
	else
		go(a);
}

size_t
api_room(const struct api *a)
{
	(void)a;
	return ROOM;
}

enum verdict_class
api_content(struct api *a, struct slice octets)
{
	a->octets += octets.n;
	if (a->octets > a->kind->size)
		return VERDICT_SIZE;
	/* What was found is said at the end of the content. */
	if (a->fault != VERDICT_OK)
		return VERDICT_OK;
	if (!a->kind->content(a, octets) && a->fault == VERDICT_OK)
		return VERDICT_NO_MEMORY;
	return VERDICT_OK;
}

struct api *
api_open(struct upstream *u, struct relay_txn *t)
{
	struct api *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->kind = u->api;
	a->up = pool_ref(u);
	a->txn = t;
	a->fault = VERDICT_OK;
	spool_init(&a->body, &u->r->spools, u->account);
	list_append(&u->calls, &a->link);
	a->holder = pool_lend(u, t);
	return a;
}
