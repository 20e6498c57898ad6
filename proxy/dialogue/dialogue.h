/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_DIALOGUE_H
#define PROXY_DIALOGUE_DIALOGUE_H

/*
 * dialogue - a session from the inside, for the files that make it up: session.c (life, input),
 * dispatch.c (rules), commands.c, auth.c, login.c, envelope.c, chunk.c, content.c, answer.c
 *
 * The state is one enum; only session_enter() writes it, which also sets the state's deadline.
 * Whatever waits for an answer from elsewhere parks the session: a command that parked is
 * dispatched again when the session is resumed, unless it was consumed.
 */
#include "proxy/limits/guess_nodes.h"
#include "proxy/reply.h"
#include "proxy/dialogue/pace.h"
#include "proxy/dialogue/session.h"
#include "proxy/dialogue/txn.h"
#include "wire/arena.h"
#include "wire/command.h"
#include "wire/id.h"
#include "wire/log.h"
#include "wire/stream.h"

enum state {
#define STATE(id, doing) STATE_##id,
#include "proxy/dialogue/state.def"
#undef STATE
	STATE_COUNT
};

enum close_row {
#define CLOSE(id, word) CLOSE_##id,
#include "proxy/dialogue/close.def"
#undef CLOSE
	CLOSE_COUNT
};

enum {
	HELO_MAX = 256, /* octets kept; one more than any domain has, so that a cut name is none */
	SESSION_IN_MAX = BUF_LARGE,
	SESSION_OUT_MAX = 16384,
	REPLY_ROOM = 2048, /* a reply of ours fits; no command is begun with less */
	COMMAND_MAX = 512,
	ENVELOPE_MAX = 2048, /* MAIL and RCPT with their parameters */
	AUTH_MAX = 12288,
	/* Commands that bring no message on, between messages and before login (P6). */
	IDLE_COMMANDS_MAX = 100,
	IDLE_COMMANDS_STRANGER_MAX = 20,
	/* What one session may do in one turn of the loop (P6). */
	TURN_COMMANDS = 16,
	TURN_OCTETS = 65536,
	/* An octet of a header section is looked at field by field: it costs as many of content. */
	HEADER_COST = 8,
	HEADER_PIECE = TURN_OCTETS / HEADER_COST,
};

/* What the look-up for the command in hand has said already. */
enum auth_step { AUTH_NONE, AUTH_PLAIN, AUTH_LOGIN_NAME, AUTH_LOGIN_PASSWORD };
enum looked { LOOKED_NOT, LOOKED_OK, LOOKED_REFUSED, LOOKED_FAILED };

struct session {
	struct grave grave; /* first: the loop frees by it */
	struct worker *worker;
	struct lane *lane;
	uint64_t number;                 /* what answers come back by */
	struct session *older, *younger; /* those that have not logged in, by age */
	struct stream stream;
	struct sockaddr_storage peer;
	struct id id;
	ev_tstamp opened;
	ev_tstamp login_due;   /* by loop_patient() */
	struct sender *sender; /* who logged in, or the IP identity */
	struct txn txn;
	struct quota_ticket *look; /* what the MAIL in hand asks of the limits */
	struct arena arena;
	struct task run;     /* resume through the loop */
	struct task sandbox; /* the go-ahead in the relay's place */
	enum state state;
	enum looked looked;
	enum looked foreign; /* whose the sender's domain is has been asked, too */
	bool sender_looked;  /* so has the look-up of the envelope sender */
	enum reply_id sender_said;
	enum auth_step auth_step;
	uint8_t login_failures;
	bool esmtp;
	bool secure;
	bool parked;
	bool skipping;    /* the rest of a line that was too long */
	uint64_t account; /* counted in the scoreboard by that one; 0: not yet */
	bool listed;      /* among those not logged in */
	bool in_address;  /* counted in the scoreboard by address */
	unsigned bad_commands;
	unsigned idle_commands; /* since the last message: those that brought none on */
	ev_tstamp turn;         /* the loop's, that the next two are about */
	unsigned turn_commands;
	size_t turn_octets;
	unsigned messages; /* accepted by an upstream */
	unsigned commands;
	size_t helo_n;
	char helo[HELO_MAX];
	struct {
		uint64_t left; /* octets of the BDAT chunk still to come */
		bool last;
		struct quota_refusal refused; /* in STATE_SWALLOW: what to say then */
		struct id about;              /* and of which message, or session */
	} chunk;
	struct pace pace; /* of content and of what is swallowed */
	char *auth_user;  /* LOGIN: the name while the password is awaited; malloc'd */
	size_t auth_user_n;
	bool auth_named;     /* it is surely no password: it may be in the log */
	char *auth_password; /* while other nodes are asked, or there is no room; malloc'd */
	size_t auth_password_n;
	struct guess_inquiry *query; /* what asks them */
	struct guess_mark mark;
	struct guess_attempt attempt;
	struct ask *login;    /* what the directory is asked */
	bool attempt_last;    /* a wrong password ends the connection */
	ev_tstamp answer_due; /* of the log-in */
	ev_tstamp room_until; /* it waits for others of its name or address to end */
	ev_timer answer;      /* runs while the answer is held back */
	struct sender *held;  /* what it will be; NULL: refused */
};

