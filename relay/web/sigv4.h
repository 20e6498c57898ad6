/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_SIGV4_H
#define RELAY_WEB_SIGV4_H

/*
 * sigv4 - AWS Signature Version 4 of one request
 *
 * libcurl can sign too, but only a body that it holds in one piece: it would hash that on the loop
 * at the end, and would be free to send it twice (http.h). Ours is hashed as it comes.
 *
 * Pure but for the key that it derives and wipes. What is signed: content-type, host, x-amz-date.
 */
#include "wire/crypto.h"

struct sigv4 {
	struct slice method, path, content_type;
	struct slice host; /* as the Host: field has it */
	struct slice region, service;
	struct slice access_key, secret_key;
	int64_t now;                 /* unix seconds */
	const unsigned char *digest; /* SHA-256 of the body */
};

/* "20150830T123600Z" */
enum { SIGV4_DATE = 17 };
void sigv4_date(int64_t now, char date[SIGV4_DATE]);
/* What follows "Authorization: ". False: the library failed, or something is too long. */
bool sigv4_sign(const struct sigv4 *s, struct text *to) MUST_CHECK;

#endif
