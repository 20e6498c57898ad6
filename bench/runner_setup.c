/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_setup - a session's way to its first message: connection, TLS, EHLO, AUTH
 */
#include "bench/clock.h"
#include "bench/runner_private.h"
#include "wire/base64.h"
#include "wire/crypto.h"

enum { AUTH_MEM = 1024 };

void
runner_write_mail(struct runner *r)
{
	const struct plan *p = &r->load->plan;
	struct text t = text_over(r->mail, sizeof(r->mail));
	struct slice from = slice_str(p->from);

	if (from.n == 0 && r->login && slice_has(r->login->name, '@'))
		from = slice_head(r->login->name, 256);
	if (from.n == 0)
		from = SLICE("a@bench.example");
	text_fmt(&t, "MAIL FROM:<%.*s>\r\n", SLICE_FMT(from));
}

static void
say_line(struct runner *r, enum phase phase)
{
	runner_say(r, phase, 1, slice_str(r->line));
	runner_pump(r);
}

static void
say_ehlo(struct runner *r)
{
	struct text t = text_over(r->line, sizeof(r->line));

	text_fmt(&t, "EHLO %s\r\n", r->load->plan.helo);
	say_line(r, PHASE_EHLO);
}

static void
begin_tls(struct runner *r)
{
	const struct plan *p = &r->load->plan;

	r->doing = PHASE_TLS;
	r->since_ns = clock_ns();
	stream_deadline(&r->s, clock_seconds(p->timeout_ns));
	if (!stream_secure(&r->s, p->ctx, slice_str(p->tls_name)))
		runner_break(r, PHASE_STARTTLS, 0, SLICE("octets behind the answer to STARTTLS"));
}

void
runner_connected(struct runner *r)
{
	tally_time(&r->load->tally, PHASE_CONNECT, clock_ns() - r->since_ns);
	if (r->load->plan.tls == PLAN_IMPLICIT)
		begin_tls(r);
	else
		(void)runner_expect(r, PHASE_GREETING, 1);
}

void
runner_secured(struct runner *r)
{
	struct tally *t = &r->load->tally;

	r->secure = true;
	tally_time(t, PHASE_TLS, clock_ns() - r->since_ns);
	if (t->counts && tls_resumed(r->s.tls))
		t->resumed++;
	if (r->load->plan.tls == PLAN_IMPLICIT)
		(void)runner_expect(r, PHASE_GREETING, 1);
	else
		say_ehlo(r);
}

/* ---- AUTH (RFC 4954) ------------------------------------------------------------------------- */

/* A line with a secret goes straight into the stream, whose buffer is wiped at its end. */
static void
say_secret(struct runner *r, struct text *t)
{
	bool good;

	text_put(t, SLICE("\r\n"));
	good = !t->overflow && stream_write(&r->s, text_slice(t));
	crypto_wipe(t->mem, t->cap);
	if (good)
		(void)runner_expect(r, PHASE_AUTH, 1);
	else
		runner_break(r, PHASE_AUTH, 0, SLICE("name or password are too long for a line"));
}

static void
say_plain(struct runner *r)
{
	char mem[AUTH_MEM], whole[AUTH_MEM];
	struct text t = text_over(mem, sizeof(mem));
	struct text w = text_over(whole, sizeof(whole));

	text_char(&w, '\0');
	text_put(&w, r->login->name);
	text_char(&w, '\0');
	text_put(&w, r->login->password);
	text_put(&t, SLICE("AUTH PLAIN "));
	base64_encode(&t, text_slice(&w));
	t.overflow = t.overflow || w.overflow;
	crypto_wipe(whole, sizeof(whole));
	say_secret(r, &t);
}

static void
say_base64(struct runner *r, struct slice s)
{
	char mem[AUTH_MEM];
	struct text t = text_over(mem, sizeof(mem));

	base64_encode(&t, s);
	say_secret(r, &t);
}

static void
begin_auth(struct runner *r)
{
	r->auth_ns = clock_ns();
	if (r->load->plan.auth == PLAN_AUTH_PLAIN)
		say_plain(r);
	else
		runner_say(r, PHASE_AUTH, 1, SLICE("AUTH LOGIN\r\n"));
	if (stream_is_open(&r->s))
		runner_pump(r);
}

static void
after_auth(struct runner *r, const struct reply *reply)
{
	if (reply->code == 334 && r->load->plan.auth == PLAN_AUTH_LOGIN && r->auth_step < 2) {
		say_base64(r, r->auth_step++ == 0 ? r->login->name : r->login->password);
		return;
	}
	if (reply->code >= 300) {
		runner_break(r, PHASE_AUTH, reply->code, reply->text);
		return;
	}
	tally_time(&r->load->tally, PHASE_AUTH, clock_ns() - r->auth_ns);
	runner_is_ready(r);
}

/* ---- EHLO ------------------------------------------------------------------------------------ */

static void
read_offers(struct runner *r, const struct reply *reply)
{
	struct slice rest = reply->raw;
	struct slice line;
	bool first = true;

	r->pipelining = false;
	r->chunking = false;
	while (reply_next_line(&rest, &line)) {
		struct slice word = slice_cut(&line, ' ');

		/* The first line is the server's name. */
		if (!first && slice_eq_nocase(word, SLICE("PIPELINING")))
			r->pipelining = r->load->plan.pipelining != PLAN_LOCKSTEP;
		if (!first && slice_eq_nocase(word, SLICE("CHUNKING")))
			r->chunking = true;
		first = false;
	}
}

static void
after_ehlo(struct runner *r, const struct reply *reply)
{
	const struct plan *p = &r->load->plan;

	read_offers(r, reply);
	if (p->tls == PLAN_STARTTLS && !r->secure) {
		runner_say(r, PHASE_STARTTLS, 1, SLICE("STARTTLS\r\n"));
		runner_pump(r);
	} else if (p->chunking && !r->chunking) {
		runner_break(r, PHASE_EHLO, 0, SLICE("CHUNKING is not offered"));
	} else if (r->login) {
		begin_auth(r);
	} else {
		runner_is_ready(r);
	}
}

void
runner_set_up(struct runner *r, enum phase phase, const struct reply *reply)
{
	if (phase == PHASE_AUTH) {
		after_auth(r, reply);
		return;
	}
	if (reply->code >= 300) {
		runner_break(r, phase, reply->code, reply->text);
		return;
	}
	if (phase == PHASE_GREETING) {
		say_ehlo(r);
	} else if (phase == PHASE_EHLO) {
		after_ehlo(r, reply);
	} else if (phase == PHASE_STARTTLS) {
		/* TLS begins on an empty buffer. */
		stream_consume(&r->s, r->reply_n);
		r->reply_n = 0;
		begin_tls(r);
	}
}
