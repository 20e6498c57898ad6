/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RELAY_RIG_H
#define TESTS_UNIT_RELAY_RIG_H

/*
 * relay_rig - a relay on a loop, and an owner of transactions that notes what it is told
 *
 *      rig_open -> mail_send ... -> rig_run -> (look at the mails) -> rig_close
 */
#include "fake_upstream.h"
#include "relay/relay.h"
#include "wire/buf.h"

enum { MAIL_RCPTS = 8, MAILS_MAX = 64 };

struct mail {
	/* What to do. */
	const struct profile *profile;
	bool has_fallback;
	const struct profile *fallback;
	const char *from;
	const char *mail_params;
	const char *rcpts[MAIL_RCPTS]; /* "a@x" and parameters */
	bool one_by_one;               /* as a client without PIPELINING */
	const char *content;
	size_t times; /* the content, repeated; 0: once */
	bool no_finish;
	const char *login;

	/* What was told. */
	struct relay_txn *t;
	unsigned asked, told;
	enum verdict_class rcpt[MAIL_RCPTS];
	int rcpt_code[MAIL_RCPTS];
	bool went, done, unknown, over, finished;
	size_t given;
	enum verdict_class go, last;
	int go_code, code;
	char text[512];
	char upstream[512];
	char route[128], peer[256];
};

struct rig {
	struct loop *loop;
	struct work *work;
	struct conf conf;
	struct net net;
	unsigned ports[1];
	struct vault *vault;
	struct relay *relay;
	struct mail *mails[MAILS_MAX];
	unsigned n;
	ev_timer guard;
	char dir[64];
};

static struct rig rig;

/* ---- the owner ------------------------------------------------------------------------------- */

static void
mail_next(struct mail *m)
{
	struct rcpt_args args;

	while (m->rcpts[m->asked] && (!m->one_by_one || m->asked == m->told)) {
		char line[512];

		const char *rcpt = m->rcpts[m->asked];
		size_t n = strcspn(rcpt, " ");

		snprintf(line, sizeof(line), "TO:<%.*s>%s", (int)n, rcpt, rcpt + n);
		assert_int_equal(rcpt_parse(slice_str(line), &args), ARGS_OK);
		assert_true(relay_rcpt(m->t, &args));
		m->asked++;
	}
	if (!m->rcpts[m->asked] && (!m->one_by_one || m->asked == m->told))
		relay_data(m->t);
}

static void
mail_over(struct mail *m)
{
	m->over = true;
	for (unsigned i = 0; i < rig.n; i++)
		if (!rig.mails[i]->over)
			return;
	loop_stop(rig.loop);
}

static void
mail_note(struct mail *m, const struct relay_verdict *v)
{
	snprintf(m->text, sizeof(m->text), "%.*s", SLICE_FMT(v->text));
	snprintf(m->upstream, sizeof(m->upstream), "%.*s", SLICE_FMT(v->upstream));
	snprintf(m->route, sizeof(m->route), "%.*s", SLICE_FMT(relay_route(m->t)));
	snprintf(m->peer, sizeof(m->peer), "%.*s", SLICE_FMT(relay_peer(m->t)));
}

static void
mail_give(struct mail *m)
{
	size_t n = strlen(m->content);
	size_t all = n * (m->times ? m->times : 1);

	while (m->given < all) {
		size_t at = m->given % n;
		size_t piece = n - at;
		size_t room = relay_room(m->t);

		if (piece > room)
			piece = room;
		if (piece == 0)
			return;
		relay_content(m->t, slice_of(m->content + at, piece));
		m->given += piece;
	}
	if (m->no_finish || m->finished)
		return;
	m->finished = true;
	relay_finish(m->t);
}

static void
on_rcpt(void *ctx, uint64_t owner, unsigned index, const struct relay_verdict *v)
{
	struct mail *m = rig.mails[owner];

	(void)ctx;
	assert_int_equal(index, m->told);
	m->rcpt[index] = v->class;
	m->rcpt_code[index] = v->code;
	m->told++;
	mail_note(m, v);
	assert_int_not_equal(v->code, 421);
	assert_true(v->code / 100 == 2 || v->code / 100 == 4 || v->code / 100 == 5);
	assert_int_equal(v->enhanced.cls, v->code / 100);
	if (m->one_by_one)
		mail_next(m);
}

static void
on_go(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct mail *m = rig.mails[owner];

	(void)ctx;
	m->went = true;
	m->go = v->class;
	m->go_code = v->code;
	mail_note(m, v);
	if (v->code == 354)
		mail_give(m);
	else
		mail_over(m);
}

static void
on_room(void *ctx, uint64_t owner)
{
	(void)ctx;
	mail_give(rig.mails[owner]);
}

static void
on_done(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct mail *m = rig.mails[owner];

	(void)ctx;
	assert_false(m->done);
	m->done = true;
	m->last = v->class;
	m->code = v->code;
	m->unknown = v->unknown;
	mail_note(m, v);
	mail_over(m);
}

static const struct relay_events rig_events = { on_rcpt, on_go, on_room, on_done };

