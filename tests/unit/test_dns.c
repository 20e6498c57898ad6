/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as octets, and look-ups against a name server on a thread of ours that answers from a
 * table, fails, stays silent, and lies.
 */
#include "conf/dns.h"

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
put_cname(struct packet *p, const char *owner, const char *target, uint32_t ttl)
{
	put_named(p, owner, 5, ttl, "", 0, target);
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

/* From memory of its own size, so that a look beyond its end is seen. */
static enum dns_got
read_it(const struct packet *p, const char *name, enum dns_type type, struct dns_answer *a)
{
	char *copy = malloc(p->n + (p->n == 0));

	assert_non_null(copy);
	memcpy(copy, p->at, p->n);
	dns_read(slice_of(copy, p->n), slice_str(name), type, a);
	free(copy);
	return a->got;
}

enum { GOOD = 0x8180, NX = 0x8183, SERVFAIL = 0x8182, REFUSED = 0x8185, TRUNCATED = 0x8380 };

static struct dns_answer answer;

static void
reads_records(void **state)
{
	struct packet p = begin(1, GOOD, "a.example", 15);

	(void)state;
	put_mx(&p, "A.Example", 20, "mx2.a.example", 300);
	put_mx(&p, "a.example", 10, "mx1.a.example", 200);
	put_mx(&p, "other.example", 1, "evil.example", 1); /* nobody asked */
	put_rr(&p, ANSWER, "a.example", 1, 2, "\x7f\0\0\1", 4);
	assert_int_equal(read_it(&p, "a.example", DNS_MX, &answer), DNS_FOUND);
	assert_int_equal(answer.n, 2);
	assert_int_equal(answer.ttl_s, 200);
	assert_int_equal(answer.at[0].priority, 20);
	assert_true(slice_eq(answer.at[1].value, SLICE("mx1.a.example")));
	assert_int_equal(read_it(&p, "a.example", DNS_A, &answer), DNS_FOUND);
	assert_int_equal(answer.ttl_s, 2);
	assert_int_equal(read_it(&p, "a.example", DNS_TXT, &answer), DNS_EMPTY);

	p = begin(1, GOOD, "t.example", 16);
	put_rr(&p, ANSWER, "t.example", 16, 60, "\3v=s\4pf1 \0\2-a", 13);
	put_rr(&p, ANSWER, "t.example", 16, 60, "\1\xff", 2);
	assert_int_equal(read_it(&p, "t.example", DNS_TXT, &answer), DNS_FOUND);
	assert_int_equal(answer.n, 2);
	assert_true(slice_eq(answer.at[0].value, SLICE("v=spf1 -a")));
	assert_true(slice_eq(answer.at[1].value, SLICE("\xff")));

	p = begin(1, GOOD, "n.example", 15);
	put_mx(&p, "n.example", 0, "", 60);
	assert_int_equal(read_it(&p, "n.example", DNS_MX, &answer), DNS_FOUND);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.at[0].value.n, 0);
}

static void
follows_cnames(void **state)
{
	struct packet p = begin(1, GOOD, "w.example", 1);

	(void)state;
	put_rr(&p, ANSWER, "z.example", 1, 500, "\1\2\3\4", 4);
	put_cname(&p, "y.example", "z.example", 30);
	put_cname(&p, "w.example", "y.example", 400);
	put_rr(&p, ANSWER, "w.example", 16, 1, "\1x", 2);
	assert_int_equal(read_it(&p, "w.example", DNS_A, &answer), DNS_FOUND);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 30);

	p = begin(1, GOOD, "l.example", 1);
	put_cname(&p, "l.example", "m.example", 30);
	put_cname(&p, "m.example", "l.example", 30);
	assert_int_equal(read_it(&p, "l.example", DNS_A, &answer), DNS_FAILED);

	p = begin(1, NX, "d.example", 1);
	put_cname(&p, "d.example", "gone.example", 30);
	assert_int_equal(read_it(&p, "d.example", DNS_A, &answer), DNS_NO_NAME);
}

