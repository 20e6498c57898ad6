/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor - fork, reap, replace
 *
 *      DEAD --start--> STARTING --CHANNEL_UP--> UP --supervisor_stop--> DRAINING
 *        ^                 |                     |                   |
 *        '-----------------+------ reaped -------+-------------------'
 */
#include "proxy/process/supervisor.h"

#include "proxy/process/parsers.h"
#include "proxy/process/worker.h"
#include "wire/log.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Two that take turns must not add up: a crash now and then, while the disk is full. */
enum cause {
	CAUSE_DIED,     /* it had served: what killed it may have gone with it */
	CAUSE_NO_START, /* what keeps it from starting stays a while */
	CAUSES,
};

static const double young_s = 10.0;
static const double first_delay_s = 0.1;
static const double longest_delay_s[CAUSES] = { 2.0, 10.0 };
static const double complain_s = 60.0;

struct reply_words {
	enum supervisor_answer is;
	bool awaited;
	size_t n;
	char *words; /* malloc */
};

/* The second try is made from the loop. */
enum { UNBORN_MAX = 2 };

struct seat {
	struct supervisor *supervisor;
	unsigned number;
	enum supervisor_state state;
	pid_t pid;
	struct channel channel;
	ev_timer respawn;
	double delay[CAUSES]; /* before the next replacement */
	enum cause cause;     /* of the last death */
	struct seat *cover;   /* who serves its sockets; NULL: itself, or nobody */
	ev_tstamp born;
	int64_t started;
	unsigned generation;
	unsigned deaths;
	unsigned unborn; /* there was no process to be had */
	struct reply_words reply[SUPERVISOR_QUESTIONS];
};

struct question {
	uint32_t serial; /* 0: nobody asks */
	ev_timer timer;
	struct task over;
	struct supervisor *supervisor;
	supervisor_answers_fn *fn;
	void *ctx;
};

struct supervisor {
	struct supervisor_options o;
	bool stopping;
	bool served; /* a worker has been up */
	uint32_t serial;
	unsigned turn; /* of whom supervisor_tell() asks next */
	ev_tstamp complained;
	struct question question[SUPERVISOR_QUESTIONS];
	struct seat seat[];
};

static const enum channel_verb verbs[SUPERVISOR_QUESTIONS] = {
	[SUPERVISOR_RELOAD] = CHANNEL_RELOAD,
	[SUPERVISOR_STATUS] = CHANNEL_STATUS,
};

/* ---- questions ---- */

static void
end_if_answered(struct supervisor *c, enum supervisor_question q)
{
	if (c->question[q].serial == 0)
		return;
	for (unsigned w = 0; w < c->o.workers; w++) {
		if (c->seat[w].reply[q].awaited)
			return;
	}
	ev_timer_stop(loop_ev(c->o.loop), &c->question[q].timer);
	loop_defer(c->o.loop, &c->question[q].over);
}

static void
on_over(struct task *t)
{
	struct question *q =
	    (struct question *)(void *)((char *)t - offsetof(struct question, over));

	if (q->serial == 0)
		return;
	q->serial = 0;
	q->fn(q->ctx);
}

static void
give_up(struct seat *s, enum supervisor_question q)
{
	if (!s->reply[q].awaited)
		return;
	s->reply[q].awaited = false;
	end_if_answered(s->supervisor, q);
}

static void
on_too_slow(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct question *q = t->data;
	struct supervisor *c = q->supervisor;

	(void)ev;
	(void)revents;
	for (unsigned w = 0; w < c->o.workers; w++)
		give_up(&c->seat[w], (enum supervisor_question)(q - c->question));
}

static void
answered(struct seat *s, enum supervisor_answer is, uint32_t serial, struct slice words)
{
	for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++) {
		struct reply_words *r = &s->reply[q];

		if (!r->awaited || s->supervisor->question[q].serial != serial)
			continue;
		r->words = malloc(words.n + 1);
		if (r->words) {
			memcpy(r->words, words.p, words.n);
			r->n = words.n;
			r->is = is;
		}
		give_up(s, q);
		return;
	}
	if (is == SUPERVISOR_DONE)
		s->supervisor->o.on_told(s->supervisor->o.ctx, serial, words);
}

static uint32_t
next_serial(struct supervisor *c)
{
	if (++c->serial == 0)
		c->serial = 1;
	return c->serial;
}

uint32_t
supervisor_tell(struct supervisor *c, struct slice words)
{
	uint32_t serial = next_serial(c);

	for (unsigned i = 0; i < c->o.workers; i++) {
		struct seat *s = &c->seat[c->turn++ % c->o.workers];

		if (s->pid > 0 && s->state == SUPERVISOR_UP &&
		    channel_say(&s->channel, CHANNEL_ASK, serial, words))
			return serial;
	}
	return 0;
}

