/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups against a name server on a thread of ours that answers from a table, fails, stays
 * silent, and lies: wire/dns, wire/mx, and the memory of conf/mail_domain.
 */
#include "conf/mail_domain.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "wire/crypto.h"
#include "wire/text.h"

/* ---- messages ---- */

struct packet {
	size_t n;
	uint8_t at[4096];
};

static void
put(struct packet *p, const void *octets, size_t n)
{
	assert_true(p->n + n <= sizeof(p->at));
	memcpy(p->at + p->n, octets, n);
	p->n += n;
}

static void
put16(struct packet *p, unsigned v)
{
	put(p, (const uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void
put32(struct packet *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p, v & 0xffff);
}

static void
put_name(struct packet *p, const char *name)
{
	struct slice rest = slice_str(name);

	while (rest.n > 0) {
		struct slice label = slice_cut(&rest, '.');

		put(p, (const uint8_t[]){ (uint8_t)label.n }, 1);
		put(p, label.p, label.n);
	}
	put(p, "", 1);
}

static struct packet
begin(unsigned id, unsigned flags, const char *name, unsigned type)
{
	struct packet p = { 0 };

	put16(&p, id);
	put16(&p, flags);
	put16(&p, 1);
	put32(&p, 0);
	put16(&p, 0);
	put_name(&p, name);
	put16(&p, type);
	put16(&p, 1);
	return p;
}

enum { ANSWER = 6, AUTHORITY = 8 };

static void
count(struct packet *p, unsigned section)
{
	p->at[section + 1]++;
}

static void
put_rr(struct packet *p, unsigned section, const char *owner, unsigned type, uint32_t ttl,
    const void *rdata, size_t n)
{
	count(p, section);
	put_name(p, owner);
	put16(p, type);
	put16(p, 1);
	put32(p, ttl);
	put16(p, (unsigned)n);
	put(p, rdata, n);
}

static void
put_named(struct packet *p, const char *owner, unsigned type, uint32_t ttl, const char *before,
    size_t before_n, const char *target)
{
	struct packet rdata = { 0 };

	put(&rdata, before, before_n);
	put_name(&rdata, target);
	put_rr(p, ANSWER, owner, type, ttl, rdata.at, rdata.n);
}

static void
put_mx(struct packet *p, const char *owner, unsigned priority, const char *host, uint32_t ttl)
{
	put_named(p, owner, 15, ttl, (const char[]){ 0, (char)priority }, 2, host);
}

static void
put_soa(struct packet *p, const char *zone, uint32_t ttl, uint32_t minimum)
{
	struct packet rdata = { 0 };

	put_name(&rdata, "ns");
	put_name(&rdata, "hostmaster");
	for (int i = 0; i < 4; i++)
		put32(&rdata, 1);
	put32(&rdata, minimum);
	put_rr(p, AUTHORITY, zone, 6, ttl, rdata.at, rdata.n);
}

/* ---- a name server ---- */

/* Flags of an answer. */
enum { GOOD = 0x8180, SERVFAIL = 0x8182, NX = 0x8183, REFUSED = 0x8185 };

enum manner { ANSWERS, FAILS, SILENT, REFUSES, LIES, HALF };

static const struct row {
	const char *name;
	enum manner manner;
	unsigned ttl;
	const char *mx[3]; /* "" alone: a null MX */
	bool a, aaaa;
} zone[] = {
	{ "good.example", ANSWERS, 60, { "mx.good.example" }, 0, 0 },
	{ "mx.good.example", ANSWERS, 60, { 0 }, 1, 0 },
	{ "six.example", ANSWERS, 60, { "mx.six.example" }, 0, 0 },
	{ "mx.six.example", ANSWERS, 60, { 0 }, 0, 1 },
	{ "host.example", ANSWERS, 60, { 0 }, 1, 0 },
	{ "null.example", ANSWERS, 60, { "" }, 1, 0 },
	{ "empty.example", ANSWERS, 60, { 0 }, 0, 0 },
	{ "dead.example", ANSWERS, 60, { "gone.example", "empty.example" }, 1, 0 },
	{ "second.example", ANSWERS, 60, { "gone.example", "host.example" }, 0, 0 },
	{ "unsure.example", ANSWERS, 60, { "gone.example", "fails.example" }, 0, 0 },
	{ "luck.example", ANSWERS, 60, { "fails.example", "host.example" }, 0, 0 },
	{ "fails.example", FAILS, 0, { 0 }, 0, 0 },
	{ "refuses.example", REFUSES, 0, { 0 }, 0, 0 },
	{ "silent.example", SILENT, 0, { 0 }, 0, 0 },
	{ "lies.example", LIES, 60, { "mx.good.example" }, 0, 0 },
	{ "short.example", ANSWERS, 0, { "mx.good.example" }, 0, 0 },
	{ "half.example", HALF, 60, { 0 }, 1, 0 },
	{ "text.example", ANSWERS, 60, { 0 }, 0, 0 },
};

struct server {
	int fd;
	unsigned port;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint asked;
};

static const struct row *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++)
		if (strcasecmp(zone[i].name, name) == 0)
			return &zone[i];
	return NULL;
}

