/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_SMTP_SASL_H
#define RELAY_SMTP_SASL_H

/*
 * sasl - the client's side of SMTP AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195),
 * and with an access token OAUTHBEARER (RFC 7628) and XOAUTH2 (Google, Microsoft)
 *
 * Writes whole lines with CRLF. What it writes holds the password in base64: the caller wipes it.
 *
 * Never:  logs; keeps anything.
 */
#include "conf/vault/secret.h"
#include "wire/text.h"

enum sasl {
	SASL_NONE = 0,
	SASL_PLAIN = 1,
	SASL_LOGIN = 2,
	SASL_CRAM_MD5 = 4,
	SASL_XOAUTH2 = 8,
	SASL_OAUTHBEARER = 16,
};

enum { SASL_LINE_MAX = 12288 };

/* The bit of a mechanism's name as EHLO offers it; SASL_NONE for others. */
enum sasl sasl_find(struct slice name) MUST_CHECK;
/* The best of a mask of them: PLAIN takes one round trip. */
enum sasl sasl_best(unsigned offered) MUST_CHECK;
/* The best of those that take an access token. */
enum sasl sasl_best_bearer(unsigned offered) MUST_CHECK;

/* The AUTH command; with PLAIN all of it. Overflow of T is the caller's to look at. */
void sasl_begin(struct text *t, enum sasl mechanism, struct slice user,
    const struct secret *password);
/* LOGIN's two answers. */
void sasl_user(struct text *t, struct slice user);
void sasl_password(struct text *t, const struct secret *password);
/* CRAM-MD5's. CHALLENGE is the text of the 334. False if it is not base64, or the library
 * failed. */
bool sasl_cram(struct text *t, struct slice challenge, struct slice user,
    const struct secret *password) MUST_CHECK;

/* The AUTH command with an access token. */
struct sasl_bearer {
	struct slice user, host, token;
	unsigned port;
};
void sasl_begin_bearer(struct text *t, enum sasl mechanism, const struct sasl_bearer *b);
/* What a challenge that holds the error is answered with, so that the refusal comes. */
void sasl_give_up_bearer(struct text *t, enum sasl mechanism);

#endif
