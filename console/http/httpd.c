/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/httpd.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { CONNECTIONS_MAX = 256, HEADER_S = 10, BODY_S = 30, MEMORY_MAX = 32 * 1024 };

struct httpd {
	struct MHD_Daemon *daemon;
	httpd_fn *fn;
	httpd_refuse_fn *refuse;
	void *ctx;
};

enum step { STEP_NEW, STEP_BODY, STEP_ANSWERED };

/* One request, from its first line on. */
struct exchange {
	enum step step;
	char *target;
	char *body;
	size_t n, expected;
	time_t until;
};

struct httpd_headers {
	struct MHD_Connection *of;
};

static time_t
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- what libmicrohttpd lets pass and we do not ---------------------------------------------- */

struct verdict {
	unsigned hosts, lengths, types;
	const char *wrong;
	unsigned status;
	uint64_t length;
};

static void
object(struct verdict *v, unsigned status, const char *wrong)
{
	if (v->wrong)
		return;
	v->wrong = wrong;
	v->status = status;
}

/* RFC 9110, 5.6.2 */
static bool
is_token(struct slice s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!word && (c == '\0' || !strchr(marks, c)))
			return false;
	}
	return s.n > 0;
}

static bool
is_value(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
is_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static enum MHD_Result
on_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value,
    size_t value_n)
{
	struct verdict *v = ctx;
	struct slice is = slice_of(name, name_n);
	struct slice says = slice_of(value ? value : "", value ? value_n : 0);

	(void)kind;
	if (!is_token(is))
		object(v, 400, "the name of a header field holds what no name may");
	if (!is_value(says))
		object(v, 400, "a header field holds a control character");
	if (slice_eq_nocase(is, SLICE("host")))
		v->hosts++;
	if (slice_eq_nocase(is, SLICE("transfer-encoding")))
		object(v, 411, "a body needs Content-Length; Transfer-Encoding is not taken");
	if (slice_eq_nocase(is, SLICE("content-length"))) {
		v->lengths++;
		if (!is_digits(says) || !slice_to_u64(says, &v->length))
			object(v, 400, "Content-Length is not a number");
	}
	return MHD_YES;
}

static bool
is_target(const char *target)
{
	size_t n = strlen(target);

	if (n == 0 || n > HTTPD_TARGET_MAX || target[0] != '/' || target[1] == '/')
		return false;
	for (size_t i = 0; i < n; i++)
		if (target[i] <= 0x20 || target[i] >= 0x7f || strchr("\"<>\\^`{|}#", target[i]))
			return false;
	return true;
}

