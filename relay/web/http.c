/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - one request: looked up, connected, sent, answered
 */
#include "relay/web/http_private.h"

#include "relay/observer.h"
#include "wire/crypto.h"
#include "wire/host.h"
#include "wire/net.h"
#include "wire/pin.h"
#include "wire/stream.h"

#include <errno.h>
#include <stdlib.h>

enum { URL_MAX = 1400, ANSWER_FIRST = 1024 };

/* How long two addresses have while others are left; when the other family is asked. */
static const long patience_ms = 3000;
static const long eyeballs_ms = 250;

/* ---- an upstream's --------------------------------------------------------------------------- */

/* Once a process, and not before the fork. */
static bool
start_library(void)
{
	static bool started;

	if (!started)
		started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	return started;
}

struct http *
http_open(struct upstream *u, const char *ca_pem, const char *pin, unsigned connections_max)
{
	struct http *h;

	if (!start_library() || !(h = calloc(1, sizeof(*h))))
		return NULL;
	h->r = u->r;
	h->up = u;
	h->account = u->account;
	h->connections_max = connections_max ? connections_max : 1;
	h->used = loop_now(h->r->loop);
	list_init(&h->sockets);
	list_init(&h->requests);
	h->ca_pem = strdup(ca_pem ? ca_pem : "");
	h->pin = strdup(pin ? pin : "");
	if (h->ca_pem && h->pin)
		return h;
	http_close(h);
	return NULL;
}

static void
free_http(struct grave *g)
{
	struct http *h = (struct http *)(void *)g;

	trust_unref(h->own);
	free(h->ca_pem);
	free(h->pin);
	free(h);
}

/* The end of a request may be the end of its upstream, inside reap(): the memory stays until the
 * end of the turn. */
void
http_close(struct http *h)
{
	if (!h)
		return;
	h->closing = true;
	while (h->requests.n)
		http_cancel(LINKED(list_first(&h->requests), struct http_request, link));
	http_loop_close(h);
	h->grave.free_fn = free_http;
	if (h->r->closing)
		free_http(&h->grave);
	else
		loop_bury(h->r->loop, &h->grave);
}