static void
question(const uint8_t *q, size_t n, char *name, size_t size, unsigned *type_r)
{
	struct text t = text_over(name, size);
	size_t at = 12;

	while (at < n && q[at] > 0 && at + q[at] < n) {
		if (t.n > 0)
			text_char(&t, '.');
		text_put(&t, slice_of((const char *)q + at + 1, q[at]));
		at += q[at] + 1u;
	}
	name[t.n < size ? t.n : size - 1] = '\0';
	*type_r = at + 2 < n ? (unsigned)q[at + 2] : 0;
}

/* A record of two strings, 255 and 6 octets, and another. */
static void
put_texts(struct packet *p, const char *name)
{
	uint8_t rdata[263];

	memset(rdata, 'x', sizeof(rdata));
	rdata[0] = 255;
	rdata[256] = 6;
	put_rr(p, ANSWER, name, 16, 60, rdata, sizeof(rdata));
	put_rr(p, ANSWER, name, 16, 60, "\3abc", 4);
}

static struct packet
reply_to(const uint8_t *q, const char *name, unsigned type, const struct row *row)
{
	static const unsigned flags[] = { GOOD, SERVFAIL, GOOD, REFUSED, GOOD, GOOD };
	unsigned id = (unsigned)(q[0] << 8 | q[1]);
	struct packet p = begin(row && row->manner == LIES ? id ^ 1 : id,
	    row ? flags[row->manner] : NX, name, type);

	if (!row) {
		put_soa(&p, "example", 60, 60);
		return p;
	}
	for (size_t i = 0; i < 3 && type == 15 && row->mx[i]; i++)
		put_mx(&p, name, 10 * (unsigned)i, row->mx[i], row->ttl);
	if (type == 16 && strcmp(row->name, "text.example") == 0)
		put_texts(&p, name);
	if (type == 1 && row->a)
		put_rr(&p, ANSWER, name, 1, row->ttl, "\300\0\2\1", 4);
	if (type == 28 && row->aaaa)
		put_rr(&p, ANSWER, name, 28, row->ttl, " \1\r\270\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	return p;
}

static void *
serve(void *ctx)
{
	struct server *s = ctx;

	while (!s->stop) {
		struct pollfd fd = { .fd = s->fd, .events = POLLIN };
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		uint8_t q[512];
		char name[256];
		unsigned type;

		if (poll(&fd, 1, 50) <= 0)
			continue;
		ssize_t n = recvfrom(s->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len);

		if (n < 12)
			continue;
		question(q, (size_t)n, name, sizeof(name), &type);
		s->asked++;
		const struct row *row = find(name);

		if (row && (row->manner == SILENT || (row->manner == HALF && type == 28)))
			continue;
		struct packet p = reply_to(q, name, type, row);

		(void)!sendto(s->fd, p.at, p.n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

struct fixture {
	struct server server;
	struct dns_servers servers;
	struct loop *loop;
	struct dns *dns;
	struct mail_domains *all;
	ev_timer guard;
	unsigned answers;
	enum mx_got verdict;
	uint64_t owner;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	assert_true(f && crypto_init());
	f->server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->server.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(f->server.fd, (struct sockaddr *)&a, &len), 0);
	memcpy(&f->servers.at[0], &a, sizeof(a));
	assert_int_equal(pthread_create(&f->server.thread, NULL, serve, &f->server), 0);
	f->servers.n = 1;
	f->servers.timeout_s = 1;
	f->loop = loop_open();
	f->dns = dns_open(f->loop, &f->servers);
	f->all = f->dns ? mail_domains_open(f->loop, f->dns, f) : NULL;
	assert_non_null(f->all);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	mail_domains_close(f->all);
	dns_close(f->dns);
	loop_close(f->loop);
	f->server.stop = true;
	pthread_join(f->server.thread, NULL);
	close(f->server.fd);
	free(f);
	return 0;
}

static void
on_answer(void *ctx, uint64_t owner, enum mx_got verdict)
{
	struct fixture *f = ctx;

	f->answers++;
	f->owner = owner;
	f->verdict = verdict;
	loop_stop(f->loop);
}

static void
on_guard(struct ev_loop *ev, ev_timer *t, int events)
{
	(void)ev;
	(void)events;
	loop_stop(((struct fixture *)t->data)->loop);
}

static void
turn(struct fixture *f, double seconds)
{
	ev_timer_init(&f->guard, on_guard, seconds, 0);
	f->guard.data = f;
	ev_timer_start(loop_ev(f->loop), &f->guard);
	loop_run(f->loop);
	ev_timer_stop(loop_ev(f->loop), &f->guard);
}

/* REMEMBERED_R: it was known at once. */
static enum mx_got
ask(struct fixture *f, const char *domain, bool *remembered_r)
{
	enum mx_got v;

	f->answers = 0;
	*remembered_r = mail_domain(f->all, 1, slice_str(domain), 7, on_answer, &v);
	if (*remembered_r)
		return v;
	assert_int_equal(f->answers, 0);
	for (int i = 0; i < 30 && f->answers == 0; i++)
		turn(f, 1);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->owner, 7);
	return f->verdict;
}

static void
judges_domains(void **state)
{
	static const struct {
		const char *domain;
		enum mx_got verdict;
	} cases[] = {
		{ "good.example", MX_FOUND },
		{ "GOOD.example", MX_FOUND },
		{ "six.example", MX_FOUND },
		{ "host.example", MX_FOUND },
		{ "second.example", MX_FOUND },
		{ "luck.example", MX_FOUND },
		{ "null.example", MX_NULL },
		{ "empty.example", MX_NONE },
		{ "dead.example", MX_NONE },
		{ "gone.example", MX_NONE },
		{ "unsure.example", MX_UNKNOWN },
		{ "fails.example", MX_UNKNOWN },
		{ "refuses.example", MX_UNKNOWN },
		{ "silent.example", MX_UNKNOWN },
		{ "lies.example", MX_UNKNOWN },
	};
	struct fixture *f = *state;
	bool remembered;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum mx_got v = ask(f, cases[i].domain, &remembered);

		if (v != cases[i].verdict)
			fail_msg("%s: %d", cases[i].domain, (int)v);
	}
}

static void
remembers(void **state)
{
	struct fixture *f = *state;
	bool remembered;

	assert_int_equal(ask(f, "good.example", &remembered), MX_FOUND);
	assert_false(remembered);
	unsigned asked = f->server.asked;

	assert_int_equal(ask(f, "Good.Example", &remembered), MX_FOUND);
	assert_true(remembered);
	assert_int_equal(ask(f, "gone.example", &remembered), MX_NONE);
	assert_false(remembered);
	assert_int_equal(ask(f, "gone.example", &remembered), MX_NONE);
	assert_true(remembered);
	assert_int_equal(f->server.asked, asked + 1);
	/* A life of 0 s is made 5: the session that asked can ask again. */
	assert_int_equal(ask(f, "short.example", &remembered), MX_FOUND);
	assert_int_equal(ask(f, "short.example", &remembered), MX_FOUND);
	assert_true(remembered);
	for (int i = 0; i < 6; i++)
		turn(f, 1);
	/* Too old, but good: it serves while it is asked about, once. */
	asked = f->server.asked;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(f, "short.example", &remembered), MX_FOUND);
		assert_true(remembered);
	}
	turn(f, 1);
	assert_int_equal(f->server.asked, asked + 3);
}