static struct verdict
examine(struct MHD_Connection *c, const char *method, const char *version, const char *target)
{
	static const char *const known[] = { "GET", "PUT", "PATCH", "POST", "DELETE" };
	struct verdict v = { 0 };
	bool known_method = false;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		known_method = known_method || strcmp(method, known[i]) == 0;
	MHD_get_connection_values_n(c, MHD_HEADER_KIND, on_header, &v);
	if (strcmp(version, "HTTP/1.1") != 0)
		object(&v, 505, "this server speaks HTTP/1.1");
	if (!is_target(target))
		object(&v, 400, "the target is not a path");
	if (v.hosts != 1)
		object(&v, 400, "a request has one Host");
	if (v.lengths > 1)
		object(&v, 400, "a request has one Content-Length");
	if (!known_method)
		object(&v, 501, "the method is none of GET, PUT, PATCH, POST and DELETE");
	if (v.length > HTTPD_BODY_MAX)
		object(&v, 413, "the body is longer than 64 KiB");
	if (v.length > 0 && (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0))
		object(&v, 400, "this method has no body");
	return v;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result
send_answer(struct MHD_Connection *c, struct httpd_answer *a)
{
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(a->n, a->body ? a->body : (char[]){ "" },
	        a->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done;

	if (!r) {
		free(a->body);
		return MHD_NO;
	}
	done = MHD_add_response_header(r, "Connection", "close");
	if (done == MHD_YES)
		done = MHD_add_response_header(r, "Cache-Control", "no-store");
	if (done == MHD_YES && a->type)
		done = MHD_add_response_header(r, "Content-Type", a->type);
	if (done == MHD_YES && *a->etag)
		done = MHD_add_response_header(r, "ETag", a->etag);
	if (done == MHD_YES)
		done = MHD_queue_response(c, a->status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result
refuse(struct httpd *h, struct MHD_Connection *c, struct exchange *x, unsigned status,
    const char *sentence)
{
	struct httpd_answer a = { 0 };

	x->step = STEP_ANSWERED;
	h->refuse(h->ctx, status, sentence, &a);
	return send_answer(c, &a);
}

static bool
find_peer(struct MHD_Connection *c, struct httpd_request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return false;
	r->peer = peer.uid;
	r->peer_group = peer.gid;
	return true;
}

static enum MHD_Result
answer(struct httpd *h, struct MHD_Connection *c, struct exchange *x, const char *method)
{
	struct httpd_headers headers = { c };
	char *question = strchr(x->target, '?');
	struct httpd_request r = { .method = method,
		.path = x->target,
		.query = question ? question + 1 : "",
		.body = slice_of(x->body ? x->body : "", x->n),
		.headers = &headers };
	struct httpd_answer a = { 0 };

	if (question)
		*question = '\0';
	if (!find_peer(c, &r))
		return MHD_NO;
	x->step = STEP_ANSWERED;
	h->fn(h->ctx, &r, &a);
	return send_answer(c, &a);
}

/* ---- libmicrohttpd's callbacks --------------------------------------------------------------- */

/* The target as it was sent: only we take escapes out, and only out of one part of the path. */
static void *
on_target(void *ctx, const char *target, struct MHD_Connection *c)
{
	struct exchange *x = calloc(1, sizeof(*x));

	(void)ctx;
	(void)c;
	if (x)
		x->target = strdup(target);
	return x;
}

static void
on_done(void *ctx, struct MHD_Connection *c, void **of, enum MHD_RequestTerminationCode how)
{
	struct exchange *x = *of;

	(void)ctx;
	(void)c;
	(void)how;
	if (!x)
		return;
	if (x->body)
		explicit_bzero(x->body, x->expected);
	free(x->body);
	free(x->target);
	free(x);
	*of = NULL;
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *data, size_t *data_n, void **of)
{
	struct httpd *h = ctx;
	struct exchange *x = *of;

	(void)url;
	if (!x || !x->target)
		return MHD_NO;
	if (x->step == STEP_NEW) {
		struct verdict v = examine(c, method, version, x->target);

		if (v.wrong)
			return refuse(h, c, x, v.status, v.wrong);
		x->step = STEP_BODY;
		x->until = now_s() + BODY_S;
		x->expected = (size_t)v.length;
		x->body = x->expected ? malloc(x->expected) : NULL;
		return !x->expected || x->body ? MHD_YES : MHD_NO;
	}
	if (x->step == STEP_ANSWERED || now_s() > x->until)
		return MHD_NO;
	if (*data_n == 0)
		return x->n == x->expected ? answer(h, c, x, method) : MHD_NO;
	if (*data_n > x->expected - x->n)
		return MHD_NO;
	memcpy(x->body + x->n, data, *data_n);
	x->n += *data_n;
	*data_n = 0;
	return MHD_YES;
}

/* Escapes stay as they are: what libmicrohttpd made of them is not looked at. */
static size_t
on_escape(void *ctx, struct MHD_Connection *c, char *s)
{
	(void)ctx;
	(void)c;
	return strlen(s);
}

struct httpd *
httpd_open(int fd, httpd_fn *fn, httpd_refuse_fn *refuse_fn, void *ctx)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct httpd){ .fn = fn, .refuse = refuse_fn, .ctx = ctx };
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, h,
	    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HEADER_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)MEMORY_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
	    on_target, NULL, MHD_OPTION_UNESCAPE_CALLBACK, on_escape, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
	if (h->daemon)
		return h;
	free(h);
	return NULL;
}

void
httpd_close(struct httpd *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}

const char *
httpd_header(const struct httpd_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->headers->of, MHD_HEADER_KIND, name);
}