void
http_sweep(struct http *h)
{
	if (h->multi && !h->requests.n &&
	    loop_now(h->r->loop) - h->used > h->r->conf->upstream.idle_s)
		http_loop_close(h);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
free_headers(struct curl_slist *all)
{
	for (struct curl_slist *i = all; i; i = i->next)
		crypto_wipe(i->data, strlen(i->data));
	curl_slist_free_all(all);
}

static void
free_request(struct grave *g)
{
	struct http_request *q = (struct http_request *)(void *)g;

	free(q->host);
	free(q->path);
	free(q->answer);
	free_headers(q->headers);
	curl_slist_free_all(q->resolve);
	free(q);
}

/* Out of everything that knows it. The memory stays until the end of the turn. */
static void
leave(struct http_request *q)
{
	struct http *h = q->h;

	q->at = HTTP_AT_END;
	resolve_forget(&q->ask);
	loop_cancel(h->r->loop, &q->task);
	ev_timer_stop(loop_ev(h->r->loop), &q->guard);
	if (q->waits_at)
		list_remove(q->waits_at, &q->waits);
	q->waits_at = NULL;
	if (q->easy) {
		curl_multi_remove_handle(h->multi, q->easy);
		curl_easy_cleanup(q->easy);
	}
	q->easy = NULL;
	trust_unref(q->trust);
	q->trust = NULL;
	list_remove(&h->requests, &q->link);
	h->used = loop_now(h->r->loop);
	if (h->r->closing)
		free_request(&q->grave);
	else
		loop_bury(h->r->loop, &q->grave);
}

void
http_cancel(struct http_request *q)
{
	leave(q);
}

static void
finish(struct http_request *q, const struct http_answer *a)
{
	http_fn *fn = q->fn;
	void *ctx = q->ctx;

	leave(q);
	fn(ctx, a);
}

static void
on_known_end(struct task *t)
{
	struct http_request *q = LINKED(t, struct http_request, task);
	struct http_answer a = { .end = q->end, .why = q->why, .peer = q->peer };

	finish(q, &a);
}

static void
end(struct http_request *q, enum http_end how, const char *why)
{
	struct text t = text_over(q->why, sizeof(q->why));

	text_put(&t, slice_head(slice_str(why), sizeof(q->why) - 1));
	q->end = how;
	loop_defer(q->h->r->loop, &q->task);
}

static unsigned
retry_after(const struct http_request *q)
{
	curl_off_t after = 0;
	uint64_t now = loop_wall_ms(q->h->r->loop) / 1000;

	curl_easy_getinfo(q->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > 0)
		return after > 86400 ? 86400 : (unsigned)after;
	if (q->reset_at > now)
		return q->reset_at - now > 86400 ? 86400 : (unsigned)(q->reset_at - now);
	return 0;
}

/* What becomes of a request that was not answered. The whole body is out where the socket took all
 * of it; after a second try that was refused, where libcurl had been given all. */
static enum http_end
end_of(const struct http_request *q, CURLcode code)
{
	curl_off_t sent = 0;

	curl_easy_getinfo(q->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (q->again)
		sent = (curl_off_t)q->given;
	if (q->begun && (size_t)sent >= q->body->n)
		return HTTP_UNKNOWN;
	if (q->begun)
		return HTTP_LOST;
	if (q->denied)
		return HTTP_DENIED;
	if (q->starved)
		return HTTP_NO_MEMORY;
	switch ((int)code) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return HTTP_TLS;
	case CURLE_OUT_OF_MEMORY:
		return HTTP_NO_MEMORY;
	default:
		return HTTP_CONNECT;
	}
}

/* A good status counts only for a request that was sent whole, and with an answer that was read
 * whole; a refusal is one however it ends. */
static bool
is_answered(const struct http_request *q, CURLcode code, long status)
{
	curl_off_t sent = 0;

	if (status < 200 || q->again)
		return false;
	if (status >= 300)
		return true;
	curl_easy_getinfo(q->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return code == CURLE_OK && (size_t)sent >= q->body->n;
}

static void start(struct http_request *q);

/* Nothing of the request was sent, and there are addresses that libcurl was not told of yet. */
static bool
tries_others(struct http_request *q, enum http_end how)
{
	if (q->begun || q->given || (how != HTTP_CONNECT && how != HTTP_TLS))
		return false;
	http_addresses_failed(q, how == HTTP_TLS);
	if (!http_addresses_left(q))
		return false;
	pool_say(q->h->up, LOG_INFO, "next address", slice_str(*q->why ? q->why : "no connection"));
	curl_multi_remove_handle(q->h->multi, q->easy);
	curl_easy_cleanup(q->easy);
	q->easy = NULL;
	*q->why = '\0';
	if (http_addresses_offer(q))
		start(q);
	else
		end(q, HTTP_NO_MEMORY, "no memory for a request");
	return true;
}

void
http_over(struct http_request *q, CURLcode code)
{
	long status = 0;
	struct http_answer a = { .peer = q->peer };

	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	if (is_answered(q, code, status)) {
		a.end = HTTP_ANSWERED;
		a.status = (int)status;
		a.body = slice_of(q->answer ? q->answer : "", q->answer_n);
		a.kind = slice_str(q->kind);
		a.id = slice_str(q->id);
		a.retry_s = retry_after(q);
	} else {
		a.end = end_of(q, code);
		a.why = q->too_long ? "the answer is too long"
		    : *q->why       ? q->why
		                    : curl_easy_strerror(code);
		if (tries_others(q, a.end))
			return;
	}
	finish(q, &a);
}

/* libcurl's own limits have failed, or the body does not move. */
static void
on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct http_request *q = w->data;

	(void)ev;
	(void)revents;
	if (q->at != HTTP_AT_CURL) {
		struct http_answer a = { .end = HTTP_CONNECT, .why = "timeout", .peer = q->peer };

		finish(q, &a);
		return;
	}
	http_over(q, CURLE_OPERATION_TIMEDOUT);
}

/* ---- who watches ----------------------------------------------------------------------------- */

static void
tell(const struct http_request *q, struct watch_news news)
{
	if (q->watch)
		q->watch->fn(q->watch->ctx, &news);
}

static void
name_peer(struct http_request *q, const char *address, unsigned port)
{
	struct text t = text_over(q->peer, sizeof(q->peer));

	text_put(&t, slice_head(slice_str(q->host), 255));
	text_char(&t, '[');
	text_put(&t, slice_str(address));
	text_put(&t, SLICE("]:"));
	text_u64(&t, port);
}

/* TLS begins now, so the connection is there. */
static void
tell_connected(struct http_request *q)
{
	const char *address = NULL;

	if (!q->watch)
		return;
	if (curl_easy_getinfo(q->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address &&
	    *address)
		name_peer(q, address, q->port);
	tell(q, (struct watch_news){ .event = WATCH_CONNECTED, .peer = q->peer });
}

static void
tell_secured(struct http_request *q)
{
	struct curl_tlssessioninfo *info = NULL;
	char mem[512];
	struct text certificate = text_over(mem, sizeof(mem));
	const char *version = "";

	if (!q->watch)
		return;
	if (curl_easy_getinfo(q->easy, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK && info &&
	    info->internals)
		version = trust_peer_describe(info->internals, &certificate);
	tell(q,
	    (struct watch_news){
	        .event = WATCH_SECURED,
	        .text = slice_str(version),
	        .peer = q->peer,
	        .certificate = text_slice(&certificate),
	        .verified = trust_needs_name(q->trust),
	    });
}

/* ---- what libcurl asks ----------------------------------------------------------------------- */

static void
watch(struct http_request *q)
{
	const struct conf *c = q->h->r->conf;
	ev_tstamp now = loop_now(q->h->r->loop);
	double left = q->until - now;

	/* While the body goes it must move; then the whole of the time is the server's. */
	if (q->begun && q->given < q->body->n && left > c->upstream.content_s)
		left = c->upstream.content_s;
	ev_timer_stop(loop_ev(q->h->r->loop), &q->guard);
	ev_timer_set(&q->guard, left > 0 ? left : 0.001, 0);
	ev_timer_start(loop_ev(q->h->r->loop), &q->guard);
}

static size_t
give_body(char *to, size_t size, size_t n, void *ctx)
{
	struct http_request *q = ctx;
	size_t got;

	if (!spool_read(q->body, q->given, to, size * n, &got)) {
		q->unreadable = true;
		return CURL_READFUNC_ABORT;
	}
	q->given += got;
	watch(q);
	if (got && q->given == q->body->n)
		tell(q, (struct watch_news){ .event = WATCH_SENT, .text = slice_str(q->path) });
	return got;
}

/* It wants to send the body once more: never. */
static int
refuse_rewind(void *ctx, curl_off_t offset, int origin)
{
	struct http_request *q = ctx;

	(void)origin;
	if (offset == 0 && q->given == 0)
		return CURL_SEEKFUNC_OK;
	q->again = true;
	return CURL_SEEKFUNC_FAIL;
}

/* A connection is ready, and the request goes out on it next. A second one (this, or open_socket())
 * is good only while nothing of the body went. */
static int
on_ready(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
	struct http_request *q = ctx;

	(void)local;
	(void)local_port;
	if (q->given) {
		q->again = true;
		return CURL_PREREQFUNC_ABORT;
	}
	name_peer(q, remote, (unsigned)remote_port);
	http_address_won(q, remote);
	tell_secured(q);
	if (q->watch && q->watch->look_only)
		return CURL_PREREQFUNC_ABORT;
	q->begun++;
	watch(q);
	return CURL_PREREQFUNC_OK;
}

static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_request *q = ctx;

	if (q->given) {
		q->again = true;
		return CURL_SOCKET_BAD;
	}
	if (purpose != CURLSOCKTYPE_IPCXN ||
	    guard_ask(q->h->r->guard, GUARD_SENDS, (const struct sockaddr *)&a->addr) ==
	        GUARD_DENIED) {
		q->denied = true;
		return CURL_SOCKET_BAD;
	}

	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

	q->starved = fd < 0 && stream_error_of(errno) == STREAM_NO_MEMORY;
	http_address_tried(q, (const struct sockaddr *)&a->addr);
	return fd; /* -1 is CURL_SOCKET_BAD */
}

static CURLcode
put_trust(CURL *easy, void *ssl_ctx, void *ctx)
{
	struct http_request *q = ctx;

	(void)easy;
	tell_connected(q);
	return trust_put_into(q->trust, ssl_ctx) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static size_t
take_answer(char *from, size_t size, size_t n, void *ctx)
{
	struct http_request *q = ctx;
	size_t more = size * n;
	size_t cap = q->answer_cap ? q->answer_cap : ANSWER_FIRST;

	if (more > HTTP_ANSWER_MAX - q->answer_n) {
		q->too_long = true;
		return 0;
	}
	while (cap < q->answer_n + more)
		cap *= 2;
	if (cap != q->answer_cap) {
		char *mem = realloc(q->answer, cap);

		if (!mem)
			return 0;
		q->answer = mem;
		q->answer_cap = cap;
	}
	memcpy(q->answer + q->answer_n, from, more);
	q->answer_n += more;
	return more;
}

static void
keep_word(char to[HTTP_WORD_MAX], struct slice word)
{
	struct text t = text_over(to, HTTP_WORD_MAX);

	text_put(&t, slice_head(word, HTTP_WORD_MAX - 1));
}

static size_t
take_header(char *from, size_t size, size_t n, void *ctx)
{
	struct http_request *q = ctx;
	struct slice line = slice_of(from, size * n);
	struct slice rest = line;
	struct slice name = slice_cut(&rest, ':');

	while (rest.n && (rest.p[rest.n - 1] == '\r' || rest.p[rest.n - 1] == '\n'))
		rest.n--;
	rest = slice_trim(rest);
	if (slice_eq_nocase(name, SLICE("x-amzn-errortype")))
		keep_word(q->kind, rest);
	else if (slice_eq_nocase(name, SLICE("x-message-id")))
		keep_word(q->id, rest);
	else if (slice_eq_nocase(name, SLICE("x-ratelimit-reset")) &&
	    !slice_to_u64(rest, &q->reset_at))
		q->reset_at = 0;
	return line.n;
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* A callback is a pointer of its own kind, which cannot pass through a void *. */
static bool
set_callbacks(struct http_request *q)
{
	CURL *e = q->easy;

	return curl_easy_setopt(e, CURLOPT_READFUNCTION, give_body) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_READDATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, refuse_rewind) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SEEKDATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PREREQDATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, put_trust) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEDATA, q) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HEADERDATA, q) == CURLE_OK;
}

