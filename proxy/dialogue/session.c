/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - life, input and rules of one client's dialogue
 */
#include "proxy/dialogue/session.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/dialogue/dialogue.h"
#include "proxy/dialogue/proxy_protocol.h"
#include "proxy/dialogue/table.h"
#include "wire/crypto.h"
#include "wire/tls.h"

static const char *const doings[] = {
#define STATE(id, doing) [STATE_##id] = doing,
#include "proxy/dialogue/state.def"
#undef STATE
};

static const char *const close_words[] = {
#define CLOSE(id, word) [CLOSE_##id] = word,
#include "proxy/dialogue/close.def"
#undef CLOSE
};

const char *
session_doing(const struct session *s)
{
	return doings[s->state];
}

/* Seconds that STATE may last without an answer from the client; 0: as long as somebody else
 * works. */
static double
limit_of(const struct session *s, enum state state)
{
	const struct conf *c = s->lane->conf;

	switch (state) {
	case STATE_PROXY:
		return c->timeouts.proxy_header_s;
	case STATE_TLS:
		return c->timeouts.tls_handshake_s;
	case STATE_NEW:
	case STATE_READY:
	case STATE_AUTH:
	case STATE_MAIL:
		return c->timeouts.command_s;
	case STATE_DATA:
	case STATE_CHUNK:
	case STATE_SWALLOW:
		return c->timeouts.data_s;
	case STATE_FINAL:
	case STATE_GONE:
	case STATE_COUNT:
		break;
	}
	return 0;
}

/* The deadline is the command's, and before login also the session's in all (P6). */
static void
set_deadline(struct session *s)
{
	double limit = s->parked ? 0 : limit_of(s, s->state);

	if (s->sender == NULL && s->state != STATE_GONE) {
		double left =
		    s->opened + s->lane->conf->timeouts.login_s - loop_now(s->worker->loop);

		left = left > 0.001 ? left : 0.001;
		limit = limit > 0 && limit < left ? limit : left;
	}
	stream_deadline(&s->stream, limit);
}

void
session_enter(struct session *s, enum state state)
{
	s->state = state;
	set_deadline(s);
}

void
session_touch(struct session *s)
{
	set_deadline(s);
}

bool
session_log(struct log_line *l, const struct session *s, enum log_level level, const char *event)
{
	if (!log_begin(l, level, event, id_slice(&s->id), slice_str(session_doing(s))))
		return false;
	char mem[64];
	struct text t = text_over(mem, sizeof(mem));

	net_write(&t, (const struct sockaddr *)&s->peer);
	log_str(l, "client", text_slice(&t));
	return true;
}

void
session_log_sender(struct log_line *l, const struct sender *sender)
{
	log_u64(l, "account", sender->account.id);
	log_str(l, "account_name", slice_str(sender->account.name));
	log_str(l, "sender", slice_str(sender->name));
}

static void
log_tls(struct log_line *l, const struct tls *t)
{
	struct slice sni = tls_sni(t);

	log_str(l, "tls", slice_str(tls_version(t)));
	log_str(l, "cipher", slice_str(tls_cipher(t)));
	if (sni.n > 0)
		log_str(l, "sni", sni);
	if (tls_resumed(t))
		log_str(l, "resumed", SLICE("yes"));
}

/* A balancer's or a monitor's look, every second: it came, perhaps greeted, and went. */
static bool
only_looked(const struct session *s, enum close_row row)
{
	if (row == CLOSE_TLS_FAILED)
		return s->commands == 0 && s->stream.tls != NULL && !tls_peer_spoke(s->stream.tls);
	return (row == CLOSE_QUIT || row == CLOSE_CLIENT_GONE || row == CLOSE_CLIENT_RESET) &&
	    s->commands <= 1 && s->bad_commands == 0 && !s->secure && s->sender == NULL;
}

