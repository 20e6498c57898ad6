/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_mailgun - POST /v3/{domain}/messages.mime: multipart/form-data, each recipient a field `to`,
 * the message as it is in a file part
 *
 * The domain is that of the profile's user name: "postmaster@mg.example.com", as over SMTP, or
 * "mg.example.com". The sender of the envelope cannot be told; Mailgun has its own.
 */
#include "relay/web/api_private.h"

#include "wire/base64.h"
#include "wire/path.h"

enum { RANDOM = 16, PART_MAX = 2048 };

static bool
make_boundary(struct api *a)
{
	unsigned char random[RANDOM];
	struct text t = text_over(a->boundary, sizeof(a->boundary));

	if (!crypto_random(random, sizeof(random)))
		return false;
	text_put(&t, SLICE("byway-"));
	text_hex(&t, slice_of((const char *)random, sizeof(random)));
	return true;
}

static bool
put_field(struct api *a, const char *name, struct slice value)
{
	char mem[PART_MAX];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, SLICE("--"));
	text_put(&t, slice_str(a->boundary));
	text_put(&t, SLICE("\r\nContent-Disposition: form-data; name=\""));
	text_put(&t, slice_str(name));
	text_put(&t, SLICE("\"\r\n\r\n"));
	text_put(&t, value);
	text_put(&t, SLICE("\r\n"));
	return !t.overflow && api_put(a, text_slice(&t));
}

static bool
begin(struct api *a)
{
	if (!make_boundary(a))
		return false;
	for (const struct rcpt *rcpt = NULL; (rcpt = api_rcpt(a, rcpt)) != NULL;)
		if (!put_field(a, "to", api_address(rcpt)))
			return false;
	return api_put(a, SLICE("--")) && api_put(a, slice_str(a->boundary)) &&
	    api_put(a,
	        SLICE(
	            "\r\nContent-Disposition: form-data; name=\"message\"; filename=\"message.eml\"\r\n"
	            "Content-Type: message/rfc822\r\n\r\n"));
}

static bool
end(struct api *a)
{
	return api_put(a, SLICE("\r\n--")) && api_put(a, slice_str(a->boundary)) &&
	    api_put(a, SLICE("--\r\n"));
}

static bool
head(struct api *a, const struct secret *key, struct api_head *h)
{
	struct slice domain = slice_str(a->up->username);
	struct slice local = domain;
	char mem[SHA256_LEN + VAULT_PLAIN_MAX];
	struct text login = text_over(mem, sizeof(mem));
	size_t from;

	if (slice_find(domain, '@') < domain.n) {
		slice_cut(&domain, '@');
		local = domain;
	}
	if (!domain_is_valid(local, false)) {
		api_refuse(a, VERDICT_CONFIG,
		    "the user name must be the sending domain, or a login of it");
		return false;
	}
	text_put(&h->path, SLICE("/v3/"));
	text_put(&h->path, local);
	text_put(&h->path, SLICE("/messages.mime"));
	from = h->lines.n;
	text_put(&h->lines, SLICE("Content-Type: multipart/form-data; boundary="));
	text_put(&h->lines, slice_str(a->boundary));
	api_header_end(h, from);
	api_header(h, "Accept: application/json");
	from = h->lines.n;
	text_put(&login, SLICE("api:"));
	text_put(&login, secret_peek(key));
	text_put(&h->lines, SLICE("Authorization: Basic "));
	base64_encode(&h->lines, text_slice(&login));
	api_header_end(h, from);
	crypto_wipe(mem, sizeof(mem));
	return !login.overflow;
}

const struct api_kind api_mailgun = {
	.provider = "mailgun",
	.size = 26214400,
	.recipients = 1000,
	.begin = begin,
	.content = api_put,
	.end = end,
	.head = head,
	.id = "id",
	.words = "message",
};
