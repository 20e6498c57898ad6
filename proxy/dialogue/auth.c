/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - AUTH PLAIN and LOGIN (RFC 4954, RFC 4616, draft-murchison-sasl-login), BEHAVIOUR A1 to A4
 */
#include <assert.h>
#include <stdlib.h>

#include "proxy/dialogue/dialogue.h"
#include "proxy/limits/guess_nodes.h"
#include "proxy/rules/policy.h"
#include "wire/base64.h"
#include "wire/crypto.h"

enum auth_step { AUTH_NONE, AUTH_PLAIN, AUTH_LOGIN_NAME, AUTH_LOGIN_PASSWORD };

enum { DECODED_MAX = AUTH_MAX };

bool
auth_is_offered(const struct session *s)
{
	const struct conf_listener *l = s->lane->listener;

	return l->auth && (s->sender == NULL || s->sender->is_address) &&
	    (s->secure || l->plaintext_auth);
}

static void
forget_password(struct session *s)
{
	if (s->auth_password == NULL)
		return;
	crypto_wipe(s->auth_password, s->auth_password_n);
	free(s->auth_password);
	s->auth_password = NULL;
	s->auth_password_n = 0;
}

void
auth_forget(struct session *s)
{
	if (s->auth_user != NULL) {
		crypto_wipe(s->auth_user, s->auth_user_n);
		free(s->auth_user);
	}
	s->auth_user = NULL;
	s->auth_user_n = 0;
	s->auth_step = AUTH_NONE;
	forget_password(s);
	guess_drop(s->query);
	s->query = NULL;
	ev_timer_stop(loop_ev(s->worker->loop), &s->answer);
	sender_unref(s->held);
	s->held = NULL;
}

static enum verdict
refuse(struct session *s, enum reply_id r)
{
	auth_forget(s);
	session_enter(s, STATE_READY);
	session_reply(s, r);
	return DONE;
}

/* A name that nobody has may be a password in the wrong field: it is not written down. */
static struct slice
login_name(const struct session *s, const char *why)
{
	bool exists = strcmp(why, "wrong password") == 0 || strncmp(why, "paused", 6) == 0;

	return exists && s->auth_user != NULL ? slice_of(s->auth_user, s->auth_user_n) : SLICE("");
}

static void
log_failure(const struct session *s, const char *why)
{
	struct log_line l;

	if (!session_log(&l, s, LOG_NOTICE, "auth"))
		return;
	log_str(&l, "result", SLICE("refused"));
	log_str(&l, "why", slice_str(why));
	log_str(&l, "reply", slice_str(reply_row(SAY_AUTH_FAILED)->name));
	if (login_name(s, why).n > 0)
		log_str(&l, "sender", login_name(s, why));
	log_end(&l);
}

static void
note_failure(struct session *s, const char *why)
{
	struct slice name = login_name(s, why);

	scoreboard_count(s->worker->board, s->worker->number, COUNTER_AUTH_FAILED, 1);
	if (name.n > 0)
		remember_login(s, name, why);
	log_failure(s, why);
}

static bool
keep_name(struct session *s, struct slice name)
{
	if (s->auth_user != NULL)
		return true;
	s->auth_user = malloc(name.n + 1);
	if (s->auth_user == NULL)
		return false;
	memcpy(s->auth_user, name.p, name.n);
	s->auth_user_n = name.n;
	return true;
}

/* Who has guessed enough hears no more. */
static enum verdict
turn_away(struct session *s)
{
	scoreboard_count(s->worker->board, s->worker->number, COUNTER_AUTH_TURNED_AWAY, 1);
	return session_end(s, CLOSE_LOGIN_FAILURES, SAY_AUTH_TOO_MANY);
}

/* The third wrong answer ends the connection, and the first where the address has guessed enough
 * (A3). */