static void
log_close_row(struct session *s, enum close_row row, enum reply_id said)
{
	struct log_line l;

	if (!session_log(&l, s, only_looked(s, row) ? LOG_DEBUG : LOG_INFO, "session"))
		return;
	log_str(&l, "listener", slice_str(s->lane->listener->name));
	log_str(&l, "close", slice_str(close_words[row]));
	if (said != SAY_NONE)
		log_str(&l, "reply", slice_str(reply_row(said)->name));
	if (s->helo_n > 0)
		log_str(&l, "helo", slice_of(s->helo, s->helo_n));
	if (s->secure && s->stream.tls != NULL)
		log_tls(&l, s->stream.tls);
	if (s->stream.error != STREAM_OK && s->stream.error != STREAM_EOF)
		log_str(&l, "why", slice_str(stream_why(&s->stream)));
	if (s->sender != NULL)
		session_log_sender(&l, s->sender);
	log_u64(&l, "messages", s->messages);
	log_u64(&l, "commands", s->commands);
	log_u64(&l, "in", s->stream.received);
	log_u64(&l, "out", s->stream.sent);
	log_ms(&l, "lasted", (uint64_t)((loop_now(s->worker->loop) - s->opened) * 1000));
	log_end(&l);
}

static void
free_session(struct grave *g)
{
	struct session *s = (struct session *)(void *)g;

	arena_fini(&s->arena);
	lane_unref(s->lane);
	free(s);
}

/* Leaves the caps, once its descriptor is closed: one that is still being closed holds it. */
static void
leave_caps(struct session *s)
{
	struct worker *w = s->worker;

	scoreboard_gauge(w->board, w->number, GAUGE_SESSIONS, -1);
	if (s->in_address)
		scoreboard_leave_address(w->board, w->number, (const struct sockaddr *)&s->peer);
	if (s->account != 0) {
		scoreboard_leave_account(w->board, w->number, s->account);
		scoreboard_gauge(w->board, w->number, GAUGE_AUTHENTICATED, -1);
	}
}

static void
bury(void *owner)
{
	struct session *s = owner;

	leave_caps(s);
	loop_cancel(s->worker->loop, &s->run);
	loop_cancel(s->worker->loop, &s->sandbox);
	loop_bury(s->worker->loop, &s->grave);
}

/* Nothing finds it any more, and it holds nothing but its descriptor. */
static void
leave(struct session *s)
{
	sessions_remove(s->worker->sessions, s);
	auth_forget(s);
	quota_drop(s->look);
	s->look = NULL;
	sender_unref(s->sender);
	s->sender = NULL;
}

/* Those over a cap, and those that make way, must not hold a descriptor while the peer takes its
 * time: what can be sent is sent, and that is all. */
static bool
closes_at_once(enum close_row row)
{
	return row == CLOSE_CAP || row == CLOSE_SHED || row == CLOSE_CLIENT_GONE ||
	    row == CLOSE_CLIENT_RESET || row == CLOSE_TLS_FAILED;
}

enum verdict
session_end(struct session *s, enum close_row row, enum reply_id say)
{
	bool gone = row == CLOSE_CLIENT_GONE || row == CLOSE_CLIENT_RESET;

	assert(s->state != STATE_GONE);
	if (say != SAY_NONE && !gone)
		session_reply(s, say);
	log_close_row(s, row, gone ? SAY_NONE : say);
	session_enter(s, STATE_GONE);
	s->parked = true;
	if (txn_is_open(&s->txn) && !txn_awaits_last_word(&s->txn))
		txn_end(s, 0, NULL, close_words[row]);
	if (txn_is_open(&s->txn)) {
		stream_close(&s->stream);
		return CLOSED; /* on_done comes back here through session_after_last_word() */
	}
	leave(s);
	if (closes_at_once(row)) {
		stream_flush(&s->stream);
		stream_close(&s->stream);
		bury(s);
	} else {
		stream_finish(&s->stream, bury);
	}
	return CLOSED;
}

