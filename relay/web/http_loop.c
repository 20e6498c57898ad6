/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_loop - libcurl's multi interface on libev
 *
 * libcurl's callbacks only arm and disarm watchers: calling it from inside them recurses. Its
 * timeouts are milliseconds, and 0 means the next turn. After each action what has ended is taken
 * out of it, all of it.
 */
#include "relay/web/http_private.h"

#include <stdlib.h>

struct sock {
	struct link link;
	struct http *h;
	ev_io io;
};

static void
reap(struct http *h)
{
	CURLMsg *m;
	int left;

	while (h->multi && (m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_request *q = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&q);
		http_over(q, code);
	}
}

static void
act(struct http *h, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(h->multi, fd, what, &running);
	reap(h);
}

static void
on_io(struct ev_loop *ev, ev_io *w, int revents)
{
	struct sock *s = w->data;

	(void)ev;
	act(s->h, w->fd,
	    (revents & EV_READ ? CURL_CSELECT_IN : 0) |
	        (revents & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	act(w->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
arm_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http *h = ctx;
	struct ev_loop *ev = loop_ev(h->r->loop);

	(void)multi;
	ev_timer_stop(ev, &h->timer);
	if (timeout_ms >= 0) {
		ev_timer_set(&h->timer, (double)timeout_ms / 1000.0, 0);
		ev_timer_start(ev, &h->timer);
	}
	return 0;
}

static void
drop(struct sock *s)
{
	ev_io_stop(loop_ev(s->h->r->loop), &s->io);
	list_remove(&s->h->sockets, &s->link);
	free(s);
}

static struct sock *
add(struct http *h, curl_socket_t fd)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->h = h;
	ev_io_init(&s->io, on_io, fd, 0);
	s->io.data = s;
	list_append(&h->sockets, &s->link);
	curl_multi_assign(h->multi, fd, s);
	return s;
}

static int
arm_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct http *h = ctx;
	struct sock *s = of_socket;
	struct ev_loop *ev = loop_ev(h->r->loop);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			drop(s);
		return 0;
	}
	if (!s && !(s = add(h, fd)))
		return -1;
	ev_io_stop(ev, &s->io);
	ev_io_set(&s->io, fd,
	    (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	ev_io_start(ev, &s->io);
	return 0;
}

bool
http_loop_open(struct http *h)
{
	if (h->multi)
		return true;
	h->multi = curl_multi_init();
	if (!h->multi)
		return false;
	ev_init(&h->timer, on_timer);
	h->timer.data = h;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, arm_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, arm_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->connections_max);
	return true;
}

void
http_loop_close(struct http *h)
{
	if (!h->multi)
		return;
	/* It closes its connections, and tells of each socket that it gives up. */
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
	ev_timer_stop(loop_ev(h->r->loop), &h->timer);
	while (h->sockets.n)
		drop(LINKED(list_first(&h->sockets), struct sock, link));
}
