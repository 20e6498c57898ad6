/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_sparkpost - POST /api/v1/transmissions: the message as a JSON string, which must be UTF-8
 *
 * Substitution is off, or {{ }} in the message would be expanded. Some recipients may be refused
 * inside a good answer: their errors are asked for.
 */
#include "relay/web/api_private.h"

static bool
put_recipients(struct api *a)
{
	bool first = true;

	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL; first = false)
		if ((!first && !api_put(a, SLICE(","))) ||
		    !api_put(a, SLICE("{\"address\":{\"email\":")) ||
		    !api_put_string(a, api_address(rcpt)) || !api_put(a, SLICE("}}")))
			return false;
	return true;
}

static bool
begin(struct api *a)
{
	return api_put(a,
	           SLICE("{\"options\":{\"perform_substitutions\":false},\"recipients\":[")) &&
	    put_recipients(a) && api_put(a, SLICE("],\"content\":{\"email_rfc822\":\""));
}

static bool
content(struct api *a, struct slice octets)
{
	switch (api_put_escaped(a, octets, false)) {
	case BODY_OK:
		return true;
	case BODY_NOT_TEXT:
		api_refuse(a, VERDICT_NOT_EXPRESSIBLE,
		    "This provider's API takes messages in UTF-8 only: encode 8-bit content (quoted-printable, base64)");
		return false;
	case BODY_NO_MEMORY:
		break;
	}
	return false;
}

static bool
end(struct api *a)
{
	enum body_put put = api_put_escaped(a, SLICE(""), true);

	if (put == BODY_NOT_TEXT)
		api_refuse(a, VERDICT_NOT_EXPRESSIBLE,
		    "This provider's API takes messages in UTF-8 only");
	return put == BODY_OK && api_put(a, SLICE("\"}}"));
}

static bool
head(struct api *a, const struct secret *key, struct api_head *h)
{
	size_t from = h->lines.n;

	(void)a;
	text_put(&h->path, SLICE("/api/v1/transmissions?num_rcpt_errors=100"));
	text_put(&h->lines, SLICE("Authorization: "));
	text_put(&h->lines, secret_peek(key));
	api_header_end(h, from);
	api_header(h, "Content-Type: application/json");
	api_header(h, "Accept: application/json");
	return true;
}

const struct api_kind api_sparkpost = {
	.provider = "sparkpost",
	.size = 20971520,
	.begin = begin,
	.content = content,
	.end = end,
	.head = head,
	.id = "results.id",
};
