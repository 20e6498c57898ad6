/* SPDX-License-Identifier: Apache-2.0 */
/* counters on memcached: exact over workers and nodes, and what happens when a server freezes,
 * dies, comes back empty or forgets. A real memcached, found in PATH; without one the tests are
 * skipped. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/limits/counters_memcached.h"

enum { MINUTE = 60, DAY = 86400, NODES = 2, WORKERS = 2 };

/* ---- memcached ---- */

struct memcached {
	pid_t pid;
	int port;
};

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static bool
answers(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

static void
start(struct memcached *m)
{
	char port[8];

	if (m->port == 0)
		m->port = free_port();
	snprintf(port, sizeof(port), "%d", m->port);
	m->pid = fork();
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("memcached", "memcached", "-l", "127.0.0.1", "-p", port, "-U", "0", "-m",
		    "64", "-M", "-u", "nobody", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !answers(m->port); i++)
		usleep(10000);
	assert_true(answers(m->port));
}

static void
stop(struct memcached *m)
{
	int status;

	if (m->pid == 0)
		return;
	kill(m->pid, SIGCONT);
	kill(m->pid, SIGKILL);
	waitpid(m->pid, &status, 0);
	m->pid = 0;
}

static bool
there_is_none(void)
{
	return system("command -v memcached >/dev/null 2>&1") != 0;
}

/* ---- a worker ---- */

struct rig {
	struct loop *loop;
	struct counters_remote *remote;
	struct conf conf;
	const char *words[8];
	char names[8][32];
	unsigned waits;
	ev_timer timer;
};

static struct rig
rig_open(struct counters_shared *shared, const struct memcached *m, size_t n,
    enum counter_loss loss)
{
	struct rig r = { .loop = loop_open() };
	char mem[128] = "";
	struct text why = text_over(mem, sizeof(mem));

	for (size_t i = 0; i < n; i++) {
		snprintf(r.names[i], sizeof(r.names[i]), "127.0.0.1:%d", m[i].port);
		r.words[i] = r.names[i];
	}
	r.conf.counters.servers = r.words;
	r.conf.counters.servers_n = n;
	r.conf.counters.timeout_ms = 50;
	r.conf.counters.loss = loss;
	r.remote = counters_remote_open(r.loop, &r.conf, shared, &why);
	if (!r.remote || !counters_remote_start(r.remote, "node"))
		fail_msg("%s", mem);
	return r;
}

static void
rig_close(struct rig *r)
{
	counters_remote_close(r->remote);
	loop_close(r->loop);
}

struct ask {
	struct counters_order order; /* first */
	struct rig *rig;
	bool done;
};

static void
on_done(struct counters_order *o)
{
	struct ask *a = (struct ask *)o;

	a->done = true;
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

static struct counters_line
hour(uint64_t id, uint64_t cap)
{
	return (struct counters_line){ .kind = 'h',
		.id = id,
		.grain_s = MINUTE,
		.span = 60,
		.adds = true,
		.slides = true,
		.cap = cap };
}

static struct counters_line
day(char kind, uint64_t id, uint64_t cap)
{
	return (struct counters_line){ .kind = kind,
		.id = id,
		.grain_s = DAY,
		.span = 1,
		.keep = 32,
		.adds = true,
		.cap = cap };
}

static void
fill(struct ask *a, struct rig *r, enum counters_verb verb, uint32_t n, uint64_t id, uint64_t cap)
{
	*a = (struct ask){ .rig = r,
		.order = { .group = id,
		    .n = n,
		    .verb = verb,
		    .lines_n = 3,
		    .line = { day('b', id, cap * 2), day('d', id, cap * 2), hour(id, cap) },
		    .done = on_done } };
}

static void
ask(struct ask *a)
{
	a->done = counters_remote_ask(a->rig->remote, &a->order) == COUNTERS_NOW;
	if (!a->done)
		a->rig->waits++;
}

static enum counters_verdict
ask_one(struct rig *r, enum counters_verb verb, uint32_t n, uint64_t id, uint64_t cap,
    uint64_t *used_r)
{
	struct ask a;

	fill(&a, r, verb, n, id, cap);
	ask(&a);
	if (!a.done)
		run_for(r, 5);
	assert_true(a.done);
	if (used_r)
		*used_r = a.order.line[2].used;
	return a.order.verdict;
}

static uint64_t
used(struct rig *r, uint64_t id)
{
	uint64_t n = 0;

	assert_int_equal(ask_one(r, COUNTERS_READ, 1, id, 0, &n), COUNTERS_FITS);
	return n;
}

/* ---- many at once ---- */

/* One worker: EACH orders in flocks of 32, some given back; what it keeps in the end. */
static uint64_t
work(struct rig *r, unsigned seed, unsigned each, uint64_t cap)
{
	static struct ask flock[32];
	uint64_t kept = 0;

	for (unsigned k = 0; k < each; k += 32) {
		for (unsigned i = 0; i < 32; i++) {
			fill(&flock[i], r, COUNTERS_RESERVE, 1 + (unsigned)rand_r(&seed) % 3, 7,
			    cap);
			ask(&flock[i]);
		}
		if (r->waits)
			run_for(r, 10);
		assert_int_equal(r->waits, 0);
		for (unsigned i = 0; i < 32; i++) {
			struct counters_order *o = &flock[i].order;

			if (o->verdict != COUNTERS_FITS)
				continue;
			uint32_t back = (unsigned)rand_r(&seed) % 4 == 0 ? o->n : 0;

			if (back)
				counters_remote_refund(r->remote, o, back);
			kept += o->n - back;
		}
	}
	run_for(r, 0.1);
	return kept;
}

static void
test_exact(void **state)
{
	enum { CAP = 1501 };
	struct memcached m[1] = { 0 };
	struct counters_shared *node[NODES];
	int pipes[2], status;
	uint64_t kept = 0, one;

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	assert_int_equal(pipe(pipes), 0);
	for (int n = 0; n < NODES; n++) {
		node[n] = counters_shared_open(1024);
		assert_non_null(node[n]);
		for (int w = 0; w < WORKERS; w++) {
			if (fork() > 0)
				continue;
			struct rig r = rig_open(node[n], m, 1, COUNTER_LOSS_LOCAL);

			one = work(&r, (unsigned)(n * WORKERS + w), 640, CAP);
			rig_close(&r);
			_exit(write(pipes[1], &one, sizeof(one)) == sizeof(one) ? 0 : 1);
		}
	}
	for (int i = 0; i < NODES * WORKERS; i++) {
		assert_int_equal(read(pipes[0], &one, sizeof(one)), sizeof(one));
		kept += one;
	}
	while (wait4(0, &status, WNOHANG, NULL) > 0)
		assert_int_equal(status, 0);
	for (int n = 0; n < NODES; n++) {
		struct rig r = rig_open(node[n], m, 1, COUNTER_LOSS_LOCAL);

		assert_int_equal(used(&r, 7), kept);
		assert_true(kept <= CAP);
		while (ask_one(&r, COUNTERS_RESERVE, 1, 7, CAP, NULL) == COUNTERS_FITS)
			kept++;
		assert_int_equal(kept, CAP);
		rig_close(&r);
		counters_shared_close(node[n]);
	}
	close(pipes[0]);
	close(pipes[1]);
	stop(m);
}

/* ---- loss ---- */

static void
reserve(struct rig *r, uint64_t id, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(ask_one(r, COUNTERS_RESERVE, 1, id, 1000, NULL), COUNTERS_FITS);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Waits until the server is in use again. */
static void
wait_up(struct rig *r)
{
	for (int i = 0; i < 200; i++) {
		char mem[1024];
		struct text t = text_over(mem, sizeof(mem));

		counters_remote_status(r->remote, &t);
		if (strstr(mem, "\"up\":true") && !strstr(mem, "\"up\":false"))
			return;
		run_for(r, 0.1);
	}
	fail_msg("the server does not come back");
}

/* Two nodes; the server dies and comes back empty: what both had put there is there again. */
static void
test_empty(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node[NODES];
	struct rig r[NODES];

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	for (int n = 0; n < NODES; n++) {
		node[n] = counters_shared_open(1024);
		r[n] = rig_open(node[n], m, 1, COUNTER_LOSS_LOCAL);
	}
	reserve(&r[0], 1, 40);
	reserve(&r[1], 1, 60);
	reserve(&r[1], 2, 5);
	assert_int_equal(used(&r[0], 1), 100);
	stop(m);
	/* Meanwhile each goes on with what it knows. */
	reserve(&r[0], 1, 3);
	reserve(&r[1], 1, 4);
	start(m);
	wait_up(&r[0]);
	wait_up(&r[1]);
	run_for(&r[0], 0.3);
	assert_int_equal(used(&r[0], 1), 107);
	assert_int_equal(used(&r[1], 1), 107);
	assert_int_equal(used(&r[0], 2), 5);
	reserve(&r[0], 1, 1);
	assert_int_equal(used(&r[1], 1), 108);
	for (int n = 0; n < NODES; n++) {
		rig_close(&r[n]);
		counters_shared_close(node[n]);
	}
	stop(m);
}

/* A frozen server: answers within the timeout's order, what was sent is not sent again, what was
 * counted here is owed. */
static void
test_frozen(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node = counters_shared_open(1024);

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	struct rig r = rig_open(node, m, 1, COUNTER_LOSS_LOCAL);

	reserve(&r, 1, 10);
	kill(m->pid, SIGSTOP);
	for (int i = 0; i < 10; i++) {
		double t = seconds();

		reserve(&r, 1, 1);
		assert_true(seconds() - t < 0.5);
	}
	double t = seconds();

	reserve(&r, 1, 100); /* the breaker is open: at once */
	assert_true(seconds() - t < 0.5);
	kill(m->pid, SIGCONT);
	wait_up(&r);
	run_for(&r, 0.3);
	assert_int_equal(used(&r, 1), 120);
	rig_close(&r);
	counters_shared_close(node);
	stop(m);
}

static void
test_policies(void **state)
{
	static const struct {
		enum counter_loss loss;
		enum counters_verdict below, above;
	} cases[] = {
		{ COUNTER_LOSS_LOCAL, COUNTERS_FITS, COUNTERS_OVER },
		{ COUNTER_LOSS_CLOSED, COUNTERS_LOST, COUNTERS_LOST },
		{ COUNTER_LOSS_OPEN, COUNTERS_FITS, COUNTERS_FITS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memcached m[1] = { { .port = free_port() } }; /* nobody there */
		struct counters_shared *node = counters_shared_open(1024);
		struct rig r = rig_open(node, m, 1, cases[i].loss);

		for (int k = 0; k < 3; k++)
			assert_int_equal(ask_one(&r, COUNTERS_RESERVE, 1, 1, 3, NULL),
			    cases[i].below);
		assert_int_equal(ask_one(&r, COUNTERS_RESERVE, 1, 1, 3, NULL), cases[i].above);
		assert_int_equal(ask_one(&r, COUNTERS_LOOK, 1, 1, 3, NULL), cases[i].above);
		rig_close(&r);
		counters_shared_close(node);
	}
}

/* Three servers, one gone: its groups are counted here, the others as before. */
static void
test_three(void **state)
{
	struct memcached m[3] = { 0 };
	struct counters_shared *node = counters_shared_open(1024);
	unsigned met[3] = { 0 };

	(void)state;
	if (there_is_none())
		skip();
	for (int i = 0; i < 3; i++)
		start(&m[i]);
	struct rig r = rig_open(node, m, 3, COUNTER_LOSS_LOCAL);

	for (uint64_t id = 1; id <= 60; id++) {
		met[counters_remote_server(r.remote, id)]++;
		reserve(&r, id, 2);
	}
	for (int i = 0; i < 3; i++)
		assert_true(met[i] > 5);
	stop(&m[1]);
	for (uint64_t id = 1; id <= 60; id++)
		reserve(&r, id, 1);
	for (uint64_t id = 1; id <= 60; id++)
		assert_int_equal(used(&r, id), 3);
	start(&m[1]);
	wait_up(&r);
	run_for(&r, 0.3);
	for (uint64_t id = 1; id <= 60; id++)
		assert_int_equal(used(&r, id), 3);
	rig_close(&r);
	counters_shared_close(node);
	for (int i = 0; i < 3; i++)
		stop(&m[i]);
}

/* One number goes while the server stands, as when memory is short: all nodes put theirs back. */
static void
test_evicted(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node[NODES];
	struct rig r[NODES];
	char line[256];

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	for (int n = 0; n < NODES; n++) {
		node[n] = counters_shared_open(1024);
		r[n] = rig_open(node[n], m, 1, COUNTER_LOSS_LOCAL);
		reserve(&r[n], 1, 50);
	}
	for (int n = 0; n < NODES; n++)
		assert_int_equal(used(&r[n], 1), 100);
	/* All of this minute's and day's numbers, but not the epoch. */
	uint64_t epoch = atomic_load(&counters_common(node[0])->server[0].epoch);
	unsigned minute = (unsigned)(counters_wall_ms() / 60000),
	         today = (unsigned)(counters_wall_ms() / 86400000);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)m->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	for (unsigned i = 0; i < 2; i++) {
		int n = snprintf(line, sizeof(line), "delete %llx.h1.%x\r\ndelete %llx.d1.%x\r\n",
		    (unsigned long long)epoch, minute - i, (unsigned long long)epoch, today);

		assert_int_equal(write(fd, line, (size_t)n), n);
	}
	assert_true(read(fd, line, sizeof(line)) > 0);
	close(fd);
	for (int n = 0; n < NODES; n++) {
		assert_true(used(&r[n], 1) >= 99); /* from memory, at once */
		run_for(&r[n], 0.6);
	}
	for (int n = 0; n < NODES; n++)
		assert_int_equal(used(&r[n], 1), 100);
	assert_true(atomic_load(&counters_common(node[0])->server[0].epoch) > epoch);
	for (int n = 0; n < NODES; n++) {
		rig_close(&r[n]);
		counters_shared_close(node[n]);
	}
	stop(m);
}

static void
test_reset(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node[NODES];
	struct rig r[NODES];

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	for (int n = 0; n < NODES; n++) {
		node[n] = counters_shared_open(1024);
		r[n] = rig_open(node[n], m, 1, COUNTER_LOSS_LOCAL);
		reserve(&r[n], 1, 50);
	}
	assert_int_equal(ask_one(&r[0], COUNTERS_RESET, 1, 1, 0, NULL), COUNTERS_FITS);
	assert_int_equal(used(&r[0], 1), 0);
	reserve(&r[0], 1, 1);
	assert_int_equal(used(&r[0], 1), 1);
	for (int n = 0; n < NODES; n++) {
		rig_close(&r[n]);
		counters_shared_close(node[n]);
	}
	stop(m);
}

/* A look is answered from what is known as long as that is far from the cap. */
static void
test_look(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node = counters_shared_open(1024);
	struct ask a;

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	struct rig r = rig_open(node, m, 1, COUNTER_LOSS_LOCAL);

	fill(&a, &r, COUNTERS_LOOK, 1, 1, 10);
	ask(&a);
	assert_false(a.done); /* nothing is known yet */
	run_for(&r, 5);
	assert_int_equal(a.order.verdict, COUNTERS_FITS);
	fill(&a, &r, COUNTERS_LOOK, 1, 1, 10);
	ask(&a);
	assert_true(a.done);
	assert_int_equal(a.order.verdict, COUNTERS_FITS);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask_one(&r, COUNTERS_RESERVE, 1, 1, 10, NULL), COUNTERS_FITS);
	assert_int_equal(ask_one(&r, COUNTERS_LOOK, 1, 1, 10, NULL), COUNTERS_OVER);
	rig_close(&r);
	counters_shared_close(node);
	stop(m);
}

static enum counters_verdict
bare(struct rig *r, enum counters_verb verb, uint32_t n, uint64_t id, uint64_t used_r[2])
{
	struct ask a = { .rig = r,
		.order = { .group = id,
		    .n = n,
		    .verb = verb,
		    .lines_n = 2,
		    .line = { { .kind = 'N', .id = id, .grain_s = DAY, .span = 2 },
		        { .kind = 'P', .id = id, .grain_s = 40 * DAY, .span = 2 } },
		    .done = on_done } };

	ask(&a);
	if (!a.done)
		run_for(r, 5);
	assert_true(a.done);
	for (size_t i = 0; used_r && i < 2; i++)
		used_r[i] = a.order.line[i].used;
	return a.order.verdict;
}

static bool
is_bare_record(void *ctx, struct counters_record *r)
{
	(void)ctx;
	assert_true(r->kind != 'N' && r->kind != 'P');
	return true;
}

/* Bare numbers are the servers' alone: all nodes see them, no node keeps a record, nobody answers
 * for a server that is away, and other numbers of the batch are as they were. */
static void
test_bare(void **state)
{
	struct memcached m[1] = { 0 };
	struct counters_shared *node[NODES];
	struct rig r[NODES];
	uint64_t sum[2];
	size_t at;

	(void)state;
	if (there_is_none())
		skip();
	start(m);
	for (int n = 0; n < NODES; n++) {
		node[n] = counters_shared_open(1024);
		r[n] = rig_open(node[n], m, 1, COUNTER_LOSS_OPEN);
		assert_int_equal(bare(&r[n], COUNTERS_BARE_ADD, 2, UINT64_MAX, NULL),
		    COUNTERS_FITS);
		reserve(&r[n], 1, 5);
	}
	for (int n = 0; n < NODES; n++) {
		assert_int_equal(bare(&r[n], COUNTERS_BARE_READ, 1, UINT64_MAX, sum),
		    COUNTERS_FITS);
		assert_int_equal(sum[0], 4);
		assert_int_equal(sum[1], 4);
		assert_int_equal(bare(&r[n], COUNTERS_BARE_READ, 1, 8, sum), COUNTERS_FITS);
		assert_int_equal(sum[0], 0);
		assert_int_equal(used(&r[n], 1), 10);
	}
	assert_int_equal(bare(&r[0], COUNTERS_BARE_RESET, 1, UINT64_MAX, NULL), COUNTERS_FITS);
	assert_int_equal(bare(&r[1], COUNTERS_BARE_READ, 1, UINT64_MAX, sum), COUNTERS_FITS);
	assert_int_equal(sum[0] + sum[1], 0);
	kill(m->pid, SIGSTOP);
	assert_int_equal(bare(&r[0], COUNTERS_BARE_READ, 1, UINT64_MAX, NULL), COUNTERS_LOST);
	assert_int_equal(bare(&r[0], COUNTERS_BARE_ADD, 1, UINT64_MAX, NULL), COUNTERS_LOST);
	kill(m->pid, SIGCONT);
	for (int n = 0; n < NODES; n++) {
		at = 0;
		assert_true(counters_each(node[n], &at, is_bare_record, NULL));
		rig_close(&r[n]);
		counters_shared_close(node[n]);
	}
	stop(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_three),
		cmocka_unit_test(test_evicted),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_bare),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