static void
say_failure(struct session *s)
{
	bool last = s->attempt_last;

	auth_forget(s);
	session_enter(s, STATE_READY);
	if (last) {
		(void)turn_away(s);
		return;
	}
	session_reply(s, SAY_AUTH_FAILED);
	if (++s->login_failures >= s->lane->conf->limits.login_failures)
		session_end(s, CLOSE_LOGIN_FAILURES, SAY_AUTH_TOO_MANY);
}

/* A wrong answer that needed no look at the directory. */
static void
fail(struct session *s, const char *why)
{
	s->attempt_last = false;
	note_failure(s, why);
	say_failure(s);
}

static void
welcome(struct session *s, struct sender *sender)
{
	struct worker *w = s->worker;
	struct log_line l;

	auth_forget(s);
	sender_unref(s->sender);
	s->sender = sender;
	scoreboard_count(w->board, w->number, COUNTER_AUTH_OK, 1);
	scoreboard_gauge(w->board, w->number, GAUGE_AUTHENTICATED, 1);
	s->account = sender->account.id;
	s->idle_commands = 0;
	session_enter(s, STATE_READY);
	if (scoreboard_enter_account(w->board, w->number, sender->account.id) >
	    s->lane->conf->limits.connections_per_account) {
		session_end(s, CLOSE_ACCOUNT_CAP, SAY_TOO_MANY_CONNECTIONS);
		return;
	}
	session_logged_in(s);
	session_reply(s, SAY_AUTH_OK);
	if (session_log(&l, s, LOG_INFO, "auth")) {
		log_str(&l, "result", SLICE("ok"));
		log_u64(&l, "account", sender->account.id);
		log_str(&l, "sender", slice_str(sender->name));
		log_end(&l);
	}
}

/* The answer is known and due. */
static void
answer(struct session *s)
{
	struct sender *sender = s->held;

	s->held = NULL;
	if (sender != NULL)
		welcome(s, sender);
	else
		say_failure(s);
	if (s->state != STATE_GONE)
		session_resume(s);
}

static void
on_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	answer(t->data);
}

void
auth_init(struct session *s)
{
	ev_timer_init(&s->answer, on_due, 0., 0.);
	s->answer.data = s;
}

/* A right password waits as long as a wrong one: the delay tells nothing. */
static void
answer_when_due(struct session *s)
{
	double left = s->answer_due - loop_now(s->worker->loop);

	if (left <= 0) {
		answer(s);
		return;
	}
	ev_timer_set(&s->answer, left, 0.);
	ev_timer_start(loop_ev(s->worker->loop), &s->answer);
}

/* Where the operator wants it so, an owner who has not confirmed an address in time hears of it
 * here (S2). */
static void
turn_away_late_owner(struct session *s)
{
	int64_t now_s = (int64_t)(loop_wall_ms(s->worker->loop) / 1000);

	if (s->lane->conf->senders.unverified_owner != UNVERIFIED_AT_AUTH ||
	    policy_sender(s->held, now_s) != SAY_UNVERIFIED_OWNER)
		return;
	note_failure(s, "owner's address not confirmed");
	sender_unref(s->held);
	s->held = NULL;
}

static void
on_login(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	if (s == NULL || s->state != STATE_AUTH) {
		sender_unref(sender);
		return;
	}
	struct guess *g = scoreboard_guess(w->board);
	struct guess_rules rules = guess_rules_of(s->lane->conf);

	switch (result) {
	case LOGIN_OK:
		guess_right(g, &rules, &s->attempt, loop_now(w->loop));
		guess_tell_right(w->counters, &rules, &s->mark);
		s->held = sender;
		turn_away_late_owner(s);
		answer_when_due(s);
		break;
	case LOGIN_REFUSED:
		guess_wrong(g, &rules, &s->attempt, loop_now(w->loop));
		if (!s->attempt.known)
			guess_tell_wrong(w->counters, &rules, &s->mark);
		note_failure(s, why);
		answer_when_due(s);
		break;
	case LOGIN_UNAVAILABLE:
		guess_void(g, &rules, &s->attempt, loop_now(w->loop));
		log_failure(s, why);
		(void)refuse(s, SAY_AUTH_UNAVAILABLE);
		session_resume(s);
		break;
	}
}

