/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/oauth_code.h"

#include <curl/curl.h>

#include "wire/base64.h"
#include "wire/crypto.h"
#include "wire/json_doc.h"

enum { FORM_MAX = 16 * 1024, TOKEN_MAX = 4096, ANSWER_MAX = 64 * 1024, RANDOM = 32 };

/* RFC 4648, 5, without padding. */
static void
put_base64url(struct text *t, const unsigned char *octets, size_t n)
{
	char mem[2 * RANDOM];
	struct text plain = text_over(mem, sizeof(mem));

	base64_encode(&plain, slice_of((const char *)octets, n));
	for (size_t i = 0; i < plain.n && mem[i] != '='; i++)
		text_char(t, mem[i] == '+' ? '-' : mem[i] == '/' ? '_' : mem[i]);
}

static bool
make_word(char word[OAUTH_WORD])
{
	unsigned char random[RANDOM];
	struct text t = text_over(word, OAUTH_WORD);

	if (!crypto_random(random, sizeof(random)))
		return false;
	put_base64url(&t, random, sizeof(random));
	return !t.overflow;
}

bool
oauth_code_begin(struct oauth_code *o)
{
	return make_word(o->state) && make_word(o->verifier);
}

static void
put_field(struct text *t, char before, const char *name, struct slice value)
{
	if (before)
		text_char(t, before);
	text_put(t, slice_str(name));
	text_char(t, '=');
	text_percent(t, value);
}

/* access_type and prompt: Google gives a refresh token only so; others pass over them. */
void
oauth_code_url(const struct oauth_code *o, struct text *url)
{
	unsigned char digest[SHA256_LEN];
	char mem[OAUTH_WORD];
	struct text challenge = text_over(mem, sizeof(mem));

	if (!crypto_sha256(slice_str(o->verifier), digest)) {
		url->overflow = true;
		return;
	}
	put_base64url(&challenge, digest, sizeof(digest));
	text_put(url, slice_str(o->consent));
	put_field(url, '?', "response_type", SLICE("code"));
	put_field(url, '&', "client_id", slice_str(o->client));
	put_field(url, '&', "redirect_uri", slice_str(o->redirect));
	put_field(url, '&', "scope", slice_str(o->scope));
	put_field(url, '&', "state", slice_str(o->state));
	put_field(url, '&', "code_challenge", text_slice(&challenge));
	put_field(url, '&', "code_challenge_method", SLICE("S256"));
	put_field(url, '&', "access_type", SLICE("offline"));
	put_field(url, '&', "prompt", SLICE("consent"));
}

static void
put_decoded(struct text *t, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
		    hex_digit(s.p[i + 2]) >= 0) {
			text_char(t, (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2])));
			i += 2;
		} else {
			text_char(t, s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
}

bool
oauth_code_take(const struct oauth_code *o, struct slice target, struct text *code,
    struct text *why)
{
	struct slice query = target;
	bool ours = false;

	(void)slice_cut(&query, '?');
	while (query.n) {
		struct slice value = slice_cut(&query, '&');
		struct slice name = slice_cut(&value, '=');

		if (slice_eq(name, SLICE("code"))) {
			put_decoded(code, value);
		} else if (slice_eq(name, SLICE("state"))) {
			ours =
			    value.n == strlen(o->state) && crypto_equal(value.p, o->state, value.n);
		} else if (slice_eq(name, SLICE("error"))) {
			text_put(why, SLICE("the provider says: "));
			put_decoded(why, slice_head(value, 64));
		}
	}
	if (!ours) {
		text_reset(why);
		text_put(why, SLICE("not an answer to this request (state differs)"));
	}
	if (ours && code->n == 0 && why->n == 0)
		text_put(why, SLICE("there is no code in the answer"));
	return ours && code->n > 0 && !code->overflow && why->n == 0;
}

/* ---- the exchange ---------------------------------------------------------------------------- */

static size_t
take(char *from, size_t size, size_t n, void *ctx)
{
	struct text *t = ctx;

	text_put(t, slice_of(from, size * n));
	return t->overflow ? 0 : n;
}

static bool
set_rules(CURL *e, const struct oauth_code *o, const char *form, struct text *answer)
{
	return curl_easy_setopt(e, CURLOPT_URL, o->endpoint) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_TIMEOUT, 30L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_USERAGENT, "byway/" BYWAY_VERSION) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_POSTFIELDS, form) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEDATA, answer) == CURLE_OK;
}

static bool
read_answer(struct slice body, struct secret *refresh_r, struct text *why)
{
	char mem[TOKEN_MAX];
	struct text token = text_over(mem, sizeof(mem));
	struct json_t *doc = json_doc_read(body);
	bool good = json_doc_text(json_doc_at(doc, "refresh_token"), &token) && !token.overflow &&
	    secret_init(refresh_r, text_slice(&token));

	crypto_wipe(mem, sizeof(mem));
	if (!good) {
		text_put(why, SLICE("the token endpoint gave no refresh token"));
		text_reset(&token);
		if (json_doc_text(json_doc_at(doc, "error"), &token) && token.n < 64) {
			text_put(why, SLICE(": "));
			text_escaped(why, text_slice(&token), 64);
		}
	}
	json_doc_free(doc);
	return good;
}

static bool
post(const struct oauth_code *o, const char *form, struct text *answer, struct text *why)
{
	CURL *e = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
	CURLcode code = CURLE_FAILED_INIT;

	if (e && set_rules(e, o, form, answer))
		code = curl_easy_perform(e);
	if (code != CURLE_OK)
		text_fmt(why, "%s: %s", o->endpoint, curl_easy_strerror(code));
	curl_easy_cleanup(e);
	return code == CURLE_OK;
}

bool
oauth_code_exchange(const struct oauth_code *o, struct slice code, const struct secret *secret,
    struct secret *refresh_r, struct text *why)
{
	static char mem[FORM_MAX], said[ANSWER_MAX];
	struct text form = text_over(mem, sizeof(mem));
	struct text answer = text_over(said, sizeof(said));
	bool good;

	put_field(&form, 0, "grant_type", SLICE("authorization_code"));
	put_field(&form, '&', "code", code);
	put_field(&form, '&', "client_id", slice_str(o->client));
	put_field(&form, '&', "redirect_uri", slice_str(o->redirect));
	put_field(&form, '&', "code_verifier", slice_str(o->verifier));
	if (secret->n)
		put_field(&form, '&', "client_secret", secret_peek(secret));
	good = !form.overflow && post(o, mem, &answer, why) &&
	    read_answer(text_slice(&answer), refresh_r, why);
	crypto_wipe(mem, sizeof(mem));
	crypto_wipe(said, sizeof(said));
	return good;
}
