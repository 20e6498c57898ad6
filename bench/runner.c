/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/runner.h"

#include "bench/clock.h"
#include "bench/runner_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void
free_runner(struct grave *g)
{
	free(g);
}

/* ---- what is said ---------------------------------------------------------------------------- */

/* Writes what the stream has room for; the rest when there is room again. */
void
runner_pump(struct runner *r)
{
	while (r->pieces_n > 0) {
		struct piece *p = &r->pieces[r->pieces_first];
		struct slice now = slice_head(p->what, stream_room(&r->s));

		if (!stream_write(&r->s, now)) {
			runner_break(r, r->doing, 0, SLICE("no memory for output"));
			return;
		}
		p->what = slice_skip(p->what, now.n);
		if (p->what.n > 0) {
			stream_want_lowat(&r->s, BUF_LARGE / 2);
			return;
		}
		if (p->stamp)
			p->stamp->asked_ns = clock_ns();
		r->pieces_first = (r->pieces_first + 1) % RUNNER_PIECES;
		r->pieces_n--;
	}
}

static void
put_piece(struct runner *r, struct slice what, struct await *stamp)
{
	assert(r->pieces_n < RUNNER_PIECES);
	r->pieces[(r->pieces_first + r->pieces_n++) % RUNNER_PIECES] =
	    (struct piece){ .what = what, .stamp = stamp };
}

struct await *
runner_expect(struct runner *r, enum phase phase, uint64_t count)
{
	struct await *a;

	assert(r->awaits_n < RUNNER_AWAITS);
	a = &r->awaits[(r->awaits_first + r->awaits_n++) % RUNNER_AWAITS];
	*a = (struct await){
		.phase = phase,
		.letter = (uint8_t)r->letter_last,
		.count = count,
		.asked_ns = clock_ns(),
	};
	stream_deadline(&r->s, clock_seconds(r->load->plan.timeout_ns));
	return a;
}

void
runner_say(struct runner *r, enum phase phase, uint64_t count, struct slice what)
{
	put_piece(r, what, runner_expect(r, phase, count));
}

static struct slice
rcpt_lines(const struct load *l, uint64_t from, uint64_t to)
{
	size_t a = from == 0 ? 0 : l->rcpt_ends[from - 1];

	return slice_of(l->rcpts + a, l->rcpt_ends[to - 1] - a);
}

static void
say_chunk(struct runner *r, struct letter *letter)
{
	const struct content *c = letter->content;
	struct text t = text_over(letter->bdat, sizeof(letter->bdat));

	text_fmt(&t, "BDAT %llu LAST\r\n", (unsigned long long)c->octets);
	letter->content_sent = true;
	put_piece(r, text_slice(&t), NULL);
	put_piece(r, c->plain[0], NULL);
	runner_say(r, PHASE_DOT, 1, c->plain[1]);
}

/* An envelope that nobody wants ends as soon as it can. */
static void
say_content(struct runner *r, struct letter *letter)
{
	const struct content *c = letter->content;

	letter->content_sent = true;
	if (letter->rcpts_good == 0) {
		runner_say(r, PHASE_DOT, 1, SLICE(".\r\n"));
		return;
	}
	put_piece(r, c->dotted[0], NULL);
	runner_say(r, PHASE_DOT, 1, c->dotted[1]);
}

/* After MAIL and RCPT, when they were answered or need not be. */
static void
say_rest(struct runner *r, struct letter *letter)
{
	if (r->load->plan.chunking)
		say_chunk(r, letter);
	else
		runner_say(r, PHASE_DATA, 1, SLICE("DATA\r\n"));
}

static void
begin(struct runner *r, const struct job *job)
{
	struct load *l = r->load;
	unsigned at = (r->letter_last + 1) % RUNNER_LETTERS;
	struct letter *letter = &r->letters[at];

	*letter = (struct letter){ .job = *job,
		.content = contents_pick(&l->plan.contents, job->number) };
	r->letter_last = at;
	r->letters_n++;
	r->sent++;
	r->state = RUNNER_BUSY;
	if (r->reset_due)
		runner_say(r, PHASE_RSET, 1, SLICE("RSET\r\n"));
	r->reset_due = false;
	runner_say(r, PHASE_MAIL, 1, slice_str(r->mail));
	if (!r->pipelining)
		return;
	letter->rcpts_said = l->plan.recipients;
	runner_say(r, PHASE_RCPT, l->plan.recipients, rcpt_lines(l, 0, l->plan.recipients));
	say_rest(r, letter);
}

/* ---- what comes next ------------------------------------------------------------------------- */

static bool
may_begin(const struct runner *r)
{
	const struct plan *p = &r->load->plan;

	if (r->state == RUNNER_QUITTING || (p->per_session > 0 && r->sent >= p->per_session))
		return false;
	if (r->letters_n == 0)
		return true;
	return r->pipelining && p->pipelining == PLAN_ACROSS && r->letters_n < RUNNER_LETTERS &&
	    r->letters[r->letter_last].content_sent;
}

