/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way in which a batch can end, on a counter server that the test scripts: it takes a batch
 * and fails at a place of its choice. Whatever happens, in the end the server has what the nodes
 * let in, and nothing of what they refused.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/limits/counters_memcached.h"

enum { NODES = 2, ITEMS = 512, CONNS = 32, BUFFER = 1 << 16, SOON_MS = 15000, STABLE = 20 };

/* ---- the server ---- */

enum edge {
	EDGE_NONE,
	EDGE_REFUSED,  /* nobody listens */
	EDGE_SWALLOWS, /* nothing arrives, nothing is said */
	EDGE_MUTE,     /* all arrives, nothing is said */
	EDGE_HANGS_UP, /* all arrives, then the connection ends */
	EDGE_HALF,     /* three commands arrive, then the connection ends */
	EDGE_LATE,     /* all arrives, but long after */
	EDGE_GARBAGE,  /* all arrives, the answer is nonsense */
	EDGE_EMPTY,    /* it has forgotten all when the batch comes */
	EDGE_EMPTIED,  /* it forgets all behind the batch, before the answer */
	EDGE_NO_ROOM,  /* nothing new can be made */
	EDGES,
};

struct item {
	char name[64], value[32];
	unsigned flags;
};

struct conn {
	int fd;
	bool dead;   /* nothing more is read from it */
	size_t n;    /* in the buffer */
	size_t late; /* octets that are carried out when the test lets them */
	char in[BUFFER];
};

struct fake {
	pthread_t thread;
	pthread_mutex_t lock;
	int listener, port;
	bool stops, releases, refuses;
	enum edge edge;
	unsigned commands; /* until EDGE_HALF ends */
	struct item item[ITEMS];
	size_t items_n;
	struct conn conn[CONNS];
};

static struct item *
item_of(struct fake *f, const char *name, bool make)
{
	for (size_t i = 0; i < f->items_n; i++)
		if (strcmp(f->item[i].name, name) == 0)
			return &f->item[i];
	if (!make || f->items_n == ITEMS)
		return NULL;
	snprintf(f->item[f->items_n].name, sizeof(f->item[0].name), "%s", name);
	f->item[f->items_n].flags = 0;
	return &f->item[f->items_n++];
}

static void
say(struct conn *c, const char *text)
{
	assert_true(c->dead || send(c->fd, text, strlen(text), MSG_NOSIGNAL) >= -1);
}

static void
do_get(struct fake *f, struct conn *c, char *names)
{
	char line[256];

	for (char *at = names, *name; (name = strsep(&at, " "));) {
		struct item *it = *name ? item_of(f, name, false) : NULL;

		if (!it)
			continue;
		snprintf(line, sizeof(line), "VALUE %s %u %zu\r\n%s\r\n", it->name, it->flags,
		    strlen(it->value), it->value);
		say(c, line);
	}
	say(c, "END\r\n");
}

static void
do_store(struct fake *f, bool add, const char *name, unsigned flags, const char *value)
{
	struct item *it = item_of(f, name, false);

	if (add && (it || (f->edge == EDGE_NO_ROOM && strcmp(value, "0") == 0)))
		return;
	it = item_of(f, name, true);
	assert_non_null(it);
	it->flags = flags;
	snprintf(it->value, sizeof(it->value), "%s", value);
}

static void
do_change(struct fake *f, bool up, const char *name, uint64_t by)
{
	struct item *it = item_of(f, name, false);

	if (!it)
		return;
	uint64_t v = strtoull(it->value, NULL, 10);

	snprintf(it->value, sizeof(it->value), "%llu",
	    (unsigned long long)(up ? v + by
	            : v > by        ? v - by
	                            : 0));
}

