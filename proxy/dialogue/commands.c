/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands - the verbs that neither log in nor carry mail
 */
#include "proxy/dialogue/dialogue.h"

/* Who greets anew starts anew (RFC 5321 4.1.4): the transaction ends, the login stays. */
static enum verdict
greet(struct session *s, struct slice args, const char *verb)
{
	/* We differ from RFC 5321, 4.1.1.1: a machine that has no name yet may send all the
	 * same. */
	if (args.n == 0)
		args = SLICE("unknown");
	if (txn_is_open(&s->txn))
		txn_end(s, 0, NULL, verb);
	s->helo_n = args.n < HELO_MAX ? args.n : HELO_MAX;
	memcpy(s->helo, args.p, s->helo_n);
	s->esmtp = verb[0] == 'E';
	session_enter(s, STATE_READY);
	if (s->esmtp)
		session_say_ehlo(s);
	else
		session_reply_more(s, SAY_OK, slice_str(s->lane->conf->server.name));
	return DONE;
}

enum verdict
do_ehlo(struct session *s, struct slice args)
{
	return greet(s, args, "EHLO");
}

enum verdict
do_helo(struct session *s, struct slice args)
{
	return greet(s, args, "HELO");
}

enum verdict
do_noop(struct session *s, struct slice args)
{
	(void)args;
	session_reply(s, SAY_OK);
	return DONE;
}

enum verdict
do_rset(struct session *s, struct slice args)
{
	if (args.n > 0) {
		session_reply(s, SAY_SYNTAX);
		return DONE;
	}
	if (txn_is_open(&s->txn))
		txn_end(s, 0, NULL, "RSET");
	session_reply(s, SAY_OK);
	return DONE;
}

enum verdict
do_quit(struct session *s, struct slice args)
{
	(void)args;
	return session_end(s, CLOSE_QUIT, SAY_BYE);
}

enum verdict
do_vrfy(struct session *s, struct slice args)
{
	session_reply(s, args.n > 0 ? SAY_VRFY : SAY_SYNTAX);
	return DONE;
}

enum verdict
do_help(struct session *s, struct slice args)
{
	(void)args;
	session_reply(s, SAY_HELP);
	return DONE;
}

enum verdict
do_http(struct session *s, struct slice args)
{
	(void)args;
	return session_end(s, CLOSE_NOT_SMTP, SAY_NOT_SMTP);
}

/* All that was said in clear is forgotten (RFC 3207 4.2); in a transaction STARTTLS is 503. */
static void
forget_clear_text(struct session *s)
{
	s->helo_n = 0;
	s->esmtp = false;
	s->bad_commands = 0;
}

enum verdict
do_starttls(struct session *s, struct slice args)
{
	enum reply_id refuse = SAY_NONE;

	if (args.n > 0)
		refuse = SAY_SYNTAX;
	else if (s->secure)
		refuse = SAY_TLS_ACTIVE;
	else if (s->lane->listener->tls != LISTENER_STARTTLS)
		refuse = SAY_TLS_NOT_OFFERED;
	else if (s->sender != NULL)
		refuse = SAY_BAD_SEQUENCE;
	if (refuse != SAY_NONE) {
		session_reply(s, refuse);
		return DONE;
	}
	struct slice in = stream_in(&s->stream);
	size_t line = slice_find(in, '\n') + 1;

	if (in.n > line)
		return session_end(s, CLOSE_TLS_GLUED, SAY_TLS_GLUED);
	stream_consume(&s->stream, line);
	forget_clear_text(s);
	session_reply(s, SAY_TLS_GO);
	session_enter(s, STATE_TLS);
	if (!stream_secure(&s->stream, s->lane->tls, slice_of("", 0)))
		return session_end(s, CLOSE_TLS_GLUED, SAY_NONE);
	return CLOSED; /* the line is consumed already, and clear text is over */
}