void
session_after_last_word(struct session *s)
{
	assert(s->state == STATE_GONE);
	leave(s);
	bury(s);
}

void
session_give_up(struct session *s)
{
	struct relay_verdict unknown = {
		.class = VERDICT_UNKNOWN,
		.code = 451,
		.enhanced = { 4, 4, 2 },
		.unknown = true,
	};

	txn_end(s, unknown.code, &unknown, "the daemon stopped");
	session_after_last_word(s);
}

void
session_logged_in(struct session *s)
{
	sessions_unlist(s->worker->sessions, s);
	set_deadline(s);
}

/* Octets that a line in the making may have before it is too long. */
static size_t
line_limit(const struct session *s, struct slice in)
{
	if (s->state == STATE_AUTH || slice_starts_nocase(in, SLICE("AUTH ")))
		return AUTH_MAX;
	if (slice_starts_nocase(in, SLICE("MAIL ")) || slice_starts_nocase(in, SLICE("RCPT ")))
		return ENVELOPE_MAX;
	return COMMAND_MAX;
}

/* Index of the first CRLF; in.n where there is none. */
static size_t
find_crlf(struct slice in)
{
	size_t at = 0;

	for (;;) {
		at += slice_find(slice_skip(in, at), '\n');
		if (at >= in.n)
			return in.n;
		if (at > 0 && in.p[at - 1] == '\r')
			return at - 1;
		at++;
	}
}

/* Takes a line that was too long off the input, up to its CRLF, over as many turns as it needs. */
static void
skip_line(struct session *s)
{
	struct slice in = stream_in(&s->stream);
	size_t at = find_crlf(in);

	if (at < in.n) {
		s->skipping = false;
		stream_consume(&s->stream, at + 2);
	} else if (in.n > 1) {
		stream_consume(&s->stream, in.n - 1); /* the last may be half a CRLF */
	}
}

/* Overwrites a line that held credentials before it leaves the buffer. */
static void
wipe_input(struct session *s, size_t n)
{
	crypto_wipe(s->stream.in.mem + s->stream.in.head, n);
}

static bool
holds_credentials(const struct session *s, struct slice line)
{
	return s->state == STATE_AUTH || slice_starts_nocase(line, SLICE("AUTH"));
}

/* One line. True: there may be another. */
static bool
take_line(struct session *s)
{
	struct slice in = stream_in(&s->stream);
	size_t n = find_crlf(in);
	size_t limit = line_limit(s, in);
	bool whole = n < in.n;

	/* A CR at the end may be the first half of the line's own end, which does not count. */
	if (!whole && n > 0 && in.p[n - 1] == '\r')
		n--;
	if (n > limit) {
		if (txn_has_unsaid(&s->txn)) {
			s->parked = true;
			return false;
		}
		s->skipping = true;
		session_reply(s, SAY_LINE_TOO_LONG);
		return true;
	}
	if (!whole)
		return false;
	struct slice line = slice_head(in, n);
	bool secret = holds_credentials(s, line);
	enum verdict v = s->state == STATE_AUTH ? auth_line(s, line) : session_dispatch(s, line);

	if (v == CLOSED)
		return false;
	if (v == KEEP) {
		s->parked = true;
		set_deadline(s);
		return false;
	}
	if (secret)
		wipe_input(s, n);
	stream_consume(&s->stream, n + 2);
	s->commands++;
	s->looked = LOOKED_NOT;
	s->foreign = LOOKED_NOT;
	s->sender_looked = false;
	s->parked = v == WAIT;
	set_deadline(s); /* the next command's */
	return v == DONE;
}

/* A TLS client hello in clear text: record type 22, version 3.x. */
static bool
is_client_hello(struct slice in)
{
	return in.n >= 2 && in.p[0] == 0x16 && in.p[1] == 0x03;
}

