/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_sendgrid - POST /v3/mail/send: no message but JSON, which a thread makes of it (sendgrid.h)
 */
#include "relay/web/api_private.h"

#include <stdlib.h>

#include "relay/web/sendgrid.h"

enum { FACTOR = 2, SLACK = 65536 }; /* base64 and escapes, within what the API takes */

/* What the thread holds; the transaction may have gone meanwhile. */
struct convert {
	struct job job; /* first */
	struct api *a;  /* NULL: it has gone */
	struct relay *r;
	struct spool message;
	struct spool_budget budget; /* the JSON's, while it is the thread's */
	struct spool json;
	struct slice *recipients;
	size_t recipients_n;
	char *addresses;
	enum sendgrid_got got;
	char why[API_WHY_MAX];
};

static void
release(struct convert *v)
{
	spool_fini(&v->message);
	spool_fini(&v->json);
	free(v->recipients);
	free(v->addresses);
	free(v);
}

static bool
put(void *ctx, struct slice octets)
{
	struct convert *v = ctx;

	return spool_put(&v->json, octets);
}

static void
run(struct job *j)
{
	struct convert *v = (struct convert *)j;
	struct text why = text_over(v->why, sizeof(v->why));
	struct sendgrid_job job = {
		.recipients = v->recipients,
		.recipients_n = v->recipients_n,
		.put = put,
		.ctx = v,
	};

	v->got = SENDGRID_NO_MEMORY;
	if (!spool_map(&v->message, &job.message))
		return;
	v->got = sendgrid_convert(&job, &why);
	spool_unmap(&v->message, job.message);
}

/* The JSON takes the message's place, and its share of the budget. */
static void
take_json(struct convert *v)
{
	struct api *a = v->a;
	struct spool_budget *all = &v->r->spools;

	if (v->got == SENDGRID_REFUSED)
		api_refuse(a, VERDICT_NOT_EXPRESSIBLE, v->why);
	else if (v->got != SENDGRID_OK || v->json.n > all->max || all->used > all->max - v->json.n)
		api_refuse(a, VERDICT_NO_MEMORY, "");
	if (a->fault == VERDICT_OK) {
		spool_fini(&a->body);
		a->body = v->json;
		a->body.budget = all;
		all->used += a->body.n;
		v->json = (struct spool){ .fd = -1 };
	}
}

static void
done(struct job *j)
{
	struct convert *v = (struct convert *)j;
	struct api *a = v->a;

	if (a) {
		a->conversion = NULL;
		if (v->got == SENDGRID_OK || v->got == SENDGRID_REFUSED)
			take_json(v);
		else
			api_refuse(a, VERDICT_NO_MEMORY, "");
	}
	release(v);
	if (a)
		api_converted(a);
}

static bool
copy_recipients(struct convert *v, const struct api *a)
{
	size_t n = 0;
	char *at;

	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL; v->recipients_n++)
		n += api_address(rcpt).n;
	v->addresses = at = malloc(n + 1);
	v->recipients = calloc(v->recipients_n + 1, sizeof(*v->recipients));
	if (!at || !v->recipients)
		return false;
	v->recipients_n = 0;
	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL;) {
		struct slice address = api_address(rcpt);

		memcpy(at, address.p, address.n);
		v->recipients[v->recipients_n++] = slice_of(at, address.n);
		at += address.n;
	}
	return true;
}

static bool
convert(struct api *a)
{
	struct convert *v = calloc(1, sizeof(*v));

	if (!v)
		return false;
	sendgrid_init();
	v->job.run = run;
	v->job.done = done;
	v->a = a;
	v->r = a->up->r;
	v->got = SENDGRID_NO_MEMORY;
	v->budget.max = FACTOR * a->body.n + SLACK;
	spool_init(&v->json, &v->budget);
	v->message = (struct spool){ .fd = -1 };
	if (!copy_recipients(v, a)) {
		release(v);
		return false;
	}
	/* The thread's from here on: the transaction may go before it is done. */
	v->message = a->body;
	spool_init(&a->body, &a->up->r->spools);
	if (!work_submit(a->up->r->work, &v->job)) {
		release(v);
		return false;
	}
	a->conversion = v;
	return true;
}

static void
forget(struct api *a)
{
	a->conversion->a = NULL;
}

static bool
nothing(struct api *a)
{
	(void)a;
	return true;
}

static bool
head(struct api *a, const struct secret *key, struct api_head *h)
{
	size_t from = h->lines.n;

	(void)a;
	text_put(&h->path, SLICE("/v3/mail/send"));
	text_put(&h->lines, SLICE("Authorization: Bearer "));
	text_put(&h->lines, secret_peek(key));
	api_header_end(h, from);
	api_header(h, "Content-Type: application/json");
	api_header(h, "Accept: application/json");
	return true;
}

const struct api_kind api_sendgrid = {
	.provider = "sendgrid",
	.size = 20971520,
	.recipients = 1000,
	.begin = nothing,
	.content = api_put,
	.end = nothing,
	.convert = convert,
	.forget = forget,
	.head = head,
};