/* No low-speed limit of libcurl's: it would also count the wait for the answer. watch() sees to the
 * body. */
static bool
set_rules(struct http_request *q)
{
	const struct conf *c = q->h->r->conf;
	CURL *e = q->easy;
	long connect_ms = http_addresses_left(q)
	    ? patience_ms
	    : (long)(c->upstream.connect_s + c->upstream.tls_s) * 1000;
	long total_ms = (long)((q->until - loop_now(q->h->r->loop)) * 1000);

	return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, trust_needs_name(q->trust) ? 2L : 0L) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	    /* The store is ours, and neither the file nor the folder that libcurl was built
	     * with. */
	    curl_easy_setopt(e, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, eyeballs_ms) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, total_ms > 0 ? total_ms : 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)c->upstream.idle_s) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, (long)c->upstream.max_age_s) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, c->upstream.idle_s == 0 ? 1L : 0L) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, q->why) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_PRIVATE, (char *)q) == CURLE_OK;
}

static bool
set_order(struct http_request *q)
{
	char mem[URL_MAX];
	struct text url = text_over(mem, sizeof(mem));
	bool six = strchr(q->host, ':') != NULL;
	CURL *e = q->easy;

	text_put(&url, six ? SLICE("https://[") : SLICE("https://"));
	text_put(&url, slice_str(q->host));
	text_put(&url, six ? SLICE("]:") : SLICE(":"));
	text_u64(&url, q->port);
	text_put(&url, slice_str(q->path));
	return !url.overflow && curl_easy_setopt(e, CURLOPT_URL, mem) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body->n) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HTTPHEADER, q->headers) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_RESOLVE, q->resolve) == CURLE_OK;
}

