/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_sendgrid - POST /v3/mail/send: no message but JSON, which a parser in a process of its own
 * makes of it (convert.h)
 */
#include "relay/web/api_private.h"

#include "relay/web/convert.h"
#include "relay/web/sendgrid.h"

/* ---- in this process: a probe, whose few lines are our own ----------------------------------- */

static bool
put(void *ctx, struct slice octets)
{
	return spool_put(ctx, octets);
}

static void
convert_here(struct api *a)
{
	char mem[4096];
	char sentence[API_WHY_MAX] = "";
	struct text why = text_over(sentence, sizeof(sentence));
	const struct rcpt *rcpt = api_rcpt(a, NULL);
	struct slice address = api_address(rcpt);
	struct sendgrid_job job = { .recipients = &address, .recipients_n = 1, .put = put };
	struct spool json;
	size_t n = 0;

	spool_init(&json, a->body.budget, a->body.account);
	job.ctx = &json;
	sendgrid_init();
	if (!spool_read(&a->body, 0, mem, sizeof(mem), &n)) {
		api_refuse(a, VERDICT_NO_MEMORY, "");
	} else {
		job.message = slice_of(mem, n);
		if (sendgrid_convert(&job, &why) != SENDGRID_OK)
			api_refuse(a, VERDICT_NOT_EXPRESSIBLE, sentence);
	}
	spool_fini(&a->body);
	a->body = json;
	api_converted(a);
}

/* ---- in a parser of its own ------------------------------------------------------------------ */

static void
on_converted(void *ctx, const struct convert_result *r)
{
	struct api *a = ctx;

	a->conversion = NULL;
	switch (r->end) {
	case CONVERT_DONE:
		/* The JSON takes the message's place, and its share of the budget. */
		if (!spool_take(&a->body, r->fd, (size_t)r->n))
			api_refuse(a, VERDICT_NO_MEMORY, "");
		break;
	case CONVERT_REFUSED:
		api_refuse(a, VERDICT_NOT_EXPRESSIBLE, r->why);
		break;
	case CONVERT_KILLED:
		api_refuse(a, VERDICT_NOT_EXPRESSIBLE,
		    "Not possible through this provider's API: the content cannot be taken apart");
		break;
	case CONVERT_UNAVAILABLE:
		api_refuse(a, VERDICT_NO_PARSER, "no parser was free, or could work");
		break;
	}
	api_converted(a);
}

/* Behind the message, a line each. */
static bool
add_recipients(struct api *a, unsigned *n_r)
{
	*n_r = 0;
	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL; ++*n_r)
		if (!spool_put(&a->body, api_address(rcpt)) || !spool_put(&a->body, SLICE("\n")))
			return false;
	return true;
}

static bool
convert(struct api *a)
{
	struct converter *c = a->up->r->converter;
	struct convert_order o = {
		.account = a->up->account,
		.strict = a->up->strict,
		.size = a->body.n,
		.fn = on_converted,
		.ctx = a,
	};

	if (!c) {
		convert_here(a);
		return true;
	}
	if (!add_recipients(a, &o.recipients) || (o.fd = spool_seal(&a->body)) < 0)
		return false;
	a->conversion = convert_start(c, &o);
	return a->conversion != NULL;
}

static void
forget(struct api *a)
{
	convert_forget(a->conversion);
}

/* ---- the request ----------------------------------------------------------------------------- */

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