/* False: the name is not even heard. */
static bool
may_try(struct session *s)
{
	struct worker *w = s->worker;
	struct guess_rules rules = guess_rules_of(s->lane->conf);
	double now = loop_now(w->loop);
	struct guess_verdict v =
	    guess_decide(scoreboard_guess(w->board), &rules, &s->attempt, &s->mark.common, now);

	s->attempt_last = v.last;
	s->answer_due = now + v.delay_s;
	if (v.delay_s > 0)
		scoreboard_count(w->board, w->number, COUNTER_AUTH_DELAYED, 1);
	return !v.refuse;
}

/* What is known of the name and the address is known. */
static enum verdict
try(struct session *s, struct slice password)
{
	if (!may_try(s)) {
		note_failure(s, "too many failed logins of that name");
		return turn_away(s);
	}
	session_enter(s, STATE_AUTH);
	directory_login(s->worker->directory, slice_of(s->auth_user, s->auth_user_n), password,
	    s->number, on_login);
	return WAIT;
}

/* All nodes have been asked, or cannot be. */
static void
on_nodes(void *ctx, uint64_t owner)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	assert(s != NULL && s->query != NULL && s->state == STATE_AUTH);
	s->query = NULL;
	enum verdict v = try(s, slice_of(s->auth_password, s->auth_password_n));

	forget_password(s);
	if (v != WAIT && s->state != STATE_GONE)
		session_resume(s);
}

/* The password waits until all nodes have said what they know of the name and the address. */
static enum verdict
wait_for_nodes(struct session *s, struct slice password)
{
	s->auth_password = malloc(password.n + 1);
	if (s->auth_password == NULL)
		return refuse(s, SAY_AUTH_UNAVAILABLE);
	memcpy(s->auth_password, password.p, password.n);
	s->auth_password_n = password.n;
	session_enter(s, STATE_AUTH);
	return WAIT;
}

/* Names and passwords are text; a name with control characters is nobody's. */
static enum verdict
ask(struct session *s, struct slice user, struct slice password)
{
	struct worker *w = s->worker;
	struct guess_rules rules = guess_rules_of(s->lane->conf);
	const struct sockaddr *from = (const struct sockaddr *)&s->peer;

	if (user.n == 0 || !slice_is_text(user) || memchr(password.p, '\0', password.n) != NULL) {
		fail(s, "malformed name or password");
		return s->state == STATE_GONE ? CLOSED : DONE;
	}
	if (!keep_name(s, user))
		return refuse(s, SAY_AUTH_UNAVAILABLE);
	s->mark = (struct guess_mark){ 0 };
	guess_who(scoreboard_guess(w->board), &rules, from, user, loop_now(w->loop), &s->attempt);
	if (!s->attempt.known)
		s->query = guess_ask(w->counters, w->vault, &rules, from, user, &s->mark, on_nodes,
		    w, s->number);
	return s->query != NULL ? wait_for_nodes(s, password) : try(s, password);
}

/*
 * authzid NUL authcid NUL password; authzid is empty or the same (Perl's Net::SMTP sends it).
 * Blanks around a name came in when it was pasted: no name has them.
 */
static enum verdict
got_plain(struct session *s, struct slice all)
{
	size_t first = slice_find(all, '\0');
	struct slice authzid = slice_trim(slice_head(all, first));
	struct slice rest = slice_skip(all, first + 1);
	size_t second = slice_find(rest, '\0');
	struct slice user = slice_trim(slice_head(rest, second));

	if (first == all.n || second == rest.n)
		return refuse(s, SAY_AUTH_BASE64);
	if (authzid.n > 0 && !slice_eq(authzid, user)) {
		fail(s, "another authorization identity");
		return s->state == STATE_GONE ? CLOSED : DONE;
	}
	return ask(s, user, slice_skip(rest, second + 1));
}

