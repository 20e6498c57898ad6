/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_HTTP_HTTPD_H
#define CONSOLE_HTTP_HTTPD_H

/*
 * httpd - whole requests in, whole answers out, over a listening unix socket (RFC 9112)
 *
 * libmicrohttpd reads; what it is lenient about is refused here before a body is taken. Every
 * answer closes its connection, so that nothing behind a request is ever read as one. A body comes
 * with Content-Length or not at all: Transfer-Encoding is refused.
 *
 * Owns:   the daemon and its one thread, on which HTTPD_FN runs; the listening socket once it is
 *         open. A request lasts as long as the call; an answer's body is taken and freed.
 * Life:   httpd_open, httpd_close; a close waits for the answer that is being made.
 * Errors: NULL of httpd_open(). What is wrong with a request is answered in the words of the
 *         caller's httpd_refuse_fn.
 * Never:  logs a request; calls HTTPD_FN for one that was refused.
 */
#include <sys/types.h>

#include "wire/slice.h"

enum { HTTPD_BODY_MAX = 64 * 1024, HTTPD_TARGET_MAX = 4096 };

struct httpd;
struct httpd_headers;

struct httpd_request {
	const char *method;
	const char *path;  /* as it was sent, up to '?' */
	const char *query; /* behind it; "" for none */
	struct slice body;
	uid_t peer; /* who holds the other end of the socket (SO_PEERCRED) */
	gid_t peer_group;
	const struct httpd_headers *headers;
};

struct httpd_answer {
	unsigned status;
	const char *type; /* a literal */
	char etag[72];    /* with its quotes; "": none */
	char *body;       /* of malloc(), taken; may be NULL */
	size_t n;
};

typedef void httpd_fn(void *ctx, const struct httpd_request *r, struct httpd_answer *a_r);
/* What is wrong with a request that HTTPD_FN will not see. */
typedef void httpd_refuse_fn(void *ctx, unsigned status, const char *sentence,
    struct httpd_answer *a_r);

struct httpd *httpd_open(int fd, httpd_fn *fn, httpd_refuse_fn *refuse, void *ctx) MUST_CHECK;
void httpd_close(struct httpd *h);
/* NULL where there is none. */
const char *httpd_header(const struct httpd_request *r, const char *name);

#endif