static void
start(struct http_request *q)
{
	struct http *h = q->h;

	q->easy = http_loop_open(h) ? curl_easy_init() : NULL;
	if (!q->easy || !set_callbacks(q) || !set_rules(q) || !set_order(q)) {
		curl_easy_cleanup(q->easy);
		q->easy = NULL;
		end(q, HTTP_NO_MEMORY, "no memory for a request");
		return;
	}
	q->at = HTTP_AT_CURL;
	if (curl_multi_add_handle(h->multi, q->easy) == CURLM_OK)
		return;
	curl_easy_cleanup(q->easy);
	q->easy = NULL;
	end(q, HTTP_NO_MEMORY, "no memory for a request");
}

/* A private CA, or a pin. */
static struct trust *
own_trust(struct http *h, struct text *why)
{
	unsigned char pin[PIN_LEN] = { 0 };

	if (*h->pin && !pin_parse(h->pin, pin)) {
		text_put(why, SLICE("the pin is not 64 hex digits"));
		return NULL;
	}
	if (!h->own)
		h->own = trust_open(NULL, slice_str(h->ca_pem), *h->pin ? pin : NULL, why);
	return h->own;
}

static void
find_trust(struct http_request *q)
{
	struct http *h = q->h;
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));

	q->at = HTTP_AT_TRUST;
	if (*h->pin || *h->ca_pem) {
		if (own_trust(h, &why)) {
			q->trust = trust_ref(h->own);
			start(q);
		} else {
			end(q, HTTP_TLS, mem);
		}
		return;
	}
	switch (ca_store_get(h->r->ca_store, q, &q->trust)) {
	case TRUST_OK:
		start(q);
		break;
	case TRUST_NONE:
		end(q, HTTP_TLS, "the CA file cannot be read");
		break;
	case TRUST_LATER:
		break;
	}
}

