/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/convert_private.h"

#include "wire/crypto.h"
#include "wire/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const double tick_s = 1.0;

enum { ANSWERS_A_TURN = 16, GRACE_S = 10 };

struct tenant {
	struct link link; /* whoever was served last is last */
	uint64_t account;
	struct list waiting;
	unsigned out; /* with a parser */
};

struct conversion {
	struct link link; /* of the tenant's waiting ones, or of those that are out */
	struct converter *c;
	struct tenant *tenant;
	struct convert_order o; /* fn NULL: forgotten */
	uint64_t serial;        /* 0: it waits */
	int json;
	ev_tstamp since;
};

struct converter {
	struct loop *loop;
	int fd; /* -1: the nursery's end has gone */
	ev_io rd;
	ev_timer tick;
	struct task serve;
	struct list tenants;
	struct list out;
	uint64_t serial; /* of the last one that was sent */
};

/* ---- the end of one -------------------------------------------------------------------------- */

static void
take_off(struct conversion *v)
{
	struct converter *c = v->c;
	struct tenant *t = v->tenant;

	if (v->serial) {
		list_remove(&c->out, &v->link);
		t->out--;
	} else {
		list_remove(&t->waiting, &v->link);
	}
	if (t->out == 0 && t->waiting.n == 0) {
		list_remove(&c->tenants, &t->link);
		free(t);
	}
	loop_defer(c->loop, &c->serve);
}

/* The JSON's file is R's, or closed. */
static void
end(struct conversion *v, const struct convert_result *r)
{
	struct convert_order o = v->o;

	if (v->json >= 0 && (r->fd < 0 || !o.fn))
		close(v->json);
	take_off(v);
	free(v);
	if (o.fn)
		o.fn(o.ctx, r);
}

static void
fail(struct conversion *v, enum convert_end why)
{
	const struct convert_result r = { .end = why, .fd = -1 };

	end(v, &r);
}

/* A parser that was taken over may have written anything: only the length is looked at, and of a
 * reason what is printable. */
static void
read_json(struct conversion *v, struct convert_result *r, char why[CONVERT_WHY_MAX])
{
	static const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	char mem[CONVERT_WHY_MAX];
	struct text t = text_over(why, CONVERT_WHY_MAX);
	struct stat st;
	ssize_t n;

	if (fcntl(v->json, F_ADD_SEALS, seals) != 0 || fstat(v->json, &st) != 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size > convert_json_max(v->o.size)) {
		r->end = CONVERT_UNAVAILABLE;
		return;
	}
	if (r->end == CONVERT_DONE) {
		r->fd = v->json;
		r->n = (uint64_t)st.st_size;
		return;
	}
	n = pread(v->json, mem, sizeof(mem), 0);
	text_escaped(&t, slice_of(mem, strnlen(mem, n > 0 ? (size_t)n : 0)), sizeof(mem) - 1);
	r->why = why;
}

static void
answered(struct conversion *v, uint64_t how)
{
	char why[CONVERT_WHY_MAX] = "";
	struct convert_result r = { .end = CONVERT_UNAVAILABLE, .fd = -1 };

	if (how <= CONVERT_UNAVAILABLE)
		r.end = (enum convert_end)how;
	if (r.end == CONVERT_DONE || r.end == CONVERT_REFUSED)
		read_json(v, &r, why);
	end(v, &r);
}

/* ---- the socket ------------------------------------------------------------------------------ */

static void
lose_all(struct converter *c)
{
	struct link *l;

	while ((l = list_first(&c->out)) != NULL)
		fail(LINKED(l, struct conversion, link), CONVERT_UNAVAILABLE);
}

static void
on_packet(struct converter *c, const struct convert_answer *a)
{
	if (a->serial == 0) {
		lose_all(c);
		return;
	}
	list_each_safe(l, after, &c->out) {
		struct conversion *v = LINKED(l, struct conversion, link);

		if (v->serial == a->serial) {
			answered(v, a->end);
			return;
		}
	}
}

static void
hang_up(struct converter *c)
{
	if (c->fd < 0)
		return;
	ev_io_stop(loop_ev(c->loop), &c->rd);
	close(c->fd);
	c->fd = -1;
}

static void
on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct converter *c = w->data;
	struct convert_answer a;

	(void)ev;
	(void)revents;
	for (int i = 0; i < ANSWERS_A_TURN && c->fd >= 0; i++) {
		ssize_t n = recv(c->fd, &a, sizeof(a), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t)sizeof(a)) {
			hang_up(c);
			lose_all(c);
			return;
		}
		on_packet(c, &a);
	}
}

static bool
send_ask(int fd, const struct convert_ask *ask, const int fds[CONVERT_FDS])
{
	union {
		struct cmsghdr head;
		char mem[CMSG_SPACE(CONVERT_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)ask, .iov_len = sizeof(*ask) };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.mem,
		.msg_controllen = sizeof(control.mem) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&m);
	ssize_t n;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(CONVERT_FDS * sizeof(int));
	memcpy(CMSG_DATA(head), fds, CONVERT_FDS * sizeof(int));
	do {
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*ask);
}

