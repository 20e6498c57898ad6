/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_HTTP_HTTPD_H
#define CONSOLE_HTTP_HTTPD_H

/*
 * httpd - whole requests in, whole answers or streams out, over a listening unix socket (RFC 9112)
 *
 * libmicrohttpd reads; what it is lenient about is refused here before a body is taken. Every
 * answer closes its connection, so that nothing behind a request is ever read as one. A body comes
 * with Content-Length or not at all: Transfer-Encoding is refused.
 *
 *      one thread of libmicrohttpd:   head -> body ------\          /--> answer, or stream
 *      the threads (threads.h):                    suspended -> HTTPD_FN
 *      the watching thread (watch.h): ends what is slow; resumes streams
 *
 * So a slow client holds no lane, and a slow call holds one of several. A stream holds none: it is
 * what somebody writes to a descriptor, passed on as it comes.
 *
 * Bounds: HTTPD_HEAD_S for the head, HTTPD_BODY_S for the body, HTTPD_ANSWER_S for taking the
 * answer, HTTPD_OF_USER connections of one user, HTTPD_LARGE_MAX bodies longer than HTTPD_BODY_MAX
 * at once.
 *
 * Owns:   the daemon and its threads; the listening socket once it is open. A request lasts as long
 *         as the call; an answer's body is taken and freed, a stream is closed by its own function.
 * Life:   httpd_open; threads_stop() when all are to end, then httpd_close.
 * Errors: NULL of httpd_open(). What is wrong with a request is answered in the words of the
 *         caller's httpd_refuse_fn.
 * Never:  logs a request; calls HTTPD_FN for one that was refused.
 */
#include <sys/types.h>

#include "console/http/threads.h"
#include "wire/slice.h"

enum {
	HTTPD_BODY_MAX = 64 * 1024,
	HTTPD_TARGET_MAX = 4096,
	HTTPD_HEAD_S = 10,
	HTTPD_BODY_S = 30,
	HTTPD_ANSWER_S = 300,
	HTTPD_CONNECTIONS_MAX = 512,
	HTTPD_OF_USER = 256,
	HTTPD_LARGE_MAX = 4
};

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

/* What is written to FD goes out as it comes, until its end. */
struct httpd_stream {
	int fd; /* does not block */
	/* What follows the end, at most MAX octets of it, or 0. May be NULL. Comes once. */
	size_t (*last)(struct httpd_stream *s, char *to, size_t max);
	/* No more of it is wanted: closes FD, frees S. */
	void (*close)(struct httpd_stream *s);
};

struct httpd_answer {
	unsigned status;
	const char *type; /* a literal */
	char etag[72];    /* with its quotes; "": none */
	char *body;       /* of malloc(), taken; may be NULL */
	size_t n;
	struct httpd_stream *stream; /* in the body's place; taken. NULL: none */
};

/* On a lane, whose own object LANE is. */
typedef void httpd_fn(void *ctx, void *lane, const struct httpd_request *r,
    struct httpd_answer *a_r);
/* What is wrong with a request that HTTPD_FN will not see. On libmicrohttpd's thread. */
typedef void httpd_refuse_fn(void *ctx, unsigned status, const char *sentence,
    struct httpd_answer *a_r);
/* How long a body may be at TARGET. */
typedef size_t httpd_room_fn(void *ctx, const char *method, const char *target);

struct httpd_service {
	httpd_fn *fn;
	httpd_refuse_fn *refuse;
	httpd_room_fn *room;
	void *ctx;
};

struct httpd *httpd_open(int fd, struct threads *lanes, const struct httpd_service *s) MUST_CHECK;
void httpd_close(struct httpd *h);
/* NULL where there is none. */
const char *httpd_header(const struct httpd_request *r, const char *name);

#endif