static void
fill(struct runner *r)
{
	struct job job;

	while (may_begin(r)) {
		if (r->has_job) {
			r->has_job = false;
			begin(r, &r->job);
			continue;
		}
		if (!load_take(r->load, &job))
			break;
		begin(r, &job);
	}
	if (r->letters_n == 0) {
		const struct plan *p = &r->load->plan;

		if (load_is_over(r->load) || (p->per_session > 0 && r->sent >= p->per_session)) {
			runner_quit(r);
			return;
		}
		r->state = RUNNER_RESTING;
		stream_deadline(&r->s, 0);
		load_rest(r->load, r);
	}
	runner_pump(r);
}

void
runner_is_ready(struct runner *r)
{
	struct load *l = r->load;

	if (l->plan.idle_ns == 0) {
		fill(r);
		return;
	}
	l->ready++;
	r->state = RUNNER_RESTING;
	stream_deadline(&r->s, 0);
	load_rest(l, r);
}

void
runner_work(struct runner *r)
{
	load_wake(r->load, r);
	fill(r);
}

void
runner_quit(struct runner *r)
{
	load_wake(r->load, r);
	r->state = RUNNER_QUITTING;
	runner_say(r, PHASE_QUIT, 1, SLICE("QUIT\r\n"));
	runner_pump(r);
}