/* One command; how long it is, 0: it is not all there. */
static size_t
command(struct fake *f, struct conn *c)
{
	char line[BUFFER], verb[8] = "", name[64] = "";
	char *end = memmem(c->in, c->n, "\r\n", 2);
	unsigned flags, n;
	unsigned long long by;

	if (!end)
		return 0;
	size_t len = (size_t)(end - c->in);

	memcpy(line, c->in, len);
	line[len] = '\0';
	(void)sscanf(line, "%7s %63s", verb, name);
	if (strcmp(verb, "get") == 0) {
		do_get(f, c, line + 4);
	} else if (strcmp(verb, "set") == 0 || strcmp(verb, "add") == 0) {
		char value[32];

		assert_int_equal(sscanf(line, "%*s %*s %u %*s %u", &flags, &n), 2);
		assert_true(n < sizeof(value));
		if (c->n < len + 2 + n + 2)
			return 0;
		memcpy(value, end + 2, n);
		value[n] = '\0';
		do_store(f, verb[0] == 'a', name, flags, value);
		len += n + 2;
	} else if (strcmp(verb, "incr") == 0 || strcmp(verb, "decr") == 0) {
		assert_int_equal(sscanf(line, "%*s %*s %llu", &by), 1);
		do_change(f, verb[0] == 'i', name, by);
	}
	return len + 2;
}

static void
drop(struct conn *c, size_t n)
{
	memmove(c->in, c->in + n, c->n - n);
	c->n -= n;
}

static void
hang_up(struct conn *c)
{
	shutdown(c->fd, SHUT_RDWR);
	c->dead = true;
	c->n = 0;
}

/* Whether a whole batch is there: it ends with the read of more than the epoch or a mark. */
static bool
is_batch(const struct conn *c)
{
	const char *get = memmem(c->in, c->n, "get byway.epoch ", 16);

	return get && memmem(get, c->n - (size_t)(get - c->in), "\r\n", 2);
}

static void
carry_out(struct fake *f, struct conn *c, unsigned most)
{
	size_t n;

	for (unsigned i = 0; i < most && (n = command(f, c)) > 0; i++)
		drop(c, n);
}

/* A batch meets what the test has in store for it. */
static void
meet(struct fake *f, struct conn *c)
{
	enum edge edge = f->edge;

	if (edge != EDGE_NO_ROOM)
		f->edge = EDGE_NONE;
	switch (edge) {
	case EDGE_SWALLOWS:
		c->dead = true;
		c->n = 0;
		break;
	case EDGE_MUTE:
		c->dead = true;
		carry_out(f, c, UINT32_MAX);
		break;
	case EDGE_HANGS_UP:
		c->dead = true;
		carry_out(f, c, UINT32_MAX);
		hang_up(c);
		break;
	case EDGE_HALF:
		c->dead = true;
		carry_out(f, c, 3);
		hang_up(c);
		break;
	case EDGE_LATE:
		c->dead = true;
		c->late = c->n;
		break;
	case EDGE_GARBAGE:
		c->dead = true;
		carry_out(f, c, UINT32_MAX);
		assert_true(send(c->fd, "HTTP/1.1 400 no\r\n\r\n", 19, MSG_NOSIGNAL) != 0);
		break;
	case EDGE_EMPTY:
		f->items_n = 0;
		carry_out(f, c, UINT32_MAX);
		break;
	case EDGE_EMPTIED: {
		char *get = memmem(c->in, c->n, "get byway.epoch ", 16);

		while (c->in != get && (get = memmem(c->in, c->n, "get byway.epoch ", 16)) &&
		    get != c->in)
			carry_out(f, c, 1);
		f->items_n = 0;
		carry_out(f, c, UINT32_MAX);
		break;
	}
	case EDGE_NONE:
	case EDGE_REFUSED:
	case EDGE_NO_ROOM:
	case EDGES:
		carry_out(f, c, UINT32_MAX);
		break;
	}
}

static void
got(struct fake *f, struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->n, sizeof(c->in) - c->n, MSG_DONTWAIT);

	if (n <= 0 && c->late == 0) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	if (n <= 0 || c->dead)
		return;
	c->n += (size_t)n;
	if (f->edge != EDGE_NONE && f->edge != EDGE_REFUSED) {
		if (is_batch(c))
			meet(f, c);
		else if (memmem(c->in, c->n, "noreply", 7) == NULL)
			carry_out(f, c, UINT32_MAX);
		return;
	}
	carry_out(f, c, UINT32_MAX);
}