/* V goes to a parser. False: it cannot. */
static bool
send_out(struct conversion *v)
{
	struct converter *c = v->c;
	struct convert_ask ask = { c->serial + 1, v->o.size, v->o.recipients, v->o.strict };
	int fds[CONVERT_FDS] = { v->o.fd, -1 };

	v->json = memfd_create("byway-json", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fds[1] = v->json;
	if (c->fd < 0 || v->json < 0 || !send_ask(c->fd, &ask, fds))
		return false;
	c->serial++;
	list_remove(&v->tenant->waiting, &v->link);
	v->serial = ask.serial;
	v->tenant->out++;
	list_append(&c->out, &v->link);
	v->since = loop_now(c->loop);
	return true;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static struct tenant *
next_tenant(struct converter *c)
{
	list_each_safe(l, after, &c->tenants) {
		struct tenant *t = LINKED(l, struct tenant, link);

		if (t->waiting.n && t->out < CONVERT_OF_ACCOUNT)
			return t;
	}
	return NULL;
}

static void
on_serve(struct task *task)
{
	struct converter *c = LINKED(task, struct converter, serve);
	struct tenant *t;

	while (c->out.n < CONVERT_SLOTS && (t = next_tenant(c)) != NULL) {
		struct conversion *v = LINKED(list_first(&t->waiting), struct conversion, link);

		list_remove(&c->tenants, &t->link);
		list_append(&c->tenants, &t->link);
		if (!send_out(v))
			fail(v, CONVERT_UNAVAILABLE);
	}
}

/* One that has waited too long, or of which nothing is heard, whatever became of the nursery. */
static struct conversion *
overdue(struct converter *c)
{
	ev_tstamp now = loop_now(c->loop);
	struct link *first = list_first(&c->out);
	struct conversion *v = first ? LINKED(first, struct conversion, link) : NULL;

	if (v && now - v->since >= CONVERT_WALL_S + GRACE_S)
		return v;
	list_each_safe(l, after, &c->tenants) {
		first = list_first(&LINKED(l, struct tenant, link)->waiting);
		v = first ? LINKED(first, struct conversion, link) : NULL;
		if (v && now - v->since >= CONVERT_WAIT_S)
			return v;
	}
	return NULL;
}

static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct converter *c = w->data;
	struct conversion *v;

	(void)revents;
	while ((v = overdue(c)) != NULL)
		fail(v, CONVERT_UNAVAILABLE);
	if (c->tenants.n == 0)
		ev_timer_stop(ev, w);
}

static struct tenant *
tenant_of(struct converter *c, uint64_t account)
{
	struct tenant *t;

	list_each_safe(l, after, &c->tenants) {
		t = LINKED(l, struct tenant, link);
		if (t->account == account)
			return t;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->account = account;
	list_init(&t->waiting);
	list_append(&c->tenants, &t->link);
	return t;
}

struct conversion *
convert_start(struct converter *c, const struct convert_order *o)
{
	struct conversion *v = calloc(1, sizeof(*v));

	if (!v || !(v->tenant = tenant_of(c, o->account))) {
		free(v);
		return NULL;
	}
	v->c = c;
	v->o = *o;
	v->json = -1;
	v->since = loop_now(c->loop);
	list_append(&v->tenant->waiting, &v->link);
	loop_defer(c->loop, &c->serve);
	if (!ev_is_active(&c->tick))
		ev_timer_again(loop_ev(c->loop), &c->tick);
	return v;
}

/* The parser that has it may end in peace: until then it counts. */
void
convert_forget(struct conversion *v)
{
	v->o.fn = NULL;
	if (v->serial == 0)
		fail(v, CONVERT_UNAVAILABLE);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct converter *
converter_open(struct loop *l, int fd)
{
	struct converter *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->fd = fd;
	/* What the worker before this one had asked is answered to us, too. */
	if (!crypto_random(&c->serial, sizeof(c->serial))) {
		free(c);
		return NULL;
	}
	c->serial >>= 1;
	list_init(&c->tenants);
	list_init(&c->out);
	c->serve.fn = on_serve;
	ev_timer_init(&c->tick, on_tick, 0., tick_s);
	c->tick.data = c;
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	c->rd.data = c;
	ev_io_start(loop_ev(l), &c->rd);
	return c;
}

/* Nobody is told. */
static void
drop(struct link *l)
{
	struct conversion *v = LINKED(l, struct conversion, link);

	v->o.fn = NULL;
	fail(v, CONVERT_UNAVAILABLE);
}

void
converter_close(struct converter *c)
{
	struct link *l;

	if (!c)
		return;
	hang_up(c);
	while ((l = list_first(&c->out)) != NULL)
		drop(l);
	while ((l = list_first(&c->tenants)) != NULL)
		drop(list_first(&LINKED(l, struct tenant, link)->waiting));
	ev_timer_stop(loop_ev(c->loop), &c->tick);
	loop_cancel(c->loop, &c->serve);
	free(c);
}