static void
end_letter(struct runner *r, struct letter *letter, bool taken)
{
	struct job job = letter->job;

	r->letters_n--;
	if (taken)
		load_taken(r->load, &job, letter->content->octets);
	else
		load_failed(r->load, &job);
	if (r->state != RUNNER_QUITTING)
		fill(r);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
go(struct runner *r, bool broken, bool early)
{
	struct load *l = r->load;

	load_wake(l, r);
	stream_close(&r->s);
	loop_bury(l->loop, &r->grave);
	load_gone(l, broken, early);
}

void
runner_break(struct runner *r, enum phase phase, int code, struct slice words)
{
	struct load *l = r->load;
	bool early = r->state == RUNNER_SETTING_UP;

	tally_fault(&l->tally, phase, code, words);
	if (r->has_job)
		load_failed(l, &r->job);
	for (unsigned i = 0; i < r->letters_n; i++) {
		unsigned at = (r->letter_last + RUNNER_LETTERS - i) % RUNNER_LETTERS;

		load_failed(l, &r->letters[at].job);
	}
	go(r, true, early);
}

/* ---- replies --------------------------------------------------------------------------------- */

static void
refuse(struct runner *r, struct letter *letter, enum phase phase, const struct reply *reply)
{
	/* What follows from the first refusal is no news. */
	if (!letter->refused)
		tally_fault(&r->load->tally, phase, reply->code, reply->text);
	letter->refused = true;
}

/* In lockstep: the next command of the envelope. */
static void
step(struct runner *r, struct letter *letter)
{
	struct load *l = r->load;

	if (letter->rcpts_said < l->plan.recipients) {
		uint64_t i = letter->rcpts_said++;

		runner_say(r, PHASE_RCPT, 1, rcpt_lines(l, i, i + 1));
	} else if (letter->rcpts_good == 0) {
		r->reset_due = true;
		end_letter(r, letter, false);
	} else {
		say_rest(r, letter);
	}
}

static void
after_mail(struct runner *r, struct letter *letter, const struct reply *reply)
{
	if (reply->code >= 300)
		refuse(r, letter, PHASE_MAIL, reply);
	if (r->pipelining)
		return;
	if (letter->refused) {
		r->reset_due = true;
		end_letter(r, letter, false);
	} else {
		step(r, letter);
	}
}

static void
after_rcpt(struct runner *r, struct letter *letter, const struct reply *reply)
{
	if (reply->code < 300) {
		letter->rcpts_good++;
	} else if (!letter->refused) {
		tally_fault(&r->load->tally, PHASE_RCPT, reply->code, reply->text);
		r->load->tally.refused++;
	}
	if (!r->pipelining)
		step(r, letter);
}

static void
after_data(struct runner *r, struct letter *letter, const struct reply *reply)
{
	if (reply->code == 354) {
		say_content(r, letter);
		fill(r);
		return;
	}
	if (letter->rcpts_good > 0)
		refuse(r, letter, PHASE_DATA, reply);
	r->reset_due = true;
	end_letter(r, letter, false);
}

static void
after_content(struct runner *r, struct letter *letter, const struct reply *reply)
{
	bool taken = reply->code < 300 && letter->rcpts_good > 0;

	if (!taken && letter->rcpts_good > 0)
		refuse(r, letter, PHASE_DOT, reply);
	/* A refused chunk leaves the envelope as it was. */
	r->reset_due = r->reset_due || (!taken && r->load->plan.chunking);
	end_letter(r, letter, taken);
}

static void
answer(struct runner *r, struct letter *letter, enum phase phase, const struct reply *reply)
{
	if (phase == PHASE_MAIL)
		after_mail(r, letter, reply);
	else if (phase == PHASE_RCPT)
		after_rcpt(r, letter, reply);
	else if (phase == PHASE_DATA)
		after_data(r, letter, reply);
	else if (phase == PHASE_DOT)
		after_content(r, letter, reply);
	else if (phase == PHASE_QUIT)
		go(r, false, false);
	else if (phase != PHASE_RSET)
		runner_set_up(r, phase, reply);
}

/* False: the session is over. */
static bool
take_reply(struct runner *r, const struct reply *reply)
{
	struct load *l = r->load;
	struct await *a = &r->awaits[r->awaits_first];
	struct await was = *a;

	if (r->awaits_n == 0 || (reply->code == 421 && was.phase != PHASE_QUIT)) {
		if (r->state == RUNNER_RESTING && reply->code == 421)
			go(r, false, false);
		else
			runner_break(r, r->awaits_n > 0 ? was.phase : r->doing, reply->code,
			    reply->text);
		return false;
	}
	if (was.phase != PHASE_AUTH)
		tally_time(&l->tally, was.phase, clock_ns() - was.asked_ns);
	if (--a->count == 0) {
		r->awaits_first = (r->awaits_first + 1) % RUNNER_AWAITS;
		r->awaits_n--;
	}
	stream_deadline(&r->s, clock_seconds(l->plan.timeout_ns));
	answer(r, &r->letters[was.letter], was.phase, reply);
	return stream_is_open(&r->s);
}

static void
hear(struct runner *r)
{
	for (;;) {
		struct reply reply;
		size_t used;
		enum reply_got got = reply_parse(&r->scan, stream_in(&r->s), &reply, &used);
		bool go_on;

		if (got == REPLY_FAULT) {
			runner_break(r,
			    r->awaits_n > 0 ? r->awaits[r->awaits_first].phase : r->doing, 0,
			    SLICE("what came is no SMTP reply"));
			return;
		}
		if (got == REPLY_MORE)
			break;
		/* The reply is gone from the buffer only after it was looked at; TLS begins on an
		 * empty one. */
		r->reply_n = used;
		go_on = take_reply(r, &reply);
		if (!go_on)
			return;
		stream_consume(&r->s, r->reply_n);
		r->reply_n = 0;
	}
	runner_pump(r);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
on_closed(struct runner *r)
{
	enum phase phase = r->awaits_n > 0 ? r->awaits[r->awaits_first].phase : r->doing;

	/* The server may hang up on who rests, or right after QUIT. */
	if ((r->state == RUNNER_RESTING && r->load->plan.idle_ns == 0) ||
	    r->state == RUNNER_QUITTING)
		go(r, false, false);
	else
		runner_break(r, phase, 0, slice_str(stream_why(&r->s)));
}

static void
on_event(void *owner, enum stream_event event)
{
	struct runner *r = owner;

	switch (event) {
	case STREAM_CONNECTED:
		runner_connected(r);
		break;
	case STREAM_SECURED:
		runner_secured(r);
		break;
	case STREAM_DATA:
		hear(r);
		break;
	case STREAM_LOWAT:
		runner_pump(r);
		break;
	case STREAM_TIMEOUT:
		runner_break(r, r->awaits_n > 0 ? r->awaits[r->awaits_first].phase : r->doing, 0,
		    SLICE("no answer in time"));
		break;
	case STREAM_CLOSED:
		on_closed(r);
		break;
	}
}

bool
runner_open(struct load *l, const struct job *job)
{
	struct runner *r = calloc(1, sizeof(*r));

	if (!r)
		return false;
	r->grave.free_fn = free_runner;
	r->load = l;
	r->doing = PHASE_CONNECT;
	r->since_ns = clock_ns();
	r->has_job = job != NULL;
	if (job)
		r->job = *job;
	if (l->plan.logins.n > 0)
		r->login = &l->plan.logins.at[l->sessions_begun % l->plan.logins.n];
	runner_write_mail(r);
	stream_init(&r->s, l->loop, BUF_SMALL * 4, BUF_LARGE, on_event, r);
	l->open++;
	l->sessions_begun++;
	if (!stream_connect(&r->s, (const struct sockaddr *)&l->plan.to, l->plan.to_len, NULL, 0)) {
		runner_break(r, PHASE_CONNECT, 0, slice_str(stream_why(&r->s)));
		return true;
	}
	stream_deadline(&r->s, clock_seconds(l->plan.timeout_ns));
	return true;
}