static void
take_conn(struct fake *f)
{
	int fd = accept(f->listener, NULL, NULL);

	for (size_t i = 0; fd >= 0 && i < CONNS; i++)
		if (f->conn[i].fd < 0) {
			f->conn[i].fd = fd;
			f->conn[i].dead = false;
			f->conn[i].n = f->conn[i].late = 0;
			return;
		}
	if (fd >= 0)
		close(fd);
}

/* What was late comes now. */
static void
release(struct fake *f)
{
	for (size_t i = 0; i < CONNS; i++) {
		struct conn *c = &f->conn[i];

		if (c->fd < 0 || c->late == 0)
			continue;
		carry_out(f, c, UINT32_MAX);
		close(c->fd);
		c->fd = -1;
		c->late = 0;
	}
	f->releases = false;
}

static void *
serve(void *arg)
{
	struct fake *f = arg;
	struct pollfd p[CONNS + 1];

	for (;;) {
		p[0] = (struct pollfd){ .fd = f->listener, .events = POLLIN };
		for (size_t i = 0; i < CONNS; i++)
			p[i + 1] = (struct pollfd){ .fd = f->conn[i].late ? -1 : f->conn[i].fd,
				.events = POLLIN };
		(void)poll(p, CONNS + 1, 5);
		pthread_mutex_lock(&f->lock);
		if (f->stops)
			break;
		for (size_t i = 0; i < CONNS; i++)
			if (f->conn[i].fd >= 0 && p[i + 1].revents)
				got(f, &f->conn[i]);
		if (!f->refuses && p[0].revents)
			take_conn(f);
		if (f->releases)
			release(f);
		pthread_mutex_unlock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void
listen_on(struct fake *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)f->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int on = 1;

	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(f->listener, 16), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &n), 0);
	f->port = ntohs(a.sin_port);
}

static struct fake *
fake_open(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	for (size_t i = 0; i < CONNS; i++)
		f->conn[i].fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	listen_on(f);
	/* Again by its number: then it stays bound while nobody listens. */
	close(f->listener);
	listen_on(f);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
	return f;
}

static void
fake_close(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->stops = true;
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	for (size_t i = 0; i < CONNS; i++)
		if (f->conn[i].fd >= 0)
			close(f->conn[i].fd);
	close(f->listener);
	free(f);
}

/* From now on. */
static void
set_edge(struct fake *f, enum edge edge)
{
	pthread_mutex_lock(&f->lock);
	f->edge = edge;
	if (edge == EDGE_REFUSED) {
		/* It stays bound, lest somebody else take the port. */
		assert_int_equal(shutdown(f->listener, SHUT_RDWR), 0);
		f->refuses = true;
		for (size_t i = 0; i < CONNS; i++)
			if (f->conn[i].fd >= 0)
				hang_up(&f->conn[i]);
	} else if (edge == EDGE_NONE && f->refuses) {
		assert_int_equal(listen(f->listener, 16), 0);
		f->refuses = false;
	}
	if (edge == EDGE_NONE)
		f->releases = true;
	pthread_mutex_unlock(&f->lock);
}

/* All numbers of a KIND and 1 that the server has in the epoch that is now. */
static uint64_t
held(struct fake *f, char kind)
{
	char prefix[64];
	uint64_t sum = 0;

	pthread_mutex_lock(&f->lock);
	struct item *epoch = item_of(f, "byway.epoch", false);

	if (epoch) {
		snprintf(prefix, sizeof(prefix), "%llx.%c1.", strtoull(epoch->value, NULL, 10),
		    kind);
		for (size_t i = 0; i < f->items_n; i++)
			if (strncmp(f->item[i].name, prefix, strlen(prefix)) == 0)
				sum += strtoull(f->item[i].value, NULL, 10);
	}
	pthread_mutex_unlock(&f->lock);
	return sum;
}

/* Somebody writes VALUE where the numbers of a KIND are, or the epoch. */
static void
poison(struct fake *f, char kind, const char *value)
{
	char part[8] = { '.', kind, '1', '.', 0 };

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->items_n; i++)
		if (kind == 'e' ? strcmp(f->item[i].name, "byway.epoch") == 0
		                : strstr(f->item[i].name, part) != NULL)
			snprintf(f->item[i].value, sizeof(f->item[i].value), "%s", value);
	pthread_mutex_unlock(&f->lock);
}

