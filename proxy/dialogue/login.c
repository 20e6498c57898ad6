/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login - an attempt to log in, once name and password are there (BEHAVIOUR A1 to A4)
 *
 *      room? -> start -> nodes asked -> heard? -> directory -> answer when due
 *        |        |           |            |          |
 *        |        |           '------------+----------+--- the client leaves: counts, and is in the log
 *        |        '-- counts from here on, until the password proves right
 *        '-- while many of that name or address are under way: looked again, for room_wait_s
 */
#include <assert.h>
#include <stdlib.h>

#include "proxy/dialogue/dialogue.h"
#include "proxy/limits/guess_nodes.h"
#include "proxy/rules/policy.h"
#include "wire/crypto.h"
#include "wire/path.h"

static const double room_wait_s = 30, room_look_s = 0.1;

static enum verdict begin(struct session *s, struct slice password);

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

/*
 * A name that nobody has may be a password in the wrong field, and is written down only where it
 * looks like an address and what stands in the password's place does not.
 */
static bool
looks_like_address(struct slice s)
{
	size_t at = slice_find(s, '@');

	return at > 0 && at < s.n && slice_is_text(s) && slice_find(s, ' ') == s.n &&
	    slice_find(slice_skip(s, at), '.') < s.n - at &&
	    domain_is_valid(slice_skip(s, at + 1), true);
}

static bool
exists(const char *why)
{
	return strcmp(why, "wrong password") == 0 || strncmp(why, "paused", 6) == 0;
}

static struct slice
login_name(const struct session *s, const char *why)
{
	bool known = s->auth_user != NULL && (s->auth_named || exists(why));

	return known ? slice_of(s->auth_user, s->auth_user_n) : SLICE("");
}

static void
log_attempt(const struct session *s, enum log_level level, const char *result, const char *why,
    enum reply_id said)
{
	struct log_line l;

	if (!session_log(&l, s, level, "auth"))
		return;
	log_str(&l, "result", slice_str(result));
	if (why[0] != '\0')
		log_str(&l, "why", slice_str(why));
	if (said != SAY_NONE)
		log_str(&l, "reply", slice_str(reply_row(said)->name));
	if (login_name(s, why).n > 0)
		log_str(&l, "sender", login_name(s, why));
	log_end(&l);
}

static void
note_failure(struct session *s, const char *why, enum reply_id said)
{
	scoreboard_count(s->worker->board, s->worker->number, COUNTER_AUTH_FAILED, 1);
	if (exists(why))
		remember_login(s, login_name(s, why), why);
	log_attempt(s, LOG_NOTICE, "refused", why, said);
}

/* The client did not wait for the answer: the attempt stays counted. */
static void
leave(struct session *s)
{
	struct guess_rules rules = guess_rules_of(s->lane->conf);

	guess_stays(scoreboard_guess(s->worker->board), &rules, &s->attempt,
	    loop_now(s->worker->loop));
	note_failure(s, "left before the answer", SAY_NONE);
}

void
auth_forget(struct session *s)
{
	if (s->attempt.state == GUESS_OUT)
		leave(s);
	s->attempt.state = GUESS_NONE;
	guess_drop(s->query);
	s->query = NULL;
	directory_drop(s->login);
	s->login = NULL;
	if (s->auth_user != NULL) {
		crypto_wipe(s->auth_user, s->auth_user_n);
		free(s->auth_user);
	}
	s->auth_user = NULL;
	s->auth_user_n = 0;
	s->auth_named = false;
	s->auth_step = AUTH_NONE;
	forget_password(s);
	ev_timer_stop(loop_ev(s->worker->loop), &s->answer);
	sender_unref(s->held);
	s->held = NULL;
}

enum verdict
login_refuse(struct session *s, enum reply_id r)
{
	auth_forget(s);
	session_enter(s, STATE_READY);
	session_reply(s, r);
	return DONE;
}

/* A client over the limit gets no further replies. */
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

