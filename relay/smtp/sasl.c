/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/smtp/sasl.h"

#include "wire/base64.h"
#include "wire/crypto.h"

enum { PLAIN_MAX = 6 * 1024, BEARER_MAX = 9 * 1024, CHALLENGE_MAX = 1024 };

enum sasl
sasl_find(struct slice name)
{
	if (slice_eq_nocase(name, SLICE("PLAIN")))
		return SASL_PLAIN;
	if (slice_eq_nocase(name, SLICE("LOGIN")))
		return SASL_LOGIN;
	if (slice_eq_nocase(name, SLICE("CRAM-MD5")))
		return SASL_CRAM_MD5;
	if (slice_eq_nocase(name, SLICE("XOAUTH2")))
		return SASL_XOAUTH2;
	if (slice_eq_nocase(name, SLICE("OAUTHBEARER")))
		return SASL_OAUTHBEARER;
	return SASL_NONE;
}

enum sasl
sasl_best(unsigned offered)
{
	if (offered & SASL_PLAIN)
		return SASL_PLAIN;
	if (offered & SASL_LOGIN)
		return SASL_LOGIN;
	return offered & SASL_CRAM_MD5 ? SASL_CRAM_MD5 : SASL_NONE;
}

enum sasl
sasl_best_bearer(unsigned offered)
{
	if (offered & SASL_XOAUTH2)
		return SASL_XOAUTH2;
	return offered & SASL_OAUTHBEARER ? SASL_OAUTHBEARER : SASL_NONE;
}

static const char *
name_of(enum sasl mechanism)
{
	switch (mechanism) {
	case SASL_PLAIN:
		return "PLAIN";
	case SASL_LOGIN:
		return "LOGIN";
	case SASL_CRAM_MD5:
		return "CRAM-MD5";
	case SASL_XOAUTH2:
		return "XOAUTH2";
	case SASL_OAUTHBEARER:
		return "OAUTHBEARER";
	case SASL_NONE:
		break;
	}
	return "none";
}

void
sasl_begin(struct text *t, enum sasl mechanism, struct slice user, const struct secret *password)
{
	char mem[PLAIN_MAX];
	struct text plain = text_over(mem, sizeof(mem));

	text_put(t, SLICE("AUTH "));
	text_put(t, slice_str(name_of(mechanism)));
	if (mechanism == SASL_PLAIN) {
		text_char(&plain, '\0');
		text_put(&plain, user);
		text_char(&plain, '\0');
		text_put(&plain, secret_peek(password));
		if (plain.overflow)
			t->overflow = true;
		text_char(t, ' ');
		base64_encode(t, text_slice(&plain));
	}
	text_put(t, SLICE("\r\n"));
	crypto_wipe(mem, sizeof(mem));
}

/* RFC 5801: ',' and '=' stand for something in a GS2 header. */
static void
put_saslname(struct text *t, struct slice user)
{
	for (size_t i = 0; i < user.n; i++) {
		if (user.p[i] == ',')
			text_put(t, SLICE("=2C"));
		else if (user.p[i] == '=')
			text_put(t, SLICE("=3D"));
		else
			text_char(t, user.p[i]);
	}
}

static void
put_bearer(struct text *t, enum sasl mechanism, const struct sasl_bearer *b)
{
	if (mechanism == SASL_XOAUTH2) {
		text_put(t, SLICE("user="));
		text_put(t, b->user);
	} else {
		text_put(t, SLICE("n,a="));
		put_saslname(t, b->user);
		text_put(t, SLICE(",\001host="));
		text_put(t, b->host);
		text_fmt(t, "\001port=%u", b->port);
	}
	text_put(t, SLICE("\001auth=Bearer "));
	text_put(t, b->token);
	text_put(t, SLICE("\001\001"));
}

void
sasl_begin_bearer(struct text *t, enum sasl mechanism, const struct sasl_bearer *b)
{
	char mem[BEARER_MAX];
	struct text plain = text_over(mem, sizeof(mem));

	put_bearer(&plain, mechanism, b);
	if (plain.overflow)
		t->overflow = true;
	text_put(t, SLICE("AUTH "));
	text_put(t, slice_str(name_of(mechanism)));
	text_char(t, ' ');
	base64_encode(t, text_slice(&plain));
	text_put(t, SLICE("\r\n"));
	crypto_wipe(mem, sizeof(mem));
}

void
sasl_give_up_bearer(struct text *t, enum sasl mechanism)
{
	text_put(t, mechanism == SASL_XOAUTH2 ? SLICE("\r\n") : SLICE("AQ==\r\n"));
}

void
sasl_user(struct text *t, struct slice user)
{
	base64_encode(t, user);
	text_put(t, SLICE("\r\n"));
}

void
sasl_password(struct text *t, const struct secret *password)
{
	base64_encode(t, secret_peek(password));
	text_put(t, SLICE("\r\n"));
}

bool
sasl_cram(struct text *t, struct slice challenge, struct slice user, const struct secret *password)
{
	char said[CHALLENGE_MAX];
	char mem[PLAIN_MAX];
	struct text answer = text_over(mem, sizeof(mem));
	unsigned char digest[16];
	size_t n;

	if (challenge.n / 4 * 3 > sizeof(said) || !base64_decode(challenge, said, sizeof(said), &n))
		return false;
	if (!crypto_hmac_md5(secret_peek(password), slice_of(said, n), digest))
		return false;
	text_put(&answer, user);
	text_char(&answer, ' ');
	text_hex(&answer, slice_of((const char *)digest, sizeof(digest)));
	base64_encode(t, text_slice(&answer));
	text_put(t, SLICE("\r\n"));
	crypto_wipe(mem, sizeof(mem));
	crypto_wipe(digest, sizeof(digest));
	return !answer.overflow && !t->overflow;
}