static void
forget_reply(struct reply_words *r)
{
	free(r->words);
	*r = (struct reply_words){ 0 };
}

void
supervisor_ask(struct supervisor *c, enum supervisor_question q, double seconds,
    supervisor_answers_fn *fn, void *ctx)
{
	struct question *asked = &c->question[q];

	assert(asked->serial == 0);
	asked->serial = next_serial(c);
	asked->fn = fn;
	asked->ctx = ctx;
	for (unsigned w = 0; w < c->o.workers; w++) {
		struct seat *s = &c->seat[w];

		forget_reply(&s->reply[q]);
		/* One that is just starting does so with the older configuration: it hears of a
		 * newer one as soon as it listens. */
		s->reply[q].awaited = s->pid > 0 &&
		    (s->state != SUPERVISOR_STARTING || q == SUPERVISOR_RELOAD) &&
		    channel_say(&s->channel, verbs[q], c->serial, SLICE(""));
	}
	ev_timer_set(&asked->timer, seconds, 0.);
	ev_timer_start(loop_ev(c->o.loop), &asked->timer);
	end_if_answered(c, q);
}

bool
supervisor_is_asking(const struct supervisor *c, enum supervisor_question q)
{
	return c->question[q].serial != 0;
}

enum supervisor_answer
supervisor_answer(const struct supervisor *c, enum supervisor_question q, unsigned w,
    struct slice *words_r)
{
	const struct reply_words *r = &c->seat[w].reply[q];

	*words_r = slice_of(r->words ? r->words : "", r->n);
	return r->is;
}

/* ---- sockets of those that are dead ---- */

static struct seat *
next_up(struct supervisor *c)
{
	for (unsigned i = 0; i < c->o.workers; i++) {
		struct seat *s = &c->seat[c->turn++ % c->o.workers];

		if (s->state == SUPERVISOR_UP)
			return s;
	}
	return NULL;
}

/* Clients whose connections the kernel gives to a worker that is not there wait for nobody. */
static void
cover_all(struct supervisor *c)
{
	for (unsigned w = 0; w < c->o.workers && !c->stopping; w++) {
		struct seat *s = &c->seat[w];
		struct seat *by;

		if (s->cover || s->state == SUPERVISOR_UP || !(by = next_up(c)))
			continue;
		if (channel_say(&by->channel, CHANNEL_COVER, w, SLICE("")))
			s->cover = by;
	}
}

static void
uncover(struct seat *s)
{
	if (s->cover && !channel_say(&s->cover->channel, CHANNEL_UNCOVER, s->number, SLICE("")))
		log_say(LOG_WARNING, "worker", "worker %u does not listen", s->cover->number);
	s->cover = NULL;
}

/* ---- starting ---- */

static void
on_channel(void *owner, enum channel_verb verb, uint32_t serial, struct slice words)
{
	struct seat *s = owner;

	switch (verb) {
	case CHANNEL_UP:
		if (s->state == SUPERVISOR_STARTING)
			s->state = SUPERVISOR_UP;
		s->supervisor->served = true;
		uncover(s);
		cover_all(s->supervisor);
		s->supervisor->o.on_change(s->supervisor->o.ctx);
		break;
	case CHANNEL_DONE:
		answered(s, SUPERVISOR_DONE, serial, words);
		break;
	case CHANNEL_FAILED:
		answered(s, SUPERVISOR_FAILED, serial, words);
		break;
	case CHANNEL_GONE:
		/* SIGCHLD tells the rest. */
		for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++)
			give_up(s, q);
		break;
	case CHANNEL_RELOAD:
	case CHANNEL_STATUS:
	case CHANNEL_ASK:
	case CHANNEL_COVER:
	case CHANNEL_UNCOVER:
	case CHANNEL_REOPEN:
	case CHANNEL_DRAIN:
	case CHANNEL_KILL:
	default:
		break;
	}
}

/* The master decides what a signal means, also where a terminal sends it to all of us. */
static void
ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction act = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
be_worker(struct seat *s, int fd)
{
	struct supervisor *c = s->supervisor;
	struct worker_options o = {
		.number = s->number,
		.conf = c->o.conf,
		.conf_path = c->o.conf_path,
		.board = c->o.board,
		.counters = c->o.counters,
		.shape = c->o.shape,
		.sockets = listeners_all(c->o.listeners),
		.sockets_n = listeners_count(c->o.listeners),
		.control_fd = fd,
		.parsers_fd = parsers_take(c->o.parsers, s->number),
	};

	ignore_signals();
	memcpy(o.ticket_seed, c->o.ticket_seed, sizeof(o.ticket_seed));
	for (unsigned w = 0; w < c->o.workers; w++)
		channel_close(&c->seat[w].channel);
	c->o.in_child(c->o.ctx);
	loop_close(c->o.loop);
	exit(worker_run(&o));
}

