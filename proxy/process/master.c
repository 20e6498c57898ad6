/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master - start, signals, stop
 */
#include "proxy/process/master.h"

#include "conf/check/inspect.h"
#include "proxy/process/check.h"
#include "proxy/desk/control.h"
#include "proxy/process/supervisor.h"
#include "proxy/desk/query.h"
#include "proxy/process/listener.h"
#include "proxy/process/notify.h"
#include "proxy/process/parsers.h"
#include "wire/privilege.h"
#include "proxy/process/reload.h"
#include "proxy/desk/status.h"
#include "proxy/limits/counters_shared.h"
#include "relay/relay.h"
#include "wire/log.h"

#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 1024, GRACE_S = 5, SECOND_GRACE_S = 2, KEEP_S = 10 };

struct master {
	const char *path;
	struct conf *conf; /* of the start; the supervisor has the one in force */
	struct listeners *listeners;
	struct loop *loop;
	struct scoreboard *board;
	struct counters_shared *counters;
	struct shape *shape;
	char offers_path[4200]; /* what upstreams offer, kept; "": nowhere */
	uint64_t offers_saved;  /* of shape_offers_changes() */
	ev_timer keep;
	struct control *control;
	struct supervisor *supervisor;
	struct parsers *parsers;
	struct reload *reload;
	struct status *status;
	struct query *query;
	int signals; /* signalfd */
	ev_io on_signals;
	ev_timer impatience;
	bool was_ready;
	bool stopping;
	int exit_status; /* of master_run(), where there was no hope */
	int64_t started;
	char user[65];
};

/* ---- what upstreams offer, over a restart (P9) ---- */

static void
keep_offers(struct master *m)
{
	uint64_t changes = m->shape ? shape_offers_changes(m->shape) : 0;

	if (!*m->offers_path || changes == m->offers_saved)
		return;
	m->offers_saved = changes;
	if (!shape_save_offers(m->shape, m->offers_path))
		log_say(LOG_WARNING, "offers", "%s: %s", m->offers_path, strerror(errno));
}

static void
on_keep(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	keep_offers(t->data);
}

/* Beside the directory, where the daemon's user may write. */
static void
know_offers(struct master *m)
{
	const char *path = m->conf->directory.path;
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (slash)
		(void)snprintf(m->offers_path, sizeof(m->offers_path), "%.*s/offers",
		    (int)(slash - path), path);
	if (*m->offers_path && !shape_load_offers(m->shape, m->offers_path))
		log_say(LOG_WARNING, "offers", "%s: %s", m->offers_path, strerror(errno));
	m->offers_saved = shape_offers_changes(m->shape);
	ev_timer_init(&m->keep, on_keep, KEEP_S, KEEP_S);
	m->keep.data = m;
	ev_timer_start(loop_ev(m->loop), &m->keep);
}

/* ---- stop ---- */

static void
on_impatience(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct master *m = t->data;

	(void)ev;
	(void)revents;
	supervisor_kill(m->supervisor);
}

static void
stop(struct master *m)
{
	bool now = m->stopping;
	double patience = now
	    ? SECOND_GRACE_S
	    : (double)supervisor_conf(m->supervisor)->server.drain_timeout_s + GRACE_S;

	log_say(LOG_NOTICE, "stop", now ? "stopping now" : "stopping: open sessions are drained");
	m->stopping = true;
	if (!now)
		notify_send("STOPPING=1\nSTATUS=draining");
	listeners_close(m->listeners);
	m->listeners = NULL;
	if (!now)
		parsers_stop(m->parsers);
	supervisor_stop(m->supervisor, now);
	ev_timer_stop(loop_ev(m->loop), &m->impatience);
	ev_timer_set(&m->impatience, patience, 1.);
	ev_timer_start(loop_ev(m->loop), &m->impatience);
	if (supervisor_alive(m->supervisor) == 0)
		loop_stop(m->loop);
}

/* ---- what happens ---- */

/* Clients would wait at ports that nobody serves: they are closed, and whoever started us hears. */
static void
on_hopeless(void *ctx)
{
	struct master *m = ctx;

	m->exit_status = EX_UNAVAILABLE;
	log_say(LOG_ERROR, "stop", "no worker could start, so byway ends; the lines above say why");
	m->stopping = true;
	supervisor_kill(m->supervisor);
	if (supervisor_alive(m->supervisor) == 0)
		loop_stop(m->loop);
}

