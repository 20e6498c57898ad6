/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_HTTP_H
#define RELAY_WEB_HTTP_H

/*
 * http - HTTPS requests to one upstream: libcurl's multi interface on the loop
 *
 * One request, one outcome: POST over HTTP/1.1, no redirects, no proxies, no decompression, no
 * second try once an octet of the body went (libcurl would repeat a request on a fresh connection
 * where a reused one dies without an answer; that is stopped in on_ready()). The host is looked up
 * by us and each address asked of the guard, before libcurl is told of it and again when it opens
 * the socket (BEHAVIOUR R5). Whoever answers must prove its name (wire/trust.h).
 *
 * A struct http is one upstream's: its connections are nobody else's (L6). It costs nothing while
 * it is unused.
 *
 * Life:   http_send -> fn once, from the loop, after which the request is dead; or http_cancel.
 * Errors: enum http_end.
 * Never:  calls back from inside http_send(); logs a header; blocks (what is slow, the look-up and
 *         the CA file, is done on a thread).
 */
#include "relay/relay_private.h"
#include "relay/web/spool.h"
#include "wire/trust.h"

struct http;
struct http_request;

enum http_end {
	HTTP_ANSWERED,
	HTTP_DNS_NONE,
	HTTP_DNS_TEMP,
	HTTP_DENIED,  /* the guard */
	HTTP_CONNECT, /* refused, unreachable, timeout */
	HTTP_TLS,
	HTTP_LOST,    /* before the last octet of the body went */
	HTTP_UNKNOWN, /* after it */
	HTTP_NO_MEMORY,
};

enum {
	HTTP_ANSWER_MAX = 64 * 1024,
	HTTP_WORD_MAX = 256,
	HTTP_HEADERS_MAX = 12,
	HTTP_PATH_MAX = 1024,
};

struct http_answer {
	enum http_end end;
	int status;        /* HTTP_ANSWERED */
	struct slice body; /* at most HTTP_ANSWER_MAX */
	struct slice kind; /* x-amzn-ErrorType */
	struct slice id;   /* X-Message-Id */
	unsigned retry_s;  /* Retry-After, or what X-RateLimit-Reset says; 0: not told */
	const char *why;   /* for the log; NULL where it was answered */
	const char *peer;  /* "host[192.0.2.1]:443"; empty: nobody was reached */
};

typedef void http_fn(void *ctx, const struct http_answer *a);

struct http_order {
	const char *host;
	unsigned port;
	const char *path; /* "/v3/mail/send" */
	/* Whole header lines, "Authorization: Bearer ...": copied, and wiped after use. No CR, no
	 * LF. */
	struct slice headers[HTTP_HEADERS_MAX];
	unsigned headers_n;
	/* What is sent; borrowed until FN is called. */
	const struct spool *body;
	/* How long from now on. */
	double total_s;
	/* Told of each step; NULL: nobody is. */
	const struct watch *watch;
	http_fn *fn;
	void *ctx;
};

/* PEM, PIN: the upstream's own, or empty. */
struct http *http_open(struct upstream *u, const char *ca_pem, const char *pin,
    unsigned connections_max) MUST_CHECK;
/* Requests that are out are forgotten. */
void http_close(struct http *h);
/* Closes connections that have been unused for as long as [upstream] idle says. */
void http_sweep(struct http *h);
/* NULL: no memory, or the order cannot be (a header with CR in it). */
struct http_request *http_send(struct http *h, const struct http_order *o) MUST_CHECK;
/* FN will not be called. The connection is cut where something went already. */
void http_cancel(struct http_request *q);

/* The store of [upstream] ca_file: made on a thread when it is first needed, again after a
 * reload. */
struct ca_store *ca_store_open(struct relay *r) MUST_CHECK;
void ca_store_close(struct ca_store *s);
void ca_store_reconf(struct ca_store *s);

#endif