static void
start_later(struct seat *s)
{
	double *delay = &s->delay[s->cause];

	ev_timer_stop(loop_ev(s->supervisor->o.loop), &s->respawn);
	ev_timer_set(&s->respawn, *delay, 0.);
	ev_timer_start(loop_ev(s->supervisor->o.loop), &s->respawn);
	*delay = *delay > 0 ? *delay * 2 : first_delay_s;
	if (*delay > longest_delay_s[s->cause])
		*delay = longest_delay_s[s->cause];
}

/* What keeps the very first ones from starting does not pass by itself. True: the end was told. */
static bool
is_hopeless(struct supervisor *c)
{
	for (unsigned w = 0; w < c->o.workers; w++) {
		if (c->seat[w].deaths == 0 && c->seat[w].unborn < UNBORN_MAX)
			return false;
	}
	if (c->served)
		return false;
	c->stopping = true;
	c->o.on_hopeless(c->o.ctx);
	return true;
}

static void
start(struct seat *s)
{
	struct supervisor *c = s->supervisor;
	int fds[2] = { -1, -1 };

	log_flush();
	if (channel_pair(fds))
		s->pid = fork();
	else
		s->pid = -1;
	if (s->pid == 0) {
		close(fds[0]);
		be_worker(s, fds[1]);
	}
	if (s->pid < 0) {
		log_say(LOG_ERROR, "worker", "worker %u cannot be started: %s", s->number,
		    strerror(errno));
		s->pid = 0;
		s->cause = CAUSE_NO_START;
		if (fds[0] >= 0) {
			close(fds[0]);
			close(fds[1]);
		}
		s->unborn++;
		if (!is_hopeless(c))
			start_later(s);
		return;
	}
	close(fds[1]);
	s->state = SUPERVISOR_STARTING;
	s->generation++;
	s->born = loop_now(c->o.loop);
	s->started = (int64_t)time(NULL);
	channel_open(&s->channel, c->o.loop, fds[0], on_channel, s);
}

static void
on_respawn(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct seat *s = t->data;

	(void)ev;
	(void)revents;
	if (!s->supervisor->stopping && s->pid == 0)
		start(s);
}

/* ---- dying ---- */

static void
say_death(const struct seat *s, int status, double lived)
{
	bool ended_well = s->supervisor->stopping && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	struct log_line l;

	if (!log_begin(&l, ended_well ? LOG_INFO : LOG_ERROR, "worker", SLICE(""),
	        ended_well ? SLICE("stopping") : SLICE("died")))
		return;
	log_u64(&l, "worker", s->number);
	log_u64(&l, "pid", (uint64_t)s->pid);
	if (WIFSIGNALED(status))
		log_str(&l, "signal", slice_str(sigabbrev_np(WTERMSIG(status))));
	else
		log_u64(&l, "status", (uint64_t)WEXITSTATUS(status));
	log_ms(&l, "lived", (uint64_t)(lived * 1000));
	if (!s->supervisor->stopping)
		log_ms(&l, "restart_in", (uint64_t)(s->delay[s->cause] * 1000));
	log_end(&l);
}

static void
complain_if_none(struct supervisor *c)
{
	ev_tstamp now = loop_now(c->o.loop);

	if (supervisor_alive(c) > 0 || (c->complained > 0 && now - c->complained < complain_s))
		return;
	c->complained = now;
	log_say(LOG_ERROR, "worker",
	    "no worker runs: mail is not served; starting them is tried again and again");
}

static void
bury(struct seat *s, int status)
{
	struct supervisor *c = s->supervisor;
	double lived = loop_now(c->o.loop) - s->born;

	s->cause = s->state == SUPERVISOR_STARTING ? CAUSE_NO_START : CAUSE_DIED;
	if (lived >= young_s)
		memset(s->delay, 0, sizeof(s->delay));
	say_death(s, status, lived);
	channel_close(&s->channel);
	for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++)
		give_up(s, q);
	s->pid = 0;
	s->state = SUPERVISOR_DEAD;
	scoreboard_clear_gauges(c->o.board, s->number);
	shape_clear(c->o.shape, s->number);
	for (unsigned w = 0; w < c->o.workers; w++)
		if (c->seat[w].cover == s)
			c->seat[w].cover = NULL;
	cover_all(c);
	if (!c->stopping) {
		s->deaths++;
		scoreboard_count(c->o.board, s->number, COUNTER_WORKER_DEATHS, 1);
		if (is_hopeless(c))
			return;
		if (s->delay[s->cause] > 0)
			complain_if_none(c);
		start_later(s);
	}
	c->o.on_change(c->o.ctx);
}

