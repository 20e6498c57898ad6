/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_OAUTH_CODE_H
#define RELAY_WEB_OAUTH_CODE_H

/*
 * oauth_code - the one time when a human agrees: the authorization code flow with PKCE (RFC 6749
 * 4.1, RFC 7636, RFC 8252)
 *
 * For the control tool, which may block: the daemon never does this. A consent page is named by
 * URL; the browser comes back to a loopback address with a code; the code is exchanged for a
 * refresh token.
 */
#include "conf/vault/secret.h"
#include "wire/text.h"

enum { OAUTH_WORD = 44 };

struct oauth_code {
	const char *consent;  /* URL of the page */
	const char *endpoint; /* of tokens */
	const char *client, *scope;
	const char *redirect; /* "http://localhost:4711/" */
	const char *ca_file;
	char state[OAUTH_WORD];
	char verifier[OAUTH_WORD];
};

/* Makes state and verifier. */
bool oauth_code_begin(struct oauth_code *o) MUST_CHECK;
void oauth_code_url(const struct oauth_code *o, struct text *url);
/* What the browser asked for, "/?code=...&state=...": the code. False with a sentence in WHY:
 * refused there, or not ours. */
bool oauth_code_take(const struct oauth_code *o, struct slice target, struct text *code,
    struct text *why) MUST_CHECK;
/* SECRET: the client's, or empty. Blocks for at most half a minute. */
bool oauth_code_exchange(const struct oauth_code *o, struct slice code, const struct secret *secret,
    struct secret *refresh_r, struct text *why) MUST_CHECK;

#endif
