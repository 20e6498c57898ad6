/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_HTTP_REQUEST_H
#define CONSOLE_HTTP_REQUEST_H

/*
 * request - what libmicrohttpd lets pass and we do not: the head of a request, looked at once more
 * (RFC 9110, 9112)
 *
 * Owns:   nothing.
 * Errors: the first thing that is wrong, as a status and a sentence (a literal).
 */
#include "wire/slice.h"

struct request_head {
	unsigned hosts, lengths;
	uint64_t length;   /* of the body */
	const char *wrong; /* NULL: nothing yet */
	unsigned status;   /* of WRONG */
};

/* One header field. */
void request_field(struct request_head *h, struct slice name, struct slice value);
/* When all fields were told. ROOM: how long a body may be. */
void request_line(struct request_head *h, const char *method, const char *version,
    const char *target, size_t room);

#endif