static void
on_crew(void *ctx)
{
	struct master *m = ctx;
	unsigned up = supervisor_up(m->supervisor);
	unsigned all = supervisor_workers(m->supervisor);

	if (m->stopping) {
		if (supervisor_alive(m->supervisor) == 0)
			loop_stop(m->loop);
		return;
	}
	notify_status("%u of %u workers up", up, all);
	if (up == all && !m->was_ready) {
		m->was_ready = true;
		notify_send("READY=1");
		log_say(LOG_NOTICE, "start", "byway %s is up with %u workers", BYWAY_VERSION, all);
	}
}

static void
on_conf(void *ctx)
{
	struct master *m = ctx;

	log_set_level(supervisor_conf(m->supervisor)->log.level);
}

static void
reopen(struct master *m)
{
	if (!log_reopen())
		log_say(LOG_ERROR, "log", "the log cannot be opened anew");
	supervisor_reopen(m->supervisor);
	log_say(LOG_INFO, "log", "logs are opened anew");
}

static void
on_signal(struct ev_loop *ev, ev_io *w, int revents)
{
	struct master *m = w->data;
	struct signalfd_siginfo got;

	(void)ev;
	(void)revents;
	while (read(m->signals, &got, sizeof(got)) == (ssize_t)sizeof(got)) {
		switch ((int)got.ssi_signo) {
		case SIGCHLD:
			supervisor_reap(m->supervisor);
			parsers_reap(m->parsers);
			break;
		case SIGHUP:
			if (!m->stopping)
				reload_ask(m->reload, NULL);
			break;
		case SIGUSR1:
			reopen(m);
			break;
		default:
			stop(m);
			break;
		}
	}
}

static const char *
state_word(const void *ctx)
{
	const struct master *m = ctx;

	if (m->stopping)
		return "draining";
	if (!m->was_ready)
		return "starting";
	return reload_is_busy(m->reload) ? "reloading" : "up";
}

