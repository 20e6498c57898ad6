/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/http/request.h"
#include "console/http/watch.h"

enum { IDLE_S = 60, MEMORY_MAX = 32 * 1024, BLOCK = 4096 };

struct httpd {
	struct MHD_Daemon *daemon;
	struct httpd_service service;
	struct threads *lanes;
	struct watch *watch;
	unsigned large; /* bodies under way; libmicrohttpd's thread only */
};

enum step { STEP_NEW, STEP_BODY, STEP_WORK, STEP_READY, STEP_ANSWERED };

struct httpd_headers {
	struct MHD_Connection *of;
};

/* One request, from its first line on. */
struct exchange {
	struct threads_job job; /* first */
	struct httpd *httpd;
	struct MHD_Connection *connection;
	enum step step;
	char *target;
	char *body;
	size_t n, expected;
	bool large;
	const char *method;
	struct httpd_headers headers;
	struct httpd_request request;
	struct httpd_answer answer;
};

static struct visitor *
visitor_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void
set_phase(struct exchange *x, enum watch_phase phase)
{
	struct visitor *v = visitor_of(x->connection);

	if (v)
		watch_set(x->httpd->watch, v, phase);
}

static int
descriptor_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* ---- streams --------------------------------------------------------------------------------- */

struct source {
	struct httpd *httpd;
	struct MHD_Connection *connection;
	struct httpd_stream *stream;
	bool ended;   /* STREAM's last words were asked for */
	bool stopped; /* the watch does not wake us any more */
};