/* Many who ask the same are one question; each is answered. */
static void
joins(void **state)
{
	struct fixture *f = *state;
	enum mx_got v;

	for (int i = 0; i < 50; i++)
		assert_false(mail_domain(f->all, 1, SLICE("host.example"), 1, on_answer, &v));
	for (int i = 0; i < 50 && f->answers < 50; i++)
		turn(f, 0.1);
	assert_int_equal(f->answers, 50);
	assert_int_equal(f->server.asked, 3); /* MX, A, AAAA */
}

/* More names than are kept, and more than may wait: refused with "unknown", never lost, never more
 * memory. */
static void
is_bounded(void **state)
{
	struct fixture *f = *state;
	unsigned later = 0;
	enum mx_got v;

	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.example", i);
		if (!mail_domain(f->all, 1, slice_str(name), 1, on_answer, &v))
			later++;
		else
			assert_int_equal(v, MX_UNKNOWN);
	}
	assert_int_equal(later, DNS_AT_ONCE + DNS_LINE_MAX);
	for (int i = 0; i < 400 && f->answers < later; i++)
		turn(f, 0.1);
	assert_int_equal(f->answers, later);
	for (int i = 0; i < MAIL_DOMAINS_MAX + 500; i++) {
		char name[32];
		bool remembered;

		snprintf(name, sizeof(name), "m%d.example", i);
		assert_int_equal(ask(f, name, &remembered), MX_NONE);
	}
}

