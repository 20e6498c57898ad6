/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_ses - POST /v2/email/outbound-emails: the message in base64 inside JSON, signed
 *
 * User name and key are an access key id and its secret. The region is in the host's name. No
 * FromEmailAddress: it would replace the message's own From.
 */
#include "relay/web/api_private.h"

#include "conf/provider.h"
#include "relay/web/sigv4.h"

static const char content_type[] = "application/json";

static bool
put_recipients(struct api *a)
{
	bool first = true;

	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL; first = false)
		if ((!first && !api_put(a, SLICE(","))) || !api_put_string(a, api_address(rcpt)))
			return false;
	return true;
}

static bool
begin(struct api *a)
{
	a->hash = crypto_hash_open();
	return a->hash && api_put(a, SLICE("{\"Destination\":{\"ToAddresses\":[")) &&
	    put_recipients(a) && api_put(a, SLICE("]},\"Content\":{\"Raw\":{\"Data\":\""));
}

static bool
content(struct api *a, struct slice octets)
{
	return api_put_base64(a, octets, false);
}

static bool
end(struct api *a)
{
	struct crypto_hash *hash = a->hash;
	bool good = api_put_base64(a, SLICE(""), true) && api_put(a, SLICE("\"}}}"));

	a->hash = NULL;
	return crypto_hash_close(hash, a->digest) && good;
}

static struct slice
region_of(const struct upstream *u)
{
	struct slice region = provider_api_region_of(provider_at(PROVIDER_SES), slice_str(u->host));

	return region.n ? region : SLICE("us-east-1");
}

/* As libcurl writes the Host: field. */
static void
put_host(struct text *t, const struct upstream *u)
{
	text_put(t, slice_str(u->host));
	if (u->port == 443)
		return;
	text_char(t, ':');
	text_u64(t, u->port);
}

static bool
head(struct api *a, const struct secret *key, struct api_head *h)
{
	int64_t now = (int64_t)(loop_wall_ms(a->up->r->loop) / 1000);
	char date[SIGV4_DATE];
	char mem[300];
	struct text host = text_over(mem, sizeof(mem));
	struct sigv4 s = {
		.method = SLICE("POST"),
		.path = SLICE("/v2/email/outbound-emails"),
		.content_type = slice_str(content_type),
		.region = region_of(a->up),
		.service = SLICE("ses"),
		.access_key = slice_str(a->up->username),
		.secret_key = secret_peek(key),
		.now = now,
		.digest = a->digest,
	};
	size_t from;

	if (!slice_is_ascii(s.access_key) || s.access_key.n == 0) {
		api_refuse(a, VERDICT_CONFIG, "the user name must be an access key id");
		return false;
	}
	put_host(&host, a->up);
	s.host = text_slice(&host);
	sigv4_date(now, date);
	text_put(&h->path, s.path);
	api_header(h, "Content-Type: application/json");
	from = h->lines.n;
	text_put(&h->lines, SLICE("X-Amz-Date: "));
	text_put(&h->lines, slice_str(date));
	api_header_end(h, from);
	from = h->lines.n;
	text_put(&h->lines, SLICE("Authorization: "));
	if (!sigv4_sign(&s, &h->lines))
		return false;
	api_header_end(h, from);
	return true;
}

const struct api_kind api_ses = {
	.provider = "ses",
	.size = 30000000, /* 40 MB in base64 */
	.recipients = 50,
	.begin = begin,
	.content = content,
	.end = end,
	.head = head,
	.id = "MessageId",
};