static void
mail_send(struct mail *m)
{
	char line[512];
	char id[32];
	struct relay_order o = {
		.owner = rig.n,
		.profile = m->profile,
		.has_fallback = m->has_fallback,
		.fallback = m->fallback,
		.client_address = SLICE("192.0.2.77"),
		.client_helo = SLICE("client.example"),
		.client_login = slice_str(m->login),
	};

	snprintf(id, sizeof(id), "id%u", rig.n);
	o.id = slice_str(id);
	if (!m->from)
		m->from = "from@a.example";
	if (!m->content)
		m->content = "Subject: x\r\n\r\n.dot\r\nbody\r\n";
	if (!m->rcpts[0])
		m->rcpts[0] = "to@b.example";
	snprintf(line, sizeof(line), "FROM:<%s>%s%s", m->from, m->mail_params ? " " : "",
	    m->mail_params ? m->mail_params : "");
	assert_int_equal(mail_parse(slice_str(line), &o.mail), ARGS_OK);
	rig.mails[rig.n++] = m;
	m->t = relay_open(rig.relay, &o);
	assert_non_null(m->t);
	mail_next(m);
}

/* ---- the rig --------------------------------------------------------------------------------- */

static void
on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	(void)w;
	fail_msg("it takes too long");
}

/* Until all mails are over. */
static void
rig_run(void)
{
	loop_run(rig.loop);
}

static void
on_wait(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	loop_stop(rig.loop);
}

static inline void
rig_wait(double seconds)
{
	ev_timer w;

	ev_timer_init(&w, on_wait, seconds, 0);
	ev_timer_start(loop_ev(rig.loop), &w);
	loop_run(rig.loop);
	ev_timer_stop(loop_ev(rig.loop), &w);
}

static struct conf
rig_conf(void)
{
	struct conf c = { .refs = 1000, .revision = 1 };

	assert_true(net_parse(SLICE("127.0.0.0/8"), &rig.net));
	c.server.name = "me.example";
	c.upstream.ca_file = "/etc/ssl/certs/ca-certificates.crt";
	c.upstream.allow_networks = &rig.net;
	c.upstream.allow_networks_n = 1;
	c.upstream.allow_ports = rig.ports;
	c.upstream.max_connections = 20;
	c.upstream.messages_per_connection = 100;
	c.upstream.idle_s = 60;
	c.upstream.max_age_s = 600;
	c.upstream.wait_s = 5;
	c.upstream.connect_s = c.upstream.greeting_s = c.upstream.tls_s = c.upstream.ehlo_s = 1;
	c.upstream.auth_s = c.upstream.mail_s = c.upstream.rcpt_s = c.upstream.data_s = 1;
	c.upstream.content_s = c.upstream.final_s = 1;
	c.native.check_s = 60;
	c.native.dead_s = 5;
	return c;
}

static void
rig_open(void)
{
	rig.n = 0;
	rig.loop = loop_open();
	assert_non_null(rig.loop);
	rig.work = work_open(rig.loop, "test", 1, 100);
	assert_non_null(rig.work);
	ev_timer_init(&rig.guard, on_guard, 20, 0);
	ev_timer_start(loop_ev(rig.loop), &rig.guard);
	rig.relay = relay_new(rig.loop, rig.work, &rig.conf, rig.vault, &rig_events, NULL);
	assert_non_null(rig.relay);
}

static void
rig_close(void)
{
	relay_free(rig.relay);
	work_close(rig.work);
	rig_wait(0.001); /* graves */
	ev_timer_stop(loop_ev(rig.loop), &rig.guard);
	loop_close(rig.loop);
	buf_pool_trim();
}

static inline struct profile
rig_profile(const struct fake *f, enum upstream_tls tls)
{
	return (struct profile){
		.id = 1,
		.account = 1,
		.name = "p",
		.provider = "custom",
		.host = "127.0.0.1",
		.port = f->port,
		.tls = tls,
		.username = "",
		.password = "",
		.version = 1,
		.ca = "",
		.pin = "",
	};
}

/* ---- shorthands ------------------------------------------------------------------------------ */

#define HELLO    "S 220 fake ready\nE\n"
#define ENVELOPE "C MAIL FROM:<from@a.example>\nC RCPT TO:<to@b.example>\nC DATA\n"
#define MESSAGE  ENVELOPE "S 250 2.1.0 ok|250 2.1.5 ok|354 go\nD\nS 250 2.0.0 ok\n"

static inline void
rig_begin(void)
{
	rig.conf = rig_conf();
	rig_open();
}

static inline void
rig_end(struct fake *f)
{
	rig_close();
	const char *wrong = fake_end(f, true);

	if (wrong)
		fail_msg("%s", wrong);
}

static inline void
expect_good(const struct mail *m)
{
	if (!m->done || m->last != VERDICT_OK || m->code != 250)
		fail_msg("not sent: told %u rcpt %d go %d done %d last %d: %s (%s)", m->told,
		    m->rcpt[0], m->go, m->done, m->last, m->text, m->upstream);
}

static inline void
send_one(struct mail *m, const struct profile *p)
{
	m->profile = p;
	mail_send(m);
	rig_run();
}

static inline unsigned
free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)(void *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

#endif