/* ---- a node ---- */

struct rig {
	struct counters_shared *shared;
	struct loop *loop;
	struct counters_remote *remote;
	struct conf conf;
	const char *words[1];
	char name[32];
	unsigned waits;
};

static void
rig_open(struct rig *r, const struct fake *f, enum counter_loss loss, const char *node)
{
	char mem[128] = "";
	struct text why = text_over(mem, sizeof(mem));

	*r = (struct rig){ .loop = loop_open(), .shared = counters_shared_open(1024) };
	snprintf(r->name, sizeof(r->name), "127.0.0.1:%d", f->port);
	r->words[0] = r->name;
	r->conf.counters.servers = r->words;
	r->conf.counters.servers_n = 1;
	r->conf.counters.timeout_ms = 100;
	r->conf.counters.loss = loss;
	r->remote = counters_remote_open(r->loop, &r->conf, r->shared, &why);
	if (!r->remote || !counters_remote_start(r->remote, node))
		fail_msg("%s", mem);
}

static void
rig_close(struct rig *r)
{
	counters_remote_close(r->remote);
	counters_shared_close(r->shared);
	loop_close(r->loop);
}

struct ask {
	struct counters_order order; /* first */
	struct rig *rig;
};

static void
on_done(struct counters_order *o)
{
	struct ask *a = (struct ask *)o;

	if (--a->rig->waits == 0)
		loop_stop(a->rig->loop);
}

static void
on_time(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)revents;
	(void)t;
	ev_break(ev, EVBREAK_ALL);
}

static void
run_for(struct rig *r, double s)
{
	ev_timer t;

	ev_timer_init(&t, on_time, s, 0.);
	ev_timer_start(loop_ev(r->loop), &t);
	loop_run(r->loop);
	ev_timer_stop(loop_ev(r->loop), &t);
}

static void
ask(struct ask *a, struct rig *r, enum counters_verb verb, uint32_t n, uint64_t cap)
{
	static const struct counters_line lines[] = {
		{ .kind = 'b', .id = 1, .grain_s = 86400, .span = 1, .keep = 32, .adds = true },
		{ .kind = 'd', .id = 1, .grain_s = 86400, .span = 1, .keep = 32, .adds = true },
		{ .kind = 'h', .id = 1, .grain_s = 60, .span = 60, .adds = true, .slides = true },
	};

	*a = (struct ask){ .rig = r,
		.order = { .group = 1, .n = n, .verb = verb, .lines_n = 3, .done = on_done } };
	for (size_t i = 0; i < 3; i++) {
		a->order.line[i] = lines[i];
		a->order.line[i].cap = cap;
	}
	if (counters_remote_ask(r->remote, &a->order) == COUNTERS_LATER)
		r->waits++;
}

static enum counters_verdict
ask_one(struct rig *r, enum counters_verb verb, uint32_t n, uint64_t cap)
{
	struct ask a;

	ask(&a, r, verb, n, cap);
	if (r->waits)
		run_for(r, 5);
	assert_int_equal(r->waits, 0);
	return a.order.verdict;
}

/* What the server has comes to be N, of each kind, and stays so. */
static void
comes_to(struct fake *f, uint64_t n, const char *what)
{
	unsigned good = 0;

	for (unsigned i = 0; i < SOON_MS / 10 && good < STABLE; i++) {
		usleep(10000);
		good = held(f, 'b') == n && held(f, 'd') == n && held(f, 'h') == n ? good + 1 : 0;
	}
	if (good < STABLE)
		fail_msg("%s: the server has %d %d %d, not %d", what, (int)held(f, 'b'),
		    (int)held(f, 'd'), (int)held(f, 'h'), (int)n);
}

static const char *
name_of(char mem[64], enum edge edge, enum counter_loss loss)
{
	static const char *const edges[EDGES] = { "none", "refused", "swallows", "mute", "hangs up",
		"half", "late", "garbage", "empty", "emptied", "no room" };
	static const char *const losses[] = { "local", "closed", "open" };

	snprintf(mem, 64, "%s, %s", edges[edge], losses[loss]);
	return mem;
}