static void
tells_none_from_nobody_knows(void **state)
{
	static const struct {
		unsigned flags;
		enum dns_got got;
	} cases[] = {
		{ GOOD, DNS_EMPTY }, { NX, DNS_NO_NAME }, { SERVFAIL, DNS_FAILED },
		{ REFUSED, DNS_FAILED }, { TRUNCATED, DNS_FAILED }, { 0x8184, DNS_FAILED },
		{ 0x0180, DNS_FAILED }, /* a question */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct packet p = begin(1, cases[i].flags, "a.example", 1);

		if (read_it(&p, "a.example", DNS_A, &answer) != cases[i].got)
			fail_msg("%zu: %d", i, (int)answer.got);
		assert_int_equal(answer.ttl_s, 0);
	}
	struct packet p = begin(1, NX, "a.example", 1);

	put_soa(&p, "example", 900, 120);
	assert_int_equal(read_it(&p, "a.example", DNS_A, &answer), DNS_NO_NAME);
	assert_int_equal(answer.ttl_s, 120);
	p = (struct packet){ 0 };
	assert_int_equal(read_it(&p, "a.example", DNS_A, &answer), DNS_FAILED);
}

/* Broken everywhere: cut at each octet, and each octet changed. Nothing is read beyond the end, and
 * a cut answer is no answer. */
static void
survives_broken_answers(void **state)
{
	struct packet whole = begin(1, GOOD, "a.example", 15);

	(void)state;
	put_cname(&whole, "a.example", "b.example", 60);
	put_mx(&whole, "b.example", 10, "mx.b.example", 60);
	put_rr(&whole, ANSWER, "b.example", 16, 60, "\3abc", 4);
	put_soa(&whole, "example", 60, 60);
	for (size_t n = 0; n < whole.n; n++) {
		struct packet p = whole;

		p.n = n;
		enum dns_got mx = read_it(&p, "a.example", DNS_MX, &answer);

		/* The SOA's record is looked at only where there is nothing else. */
		assert_true(mx == DNS_FAILED || mx == DNS_FOUND);
		(void)read_it(&p, "a.example", DNS_TXT, &answer);
	}
	for (size_t i = 0; i < whole.n; i++) {
		for (unsigned v = 0; v < 256; v += 5) {
			struct packet p = whole;

			p.at[i] = (uint8_t)v;
			(void)read_it(&p, "a.example", DNS_MX, &answer);
			(void)read_it(&p, "a.example", DNS_TXT, &answer);
			(void)read_it(&p, "a.example", DNS_A, &answer);
		}
	}
	struct packet p = begin(1, GOOD, "a.example", 1);

	put_rr(&p, ANSWER, "a.example", 1, 60, "\1\2\3", 3); /* an address of three octets */
	assert_int_equal(read_it(&p, "a.example", DNS_A, &answer), DNS_FAILED);
	p = begin(1, GOOD, "a.example", 16);
	put_rr(&p, ANSWER, "a.example", 16, 60, "\11abc", 4);
	assert_int_equal(read_it(&p, "a.example", DNS_TXT, &answer), DNS_FAILED);
	p = begin(1, GOOD, "a.example", 15);
	put_rr(&p, ANSWER, "a.example", 15, 60, "\0\1\300\377",
	    4); /* a pointer to behind the end */
	assert_int_equal(read_it(&p, "a.example", DNS_MX, &answer), DNS_FAILED);
	p = begin(1, GOOD, "a.example", 1);
	for (int i = 0; i < 100; i++)
		put_rr(&p, ANSWER, "a.example", 1, 60, "\1\2\3\4", 4);
	assert_int_equal(read_it(&p, "a.example", DNS_A, &answer), DNS_FOUND);
	assert_int_equal(answer.n, DNS_RECORDS_MAX);
}