/* ---- single look-ups ---- */

struct one {
	struct fixture *f;
	struct dns_ask ask;
	bool told;
	enum dns_got got;
	size_t n;
	unsigned ttl_s;
	char first[300];
	size_t first_n;
	ev_tstamp at;
};

static void
on_one(struct dns_ask *ask, const struct dns_answer *a)
{
	struct one *o = (struct one *)(void *)((char *)ask - offsetof(struct one, ask));

	assert_false(o->told);
	o->told = true;
	o->got = a->got;
	o->n = a->n;
	o->ttl_s = a->ttl_s;
	o->at = loop_now(o->f->loop);
	if (a->n) {
		o->first_n = a->at[0].value.n;
		memcpy(o->first, a->at[0].value.p, o->first_n);
	}
	loop_stop(o->f->loop);
}

static bool
look(struct fixture *f, struct one *o, uint64_t account, const char *name, enum dns_type type)
{
	*o = (struct one){ .f = f, .ask.fn = on_one };
	return dns_look_up(f->dns, account, slice_str(name), type, DNS_PATIENCE_S, &o->ask);
}

static void
wait_for(struct fixture *f, const struct one *o)
{
	for (int i = 0; i < 100 && !o->told; i++)
		turn(f, 0.1);
	assert_true(o->told);
}

static void
finds_records_of_each_kind(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_got got;
		size_t n, first;
	} cases[] = {
		{ "host.example", DNS_ADDRESS, DNS_FOUND, 1, 4 },
		{ "mx.six.example", DNS_ADDRESS, DNS_FOUND, 1, 16 },
		{ "empty.example", DNS_ADDRESS, DNS_EMPTY, 0, 0 },
		{ "gone.example", DNS_ADDRESS, DNS_NO_NAME, 0, 0 },
		{ "fails.example", DNS_ADDRESS, DNS_FAILED, 0, 0 },
		{ "half.example", DNS_ADDRESS, DNS_FOUND, 1, 4 },
		{ "dead.example", DNS_MX, DNS_FOUND, 2, strlen("gone.example") },
		{ "null.example", DNS_MX, DNS_FOUND, 1, 0 },
		{ "text.example", DNS_TXT, DNS_FOUND, 2, 261 },
		{ "host.example", DNS_TXT, DNS_EMPTY, 0, 0 },
		{ "localhost", DNS_ADDRESS, DNS_FOUND, 0, 0 }, /* of /etc/hosts */
	};
	struct fixture *f = *state;
	struct one o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(look(f, &o, 1, cases[i].name, cases[i].type));
		assert_false(o.told);
		wait_for(f, &o);
		if (o.got != cases[i].got || (cases[i].n && o.n != cases[i].n) ||
		    (cases[i].n && o.first_n != cases[i].first))
			fail_msg("%s: %d, %zu records, %zu octets", cases[i].name, (int)o.got, o.n,
			    o.first_n);
	}
	assert_true(look(f, &o, 1, "gone.example", DNS_MX));
	wait_for(f, &o);
	assert_int_equal(o.ttl_s, 60); /* of the SOA */
	assert_false(look(f, &o, 1, "a\\b.example", DNS_MX));
	assert_false(look(f, &o, 1, "", DNS_MX));
}