static void
wait_up(struct rig *r)
{
	for (int i = 0; i < 200; i++) {
		char mem[1024];
		struct text t = text_over(mem, sizeof(mem));

		counters_remote_status(r->remote, &t);
		if (strstr(mem, "\"up\":true"))
			return;
		run_for(r, 0.1);
	}
	fail_msg("the server does not come back");
}

/* ---- cases, each in a process of its own, all at once: they mostly wait ---- */

static pid_t
begin_case(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	/* A failed assertion ends the child, and not with the tests that come behind. */
	if (pid == 0)
		(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
	return pid;
}

static void
wait_for_cases(void)
{
	int status, failed = 0;

	while (waitpid(-1, &status, 0) > 0)
		failed += status != 0;
	assert_int_equal(failed, 0);
}

/* ---- a batch fails ---- */

enum { CAP = 20 };

static void
meets(enum edge edge, enum counter_loss loss)
{
	struct fake *f = fake_open();
	struct rig r[NODES];
	struct ask small, large;
	char mem[64];
	uint64_t n = 7;

	rig_open(&r[0], f, loss, "a");
	rig_open(&r[1], f, loss, "b");
	assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, 5, CAP), COUNTERS_FITS);
	assert_int_equal(ask_one(&r[1], COUNTERS_RESERVE, 2, CAP), COUNTERS_FITS);
	set_edge(f, edge);
	ask(&small, &r[0], COUNTERS_RESERVE, 3, CAP);
	ask(&large, &r[0], COUNTERS_RESERVE, CAP, CAP);
	if (r[0].waits)
		run_for(&r[0], 5);
	assert_int_equal(r[0].waits, 0);
	set_edge(f, EDGE_NONE);
	n += small.order.verdict == COUNTERS_FITS ? 3 : 0;
	n += large.order.verdict == COUNTERS_FITS ? CAP : 0;
	if (loss == COUNTER_LOSS_LOCAL) {
		assert_int_equal(small.order.verdict, COUNTERS_FITS);
		assert_int_equal(large.order.verdict, COUNTERS_OVER);
	}
	run_for(&r[0], 0.4);
	run_for(&r[1], 0.1);
	comes_to(f, n, name_of(mem, edge, loss));
	/* It goes on from there: exactly CAP, at both nodes together. */
	run_for(&r[0], 0.6); /* both have looked at the server again */
	wait_up(&r[0]);
	wait_up(&r[1]);
	for (; n < CAP; n++)
		assert_int_equal(ask_one(&r[n % 2], COUNTERS_RESERVE, 1, CAP), COUNTERS_FITS);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(ask_one(&r[i], COUNTERS_RESERVE, 1, CAP), COUNTERS_OVER);
	rig_close(&r[0]);
	rig_close(&r[1]);
	comes_to(f, n, name_of(mem, edge, loss));
	fake_close(f);
}

static void
test_edges(void **state)
{
	(void)state;
	for (int loss = COUNTER_LOSS_LOCAL; loss <= COUNTER_LOSS_OPEN; loss++) {
		for (int edge = 0; edge < EDGES; edge++) {
			if (begin_case() > 0)
				continue;
			meets((enum edge)edge, (enum counter_loss)loss);
			_exit(0);
		}
		wait_for_cases();
	}
}

/* A worker ends and its last batch is in doubt: the next one clears it up. */
static void
test_ends_in_doubt(void **state)
{
	struct fake *f = fake_open();
	struct rig r[NODES];
	char mem[128] = "";
	struct text why = text_over(mem, sizeof(mem));

	(void)state;
	rig_open(&r[0], f, COUNTER_LOSS_CLOSED, "a");
	rig_open(&r[1], f, COUNTER_LOSS_CLOSED, "b");
	assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, 5, CAP), COUNTERS_FITS);
	assert_int_equal(ask_one(&r[1], COUNTERS_RESERVE, 2, CAP), COUNTERS_FITS);
	set_edge(f, EDGE_MUTE);
	assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, 3, CAP), COUNTERS_LOST);
	set_edge(f, EDGE_REFUSED);
	counters_remote_close(r[0].remote);
	set_edge(f, EDGE_NONE);
	r[0].remote = counters_remote_open(r[0].loop, &r[0].conf, r[0].shared, &why);
	assert_true(r[0].remote && counters_remote_start(r[0].remote, "a"));
	comes_to(f, 7, "in doubt");
	rig_close(&r[0]);
	rig_close(&r[1]);
	fake_close(f);
}