static ssize_t
end_source(struct source *s, char *to, size_t max)
{
	size_t n = !s->ended && s->stream->last ? s->stream->last(s->stream, to, max) : 0;

	s->ended = true;
	return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t
on_content(void *ctx, uint64_t at, char *to, size_t max)
{
	struct source *s = ctx;
	struct visitor *v = visitor_of(s->connection);
	ssize_t n;

	(void)at;
	if (s->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	do
		n = read(s->stream->fd, to, max);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return end_source(s, to, max);
	if (errno != EAGAIN || s->stopped || !v)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	/* In this order: who is woken must be asleep. */
	MHD_suspend_connection(s->connection);
	if (!watch_wait(s->httpd->watch, v, s->stream->fd)) {
		s->stopped = true;
		MHD_resume_connection(s->connection);
	}
	return 0;
}

static void
on_source_done(void *ctx)
{
	struct source *s = ctx;

	s->stream->close(s->stream);
	free(s);
}

/* On the watching thread. */
static void
on_readable(void *of)
{
	MHD_resume_connection(of);
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct MHD_Response *
response_of(struct exchange *x)
{
	struct httpd_answer *a = &x->answer;
	struct MHD_Response *r;
	struct source *s;

	if (!a->stream) {
		r = MHD_create_response_from_buffer(a->n, a->body ? a->body : (char[]){ "" },
		    a->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
		if (!r)
			free(a->body);
		a->body = NULL;
		return r;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		a->stream->close(a->stream);
		a->stream = NULL;
		return NULL;
	}
	*s = (struct source){ x->httpd, x->connection, a->stream, false, false };
	a->stream = NULL;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_content, s,
	    on_source_done);
	if (!r)
		on_source_done(s);
	return r;
}

static enum MHD_Result
send_answer(struct exchange *x)
{
	const struct httpd_answer *a = &x->answer;
	struct MHD_Response *r = response_of(x);
	enum MHD_Result done;

	x->step = STEP_ANSWERED;
	if (!r)
		return MHD_NO;
	set_phase(x, WATCH_ANSWER);
	done = MHD_add_response_header(r, "Connection", "close");
	if (done == MHD_YES)
		done = MHD_add_response_header(r, "Cache-Control", "no-store");
	if (done == MHD_YES && a->type)
		done = MHD_add_response_header(r, "Content-Type", a->type);
	if (done == MHD_YES && *a->etag)
		done = MHD_add_response_header(r, "ETag", a->etag);
	if (done == MHD_YES)
		done = MHD_queue_response(x->connection, a->status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result
refuse(struct exchange *x, unsigned status, const char *sentence)
{
	const struct httpd_service *s = &x->httpd->service;

	s->refuse(s->ctx, status, sentence, &x->answer);
	return send_answer(x);
}

static bool
find_peer(struct MHD_Connection *c, struct httpd_request *r)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(descriptor_of(c), SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return false;
	r->peer = peer.uid;
	r->peer_group = peer.gid;
	return true;
}

/* On a lane. */
static void
run(struct threads_job *job, void *lane)
{
	struct exchange *x = (struct exchange *)job;
	const struct httpd_service *s = &x->httpd->service;

	s->fn(s->ctx, lane, &x->request, &x->answer);
	x->step = STEP_READY;
	/* From here on it is libmicrohttpd's thread's again. */
	MHD_resume_connection(x->connection);
}

/* The request is whole: it waits, suspended, until a lane has an answer. */
static enum MHD_Result
hand_over(struct exchange *x, const char *method)
{
	char *question = strchr(x->target, '?');

	x->headers = (struct httpd_headers){ x->connection };
	x->request = (struct httpd_request){ .method = method,
		.path = x->target,
		.query = question ? question + 1 : "",
		.body = slice_of(x->body ? x->body : "", x->n),
		.headers = &x->headers };
	if (question)
		*question = '\0';
	if (!find_peer(x->connection, &x->request))
		return MHD_NO;
	x->step = STEP_WORK;
	x->job.run = run;
	set_phase(x, WATCH_WORK);
	/* In this order: who is resumed must be suspended. */
	MHD_suspend_connection(x->connection);
	if (threads_submit(x->httpd->lanes, &x->job))
		return MHD_YES;
	MHD_resume_connection(x->connection);
	x->httpd->service.refuse(x->httpd->service.ctx, 503, "too many calls wait already",
	    &x->answer);
	x->step = STEP_READY;
	return MHD_YES;
}

/* ---- libmicrohttpd's callbacks --------------------------------------------------------------- */

static void
on_connection(void *ctx, struct MHD_Connection *c, void **of,
    enum MHD_ConnectionNotificationCode how)
{
	struct httpd *h = ctx;

	if (how == MHD_CONNECTION_NOTIFY_STARTED) {
		*of = watch_enter(h->watch, descriptor_of(c), c);
	} else if (*of) {
		watch_leave(h->watch, *of);
		*of = NULL;
	}
}

/* The target as it was sent: only we take escapes out, and only out of one part of the path. */
static void *
on_target(void *ctx, const char *target, struct MHD_Connection *c)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x) {
		x->httpd = ctx;
		x->connection = c;
		x->target = strdup(target);
	}
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
	if (x->large)
		x->httpd->large--;
	if (x->answer.stream) /* the connection ended before it could be sent */
		x->answer.stream->close(x->answer.stream);
	free(x->answer.body);
	free(x->body);
	free(x->target);
	free(x);
	*of = NULL;
}

static enum MHD_Result
on_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value,
    size_t value_n)
{
	(void)kind;
	request_field(ctx, slice_of(name, name_n),
	    slice_of(value ? value : "", value ? value_n : 0));
	return MHD_YES;
}

static enum MHD_Result
on_head(struct exchange *x, const char *method, const char *version)
{
	struct httpd *h = x->httpd;
	struct request_head head = { 0 };

	MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, on_header, &head);
	request_line(&head, method, version, x->target,
	    h->service.room(h->service.ctx, method, x->target));
	if (head.wrong)
		return refuse(x, head.status, head.wrong);
	if (head.length > HTTPD_BODY_MAX && h->large == HTTPD_LARGE_MAX)
		return refuse(x, 503, "too many long bodies are under way");
	if (head.length > HTTPD_BODY_MAX) {
		x->large = true;
		h->large++;
	}
	x->step = STEP_BODY;
	set_phase(x, WATCH_BODY);
	x->expected = (size_t)head.length;
	x->body = x->expected ? malloc(x->expected) : NULL;
	return !x->expected || x->body ? MHD_YES : MHD_NO;
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *data, size_t *data_n, void **of)
{
	struct exchange *x = *of;

	(void)ctx;
	(void)c;
	(void)url;
	if (!x || !x->target)
		return MHD_NO;
	if (x->step == STEP_NEW)
		return on_head(x, method, version);
	if (x->step == STEP_READY)
		return send_answer(x);
	if (x->step != STEP_BODY)
		return x->step == STEP_WORK ? MHD_YES : MHD_NO;
	if (*data_n == 0)
		return x->n == x->expected ? hand_over(x, method) : MHD_NO;
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

/* ---- life ------------------------------------------------------------------------------------ */

struct httpd *
httpd_open(int fd, struct threads *lanes, const struct httpd_service *s)
{
	static const struct watch_limits limits = {
		.seconds = { [WATCH_HEAD] = HTTPD_HEAD_S,
		    [WATCH_BODY] = HTTPD_BODY_S,
		    [WATCH_ANSWER] = HTTPD_ANSWER_S },
		.of_user = HTTPD_OF_USER,
	};
	struct httpd *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct httpd){ .service = *s, .lanes = lanes };
	h->watch = watch_open(&limits, on_readable);
	if (h->watch)
		h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD |
		        MHD_ALLOW_SUSPEND_RESUME,
		    0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
		    MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTPD_CONNECTIONS_MAX,
		    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
		    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
		    MHD_OPTION_UNESCAPE_CALLBACK, on_escape, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		    on_done, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (h->daemon)
		return h;
	watch_close(h->watch);
	free(h);
	return NULL;
}

void
httpd_close(struct httpd *h)
{
	if (!h)
		return;
	/* No connection may be suspended when the daemon stops. */
	threads_stop(h->lanes);
	watch_stop(h->watch);
	MHD_stop_daemon(h->daemon);
	watch_close(h->watch);
	free(h);
}

const char *
httpd_header(const struct httpd_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->headers->of, MHD_HEADER_KIND, name);
}