static void answer(struct control_ask *ask, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
answer(struct control_ask *ask, const char *fmt, ...)
{
	char mem[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(mem, sizeof(mem), fmt, args);
	va_end(args);
	control_answer(ask, slice_str(mem));
}

static void
refuse(struct control_ask *ask, struct slice word)
{
	char mem[512];
	struct text out = text_over(mem, sizeof(mem));

	text_put(&out, SLICE("{\"ok\":false,\"error\":\"unknown request: "));
	text_json(&out, word);
	text_put(&out, SLICE("\"}"));
	control_answer(ask, text_slice(&out));
}

/* How a profile's upstream is: `profile ID ACCOUNT/NAME`. */
static void
profile(struct master *m, struct control_ask *ask, struct slice id)
{
	char mem[2048];
	struct text out = text_over(mem, sizeof(mem));
	struct slice name = slice_trim(id);
	uint64_t n;

	if (!slice_to_u64(slice_cut(&name, ' '), &n)) {
		refuse(ask, id);
		return;
	}
	text_put(&out, SLICE("{\"ok\":true,"));
	shape_profile(m->shape, n, name, &out);
	text_char(&out, '}');
	control_answer(ask, text_slice(&out));
}

/* What a worker answers: desk.h. */
static bool
is_for_a_worker(struct slice line)
{
	struct slice word = slice_cut(&line, ' ');

	return slice_eq(word, SLICE("explain")) || slice_eq(word, SLICE("usage")) ||
	    slice_eq(word, SLICE("limits")) || slice_eq(word, SLICE("forgive"));
}

static void
on_told(void *ctx, uint32_t serial, struct slice words)
{
	struct master *m = ctx;

	query_told(m->query, serial, words);
}

static void
on_request(void *ctx, struct control_ask *ask, struct slice word)
{
	struct master *m = ctx;

	if (slice_eq(word, SLICE("status"))) {
		status_ask(m->status, ask);
	} else if (slice_eq(word, SLICE("ping"))) {
		answer(ask, "{\"ok\":true,\"version\":\"%s\",\"pid\":%lld}", BYWAY_VERSION,
		    (long long)getpid());
	} else if (slice_eq(word, SLICE("reload")) && m->stopping) {
		answer(ask, "{\"ok\":false,\"error\":\"stopping\"}");
	} else if (slice_eq(word, SLICE("reload"))) {
		reload_ask(m->reload, ask);
	} else if (slice_eq(word, SLICE("reopen"))) {
		reopen(m);
		answer(ask, "{\"ok\":true}");
	} else if (slice_eq(word, SLICE("drain"))) {
		answer(ask, "{\"ok\":true}");
		if (!m->stopping)
			stop(m);
	} else if (slice_starts(word, SLICE("profile "))) {
		profile(m, ask, slice_skip(word, strlen("profile ")));
	} else if (slice_starts(word, SLICE("offer "))) {
		if (shape_hear_offer(m->shape, slice_skip(word, strlen("offer "))))
			answer(ask, "{\"ok\":true}");
		else
			refuse(ask, word);
	} else if (is_for_a_worker(word)) {
		query_ask(m->query, ask, word);
	} else {
		refuse(ask, word);
	}
}

static void
in_child(void *ctx)
{
	struct master *m = ctx;

	ev_io_stop(loop_ev(m->loop), &m->on_signals);
	close(m->signals);
	control_abandon(m->control);
	reload_abandon(m->reload);
}

/* ---- start ---- */

static int
complain(int status, struct slice words)
{
	while (words.n > 0) {
		struct slice line = slice_cut(&words, '\n');

		if (line.n)
			fprintf(stderr, "bywayd: %.*s\n", SLICE_FMT(line));
	}
	return status;
}

static unsigned
count_workers(const struct conf *conf)
{
	cpu_set_t cores;
	int n = 1;

	if (conf->server.workers > 0)
		return conf->server.workers < WORKERS_MAX ? conf->server.workers : WORKERS_MAX;
	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		n = CPU_COUNT(&cores);
	return n > 0 ? (unsigned)n : 1;
}

static bool
become_user(struct master *m, const struct privilege_target *to, struct text *why)
{
	const struct passwd *p;

	if (!privilege_drop(to, why))
		return false;
	/* cppcheck-suppress getpwuidCalled ; one thread */
	p = getpwuid(geteuid());
	(void)snprintf(m->user, sizeof(m->user), "%s", p ? p->pw_name : "?");
	if (geteuid() == 0)
		log_say(LOG_WARNING, "start", "runs as root, as [server] user says");
	return true;
}

static bool
open_log(const struct conf *conf, struct text *why)
{
	const struct log_options o = {
		.path = conf->log.path,
		.format = conf->log.format,
		.level = conf->log.level,
		.process = "master",
	};
	char mem[512] = "";

	if (log_open(&o, mem, sizeof(mem)))
		return true;
	text_put(why, slice_str(mem));
	return false;
}

/* What the check did to the directory's file, and what will not work. */
static void
tell_findings(struct slice findings)
{
	struct inspect_finding f;

	while (inspect_next(&findings, &f)) {
		if (inspect_is_about(&f, TOPIC_SCHEMA))
			log_say(LOG_NOTICE, "directory", "%.*s", SLICE_FMT(f.words));
		else if (f.grade == INSPECT_WARNING)
			log_say(LOG_WARNING, "start", "%.*s", SLICE_FMT(f.words));
	}
}

/* All that needs the rights we were started with, and their end. */
static int
prepare(struct master *m, struct text *why)
{
	static char said[INSPECT_WORDS_MAX];
	struct text findings = text_over(said, sizeof(said));
	struct privilege_target to;
	int status = inspect_now(m->path, INSPECT_MIGRATE, &findings);

	if (status) {
		check_words(text_slice(&findings), INSPECT_CROSS, why);
		return status;
	}
	if (!(m->conf = conf_load(m->path, false, why)) ||
	    !privilege_find(m->conf->server.user, m->conf->server.group, &to, why))
		return EX_CONFIG;
	notify_init();
	if (!(m->listeners = listeners_open(m->conf, count_workers(m->conf), why)))
		return EX_UNAVAILABLE;
	if (!privilege_make_folder(m->conf->server.control_socket, &to, why) ||
	    !become_user(m, &to, why))
		return EX_NOPERM;
	if (!open_log(m->conf, why))
		return EX_CANTCREAT;
	tell_findings(text_slice(&findings));
	return 0;
}

static bool
watch_signals(struct master *m)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction deliver = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		/* A signal that was ignored when we were started would never reach the
		 * descriptor. */
		sigaction(ours[i], &deliver, NULL);
		sigaddset(&set, ours[i]);
	}
	sigaction(SIGUSR2, &ignore, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signals < 0)
		return false;
	ev_io_init(&m->on_signals, on_signal, m->signals, EV_READ);
	m->on_signals.data = m;
	ev_io_start(loop_ev(m->loop), &m->on_signals);
	return true;
}