/* ---- numbers that cannot be right ---- */

static void
is_poisoned(char kind, const char *value)
{
	struct fake *f = fake_open();
	struct rig r[NODES];
	uint64_t n = 10;

	rig_open(&r[0], f, COUNTER_LOSS_LOCAL, "a");
	rig_open(&r[1], f, COUNTER_LOSS_LOCAL, "b");
	assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, 6, CAP), COUNTERS_FITS);
	assert_int_equal(ask_one(&r[1], COUNTERS_RESERVE, 4, CAP), COUNTERS_FITS);
	assert_int_equal(ask_one(&r[0], COUNTERS_READ, 1, CAP), COUNTERS_FITS);
	poison(f, kind, value);
	/* What is known counts, from the first message on. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, CAP - 9, CAP), COUNTERS_OVER);
		assert_int_equal(ask_one(&r[0], COUNTERS_RESERVE, 1, CAP), COUNTERS_FITS);
		n++;
		run_for(&r[0], 0.1);
	}
	comes_to(f, n, value);
	for (; n < CAP; n++)
		assert_int_equal(ask_one(&r[n % 2], COUNTERS_RESERVE, 1, CAP), COUNTERS_FITS);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(ask_one(&r[i], COUNTERS_RESERVE, 1, CAP), COUNTERS_OVER);
	rig_close(&r[0]);
	rig_close(&r[1]);
	fake_close(f);
}

static void
test_poisoned(void **state)
{
	char ahead[32];
	const struct {
		char kind; /* e: the epoch */
		const char *value;
	} cases[] = {
		{ 'h', "0" },
		{ 'h', "3" },
		{ 'h', "18446744073709551615" },
		{ 'h', "4294967296" },
		{ 'h', "99999999999999999999999" },
		{ 'h', "300000" },
		{ 'h', "-1" },
		{ 'h', "many" },
		{ 'd', "0" },
		{ 'b', "18446744073709551615" },
		{ 'e', ahead },
		{ 'e', "18446744073709551615" },
		{ 'e', "0" },
		{ 'e', "1" },
		{ 'e', "soon" },
	};

	(void)state;
	snprintf(ahead, sizeof(ahead), "%llu",
	    (unsigned long long)counters_wall_ms() + EPOCH_AHEAD_MS + 60000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (begin_case() > 0)
			continue;
		is_poisoned(cases[i].kind, cases[i].value);
		_exit(0);
	}
	wait_for_cases();
}

/* A reset at one node reaches what the others remember as theirs. */
static void
test_reset_reaches_all(void **state)
{
	struct fake *f = fake_open();
	struct rig r[NODES];

	(void)state;
	for (int i = 0; i < NODES; i++) {
		rig_open(&r[i], f, COUNTER_LOSS_LOCAL, i ? "b" : "a");
		assert_int_equal(ask_one(&r[i], COUNTERS_RESERVE, 9, CAP), COUNTERS_FITS);
	}
	assert_int_equal(ask_one(&r[0], COUNTERS_RESET, 1, 0), COUNTERS_FITS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_one(&r[1], COUNTERS_RESERVE, 1, CAP), COUNTERS_FITS);
		run_for(&r[1], 0.1);
	}
	comes_to(f, 3, "reset");
	set_edge(f, EDGE_EMPTY);
	assert_int_equal(ask_one(&r[1], COUNTERS_RESERVE, 1, CAP), COUNTERS_FITS);
	comes_to(f, 4, "reset, then empty");
	for (int i = 0; i < NODES; i++)
		rig_close(&r[i]);
	fake_close(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_ends_in_doubt),
		cmocka_unit_test(test_poisoned),
		cmocka_unit_test(test_reset_reaches_all),
	};

	signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IONBF, 0); /* a case may abort */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