void
http_on_trust(struct http_request *q, struct trust *trust)
{
	q->waits_at = NULL;
	if (!trust) {
		end(q, HTTP_TLS, "the CA file cannot be read");
		return;
	}
	q->trust = trust_ref(trust);
	start(q);
}

static void
resolved(struct http_request *q, enum resolve_got got)
{
	switch (got) {
	case RESOLVE_OK:
		tell(q, (struct watch_news){ .event = WATCH_RESOLVED });
		http_addresses_sort(q);
		if (http_addresses_offer(q))
			find_trust(q);
		else if (q->denied)
			end(q, HTTP_DENIED, "the address or the port is not allowed");
		else
			end(q, HTTP_NO_MEMORY, "no memory for a request");
		break;
	case RESOLVE_NONE:
		end(q, HTTP_DNS_NONE, "no such host");
		break;
	case RESOLVE_TEMP:
		end(q, HTTP_DNS_TEMP, "the name server gives no answer");
		break;
	case RESOLVE_LATER:
		break;
	}
}

static void
on_resolved(struct resolve_ask *ask, enum resolve_got got, const struct addresses *all)
{
	struct http_request *q = LINKED(ask, struct http_request, ask);

	q->all = *all;
	resolved(q, got);
}

static bool
is_line(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static bool
add_header(struct http_request *q, struct slice line)
{
	char *mem = is_line(line) ? strndup(line.p, line.n) : NULL;
	struct curl_slist *all = mem ? curl_slist_append(q->headers, mem) : NULL;

	if (mem)
		crypto_wipe(mem, line.n);
	free(mem);
	if (!all)
		return false;
	q->headers = all;
	return true;
}

/* libcurl would wait for a "100 Continue" that many servers never say. */
static bool
add_headers(struct http_request *q, const struct http_order *o)
{
	if (!add_header(q, SLICE("Expect:")) ||
	    !add_header(q, SLICE("User-Agent: byway/" BYWAY_VERSION)))
		return false;
	for (unsigned i = 0; i < o->headers_n; i++)
		if (!add_header(q, o->headers[i]))
			return false;
	return true;
}

struct http_request *
http_send(struct http *h, const struct http_order *o)
{
	struct http_request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->grave.free_fn = free_request;
	q->h = h;
	q->fn = o->fn;
	q->ctx = o->ctx;
	q->port = o->port;
	q->body = o->body;
	q->watch = o->watch;
	q->task.fn = on_known_end;
	q->ask.fn = on_resolved;
	ev_init(&q->guard, on_guard);
	q->guard.data = q;
	q->until = loop_now(h->r->loop) + o->total_s;
	q->host = strdup(o->host);
	q->path = strdup(o->path);
	if (!q->host || !q->path || !is_line(slice_str(o->path)) || !add_headers(q, o)) {
		free_request(&q->grave);
		return NULL;
	}
	list_append(&h->requests, &q->link);
	watch(q);
	/* What goes into a URL and into a look-up is a host name or an address, nothing else. */
	if (!host_is_normal(slice_str(q->host)))
		end(q, HTTP_DENIED, "not a host name");
	else
		resolved(q,
		    resolve_host(h->r->resolve, h->account, slice_str(q->host), &q->ask, &q->all));
	return q;
}
