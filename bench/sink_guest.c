/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_guest - a client of the sink, served in as few instructions as SMTP allows, so that what is
 * measured in front of it is not itself
 */
#include "bench/sink.h"

#include "bench/clock.h"
#include "wire/base64.h"
#include "wire/command.h"
#include "wire/crypto.h"
#include "wire/dots.h"
#include "wire/stream.h"

#include <stdlib.h>
#include <unistd.h>

enum { NAME_MAX_OCTETS = 320, RESPONSE_MAX = 1024 };

/* What the next octets are. */
enum expects { COMMANDS, CONTENT, CHUNK, PLAIN_RESPONSE, LOGIN_NAME, LOGIN_PASSWORD, NOTHING };

/* What follows when a reply that was held back is said. */
enum after { AFTER_NONE, AFTER_TLS, AFTER_QUIT };

struct guest {
	struct grave grave;
	struct stream s;
	struct sink *sink;
	struct dots_decoder dots;
	enum expects expects;
	enum after after;
	bool held; /* a reply waits for its time; input too */
	struct slice reply;
	bool secure, known;
	bool mail;             /* a sender was taken */
	bool last, want_chunk; /* of BDAT; somebody wants its content */
	uint64_t chunk;
	uint64_t rcpts;
	uint64_t octets;
	size_t name_n;
	char name[NAME_MAX_OCTETS];
	struct guest *next, **at;
};

static void
free_guest(struct grave *g)
{
	free(g);
}

static void
bury(struct guest *g)
{
	*g->at = g->next;
	if (g->next)
		g->next->at = g->at;
	g->expects = NOTHING;
	loop_bury(g->sink->loop, &g->grave);
}

static void
leave(struct guest *g)
{
	stream_close(&g->s);
	bury(g);
}

static void
on_gone(void *owner)
{
	bury(owner);
}

/* ---- replies --------------------------------------------------------------------------------- */

static void
speak(struct guest *g)
{
	g->held = false;
	if (!stream_write(&g->s, g->reply)) {
		stream_reset(&g->s);
		bury(g);
		return;
	}
	if (g->after == AFTER_QUIT) {
		g->expects = NOTHING;
		stream_finish(&g->s, on_gone);
	} else if (g->after == AFTER_TLS) {
		g->expects = NOTHING;
		if (!stream_secure(&g->s, g->sink->ctx, SLICE("")))
			leave(g);
	}
	g->after = AFTER_NONE;
}

/* False: the rules refuse it, or hang up. */
static bool
say(struct guest *g, enum phase phase, struct slice reply)
{
	struct sink_fate fate = { .reply = reply };

	if (g->sink->rules_n > 0)
		fate = sink_decide(g->sink, phase, reply);
	if (fate.drop) {
		/* What was said of the commands before is heard. */
		stream_flush(&g->s);
		leave(g);
		return false;
	}
	g->reply = fate.reply;
	if (fate.refused)
		g->after = AFTER_NONE;
	if (fate.delay_ns > 0) {
		g->held = true;
		stream_deadline(&g->s, clock_seconds(fate.delay_ns));
	} else {
		speak(g);
	}
	return !fate.refused && g->expects != NOTHING;
}

/* What no rule is for. */
static void
answer(struct guest *g, struct slice reply)
{
	g->reply = reply;
	speak(g);
}

/* ---- content --------------------------------------------------------------------------------- */

static void
end_transaction(struct guest *g)
{
	g->mail = false;
	g->rcpts = 0;
	g->octets = 0;
}

static void
queue(struct guest *g)
{
	struct sink_count *c = &g->sink->count;

	if (say(g, PHASE_DOT, SLICE("250 2.0.0 Ok: queued as S1NK\r\n"))) {
		c->messages++;
		c->recipients += g->rcpts;
		c->octets += g->octets;
	}
	end_transaction(g);
}

/* False: more input is needed. */
static bool
take_content(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t before = in.n;
	struct slice span;
	enum dots_got got;

	while ((got = dots_decode(&g->dots, &in, &span)) == DOTS_SPAN)
		g->octets += span.n;
	stream_consume(&g->s, before - in.n);
	if (got == DOTS_MORE)
		return false;
	g->expects = COMMANDS;
	queue(g);
	return true;
}

