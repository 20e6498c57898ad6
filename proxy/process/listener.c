/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener - bind, or find what was bound for us
 */
#include "proxy/process/listener.h"

#include "proxy/process/notify.h"
#include "wire/log.h"
#include "wire/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { INHERITED_MAX = 256, BACKLOG = 4096 };

struct listeners {
	size_t n;
	size_t cap;
	struct worker_socket *list;
};

static bool
keep(struct listeners *all, const char *name, int worker, int fd)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 16;
		struct worker_socket *list = reallocarray(all->list, cap, sizeof(*list));

		if (!list)
			return false;
		all->list = list;
		all->cap = cap;
	}
	struct worker_socket *l = &all->list[all->n++];
	struct slice s = slice_head(slice_str(name), sizeof(l->listener) - 1);

	*l = (struct worker_socket){ .worker = worker, .fd = fd };
	memcpy(l->listener, s.p, s.n);
	return true;
}

/* ---- inherited ---- */

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a;
	const struct sockaddr_in *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a;
	const struct sockaddr_in6 *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a->ss_family == AF_INET6 && a6->sin6_port == b6->sin6_port &&
	    memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static const struct conf_listener *
by_name(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->listeners_n; i++) {
		if (strcmp(c->listeners[i].name, name) == 0)
			return &c->listeners[i];
	}
	return NULL;
}

static const struct conf_listener *
by_address(const struct conf *c, const struct sockaddr_storage *at)
{
	for (size_t i = 0; i < c->listeners_n; i++) {
		for (size_t k = 0; k < c->listeners[i].addresses_n; k++) {
			if (same_address(&c->listeners[i].addresses[k].addr, at))
				return &c->listeners[i];
		}
	}
	return NULL;
}

static bool
is_listening(int fd)
{
	int yes = 0;
	int type = 0;
	socklen_t len = sizeof(yes);
	socklen_t type_len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM;
}

static bool
take_inherited(struct listeners *all, const struct conf *c, const struct notify_socket *s,
    struct text *why)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	const struct conf_listener *l = by_name(c, s->name);

	if (!is_listening(s->fd) || getsockname(s->fd, (struct sockaddr *)&at, &len) != 0) {
		text_fmt(why, "inherited socket %d (%s) is not a listening stream socket\n", s->fd,
		    s->name);
		return false;
	}
	if (!l)
		l = by_address(c, &at);
	if (!l) {
		text_fmt(why,
		    "inherited socket %d (%s): no [listener %s], and none has its address "
		    "(FileDescriptorName= must be a listener's name)\n",
		    s->fd, s->name, s->name);
		return false;
	}
	log_say(LOG_INFO, "start", "listener %s: inherited socket %d (%s)", l->name, s->fd,
	    s->name);
	return keep(all, l->name, WORKER_ALL, s->fd);
}

static bool
inherit(struct listeners *all, const struct conf *c, struct text *why)
{
	static struct notify_socket got[INHERITED_MAX];
	size_t n;
	bool ok = true;

	if (!notify_inherited(got, INHERITED_MAX, &n, why))
		return false;
	for (size_t i = 0; i < n; i++)
		ok &= take_inherited(all, c, &got[i], why);
	return ok;
}

/* An address of L is served by what was inherited: by a socket of that address, or, where a socket
 * bears L's name, by whatever that one listens on. */
static bool
is_inherited(const struct listeners *all, const struct conf_listener *l,
    const struct conf_address *a)
{
	bool named = false;

	for (size_t i = 0; i < all->n; i++) {
		struct sockaddr_storage at = { 0 };
		socklen_t len = sizeof(at);

		if (all->list[i].worker != WORKER_ALL ||
		    strcmp(all->list[i].listener, l->name) != 0)
			continue;
		named = true;
		if (getsockname(all->list[i].fd, (struct sockaddr *)&at, &len) == 0 &&
		    same_address(&at, &a->addr))
			return true;
	}
	if (named)
		log_say(LOG_WARNING, "start",
		    "listener %s: %s is not bound: the listener's sockets were inherited", l->name,
		    a->text);
	return named;
}

/* ---- bound ---- */

static bool
bind_address(struct listeners *all, const struct conf_listener *l, const struct conf_address *a,
    unsigned workers, struct text *why)
{
	struct sockaddr_storage at = { 0 };

	if (!port_is_free(&a->addr, a->len, &at)) {
		text_fmt(why, "listener %s: cannot listen on %s: %s\n", l->name, a->text,
		    port_reason(errno));
		return false;
	}
	for (unsigned w = 0; w < workers; w++) {
		int fd = port_bind(&at, a->len, true);

		if (fd < 0 || listen(fd, BACKLOG) != 0 || !keep(all, l->name, (int)w, fd)) {
			text_fmt(why, "listener %s: cannot listen on %s: %s\n", l->name, a->text,
			    port_reason(errno));
			if (fd >= 0)
				close(fd);
			return false;
		}
	}
	log_say(LOG_INFO, "start", "listener %s: listening on %s", l->name, a->text);
	return true;
}

struct listeners *
listeners_open(const struct conf *conf, unsigned workers, struct text *why)
{
	struct listeners *all = calloc(1, sizeof(*all));
	bool ok;

	if (!all) {
		text_put(why, SLICE("out of memory\n"));
		return NULL;
	}
	ok = inherit(all, conf, why);
	for (size_t i = 0; i < conf->listeners_n; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (size_t k = 0; k < l->addresses_n; k++) {
			if (!is_inherited(all, l, &l->addresses[k]))
				ok &= bind_address(all, l, &l->addresses[k], workers, why);
		}
	}
	if (ok)
		return all;
	listeners_close(all);
	return NULL;
}

void
listeners_close(struct listeners *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->n; i++)
		close(all->list[i].fd);
	free(all->list);
	free(all);
}

size_t
listeners_count(const struct listeners *all)
{
	return all->n;
}

const struct worker_socket *
listeners_all(const struct listeners *all)
{
	return all->list;
}