static enum verdict
got_login_name(struct session *s, struct slice name)
{
	if (!keep_name(s, slice_trim(name)))
		return refuse(s, SAY_AUTH_UNAVAILABLE);
	s->auth_step = AUTH_LOGIN_PASSWORD;
	if (!stream_write(&s->stream, SLICE("334 UGFzc3dvcmQ6\r\n")))
		return refuse(s, SAY_AUTH_UNAVAILABLE);
	session_enter(s, STATE_AUTH);
	return DONE;
}

static enum verdict
got_response(struct session *s, struct slice decoded)
{
	switch ((enum auth_step)s->auth_step) {
	case AUTH_PLAIN:
		return got_plain(s, decoded);
	case AUTH_LOGIN_NAME:
		return got_login_name(s, decoded);
	case AUTH_LOGIN_PASSWORD:
		return ask(s, slice_of(s->auth_user, s->auth_user_n), decoded);
	case AUTH_NONE:
		break;
	}
	return refuse(s, SAY_AUTH_BASE64);
}

/* "=" is an empty initial response (RFC 4954 4). */
static enum verdict
decode(struct session *s, struct slice line)
{
	char mem[DECODED_MAX];
	size_t n = 0;

	if (slice_eq(line, SLICE("=")))
		line = slice_of("", 0);
	if (!base64_decode_unpadded(line, mem, sizeof(mem), &n))
		return refuse(s, SAY_AUTH_BASE64);
	enum verdict v = got_response(s, slice_of(mem, n));

	crypto_wipe(mem, n);
	return v;
}

enum verdict
auth_line(struct session *s, struct slice line)
{
	/* Some clients end it with a blank, as some end the command. */
	line = slice_trim(line);
	if (slice_eq(line, SLICE("*")))
		return refuse(s, SAY_AUTH_CANCELLED);
	return decode(s, line);
}

/* True and the first step set if we know the mechanism; PROMPT_R is what to say when no response
 * came with the command. */
static bool
find_mechanism(struct session *s, struct slice word, struct slice *prompt_r)
{
	if (slice_eq_nocase(word, SLICE("PLAIN"))) {
		s->auth_step = AUTH_PLAIN;
		*prompt_r = SLICE("334 \r\n");
		return true;
	}
	if (slice_eq_nocase(word, SLICE("LOGIN"))) {
		s->auth_step = AUTH_LOGIN_NAME;
		*prompt_r = SLICE("334 VXNlcm5hbWU6\r\n");
		return true;
	}
	return false;
}

/* Before the credentials are looked at (THREATS S3). */
static enum reply_id
not_now(const struct session *s)
{
	if (s->sender != NULL && !s->sender->is_address)
		return SAY_AUTH_AGAIN;
	if (!s->lane->listener->auth)
		return SAY_AUTH_NOT_OFFERED;
	if (!s->secure && !s->lane->listener->plaintext_auth)
		return SAY_AUTH_NEEDS_TLS;
	return SAY_NONE;
}

enum verdict
do_auth(struct session *s, struct slice args)
{
	enum reply_id no = not_now(s);
	struct slice prompt;

	if (no != SAY_NONE) {
		session_reply(s, no);
		return DONE;
	}
	struct slice word = slice_cut(&args, ' ');

	args = slice_trim(args);
	if (word.n == 0) {
		session_reply(s, SAY_SYNTAX);
		return DONE;
	}
	if (!find_mechanism(s, word, &prompt)) {
		session_reply(s, SAY_AUTH_MECHANISM);
		return DONE;
	}
	if (args.n > 0)
		return decode(s, args);
	session_enter(s, STATE_AUTH);
	if (!stream_write(&s->stream, prompt))
		return refuse(s, SAY_AUTH_UNAVAILABLE);
	return DONE;
}