static bool
take_content(struct session *s)
{
	if (s->state == STATE_SWALLOW)
		return chunk_swallow(s);
	return s->state == STATE_CHUNK ? chunk_feed(s) : content_feed(s);
}

/* False: it has done in this turn what one may; the rest is taken up in the next, behind what
 * others have to do in this one. */
static bool
may_go_on(struct session *s)
{
	ev_tstamp now = loop_now(s->worker->loop);

	if (s->turn != now) {
		s->turn = now;
		s->turn_commands = 0;
		s->turn_octets = 0;
	}
	if (s->turn_commands < TURN_COMMANDS && s->turn_octets < TURN_OCTETS)
		return true;
	if (stream_in(&s->stream).n == 0)
		return true; /* there is nothing to take up */
	loop_next(s->worker->loop, &s->run);
	return false;
}

/* Handles commands until there is none, or one must wait. */
static void
take_commands(struct session *s)
{
	const struct conf *c = s->lane->conf;
	bool more = true;

	while (more && !s->parked && s->state != STATE_GONE && s->state != STATE_TLS) {
		if (s->bad_commands >= c->limits.bad_commands) {
			session_end(s, CLOSE_BAD_COMMANDS, SAY_TOO_MANY_ERRORS);
			return;
		}
		if (!session_has_room(s) || !may_go_on(s))
			return;
		size_t waits = stream_in(&s->stream).n;

		if (s->state == STATE_DATA || s->state == STATE_CHUNK ||
		    s->state == STATE_SWALLOW) {
			unsigned cost = content_cost(s);

			more = take_content(s);
			s->turn_octets += (waits - stream_in(&s->stream).n) * cost;
			continue;
		}
		if (s->worker->draining && !txn_has_unsaid(&s->txn)) {
			session_end(s, CLOSE_DRAIN, SAY_SHUTTING_DOWN);
			return;
		}
		if (s->state == STATE_NEW && !s->secure && is_client_hello(stream_in(&s->stream))) {
			session_end(s, CLOSE_NOT_SMTP, SAY_TLS_ON_PLAIN);
			return;
		}
		if (s->skipping) {
			skip_line(s);
			s->turn_octets += waits - stream_in(&s->stream).n;
			more = !s->skipping;
			continue;
		}
		more = take_line(s);
		s->turn_commands++;
		s->turn_octets += waits - stream_in(&s->stream).n;
	}
}

/* What a client pipelines behind MAIL is answered when the upstream has said what it says of the
 * recipients: MAIL's own answer leaves with theirs, in one segment (RFC 2920, 3.2). */
static void
take_commands_together(struct session *s)
{
	bool silent = stream_used(&s->stream) == 0;

	take_commands(s);
	if (silent && s->state == STATE_MAIL && txn_has_unsaid(&s->txn))
		stream_hold(&s->stream);
}

static void
start_dialogue(struct session *s)
{
	session_enter(s, STATE_NEW);
	session_greet(s);
}

static void
start_tls(struct session *s)
{
	session_enter(s, STATE_TLS);
	stream_secure_begun(&s->stream, s->lane->tls);
}

/* The address that counts is known: caps, then TLS or the greeting. */
static void
admit(struct session *s)
{
	struct worker *w = s->worker;
	const struct conf *c = s->lane->conf;
	unsigned open =
	    scoreboard_enter_address(w->board, w->number, (const struct sockaddr *)&s->peer);

	s->in_address = true;
	if (open > c->limits.connections_per_address) {
		scoreboard_count(w->board, w->number, COUNTER_REFUSED, 1);
		session_end(s, CLOSE_CAP, SAY_TOO_MANY_CONNECTIONS);
		return;
	}
	if (s->lane->listener->tls == LISTENER_IMPLICIT)
		start_tls(s);
	else
		start_dialogue(s);
}