enum verdict { DONE, WAIT, KEEP, CLOSED };
/* DONE: the line is consumed. WAIT: consumed, parked until session_resume(). KEEP: parked, the same
 * line comes again. CLOSED: the session has ended. */

typedef enum verdict verb_fn(struct session *s, struct slice args);

/* session.c */
void session_enter(struct session *s, enum state state);
const char *session_doing(const struct session *s);
/* Handles what waits in the input, from the loop. */
void session_resume(struct session *s);
/* Ends the session: says SAY first (SAY_NONE: nothing), logs the row. S must not be touched after,
 * except by callers that return CLOSED. */
enum verdict session_end(struct session *s, enum close_row row, enum reply_id say);
struct session *session_find(struct sessions *all, uint64_t number);
/* It has logged in: no longer to be shed, login deadline gone. */
void session_logged_in(struct session *s);
/* The client did something: its deadline starts anew. */
void session_touch(struct session *s);
/* The upstream has said its last word for a client that had left. */
void session_after_last_word(struct session *s);
/* It will not: the outcome is unknown. */
void session_give_up(struct session *s);
bool session_log(struct log_line *l, const struct session *s, enum log_level level,
    const char *event) MUST_CHECK;
/* Who sends: the account by number, which stays, and by name, which people know; then the login. */
void session_log_sender(struct log_line *l, const struct sender *sender);

/* answer.c */
/* Two replies fit into the output. False: LOWAT tells when. */
bool session_has_room(struct session *s) MUST_CHECK;
void session_reply(struct session *s, enum reply_id r);
/* The row's text, then a blank and MORE. */
void session_reply_more(struct session *s, enum reply_id r, struct slice more);
/* The same about ID, a message that has ended already. */
void session_reply_about(struct session *s, enum reply_id r, struct slice more, struct id id);
/* An upstream's verdict, already classed; never 421, 3xx or an authentication code (asserted). */
void session_forward(struct session *s, const struct relay_verdict *v);
/* REPLY as it stands. False: no memory, and the stream fails. */
bool session_say_words(struct session *s, struct slice reply) MUST_CHECK;
/* A verdict as octets, for later. Empty: no memory. */
struct slice session_forward_later(struct session *s, const struct relay_verdict *v);
void session_greet(struct session *s);
void session_say_ehlo(struct session *s);

/* remember.c: for people who ask later (H2). ID: where the log tells of it. */
void remember_refusal(struct session *s, int code, const char *cause, struct slice id);
void remember_login(struct session *s, struct slice name, const char *why);
void remember_verdict(struct session *s, const struct relay_verdict *v, struct slice to);

