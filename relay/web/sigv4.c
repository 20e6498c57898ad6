/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/sigv4.h"

#include <stdio.h>
#include <time.h>

enum { REQUEST_MAX = 4096, KEY_MAX = 512 };

static const char signed_headers[] = "content-type;host;x-amz-date";

void
sigv4_date(int64_t now, char date[SIGV4_DATE])
{
	time_t t = (time_t)now;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(date, SIGV4_DATE, "%Y%m%dT%H%M%SZ", &tm);
}

static void
put_digest(struct text *t, const unsigned char digest[SHA256_LEN])
{
	text_hex(t, slice_of((const char *)digest, SHA256_LEN));
}

static void
put_line(struct text *t, const char *name, struct slice value)
{
	text_put(t, slice_str(name));
	text_put(t, value);
	text_char(t, '\n');
}

/* The canonical request's hash. No query; the path is what it is. */
static bool
hash_request(const struct sigv4 *s, struct slice date, unsigned char out[SHA256_LEN])
{
	char mem[REQUEST_MAX];
	struct text t = text_over(mem, sizeof(mem));

	put_line(&t, "", s->method);
	put_line(&t, "", s->path);
	put_line(&t, "", SLICE(""));
	put_line(&t, "content-type:", s->content_type);
	put_line(&t, "host:", s->host);
	put_line(&t, "x-amz-date:", date);
	put_line(&t, "", SLICE(""));
	put_line(&t, signed_headers, SLICE(""));
	put_digest(&t, s->digest);
	return !t.overflow && crypto_sha256(text_slice(&t), out);
}

static void
put_scope(struct text *t, const struct sigv4 *s, struct slice date)
{
	text_put(t, slice_head(date, 8));
	text_char(t, '/');
	text_put(t, s->region);
	text_char(t, '/');
	text_put(t, s->service);
	text_put(t, SLICE("/aws4_request"));
}

static bool
step(unsigned char key[SHA256_LEN], struct slice word)
{
	return crypto_hmac_sha256(slice_of((const char *)key, SHA256_LEN), word, key);
}

static bool
derive(const struct sigv4 *s, struct slice date, unsigned char key[SHA256_LEN])
{
	char mem[KEY_MAX];
	struct text t = text_over(mem, sizeof(mem));
	bool good;

	text_put(&t, SLICE("AWS4"));
	text_put(&t, s->secret_key);
	good = !t.overflow && crypto_hmac_sha256(text_slice(&t), slice_head(date, 8), key) &&
	    step(key, s->region) && step(key, s->service) && step(key, SLICE("aws4_request"));
	crypto_wipe(mem, sizeof(mem));
	return good;
}

static bool
signature(const struct sigv4 *s, struct slice date, unsigned char out[SHA256_LEN])
{
	char mem[REQUEST_MAX];
	struct text t = text_over(mem, sizeof(mem));
	unsigned char key[SHA256_LEN];
	unsigned char request[SHA256_LEN];
	bool good;

	if (!hash_request(s, date, request))
		return false;
	put_line(&t, "AWS4-HMAC-SHA256", SLICE(""));
	put_line(&t, "", date);
	put_scope(&t, s, date);
	text_char(&t, '\n');
	put_digest(&t, request);
	good = !t.overflow && derive(s, date, key) &&
	    crypto_hmac_sha256(slice_of((const char *)key, sizeof(key)), text_slice(&t), out);
	crypto_wipe(key, sizeof(key));
	return good;
}

bool
sigv4_sign(const struct sigv4 *s, struct text *to)
{
	char date[SIGV4_DATE];
	unsigned char out[SHA256_LEN];

	sigv4_date(s->now, date);
	if (!signature(s, slice_str(date), out))
		return false;
	text_put(to, SLICE("AWS4-HMAC-SHA256 Credential="));
	text_put(to, s->access_key);
	text_char(to, '/');
	put_scope(to, s, slice_str(date));
	text_put(to, SLICE(", SignedHeaders="));
	text_put(to, slice_str(signed_headers));
	text_put(to, SLICE(", Signature="));
	put_digest(to, out);
	return !to->overflow;
}