enum verdict
login_fail(struct session *s, const char *why)
{
	s->attempt_last = false;
	note_failure(s, why, SAY_AUTH_FAILED);
	say_failure(s);
	return s->state == STATE_GONE ? CLOSED : DONE;
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
		session_log_sender(&l, sender);
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

/* The answer is due, or it is time to look for room again. */
static void
on_due(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct session *s = t->data;

	(void)ev;
	(void)revents;
	if (s->attempt.state != GUESS_NONE) {
		answer(s);
		return;
	}
	enum verdict v = begin(s, slice_of(s->auth_password, s->auth_password_n));

	if (v != WAIT && s->state != STATE_GONE)
		session_resume(s);
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
	note_failure(s, "owner's address not confirmed", SAY_AUTH_FAILED);
	sender_unref(s->held);
	s->held = NULL;
}

static void
on_login(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);
	struct guess *g = scoreboard_guess(w->board);

	assert(s != NULL && s->login != NULL && s->state == STATE_AUTH);
	struct guess_rules rules = guess_rules_of(s->lane->conf);

	s->login = NULL;
	switch (result) {
	case LOGIN_OK:
		guess_right(g, &rules, &s->attempt, loop_now(w->loop));
		guess_tell_right(w->counters, &rules, &s->mark);
		s->held = sender;
		turn_away_late_owner(s);
		answer_when_due(s);
		break;
	case LOGIN_REFUSED:
		guess_stays(g, &rules, &s->attempt, loop_now(w->loop));
		note_failure(s, why, SAY_AUTH_FAILED);
		answer_when_due(s);
		break;
	case LOGIN_UNAVAILABLE:
		guess_void(g, &rules, &s->attempt, loop_now(w->loop));
		guess_tell_void(w->counters, &rules, &s->mark);
		log_attempt(s, LOG_NOTICE, "refused", why, SAY_AUTH_UNAVAILABLE);
		(void)login_refuse(s, SAY_AUTH_UNAVAILABLE);
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
	if (v.refuse)
		return false;
	if (!s->attempt.known) {
		guess_tell_start(w->counters, &rules, &s->mark);
		log_attempt(s, LOG_INFO, "begun", "", SAY_NONE);
	}
	return true;
}

/* What is known of the name and the address is known. */
static enum verdict
try(struct session *s, struct slice password)
{
	if (!may_try(s)) {
		note_failure(s, "too many failed logins of that name", SAY_AUTH_TOO_MANY);
		return turn_away(s);
	}
	session_enter(s, STATE_AUTH);
	s->login =
	    directory_login(s->worker->directory, slice_of(s->auth_user, s->auth_user_n), password,
	        (struct login_from){ .address = s->attempt.address[0], .known = s->attempt.known },
	        s->number, on_login);
	if (s->login != NULL)
		return WAIT;
	struct guess_rules rules = guess_rules_of(s->lane->conf);

	guess_void(scoreboard_guess(s->worker->board), &rules, &s->attempt,
	    loop_now(s->worker->loop));
	guess_tell_void(s->worker->counters, &rules, &s->mark);
	return login_refuse(s, SAY_AUTH_UNAVAILABLE);
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

/* The password waits until all nodes have said what they know of the name and the address, or until
 * there is room. */
static bool
keep_password(struct session *s, struct slice password)
{
	if (s->auth_password != NULL)
		return true;
	s->auth_password = malloc(password.n + 1);
	if (s->auth_password == NULL)
		return false;
	memcpy(s->auth_password, password.p, password.n);
	s->auth_password_n = password.n;
	return true;
}

static enum verdict
wait_with(struct session *s, struct slice password)
{
	if (!keep_password(s, password))
		return login_refuse(s, SAY_AUTH_UNAVAILABLE);
	session_enter(s, STATE_AUTH);
	return WAIT;
}

static enum verdict
wait_for_room(struct session *s, struct slice password)
{
	ev_timer_set(&s->answer, room_look_s, 0.);
	ev_timer_start(loop_ev(s->worker->loop), &s->answer);
	return wait_with(s, password);
}

static enum verdict
begin(struct session *s, struct slice password)
{
	struct worker *w = s->worker;
	struct guess_rules rules = guess_rules_of(s->lane->conf);
	const struct sockaddr *from = (const struct sockaddr *)&s->peer;
	struct slice user = slice_of(s->auth_user, s->auth_user_n);
	double now = loop_now(w->loop);

	if (!guess_start(scoreboard_guess(w->board), &rules, from, user, now < s->room_until, now,
	        &s->attempt))
		return wait_for_room(s, password);
	if (!s->attempt.known)
		s->query = guess_ask(w->counters, w->vault, &rules, from, user, &s->mark, on_nodes,
		    w, s->number);
	if (s->query != NULL)
		return wait_with(s, password);
	enum verdict v = try(s, password);

	forget_password(s);
	return v;
}

enum verdict
login_start(struct session *s, struct slice password)
{
	struct slice user = slice_of(s->auth_user, s->auth_user_n);

	s->auth_named = looks_like_address(user) && !looks_like_address(password);
	s->mark = (struct guess_mark){ 0 };
	s->room_until = loop_now(s->worker->loop) + room_wait_s;
	return begin(s, password);
}