static bool
open_crew(struct master *m)
{
	struct supervisor_options o = {
		.loop = m->loop,
		.workers = scoreboard_workers(m->board),
		.conf_path = m->path,
		.conf = m->conf,
		.board = m->board,
		.counters = m->counters,
		.shape = m->shape,
		.listeners = m->listeners,
		.parsers = m->parsers,
		.in_child = in_child,
		.on_change = on_crew,
		.on_hopeless = on_hopeless,
		.on_told = on_told,
		.ctx = m,
	};

	if (getrandom(o.ticket_seed, sizeof(o.ticket_seed), 0) != (ssize_t)sizeof(o.ticket_seed))
		return false;
	m->supervisor = supervisor_open(&o);
	explicit_bzero(o.ticket_seed, sizeof(o.ticket_seed));
	return m->supervisor != NULL;
}

static int
open_all(struct master *m, struct text *why)
{
	const char *socket = m->conf->server.control_socket;

	m->loop = loop_open();
	m->board = scoreboard_open(count_workers(m->conf));
	m->counters = counters_shared_open(m->conf->counters.series);
	m->shape = shape_open(count_workers(m->conf));
	m->parsers = m->loop ? parsers_open(m->loop, count_workers(m->conf)) : NULL;
	if (!m->loop || !m->board || !m->counters || !m->shape || !m->parsers || !open_crew(m))
		return EX_OSERR;
	know_offers(m);
	m->reload = reload_open(m->loop, m->supervisor, m->path, on_conf, m);
	const struct status_options s = {
		.supervisor = m->supervisor,
		.reload = m->reload,
		.board = m->board,
		.conf_path = m->path,
		.user = m->user,
		.started = m->started,
		.state = state_word,
		.ctx = m,
	};

	m->status = status_open(&s);
	m->query = query_open(m->loop, m->supervisor);
	if (!m->reload || !m->status || !m->query || !watch_signals(m))
		return EX_OSERR;
	if (!socket || !*socket)
		return 0;
	m->control = control_open(m->loop, socket, on_request, m, why);
	return m->control ? 0 : EX_CANTCREAT;
}

static void
close_all(struct master *m)
{
	reload_close(m->reload);
	status_close(m->status);
	query_close(m->query);
	supervisor_close(m->supervisor);
	control_close(m->control);
	listeners_close(m->listeners);
	parsers_close(m->parsers);
	if (m->loop) {
		ev_timer_stop(loop_ev(m->loop), &m->impatience);
		ev_timer_stop(loop_ev(m->loop), &m->keep);
		if (m->signals >= 0) {
			ev_io_stop(loop_ev(m->loop), &m->on_signals);
			close(m->signals);
		}
		loop_close(m->loop);
	}
	scoreboard_close(m->board);
	counters_shared_close(m->counters);
	shape_close(m->shape);
	conf_unref(m->conf);
}

int
master_run(const char *conf_path)
{
	static char mem[INSPECT_WORDS_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct master m = { .path = conf_path, .signals = -1, .started = (int64_t)time(NULL) };
	int status;

	log_child("master");
	ev_timer_init(&m.impatience, on_impatience, 0., 0.);
	m.impatience.data = &m;
	status = prepare(&m, &why);
	if (status == 0)
		status = open_all(&m, &why);
	if (status == 0) {
		parsers_start(m.parsers);
		supervisor_start(m.supervisor);
		loop_run(m.loop);
		keep_offers(&m);
		log_say(LOG_NOTICE, "stop", "byway has ended");
		status = m.exit_status;
		if (status)
			text_put(&why, SLICE("no worker could start; the log says why\n"));
	} else if (why.n == 0) {
		text_put(&why, SLICE("out of memory or descriptors"));
	}
	close_all(&m);
	log_close();
	return status ? complain(status, text_slice(&why)) : 0;
}