static bool
take_chunk(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t n = in.n < g->chunk ? in.n : (size_t)g->chunk;

	stream_consume(&g->s, n);
	g->chunk -= n;
	g->octets += n;
	if (g->chunk > 0)
		return false;
	g->expects = COMMANDS;
	if (!g->want_chunk)
		answer(g, SLICE("554 5.5.1 No valid recipients\r\n"));
	else if (g->last)
		queue(g);
	else
		answer(g, SLICE("250 2.0.0 Ok\r\n"));
	return true;
}

/* ---- AUTH (RFC 4954) ------------------------------------------------------------------------- */

static void
judge(struct guest *g, struct slice name, struct slice password)
{
	struct sink *s = g->sink;

	g->expects = COMMANDS;
	if (s->logins.n > 0 && !logins_has(&s->logins, name, password)) {
		s->count.refused[PHASE_AUTH]++;
		answer(g, SLICE("535 5.7.8 No such name and password\r\n"));
	} else if (say(g, PHASE_AUTH, SLICE("235 2.7.0 Welcome\r\n"))) {
		s->count.logins++;
		g->known = true;
	}
}

static void
refuse_response(struct guest *g)
{
	g->expects = COMMANDS;
	answer(g, SLICE("501 5.5.2 That is no response\r\n"));
}

static void
take_plain(struct guest *g, struct slice line)
{
	char mem[RESPONSE_MAX];
	size_t n = 0;

	if (base64_decode(line, mem, sizeof(mem), &n)) {
		struct slice rest = slice_of(mem, n);

		(void)slice_cut(&rest, '\0');
		struct slice name = slice_cut(&rest, '\0');

		judge(g, name, rest);
	} else {
		refuse_response(g);
	}
	crypto_wipe(mem, sizeof(mem));
}

static void
take_login(struct guest *g, struct slice line)
{
	char mem[RESPONSE_MAX];
	size_t n = 0;

	if (!base64_decode(line, mem, sizeof(mem), &n) ||
	    (g->expects == LOGIN_NAME && n > sizeof(g->name))) {
		refuse_response(g);
	} else if (g->expects == LOGIN_NAME) {
		memcpy(g->name, mem, n);
		g->name_n = n;
		g->expects = LOGIN_PASSWORD;
		answer(g, SLICE("334 UGFzc3dvcmQ6\r\n"));
	} else {
		judge(g, slice_of(g->name, g->name_n), slice_of(mem, n));
	}
	crypto_wipe(mem, sizeof(mem));
}