/* dispatch.c: one command line, by the table of states and verbs. */
enum verdict session_dispatch(struct session *s, struct slice line);
/* commands.c */
verb_fn do_ehlo, do_helo, do_noop, do_rset, do_quit, do_vrfy, do_help, do_starttls, do_http;
/* auth.c */
verb_fn do_auth;
/* A line in STATE_AUTH. */
enum verdict auth_line(struct session *s, struct slice line);
bool auth_is_offered(const struct session *s);
/* login.c: name and password are there, the name in the session. DONE, WAIT or CLOSED. */
enum verdict login_start(struct session *s, struct slice password);
/* A wrong answer that needs no look at the directory. */
enum verdict login_fail(struct session *s, const char *why);
/* No answer to the password: R is said, and the session is as before. */
enum verdict login_refuse(struct session *s, enum reply_id r);
/* Nothing of the attempt is kept; one that waits for its answer has failed. */
void auth_forget(struct session *s);
void auth_init(struct session *s);
/* envelope.c */
verb_fn do_mail, do_rcpt, do_data;
/* Says the RCPT verdicts that waited for room in the output. */
void envelope_say(struct session *s);
void envelope_on_rcpt(struct session *s, const struct relay_verdict *v);
/* Logs and remembers what was said of R. */
void envelope_log_rcpt(struct session *s, const struct rcpt *r, const struct relay_verdict *v);
/* Answers DATA or BDAT, where the upstream has answered, the limits too, and no verdict is
 * unsaid. */
void envelope_on_quota(struct session *s);
/* What stands against content now. SAY_NONE: nothing, or only the verdicts that are still out can
 * tell. SAY_OK: wait for them. */
enum reply_id envelope_check(const struct txn *t);
/* Reserves for the recipients that are accepted or may yet be. It runs while verdicts are still
 * out; where it fails and some of them are then refused, it is asked again for fewer. */
enum quota_state envelope_claim(struct session *s);
/* Of a claim that is QUOTA_NO: the limit, or want of memory. */
struct quota_refusal envelope_limit(const struct session *s);
/* Says NO of ABOUT, the message or the session; DONE, or CLOSED where that is 421. */
enum verdict envelope_say_limit(struct session *s, const struct quota_refusal *no, struct id about);
/* Asks the relay for its go-ahead. */
void envelope_ask(struct session *s);
void envelope_on_go(struct session *s, const struct relay_verdict *v);
/* sender_check.c: what stands against mail FROM. SAY_OK: being looked up, the command must wait and
 * come again. */
enum reply_id sender_check(struct session *s, const struct path *from);
/* The same of the header's From:, once it has passed: the account's own rules. */
enum reply_id sender_check_header(struct session *s);
/* Then, at the end of the content, the directory's say. SAY_OK: the session must wait; it is
 * resumed, and this is asked again. */
enum reply_id sender_check_owners(struct session *s);
/* sandbox.c: what the relay would do, for a transaction without one */
void sandbox_rcpt(struct session *s);
void sandbox_data(struct session *s);
void sandbox_finish(struct session *s);
/* chunk.c */
verb_fn do_bdat;
/* The upstream and the limits have answered for the first chunk; LIMITED: a limit refuses it. */
void chunk_go(struct session *s, bool limited);
/* Take the octets of a chunk (in STATE_CHUNK, in STATE_SWALLOW). False: as content_feed(). */
bool chunk_feed(struct session *s) MUST_CHECK;
bool chunk_swallow(struct session *s) MUST_CHECK;
/* content.c */
bool content_begin(struct session *s, bool chunked) MUST_CHECK;
/* Takes what DATA is followed by from the input. False: it waits, for input or for the relay, or
 * the session has ended. */
bool content_feed(struct session *s) MUST_CHECK;
/* Takes at most MAX octets of content, and no more than there is room for. False: none, as
 * above. */
bool content_take(struct session *s, uint64_t max, size_t *used_r) MUST_CHECK;
/* How many octets of a turn's share one octet of what comes next takes. */
unsigned content_cost(const struct session *s);
/* N octets have come from the client. False: it is too slow, and the session has ended. */
bool content_keeps_pace(struct session *s, size_t n) MUST_CHECK;
/* BDAT LAST is in. False: the upstream's last word is awaited. */
bool content_end_chunks(struct session *s) MUST_CHECK;
/* The end of a message that was lost before it ended: says why, and ends it. */
void content_say_refusal(struct session *s);
void content_on_room(struct session *s);
/* The relay's last word, whenever it comes. */
void content_on_done(struct session *s, const struct relay_verdict *v);

#endif
