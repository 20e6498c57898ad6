/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_clock.h"

#include "bench/clock.h"
#include "bench/result.h"

#include <signal.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const double retry_s = 0.1;
static const double ramp_step_s = 0.01;
static const double progress_s = 1;
static const double end_step_s = 0.005;

static uint64_t
elapsed(const struct load *l)
{
	return clock_ns() - l->began_ns;
}

/* ---- messages of an open loop ---------------------------------------------------------------- */

void
load_clock_due(struct load *l, uint64_t due)
{
	uint64_t at = l->began_ns + due;
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at / CLOCK_S), .tv_nsec = (long)(at % CLOCK_S) },
	};

	/* What it is armed for is never later than what is due next. */
	if (!l->pace_armed)
		l->pace_armed = timerfd_settime(l->pace_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}

static void
on_due(struct ev_loop *ev, ev_io *w, int revents)
{
	struct load *l = w->data;
	uint64_t times;

	(void)ev;
	(void)revents;
	if (read(w->fd, &times, sizeof(times)) != (ssize_t)sizeof(times))
		return;
	l->pace_armed = false;
	load_dispatch(l);
}

/* ---- sessions of a closed loop --------------------------------------------------------------- */

static void
on_ramp(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;
	uint64_t n = l->plan.sessions;
	uint64_t now = elapsed(l);

	(void)revents;
	while (l->sessions_begun < n && pace_session(&l->plan.pace, l->sessions_begun, n) <= now) {
		uint64_t before = l->sessions_begun;

		load_open_more(l, 1);
		if (l->sessions_begun == before)
			break;
	}
	if (now >= l->plan.pace.ramp_ns)
		ev_timer_stop(ev, w);
}

/* Sessions that failed at once are not tried again at once. */
static void
on_retry(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;
	uint64_t n = l->owed;

	(void)ev;
	(void)revents;
	l->owed = 0;
	if (l->plan.pace.rate > 0)
		load_dispatch(l);
	else
		load_open_more(l, n);
}

/* ---- what is seen ---------------------------------------------------------------------------- */

static uint64_t
waiting(const struct load *l, uint64_t now)
{
	const struct pace *p = &l->plan.pace;
	uint64_t due = p->rate > 0 ? pace_due_by(p, now) : 0;

	return due > l->started ? due - l->started : 0;
}

static void
take_sample(struct load *l)
{
	uint64_t now = clock_ns();
	bool memory = now - l->looked_ns >= CLOCK_S;

	if (memory)
		l->looked_ns = now;
	procs_look(&l->plan.procs, memory);
	tally_sample(&l->tally, now - l->began_ns, l->open, waiting(l, now - l->began_ns),
	    &l->plan.procs);
}

static void
on_sample(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	take_sample(w->data);
}

/* Seconds that are left: by the clock, or by how fast it went so far; negative: nobody knows. */
static double
left_s(const struct load *l, uint64_t now)
{
	const struct pace *p = &l->plan.pace;
	uint64_t over = l->taken + l->tally.failed;
	double by_clock = p->duration_ns > now ? clock_seconds(p->duration_ns - now) : 0;

	if (p->messages == 0)
		return by_clock;
	if (over == 0)
		return -1;
	double by_count = (double)(p->messages > over ? p->messages - over : 0) *
	    clock_seconds(now) / (double)over;

	return p->duration_ns > 0 && by_clock < by_count ? by_clock : by_count;
}

static void
on_progress(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;
	uint64_t now = elapsed(l);
	uint64_t over = l->taken + l->tally.failed;
	double left = left_s(l, now);
	bool terminal = isatty(STDERR_FILENO) == 1;

	(void)ev;
	(void)revents;
	fprintf(stderr, "%s%6.1f s %8.0f/s %10llu taken %6llu failed  p99 %8.2f ms",
	    terminal ? "\r\033[K" : "", clock_seconds(now),
	    (double)(over - l->progress_done) / progress_s, (unsigned long long)l->taken,
	    (unsigned long long)l->tally.failed,
	    (double)hdr_percentile(l->progress_times, 99) / CLOCK_MS);
	if (l->plan.pace.rate > 0)
		fprintf(stderr, "  %llu wait", (unsigned long long)waiting(l, now));
	if (left >= 0)
		fprintf(stderr, "  %.0f s left", left);
	if (!terminal)
		fputc('\n', stderr);
	fflush(stderr);
	l->progress_done = over;
	hdr_reset(l->progress_times);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
on_warm(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;

	(void)ev;
	(void)revents;
	tally_open(&l->tally);
	l->counts_ns = clock_ns();
	l->tally.at_before = l->counts_ns - l->began_ns;
	procs_begin(&l->plan.procs);
	l->own_cpu_ns = result_own_cpu_ns();
}

static void
on_end(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;

	(void)revents;
	/* An open loop goes on for a moment with what was due before. */
	if (l->plan.idle_ns == 0 && !load_is_over(l))
		return;
	ev_timer_stop(ev, w);
	load_end(l);
}

/* Once: what is under way may end. Twice: now. */
static void
on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct load *l = w->data;

	(void)ev;
	(void)revents;
	if (l->stopping)
		loop_stop(l->loop);
	l->stopping = true;
	load_end(l);
}

static void
start_timer(struct load *l, ev_timer *w, void (*fn)(struct ev_loop *, ev_timer *, int),
    double after, double every)
{
	ev_timer_init(w, fn, after, every);
	w->data = l;
	ev_timer_start(loop_ev(l->loop), w);
}

static void
start_signal(struct load *l, ev_signal *w, int number)
{
	ev_signal_init(w, on_signal, number);
	w->data = l;
	ev_signal_start(loop_ev(l->loop), w);
}

void
load_clock_start(struct load *l)
{
	const struct plan *p = &l->plan;
	uint64_t end = p->idle_ns > 0 ? p->idle_ns : p->pace.duration_ns;

	ev_now_update(loop_ev(l->loop));
	l->pace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ev_io_init(&l->due, on_due, l->pace_fd, EV_READ);
	l->due.data = l;
	if (p->pace.rate > 0)
		ev_io_start(loop_ev(l->loop), &l->due);
	else if (p->pace.ramp_ns > 0)
		start_timer(l, &l->ramp, on_ramp, 0, ramp_step_s);
	if (end > 0)
		start_timer(l, &l->end, on_end, clock_seconds(end), end_step_s);
	if (p->warmup_ns > 0)
		start_timer(l, &l->warm, on_warm, clock_seconds(p->warmup_ns), 0);
	l->counts_ns = l->began_ns;
	if (p->warmup_ns == 0)
		tally_open(&l->tally);
	start_timer(l, &l->retry, on_retry, retry_s, retry_s);
	start_timer(l, &l->sampler, on_sample, clock_seconds(p->interval_ns),
	    clock_seconds(p->interval_ns));
	if (!p->quiet && (p->progress || isatty(STDERR_FILENO) == 1))
		start_timer(l, &l->progress, on_progress, progress_s, progress_s);
	start_signal(l, &l->interrupt, SIGINT);
	start_signal(l, &l->terminate, SIGTERM);
}

void
load_clock_stop(struct load *l)
{
	l->looked_ns = 0;
	take_sample(l);
	if (ev_is_active(&l->progress) && isatty(STDERR_FILENO) == 1)
		fputs("\r\033[K", stderr);
	close(l->pace_fd);
}