/* ---- a name server ---- */

enum manner { ANSWERS, FAILS, SILENT, REFUSES, LIES };

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

static struct packet
reply_to(const uint8_t *q, const char *name, unsigned type, const struct row *row)
{
	static const unsigned flags[] = { GOOD, SERVFAIL, GOOD, REFUSED, GOOD };
	unsigned id = (unsigned)(q[0] << 8 | q[1]);
	struct packet p = begin(row && row->manner == LIES ? id ^ 1 : id,
	    row ? flags[row->manner] : NX, name, type);

	if (!row) {
		put_soa(&p, "example", 60, 60);
		return p;
	}
	for (size_t i = 0; i < 3 && type == 15 && row->mx[i]; i++)
		put_mx(&p, name, 10 * (unsigned)i, row->mx[i], row->ttl);
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

		if (row && row->manner == SILENT)
			continue;
		struct packet p = reply_to(q, name, type, row);

		(void)!sendto(s->fd, p.at, p.n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

struct fixture {
	struct server server;
	struct conf conf;
	struct conf_address address;
	struct loop *loop;
	struct dns *dns;
	ev_timer guard;
	unsigned answers;
	enum dns_mail verdict;
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
	memcpy(&f->address.addr, &a, sizeof(a));
	assert_int_equal(pthread_create(&f->server.thread, NULL, serve, &f->server), 0);
	f->conf.dns.resolvers = &f->address;
	f->conf.dns.resolvers_n = 1;
	f->conf.dns.timeout_s = 1;
	f->loop = loop_open();
	f->dns = dns_open(f->loop, &f->conf, f);
	assert_true(f->loop && f->dns);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	dns_close(f->dns);
	loop_close(f->loop);
	f->server.stop = true;
	pthread_join(f->server.thread, NULL);
	close(f->server.fd);
	free(f);
	return 0;
}

static void
on_answer(void *ctx, uint64_t owner, enum dns_mail verdict)
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
static enum dns_mail
ask(struct fixture *f, const char *domain, bool *remembered_r)
{
	enum dns_mail v;

	f->answers = 0;
	*remembered_r = dns_mail(f->dns, slice_str(domain), 7, on_answer, &v);
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
		enum dns_mail verdict;
	} cases[] = {
		{ "good.example", DNS_MAIL_OK },
		{ "GOOD.example", DNS_MAIL_OK },
		{ "six.example", DNS_MAIL_OK },
		{ "host.example", DNS_MAIL_OK },
		{ "second.example", DNS_MAIL_OK },
		{ "luck.example", DNS_MAIL_OK },
		{ "null.example", DNS_MAIL_NULL },
		{ "empty.example", DNS_MAIL_NONE },
		{ "dead.example", DNS_MAIL_NONE },
		{ "gone.example", DNS_MAIL_NONE },
		{ "unsure.example", DNS_MAIL_UNKNOWN },
		{ "fails.example", DNS_MAIL_UNKNOWN },
		{ "refuses.example", DNS_MAIL_UNKNOWN },
		{ "silent.example", DNS_MAIL_UNKNOWN },
		{ "lies.example", DNS_MAIL_UNKNOWN },
	};
	struct fixture *f = *state;
	bool remembered;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum dns_mail v = ask(f, cases[i].domain, &remembered);

		if (v != cases[i].verdict)
			fail_msg("%s: %d", cases[i].domain, (int)v);
	}
}