static bool
is_trusted_proxy(const struct session *s)
{
	const struct conf_listener *l = s->lane->listener;

	for (size_t i = 0; i < l->trusted_proxies_n; i++)
		if (net_has(&l->trusted_proxies[i], (const struct sockaddr *)&s->peer))
			return true;
	return false;
}

static void
take_proxy_header(struct session *s)
{
	struct proxy_header h;
	size_t used;

	switch (proxy_header_parse(stream_in(&s->stream), &h, &used)) {
	case PROXY_MORE:
		return;
	case PROXY_FAULT:
		session_end(s, CLOSE_PROXY_HEADER, SAY_NONE);
		return;
	case PROXY_WHOLE:
		break;
	}
	stream_consume(&s->stream, used);
	if (!h.local)
		s->peer = h.source;
	admit(s);
}

static void
on_secured(struct session *s)
{
	scoreboard_count(s->worker->board, s->worker->number, COUNTER_TLS_OK, 1);
	s->secure = true;
	if (s->lane->listener->tls == LISTENER_IMPLICIT)
		start_dialogue(s);
	else
		session_enter(s, STATE_NEW);
}

static void
on_closed(struct session *s)
{
	if (s->state == STATE_TLS) {
		scoreboard_count(s->worker->board, s->worker->number, COUNTER_TLS_FAILED, 1);
		session_end(s, CLOSE_TLS_FAILED, SAY_NONE);
		return;
	}
	enum close_row row = CLOSE_CLIENT_RESET;

	if (s->stream.error == STREAM_EOF)
		row = CLOSE_CLIENT_GONE;
	else if (s->stream.error == STREAM_NO_MEMORY)
		row = CLOSE_NO_MEMORY;
	session_end(s, row, SAY_NONE);
}

static void
on_timeout(struct session *s)
{
	if (s->state == STATE_TLS || s->state == STATE_PROXY)
		session_end(s, CLOSE_TIMEOUT, SAY_NONE);
	else
		session_end(s, CLOSE_TIMEOUT, SAY_TIMEOUT);
}

static void
on_data(struct session *s)
{
	if (s->state == STATE_PROXY)
		take_proxy_header(s);
	if (s->state != STATE_PROXY && s->state != STATE_GONE && !s->parked)
		take_commands_together(s);
	/* What is left is half a line or waits for the relay: the deadline of the command in hand
	 * stays as it is. */
}

static void
on_event(void *owner, enum stream_event event)
{
	struct session *s = owner;

	if (s->state == STATE_GONE)
		return;
	switch (event) {
	case STREAM_CONNECTED:
		break;
	case STREAM_SECURED:
		on_secured(s);
		break;
	case STREAM_DATA:
		on_data(s);
		break;
	case STREAM_LOWAT:
		envelope_say(s);
		on_data(s);
		break;
	case STREAM_TIMEOUT:
		on_timeout(s);
		break;
	case STREAM_CLOSED:
		on_closed(s);
		break;
	}
}

static void
on_rcpt(void *ctx, uint64_t owner, unsigned index, const struct relay_verdict *v)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	(void)index; /* in order, each once */
	if (s != NULL)
		envelope_on_rcpt(s, v);
}

static void
on_go(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	if (s != NULL)
		envelope_on_go(s, v);
}

static void
on_room(void *ctx, uint64_t owner)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	if (s != NULL)
		content_on_room(s);
}

static void
on_done(void *ctx, uint64_t owner, const struct relay_verdict *v)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	if (s != NULL)
		content_on_done(s, v);
}

/* The command that waited for the limits comes again. */
void
session_on_quota(void *ctx, uint64_t owner, struct quota_ticket *ticket)
{
	struct worker *w = ctx;
	struct session *s = session_find(w->sessions, owner);

	assert(s != NULL && (s->look == ticket || s->txn.ticket == ticket));
	if (s->txn.ticket == ticket && s->txn.state != TXN_RCPT)
		envelope_on_quota(s);
	else if (s->parked)
		session_resume(s);
}