static void
begin_auth(struct guest *g, struct slice args)
{
	struct slice how = slice_cut(&args, ' ');

	if (slice_eq_nocase(how, SLICE("PLAIN")) && args.n > 0) {
		take_plain(g, args);
	} else if (slice_eq_nocase(how, SLICE("PLAIN"))) {
		g->expects = PLAIN_RESPONSE;
		answer(g, SLICE("334 \r\n"));
	} else if (slice_eq_nocase(how, SLICE("LOGIN"))) {
		g->expects = LOGIN_NAME;
		if (args.n > 0)
			take_login(g, args);
		else
			answer(g, SLICE("334 VXNlcm5hbWU6\r\n"));
	} else {
		answer(g, SLICE("504 5.5.4 PLAIN or LOGIN\r\n"));
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

static void
do_mail(struct guest *g)
{
	if (g->sink->auth && !g->known) {
		answer(g, SLICE("530 5.7.0 Log in first\r\n"));
		return;
	}
	end_transaction(g);
	g->mail = say(g, PHASE_MAIL, SLICE("250 2.1.0 Ok\r\n"));
}

static void
do_rcpt(struct guest *g)
{
	if (!g->mail)
		answer(g, SLICE("503 5.5.1 MAIL first\r\n"));
	else if (say(g, PHASE_RCPT, SLICE("250 2.1.5 Ok\r\n")))
		g->rcpts++;
}

static void
do_data(struct guest *g)
{
	if (g->rcpts == 0) {
		answer(g, SLICE("554 5.5.1 No valid recipients\r\n"));
	} else if (say(g, PHASE_DATA, SLICE("354 Go\r\n"))) {
		dots_decode_init(&g->dots, DOTS_REFUSE, false);
		g->expects = CONTENT;
	}
}

static void
do_starttls(struct guest *g)
{
	if (!g->sink->starttls || g->secure) {
		answer(g, SLICE("503 5.5.1 No TLS here\r\n"));
		return;
	}
	g->after = AFTER_TLS;
	(void)say(g, PHASE_STARTTLS, SLICE("220 2.0.0 Go\r\n"));
}

static void
run_command(struct guest *g, const struct command *cmd)
{
	struct sink *s = g->sink;

	if (cmd->verb == VERB_MAIL) {
		do_mail(g);
	} else if (cmd->verb == VERB_RCPT) {
		do_rcpt(g);
	} else if (cmd->verb == VERB_DATA) {
		do_data(g);
	} else if (cmd->verb == VERB_BDAT && bdat_parse(cmd->args, &g->chunk, &g->last)) {
		g->want_chunk = g->rcpts > 0;
		g->expects = CHUNK;
	} else if (cmd->verb == VERB_EHLO || cmd->verb == VERB_HELO) {
		end_transaction(g);
		(void)say(g, PHASE_EHLO, s->ehlo[g->secure]);
	} else if (cmd->verb == VERB_AUTH && s->auth) {
		begin_auth(g, cmd->args);
	} else if (cmd->verb == VERB_STARTTLS) {
		do_starttls(g);
	} else if (cmd->verb == VERB_QUIT) {
		g->after = AFTER_QUIT;
		(void)say(g, PHASE_QUIT, SLICE("221 2.0.0 Bye\r\n"));
	} else if (cmd->verb == VERB_RSET) {
		end_transaction(g);
		(void)say(g, PHASE_RSET, SLICE("250 2.0.0 Ok\r\n"));
	} else if (cmd->verb == VERB_NOOP) {
		answer(g, SLICE("250 2.0.0 Ok\r\n"));
	} else {
		answer(g, SLICE("500 5.5.1 What?\r\n"));
	}
}

static void
take_words(struct guest *g, struct slice line)
{
	struct command cmd;

	if (g->expects == PLAIN_RESPONSE)
		take_plain(g, line);
	else if (g->expects == LOGIN_NAME || g->expects == LOGIN_PASSWORD)
		take_login(g, line);
	else if (command_parse(line, &cmd))
		run_command(g, &cmd);
	else
		answer(g, SLICE("500 5.5.2 What?\r\n"));
}

static bool
take_line(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t n = slice_find(in, '\n');
	char line[RESPONSE_MAX * 2];

	if (n == in.n)
		return false;
	if (n > sizeof(line)) {
		stream_consume(&g->s, n + 1);
		answer(g, SLICE("500 5.5.2 Line too long\r\n"));
		return true;
	}
	/* A copy: what is answered may close the stream, or begin TLS on an empty buffer. */
	memcpy(line, in.p, n);
	stream_consume(&g->s, n + 1);
	take_words(g, slice_of(line, n > 0 && line[n - 1] == '\r' ? n - 1 : n));
	return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
serve(struct guest *g)
{
	bool more = true;

	while (more && !g->held && g->expects != NOTHING) {
		if (g->expects == CONTENT)
			more = take_content(g);
		else if (g->expects == CHUNK)
			more = take_chunk(g);
		else
			more = take_line(g);
	}
}

static void
greet(struct guest *g)
{
	g->expects = COMMANDS;
	(void)say(g, PHASE_GREETING, SLICE("220 sink ESMTP\r\n"));
}

static void
on_event(void *owner, enum stream_event event)
{
	struct guest *g = owner;

	if (event == STREAM_CLOSED) {
		leave(g);
	} else if (event == STREAM_TIMEOUT && g->held) {
		speak(g);
		serve(g);
	} else if (event == STREAM_DATA) {
		serve(g);
	} else if (event == STREAM_SECURED) {
		g->secure = true;
		g->sink->count.secured++;
		g->expects = COMMANDS;
		if (g->sink->implicit)
			greet(g);
		serve(g);
	}
}

void
sink_guest_open(struct sink *s, int fd)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g) {
		close(fd);
		return;
	}
	s->count.connections++;
	g->sink = s;
	g->next = s->guests;
	g->at = &s->guests;
	if (g->next)
		g->next->at = &g->next;
	s->guests = g;
	g->grave.free_fn = free_guest;
	g->expects = NOTHING;
	stream_init(&g->s, s->loop, BUF_LARGE, BUF_SMALL * 4, on_event, g);
	stream_adopt(&g->s, fd);
	if (!s->implicit)
		greet(g);
	else if (!stream_secure(&g->s, s->ctx, SLICE("")))
		leave(g);
}

void
sink_guests_close(struct sink *s)
{
	while (s->guests)
		leave(s->guests);
}
