/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_API_PRIVATE_H
#define RELAY_WEB_API_PRIVATE_H

/*
 * api_private - what api.c (a transaction), api_body.c (a body as it grows), api_answer.c (what was
 * said) and the providers' files share
 */
#include "relay/web/api.h"
#include "wire/crypto.h"

enum { API_PATH_MAX = HTTP_PATH_MAX, API_HEADER_MAX = 6 * 1024, API_WHY_MAX = 200 };

/* Header lines of one request, and its path; the last line may hold the key. */
struct api_head {
	char path_mem[API_PATH_MAX];
	char mem[API_HEADER_MAX];
	struct text path;
	struct text lines;
	struct http_order *o;
};

struct api_kind {
	const char *provider;
	uint64_t size;       /* octets of a message */
	uint64_t recipients; /* 0: any number */
	/* What stands before the content. All recipients are known. */
	bool (*begin)(struct api *a);
	bool (*content)(struct api *a, struct slice octets);
	bool (*end)(struct api *a);
	/* The path and the headers of the request. False: the profile cannot be used so;
	 * api_refuse() says why. */
	bool (*head)(struct api *a, const struct secret *key, struct api_head *h);
	/* The body is made from the content elsewhere, between end() and head(): convert() begins
	 * that, api_converted() ends it, forget() is told when A goes meanwhile. NULL: it is made
	 * already. */
	bool (*convert)(struct api *a);
	void (*forget)(struct api *a);
	/* In a good answer: the provider's id of the message, and words beside it. Paths of json.h;
	 * NULL: none. */
	const char *id, *words;
};

struct conversion;

struct api {
	struct link link; /* of the upstream's calls */
	struct holder *holder;
	const struct api_kind *kind;
	struct upstream *up;
	struct relay_txn *txn;
	struct spool body;
	uint64_t octets; /* of content */
	struct http_request *request;
	struct task task;
	bool going;                    /* content may come */
	struct conversion *conversion; /* under way */
	char why[API_WHY_MAX];
	enum verdict_class
	    /* found on the way: what the end of the content is answered with; VERDICT_OK: none */
	    fault;
	/* Of the body as it grows. */
	char boundary[40];
	char carry[4];
	size_t carry_n;
	struct crypto_hash *hash; /* of all octets put, where somebody signs them */
	unsigned char digest[SHA256_LEN];
};

extern const struct api_kind api_mailgun, api_ses, api_sparkpost, api_sendgrid;

/* The address of RCPT, without brackets. */
struct slice api_address(const struct rcpt *rcpt);
/* Those that go into the request, in order: T's next after RCPT (NULL: the first). */
const struct rcpt *api_rcpt(const struct api *a, const struct rcpt *after);
/* Notes why the message, or the profile, cannot go; the first reason counts. */
void api_refuse(struct api *a, enum verdict_class class, const char *why);

/* The body is ready, or a->fault says why not. */
void api_converted(struct api *a);

/* api_body.c */
bool api_put(struct api *a, struct slice octets) MUST_CHECK;
/* A JSON string with its quotes. */
bool api_put_string(struct api *a, struct slice s) MUST_CHECK;
/* Content in base64, without line ends; END writes what is left. */
bool api_put_base64(struct api *a, struct slice octets, bool end) MUST_CHECK;
/* Content inside a JSON string, which is UTF-8. */
enum body_put { BODY_OK, BODY_NOT_TEXT, BODY_NO_MEMORY };
enum body_put api_put_escaped(struct api *a, struct slice octets, bool end) MUST_CHECK;

void api_header(struct api_head *h, const char *line);
/* The line that was built since FROM in h->lines. */
void api_header_end(struct api_head *h, size_t from);

/* api_answer.c: what A's answer means. Texts go to MEM. */
struct relay_verdict api_verdict(const struct api *a, const struct http_answer *answer,
    struct text *mem);
enum verdict_class api_class_of(const char *provider, int status, struct slice said) MUST_CHECK;

#endif