void
supervisor_reap(struct supervisor *c)
{
	for (unsigned w = 0; w < c->o.workers; w++) {
		struct seat *s = &c->seat[w];
		int status;

		if (s->pid > 0 && waitpid(s->pid, &status, WNOHANG) == s->pid)
			bury(s, status);
	}
}

/* ---- life ---- */

struct supervisor *
supervisor_open(const struct supervisor_options *o)
{
	struct supervisor *c = calloc(1, sizeof(*c) + o->workers * sizeof(c->seat[0]));

	if (!c)
		return NULL;
	c->o = *o;
	(void)conf_ref(c->o.conf);
	for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++) {
		c->question[q].supervisor = c;
		c->question[q].over.fn = on_over;
		ev_timer_init(&c->question[q].timer, on_too_slow, 0., 0.);
		c->question[q].timer.data = &c->question[q];
	}
	for (unsigned w = 0; w < o->workers; w++) {
		struct seat *s = &c->seat[w];

		s->supervisor = c;
		s->number = w;
		s->channel.fd = -1;
		ev_timer_init(&s->respawn, on_respawn, 0., 0.);
		s->respawn.data = s;
	}
	return c;
}

void
supervisor_close(struct supervisor *c)
{
	if (!c)
		return;
	for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++) {
		ev_timer_stop(loop_ev(c->o.loop), &c->question[q].timer);
		loop_cancel(c->o.loop, &c->question[q].over);
	}
	for (unsigned w = 0; w < c->o.workers; w++) {
		assert(c->seat[w].pid == 0);
		channel_close(&c->seat[w].channel);
		ev_timer_stop(loop_ev(c->o.loop), &c->seat[w].respawn);
		for (enum supervisor_question q = 0; q < SUPERVISOR_QUESTIONS; q++)
			forget_reply(&c->seat[w].reply[q]);
	}
	conf_unref(c->o.conf);
	explicit_bzero(c->o.ticket_seed, sizeof(c->o.ticket_seed));
	free(c);
}

void
supervisor_start(struct supervisor *c)
{
	for (unsigned w = 0; w < c->o.workers; w++)
		start(&c->seat[w]);
}

static void
tell(struct supervisor *c, enum channel_verb verb)
{
	for (unsigned w = 0; w < c->o.workers; w++) {
		struct seat *s = &c->seat[w];

		if (s->pid > 0 && !channel_say(&s->channel, verb, 0, SLICE("")))
			log_say(LOG_WARNING, "worker", "worker %u does not listen", w);
	}
}

void
supervisor_stop(struct supervisor *c, bool now)
{
	c->stopping = true;
	for (unsigned w = 0; w < c->o.workers; w++) {
		ev_timer_stop(loop_ev(c->o.loop), &c->seat[w].respawn);
		if (c->seat[w].pid > 0)
			c->seat[w].state = SUPERVISOR_DRAINING;
	}
	tell(c, now ? CHANNEL_KILL : CHANNEL_DRAIN);
}

void
supervisor_kill(struct supervisor *c)
{
	for (unsigned w = 0; w < c->o.workers; w++) {
		if (c->seat[w].pid > 0) {
			log_say(LOG_WARNING, "stop", "worker %u does not end and is killed", w);
			kill(c->seat[w].pid, SIGKILL);
		}
	}
}

void
supervisor_reopen(struct supervisor *c)
{
	tell(c, CHANNEL_REOPEN);
}

struct conf *
supervisor_conf(const struct supervisor *c)
{
	return c->o.conf;
}

void
supervisor_set_conf(struct supervisor *c, struct conf *conf)
{
	struct conf *was = c->o.conf;

	c->o.conf = conf_ref(conf);
	conf_unref(was);
}

unsigned
supervisor_alive(const struct supervisor *c)
{
	unsigned n = 0;

	for (unsigned w = 0; w < c->o.workers; w++)
		n += c->seat[w].pid > 0;
	return n;
}

unsigned
supervisor_up(const struct supervisor *c)
{
	unsigned n = 0;

	for (unsigned w = 0; w < c->o.workers; w++)
		n += c->seat[w].state == SUPERVISOR_UP;
	return n;
}

unsigned
supervisor_workers(const struct supervisor *c)
{
	return c->o.workers;
}

struct supervisor_view
supervisor_view(const struct supervisor *c, unsigned w)
{
	const struct seat *s = &c->seat[w];

	return (struct supervisor_view){
		.state = s->state,
		.pid = s->pid,
		.generation = s->generation,
		.deaths = s->deaths,
		.started = s->started,
	};
}