static void
remembers(void **state)
{
	struct fixture *f = *state;
	bool remembered;

	assert_int_equal(ask(f, "good.example", &remembered), DNS_MAIL_OK);
	assert_false(remembered);
	unsigned asked = f->server.asked;

	assert_int_equal(ask(f, "Good.Example", &remembered), DNS_MAIL_OK);
	assert_true(remembered);
	assert_int_equal(ask(f, "gone.example", &remembered), DNS_MAIL_NONE);
	assert_false(remembered);
	assert_int_equal(ask(f, "gone.example", &remembered), DNS_MAIL_NONE);
	assert_true(remembered);
	assert_int_equal(f->server.asked, asked + 1);
	/* A life of 0 s is made 5: the session that asked can ask again. */
	assert_int_equal(ask(f, "short.example", &remembered), DNS_MAIL_OK);
	assert_int_equal(ask(f, "short.example", &remembered), DNS_MAIL_OK);
	assert_true(remembered);
	for (int i = 0; i < 6; i++)
		turn(f, 1);
	assert_int_equal(ask(f, "short.example", &remembered), DNS_MAIL_OK);
	assert_false(remembered);
}

/* Many who ask the same are one question; each is answered. */
static void
joins(void **state)
{
	struct fixture *f = *state;
	enum dns_mail v;

	for (int i = 0; i < 50; i++)
		assert_false(dns_mail(f->dns, SLICE("host.example"), 1, on_answer, &v));
	for (int i = 0; i < 50 && f->answers < 50; i++)
		turn(f, 0.1);
	assert_int_equal(f->answers, 50);
	assert_int_equal(f->server.asked, 2); /* MX and A */
}

/* More names than are kept, and more than may wait: refused with "unknown", never lost, never more
 * memory. */
static void
is_bounded(void **state)
{
	struct fixture *f = *state;
	unsigned later = 0;
	enum dns_mail v;

	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.example", i);
		if (!dns_mail(f->dns, slice_str(name), 1, on_answer, &v))
			later++;
		else
			assert_int_equal(v, DNS_MAIL_UNKNOWN);
	}
	assert_true(later >= 256 && later < 3000);
	for (int i = 0; i < 400 && f->answers < later; i++)
		turn(f, 0.1);
	assert_int_equal(f->answers, later);
	for (int i = 0; i < DNS_KNOWN_MAX + 500; i++) {
		char name[32];
		bool remembered;

		snprintf(name, sizeof(name), "m%d.example", i);
		assert_int_equal(ask(f, name, &remembered), DNS_MAIL_NONE);
	}
}

/* glibc keeps IPv6 servers in another place; a second server is asked where the first says
 * nothing. */
static void
asks_over_ipv6_and_the_next_server(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct server server = { .fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	struct dns_servers servers = { .n = 2, .timeout_s = 1 };
	socklen_t len = sizeof(a);
	unsigned ttl;

	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		skip();
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
	memcpy(&servers.at[0], &a, sizeof(a));
	servers.at[1] = f->address.addr;
	assert_int_equal(dns_ask_mail(&servers, SLICE("good.example"), NULL, &ttl), DNS_MAIL_OK);
	assert_int_equal(ttl, 60);
	assert_int_equal(server.asked, 2);
	assert_int_equal(f->server.asked, 0);
	server.stop = true;
	pthread_join(server.thread, NULL);
	/* Nobody answers there any more. */
	assert_int_equal(dns_ask_mail(&servers, SLICE("gone.example"), NULL, &ttl), DNS_MAIL_NONE);
	assert_true(f->server.asked > 0);
	close(server.fd);
}

static void
closes_while_asking(void **state)
{
	struct fixture *f = *state;
	enum dns_mail v;

	for (int i = 0; i < 20; i++)
		assert_false(dns_mail(f->dns, SLICE("silent.example"), 1, on_answer, &v));
	turn(f, 0.1);
	dns_close(f->dns);
	f->dns = NULL;
	assert_int_equal(f->answers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records),
		cmocka_unit_test(follows_cnames),
		cmocka_unit_test(tells_none_from_nobody_knows),
		cmocka_unit_test(survives_broken_answers),
		TEST(judges_domains),
		TEST(remembers),
		TEST(joins),
		TEST(is_bounded),
		TEST(asks_over_ipv6_and_the_next_server),
		TEST(closes_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