const struct relay_events session_relay_events = {
	.on_rcpt = on_rcpt,
	.on_go = on_go,
	.on_room = on_room,
	.on_done = on_done,
};

static void
run(struct task *t)
{
	struct session *s = (struct session *)(void *)((char *)t - offsetof(struct session, run));

	if (s->state != STATE_GONE && !s->parked)
		take_commands_together(s);
}

void
session_resume(struct session *s)
{
	s->parked = false;
	set_deadline(s);
	loop_defer(s->worker->loop, &s->run);
}

/* Room in all, and a descriptor that is not kept for others: the oldest that has not logged in
 * makes way (P6). */
static bool
make_room(struct worker *w, const struct conf *c, int fd)
{
	if (scoreboard_sum(w->board, GAUGE_SESSIONS) < (int64_t)c->limits.connections &&
	    fd < w->fds_for_clients)
		return true;
	struct session *oldest = sessions_oldest(w->sessions);

	if (oldest == NULL)
		return false;
	scoreboard_count(w->board, w->number, COUNTER_SHED, 1);
	session_end(oldest, CLOSE_SHED,
	    oldest->state == STATE_TLS || oldest->state == STATE_PROXY ? SAY_NONE
	                                                               : SAY_TOO_MANY_CONNECTIONS);
	return true;
}

/* Somebody made way: what they gave up is used, so that the numbers go on telling how many there
 * are. */
static int
take_lower(const struct worker *w, int fd)
{
	int lower = fd < w->fds_for_clients ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (lower > fd)
		close(lower);
	if (lower < 0 || lower > fd)
		return fd;
	close(fd);
	return lower;
}

static struct session *
make(struct lane *lane, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
	struct worker *w = lane->worker;
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->grave.free_fn = free_session;
	s->worker = w;
	s->run.fn = run;
	auth_init(s);
	s->opened = loop_now(w->loop);
	s->login_due = loop_patient(w->loop) + lane->conf->timeouts.login_s;
	s->id = id_make(loop_wall_ms(w->loop));
	memcpy(&s->peer, peer, peer_len < sizeof(s->peer) ? peer_len : sizeof(s->peer));
	arena_init(&s->arena, lane->conf->limits.session_memory);
	if (!sessions_add(w->sessions, s)) {
		free(s);
		return NULL;
	}
	s->lane = lane_ref(lane);
	stream_init(&s->stream, w->loop, SESSION_IN_MAX, SESSION_OUT_MAX, on_event, s);
	stream_adopt(&s->stream, fd);
	scoreboard_gauge(w->board, w->number, GAUGE_SESSIONS, 1);
	scoreboard_count(w->board, w->number, COUNTER_ACCEPTED, 1);
	return s;
}

/* There is no session to say it. */
static void
turn_away(struct worker *w, int fd)
{
	const struct reply_row *row = reply_row(SAY_TOO_MANY_CONNECTIONS);
	char mem[REPLY_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	reply_write(&t, row->code, row->enhanced, slice_str(row->text));
	scoreboard_count(w->board, w->number, counter_of_reply(SAY_TOO_MANY_CONNECTIONS), 1);
	(void)!send(fd, t.mem, t.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

void
session_open(struct lane *lane, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
	struct worker *w = lane->worker;
	struct session *s = NULL;

	if (make_room(w, lane->conf, fd)) {
		fd = take_lower(w, fd);
		s = make(lane, fd, peer, peer_len);
	}
	if (s == NULL) {
		scoreboard_count(w->board, w->number, COUNTER_REFUSED, 1);
		turn_away(w, fd);
		return;
	}
	if (!lane->listener->proxy_protocol) {
		admit(s);
		return;
	}
	session_enter(s, STATE_PROXY);
	if (!is_trusted_proxy(s))
		session_end(s, CLOSE_PROXY_HEADER, SAY_NONE);
}