/* Silence about AAAA costs a moment, silence about all the patience and no more. */
static void
ends_in_time(void **state)
{
	struct fixture *f = *state;
	struct one o;
	ev_tstamp began;

	turn(f, 0.01);
	began = loop_now(f->loop);
	assert_true(look(f, &o, 1, "half.example", DNS_ADDRESS));
	wait_for(f, &o);
	assert_true(o.got == DNS_FOUND && o.at - began < 1);
	began = loop_now(f->loop);
	assert_true(look(f, &o, 1, "silent.example", DNS_ADDRESS));
	wait_for(f, &o);
	assert_true(o.got == DNS_FAILED && o.at - began < DNS_PATIENCE_S + 1);
}

/* Two at once for each account, lines in turn: who asks much waits for itself alone. */
static void
keeps_accounts_apart(void **state)
{
	struct fixture *f = *state;
	struct one bad[26], good, joined;
	ev_tstamp began;

	turn(f, 0.01);
	began = loop_now(f->loop);
	for (size_t i = 0; i < 26; i++)
		assert_true(look(f, &bad[i], 1, "silent.example", DNS_ADDRESS));
	assert_true(look(f, &joined, 1, "host.example", DNS_ADDRESS));
	assert_true(look(f, &good, 2, "host.example", DNS_ADDRESS));
	wait_for(f, &good);
	assert_true(good.got == DNS_FOUND && good.at - began < 1);
	assert_false(bad[0].told || joined.told);
	/* A third account wants what stands in the line of the first. */
	dns_join(&joined.ask, 3);
	wait_for(f, &joined);
	assert_true(joined.got == DNS_FOUND && joined.at - began < 2);
	for (size_t i = 0; i < 26; i++)
		wait_for(f, &bad[i]);
	assert_true(bad[25].at - began < DNS_PATIENCE_S + 1);
	/* To ask and to go away gives no place back before its time. */
	for (size_t i = 0; i < 2; i++) {
		assert_true(look(f, &bad[i], 1, "silent.example", DNS_ADDRESS));
		dns_forget(&bad[i].ask);
	}
	began = loop_now(f->loop);
	assert_true(look(f, &good, 1, "host.example", DNS_ADDRESS));
	wait_for(f, &good);
	assert_true(good.at - began > 1); /* the name server is waited for */
}

static void
asks_over_ipv6_and_the_next_server(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct server server = { .fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	struct dns_servers servers = { .n = 2, .timeout_s = 1 };
	socklen_t len = sizeof(a);
	struct one o;

	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		skip();
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
	memcpy(&servers.at[0], &a, sizeof(a));
	servers.at[1] = f->servers.at[0];
	/* What is under way when servers change is asked anew. */
	assert_true(look(f, &o, 1, "silent.example", DNS_MX));
	turn(f, 0.01);
	dns_set_servers(f->dns, &servers);
	wait_for(f, &o);
	assert_true(o.got == DNS_FAILED && server.asked > 0);
	assert_true(look(f, &o, 1, "good.example", DNS_MX));
	wait_for(f, &o);
	assert_int_equal(o.got, DNS_FOUND);
	assert_int_equal(o.ttl_s, 60);
	server.stop = true;
	pthread_join(server.thread, NULL);
	/* Nobody answers there any more. */
	f->server.asked = 0;
	assert_true(look(f, &o, 1, "gone.example", DNS_MX));
	wait_for(f, &o);
	assert_int_equal(o.got, DNS_NO_NAME);
	assert_true(f->server.asked > 0);
	close(server.fd);
}

static void
closes_while_asking(void **state)
{
	struct fixture *f = *state;
	struct one o[4];
	enum mx_got v;

	for (int i = 0; i < 20; i++)
		assert_false(mail_domain(f->all, 1, SLICE("silent.example"), 1, on_answer, &v));
	for (size_t i = 0; i < 4; i++)
		assert_true(look(f, &o[i], 2 + i / 3, "silent.example", DNS_ADDRESS));
	turn(f, 0.1);
	mail_domains_close(f->all);
	f->all = NULL;
	dns_close(f->dns);
	f->dns = NULL;
	assert_int_equal(f->answers, 0);
	assert_false(o[0].told || o[3].told);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_records_of_each_kind),
		TEST(ends_in_time),
		TEST(keeps_accounts_apart),
		TEST(judges_domains),
		TEST(remembers),
		TEST(joins),
		TEST(is_bounded),
		TEST(asks_over_ipv6_and_the_next_server),
		TEST(closes_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
