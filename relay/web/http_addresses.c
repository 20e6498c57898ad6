/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_addresses - which of a host's addresses libcurl is told of, and what becomes of them
 * (BEHAVIOUR R9)
 */
#include "relay/web/http_private.h"

#include <arpa/inet.h>

#include "relay/observer.h"
#include "relay/pool/shape.h"

enum { RESOLVE_LINE_MAX = 512 };

static unsigned
bit(unsigned i)
{
	return 1U << i;
}

static uint64_t
whose(const struct http_request *q)
{
	return q->h->account | UINT64_C(1) << 63;
}

void
http_addresses_sort(struct http_request *q)
{
	struct relay *r = q->h->r;

	for (unsigned i = 0; i < q->all.n; i++)
		address_set_port(&q->all.at[i], q->port);
	dead_sort(shape_dead(r->shape), whose(q), &q->all, loop_now(r->loop));
	q->spent = 0;
}

static bool
may_go(const struct http_request *q, unsigned i)
{
	return !(q->spent & bit(i)) &&
	    guard_ask(q->h->r->guard, GUARD_SENDS, &q->all.at[i].u.sa) != GUARD_DENIED;
}

/* The first that may go and that is of the other family than BUT; all.n: none. BUT all.n: any. */
static unsigned
first(const struct http_request *q, unsigned but)
{
	for (unsigned i = 0; i < q->all.n; i++) {
		if (!may_go(q, i))
			continue;
		if (but == q->all.n || q->all.at[i].u.sa.sa_family != q->all.at[but].u.sa.sa_family)
			return i;
	}
	return q->all.n;
}

static void
put(struct http_request *q, struct text *line, unsigned i)
{
	const struct address *a = &q->all.at[i];
	bool six = a->u.sa.sa_family == AF_INET6;

	if (i == q->all.n)
		return;
	if (q->offered)
		text_char(line, ',');
	q->offered |= bit(i);
	if (six)
		text_char(line, '[');
	net_write(line, &a->u.sa);
	if (six)
		text_char(line, ']');
}

/* "host:443:192.0.2.1,[2001:db8::1]" */
bool
http_addresses_offer(struct http_request *q)
{
	char mem[RESOLVE_LINE_MAX];
	struct text line = text_over(mem, sizeof(mem));
	unsigned one = first(q, q->all.n);
	struct watch_news news = { .event = WATCH_ALLOWED };

	q->offered = q->tried = 0;
	q->denied = one == q->all.n;
	if (q->denied)
		return false;
	text_put(&line, slice_str(q->host));
	text_fmt(&line, ":%u:", q->port);
	put(q, &line, one);
	put(q, &line, first(q, one));
	if (line.overflow)
		return false;
	news.text = text_slice(&line);
	if (q->watch)
		q->watch->fn(q->watch->ctx, &news);
	curl_slist_free_all(q->resolve);
	q->resolve = curl_slist_append(NULL, mem);
	return q->resolve != NULL;
}

bool
http_addresses_left(const struct http_request *q)
{
	for (unsigned i = 0; i < q->all.n; i++)
		if (!(q->offered & bit(i)) && may_go(q, i))
			return true;
	return false;
}

void
http_address_tried(struct http_request *q, const struct sockaddr *to)
{
	struct net net, at;

	if (!net_of(to, &net))
		return;
	for (unsigned i = 0; i < q->all.n; i++)
		if (net_of(&q->all.at[i].u.sa, &at) && net.family == at.family &&
		    memcmp(net.addr, at.addr, sizeof(net.addr)) == 0)
			q->tried |= bit(i);
}

/* Those that libcurl has opened as well were slower, or dead. */
void
http_address_won(struct http_request *q, const char *remote)
{
	struct relay *r = q->h->r;
	struct net won;

	if (!remote || !net_parse(slice_str(remote), &won))
		return;
	for (unsigned i = 0; i < q->all.n; i++) {
		if (net_has(&won, &q->all.at[i].u.sa)) {
			dead_forget(shape_dead(r->shape), DEAD_FOR_ALL, &q->all.at[i]);
			dead_forget(shape_dead(r->shape), whose(q), &q->all.at[i]);
		} else if (q->tried & bit(i)) {
			dead_note(shape_dead(r->shape), DEAD_FOR_ALL, &q->all.at[i],
			    loop_now(r->loop));
		}
	}
}

void
http_addresses_failed(struct http_request *q, bool tls)
{
	struct relay *r = q->h->r;

	for (unsigned i = 0; i < q->all.n; i++)
		if (q->offered & q->tried & bit(i))
			dead_note(shape_dead(r->shape), tls ? whose(q) : DEAD_FOR_ALL,
			    &q->all.at[i], loop_now(r->loop));
	q->spent |= q->offered & q->tried ? q->offered & q->tried : q->offered;
	q->offered = 0;
}
