/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - which command does what in which state (RFC 5321 4.1.4)
 */
#include "proxy/dialogue/dialogue.h"

/* What a verb does in a state; a blank cell refuses with SAY_BAD_SEQUENCE, unless the verb is fine
 * at any time. */
struct rule {
	verb_fn *act;
	enum reply_id refuse;
};

static const struct rule rules[STATE_COUNT][VERB_COUNT] = {
	[STATE_NEW] = {
		[VERB_STARTTLS] = { .act = do_starttls },
		[VERB_AUTH] = { .refuse = SAY_NEED_EHLO },
		[VERB_MAIL] = { .refuse = SAY_NEED_EHLO },
		[VERB_RCPT] = { .refuse = SAY_NEED_EHLO },
		[VERB_DATA] = { .refuse = SAY_NEED_EHLO },
		[VERB_BDAT] = { .act = do_bdat },
	},
	[STATE_READY] = {
		[VERB_STARTTLS] = { .act = do_starttls },
		[VERB_AUTH] = { .act = do_auth },
		[VERB_MAIL] = { .act = do_mail },
		[VERB_RCPT] = { .refuse = SAY_NEED_MAIL },
		[VERB_DATA] = { .refuse = SAY_NEED_MAIL },
		[VERB_BDAT] = { .act = do_bdat },
	},
	[STATE_MAIL] = {
		[VERB_MAIL] = { .refuse = SAY_NESTED_MAIL },
		[VERB_RCPT] = { .act = do_rcpt },
		[VERB_DATA] = { .act = do_data },
		[VERB_BDAT] = { .act = do_bdat },
	},
};

static const struct rule anytime[VERB_COUNT] = {
	[VERB_UNKNOWN] = { .refuse = SAY_UNKNOWN_COMMAND },
	[VERB_EHLO] = { .act = do_ehlo },
	[VERB_HELO] = { .act = do_helo },
	[VERB_RSET] = { .act = do_rset },
	[VERB_NOOP] = { .act = do_noop },
	[VERB_QUIT] = { .act = do_quit },
	[VERB_VRFY] = { .act = do_vrfy },
	[VERB_HELP] = { .act = do_help },
	[VERB_EXPN] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_ETRN] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_TURN] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_BURL] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_XCLIENT] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_XFORWARD] = { .refuse = SAY_NOT_IMPLEMENTED },
	[VERB_HTTP_GET] = { .act = do_http },
	[VERB_HTTP_POST] = { .act = do_http },
	[VERB_HTTP_PUT] = { .act = do_http },
	[VERB_HTTP_HEAD] = { .act = do_http },
	[VERB_HTTP_CONNECT] = { .act = do_http },
	[VERB_HTTP_OPTIONS] = { .act = do_http },
};

/* NOOP, RSET, VRFY, HELP, EHLO and HELO cost us as much as the commands that carry mail. */
static bool
is_idle_command(enum verb verb)
{
	return verb == VERB_NOOP || verb == VERB_RSET || verb == VERB_VRFY || verb == VERB_HELP ||
	    verb == VERB_EHLO || verb == VERB_HELO;
}

/* One more of them: is it one too many? */
static bool
is_idle_too_long(struct session *s)
{
	unsigned max = s->sender != NULL ? IDLE_COMMANDS_MAX : IDLE_COMMANDS_STRANGER_MAX;

	return ++s->idle_commands > max;
}

enum verdict
session_dispatch(struct session *s, struct slice line)
{
	struct command cmd;

	if (!command_parse(line, &cmd)) {
		if (txn_has_unsaid(&s->txn))
			return KEEP;
		session_reply(s, SAY_NOT_TEXT);
		return DONE;
	}
	const struct rule *rule = &rules[s->state][cmd.verb];

	if (rule->act == NULL && rule->refuse == SAY_BAD_SEQUENCE)
		rule = &anytime[cmd.verb];
	/* Replies keep order: only what goes upstream may overtake verdicts that are still out. */
	if (txn_has_unsaid(&s->txn) && cmd.verb != VERB_RCPT && cmd.verb != VERB_DATA)
		return KEEP;
	/* What stands behind DATA is content, whatever the answer will be, and is never run as
	 * commands (L10). */
	if (cmd.verb == VERB_DATA && stream_in(&s->stream).n > line.n + 2)
		return txn_has_unsaid(&s->txn)
		    ? KEEP
		    : session_end(s, CLOSE_PIPELINING, SAY_IMPROPER_PIPELINING);
	if (is_idle_command(cmd.verb) && is_idle_too_long(s))
		return session_end(s, CLOSE_IDLE_COMMANDS, SAY_TOO_MANY_IDLE);
	if (rule->act != NULL)
		return rule->act(s, cmd.args);
	session_reply(s, rule->refuse);
	return DONE;
}
