/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_HTTP_PRIVATE_H
#define RELAY_WEB_HTTP_PRIVATE_H

/*
 * http_private - what http.c (a request), http_loop.c (libcurl on the loop) and http_trust.c (the
 * CA store) share
 */
#include <curl/curl.h>

#include "relay/web/http.h"
#include "wire/log.h"

struct http {
	struct grave grave; /* first: the loop frees by it */
	struct relay *r;
	struct upstream *up; /* that it belongs to */
	CURLM *multi;        /* NULL: unused for a while */
	ev_timer timer;
	struct list sockets;
	struct list requests;
	uint64_t account; /* whose look-ups they are */
	unsigned connections_max;
	char *ca_pem;
	char *pin;
	struct trust *own; /* of them */
	ev_tstamp used;
	bool closing;
};

/* What a request is up to. */
enum http_at { HTTP_AT_RESOLVE, HTTP_AT_TRUST, HTTP_AT_CURL, HTTP_AT_END };

struct http_request {
	struct grave grave; /* first: the loop frees by it */
	struct link link;
	struct http *h;
	enum http_at at;
	http_fn *fn;
	void *ctx;
	char *host;
	unsigned port;
	char *path;
	struct resolve_ask ask;
	struct addresses all;
	struct link waits; /* for the CA store */
	struct list *waits_at;
	struct task task; /* an end that was known at once */
	enum http_end end;
	struct trust *trust;
	CURL *easy;
	struct curl_slist *headers, *resolve;
	const struct watch *watch;
	const struct spool *body;
	size_t given; /* octets of the body, to libcurl */
	ev_timer guard;
	ev_tstamp until; /* the whole of it */
	unsigned begun;  /* how often a connection was ready for it */
	unsigned offered,
	    tried;      /* bits of ALL: told to libcurl in this try; those that it opened */
	unsigned spent; /* they did not do */
	bool denied, again, too_long, unreadable;
	bool starved; /* of descriptors or memory, by ourselves */
	char *answer;
	size_t answer_n, answer_cap;
	char kind[HTTP_WORD_MAX], id[HTTP_WORD_MAX];
	uint64_t reset_at; /* unix seconds: X-RateLimit-Reset */
	char why[CURL_ERROR_SIZE];
	char peer[384];
};

enum trust_got { TRUST_OK, TRUST_LATER, TRUST_NONE };

/* LATER: http_on_trust() tells. */
enum trust_got ca_store_get(struct ca_store *s, struct http_request *q, struct trust **trust_r)
    MUST_CHECK;
/* TRUST: NULL where there is none. */
void http_on_trust(struct http_request *q, struct trust *trust);

/* http_addresses.c: which addresses libcurl gets. It gets one of each family at a time, as it
 * waits long for one of several of a family. */
void http_addresses_sort(struct http_request *q);
/* The next ones into q->resolve; false: the guard refuses all (q->denied), or no memory. */
bool http_addresses_offer(struct http_request *q) MUST_CHECK;
/* Some are left that were not offered yet. */
bool http_addresses_left(const struct http_request *q) MUST_CHECK;
void http_address_tried(struct http_request *q, const struct sockaddr *to);
void http_address_won(struct http_request *q, const char *remote);
/* None of those offered did; TLS: by their certificates, so for this account alone. */
void http_addresses_failed(struct http_request *q, bool tls);

/* http_loop.c */
bool http_loop_open(struct http *h) MUST_CHECK;
void http_loop_close(struct http *h);
/* libcurl is done with Q. */
void http_over(struct http_request *q, CURLcode code);

#endif
