/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - a run of `byway-bench load`: its sessions and its end (the clock's side is load_clock.c)
 */
#include "bench/load.h"

#include "bench/bench.h"
#include "bench/clock.h"
#include "bench/load_clock.h"
#include "bench/result.h"
#include "bench/runner.h"
#include "wire/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { DESPAIR_LEAST = 20 };

static bool
is_open_loop(const struct load *l)
{
	return l->plan.pace.rate > 0;
}

static uint64_t
elapsed(const struct load *l)
{
	return clock_ns() - l->began_ns;
}

bool
load_is_over(const struct load *l)
{
	return l->stopping || l->ended || pace_is_over(&l->plan.pace, l->started, elapsed(l));
}

bool
load_take(struct load *l, struct job *job_r)
{
	uint64_t now = elapsed(l);
	uint64_t due = now;

	if (l->stopping || l->ended || pace_is_over(&l->plan.pace, l->started, now))
		return false;
	if (is_open_loop(l)) {
		due = pace_due(&l->plan.pace, l->started);
		if (due > now)
			return false;
		tally_time(&l->tally, PHASE_WAIT, now - due);
	}
	*job_r = (struct job){ .number = l->started++, .due_ns = l->began_ns + due };
	return true;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool
open_one(struct load *l)
{
	struct job job;

	if (l->plan.idle_ns > 0)
		return runner_open(l, NULL);
	if (!load_take(l, &job))
		return false;
	if (runner_open(l, &job))
		return true;
	tally_fault(&l->tally, PHASE_CONNECT, 0, SLICE("no memory for a session"));
	load_failed(l, &job);
	return true;
}

void
load_dispatch(struct load *l)
{
	if (!is_open_loop(l))
		return;
	while (!load_is_over(l) && pace_due(&l->plan.pace, l->started) <= elapsed(l)) {
		if (l->resting)
			runner_work(l->resting);
		else if (l->open >= l->plan.sessions || !open_one(l))
			break;
	}
	/* With all sessions busy, the next that is done looks itself. */
	if (l->resting || l->open < l->plan.sessions)
		load_clock_due(l, pace_due(&l->plan.pace, l->started));
}

void
load_open_more(struct load *l, uint64_t n)
{
	while (n > 0 && l->open < l->plan.sessions && open_one(l))
		n--;
}

void
load_rest(struct load *l, struct runner *r)
{
	r->next = l->resting;
	r->at = &l->resting;
	if (r->next)
		r->next->at = &r->next;
	l->resting = r;
	if (is_open_loop(l))
		load_clock_due(l, pace_due(&l->plan.pace, l->started));
}

void
load_wake(struct load *l, struct runner *r)
{
	(void)l;
	if (!r->at)
		return;
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	r->next = NULL;
	r->at = NULL;
}

static void
finish_if_done(struct load *l)
{
	if (l->open == 0 && l->owed == 0 && (load_is_over(l) || l->ended))
		loop_stop(l->loop);
}

void
load_end(struct load *l)
{
	l->ended = true;
	while (l->resting)
		runner_quit(l->resting);
	l->owed = 0;
	finish_if_done(l);
}

void
load_taken(struct load *l, const struct job *job, uint64_t octets)
{
	l->last_done_ns = clock_ns();
	l->taken++;
	tally_taken(&l->tally, l->last_done_ns - job->due_ns, octets);
	if (l->tally.counts)
		hdr_add(l->progress_times, l->last_done_ns - job->due_ns);
}

void
load_failed(struct load *l, const struct job *job)
{
	(void)job;
	l->last_done_ns = clock_ns();
	tally_failed(&l->tally, 1);
}

/* Nothing ever got through, and that often: nothing will. */
static void
despair(struct load *l)
{
	uint64_t most = l->plan.sessions > DESPAIR_LEAST ? l->plan.sessions : DESPAIR_LEAST;

	if (l->taken > 0 || l->setups_failed < most || l->stopping)
		return;
	fprintf(stderr, "byway-bench load: %llu sessions failed and none worked: stopped\n",
	    (unsigned long long)l->setups_failed);
	l->stopping = true;
}

void
load_gone(struct load *l, bool broken, bool early)
{
	l->open--;
	if (early)
		l->setups_failed++;
	despair(l);
	if (load_is_over(l) || l->ended) {
		load_end(l);
		return;
	}
	if (l->plan.idle_ns > 0)
		return;
	if (broken && early)
		l->owed++;
	else if (is_open_loop(l))
		load_clock_due(l, pace_due(&l->plan.pace, l->started));
	else
		load_open_more(l, 1);
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool
write_rcpts(struct load *l)
{
	struct slice rest = slice_str(l->plan.rcpt);
	struct slice before = slice_cut(&rest, '%');
	bool numbered = slice_has(slice_str(l->plan.rcpt), '%');
	size_t each = strlen(l->plan.rcpt) + 40;
	size_t n = l->plan.recipients;
	struct text t;

	l->rcpts = malloc(n * each);
	l->rcpt_ends = calloc(n, sizeof(*l->rcpt_ends));
	if (!l->rcpts || !l->rcpt_ends)
		return false;
	t = text_over(l->rcpts, n * each);
	for (size_t i = 0; i < n; i++) {
		text_fmt(&t, "RCPT TO:<%.*s", SLICE_FMT(before));
		if (numbered)
			text_u64(&t, i + 1);
		text_fmt(&t, "%.*s>\r\n", SLICE_FMT(rest));
		l->rcpt_ends[i] = t.n;
	}
	return !t.overflow;
}

/* Messages that were due when the run ended and had no session: how long they waited so far is the
 * least that their latency would have been. */
static void
count_unsent(struct load *l)
{
	uint64_t end = l->plan.pace.duration_ns;
	uint64_t due;

	if (!is_open_loop(l) || end == 0 || l->stopping)
		return;
	due = pace_due_by(&l->plan.pace, end);
	for (uint64_t i = l->started; i < due; i++) {
		uint64_t waited = end - pace_due(&l->plan.pace, i);

		tally_time(&l->tally, PHASE_WAIT, waited);
		tally_time(&l->tally, PHASE_MESSAGE, waited);
		tally_fault(&l->tally, PHASE_WAIT, 0,
		    SLICE("all sessions were busy until the end"));
	}
	if (due > l->started)
		tally_failed(&l->tally, due - l->started);
}

static bool
prepare(struct load *l)
{
	l->loop = loop_open();
	l->progress_times = calloc(1, sizeof(*l->progress_times));
	return l->loop && l->progress_times && tally_init(&l->tally) && write_rcpts(l);
}

static void
run(struct load *l)
{
	procs_begin(&l->plan.procs);
	l->own_cpu_ns = result_own_cpu_ns();
	l->began_ns = clock_ns();
	l->last_done_ns = l->began_ns;
	load_clock_start(l);
	if (is_open_loop(l))
		load_dispatch(l);
	else if (l->plan.pace.ramp_ns == 0)
		load_open_more(l, l->plan.sessions);
	loop_run(l->loop);
	/* What sessions cost that only stay, they cost over all the time. */
	if (l->plan.idle_ns > 0)
		l->last_done_ns = clock_ns();
	count_unsent(l);
	load_clock_stop(l);
}

static int
status(const struct load *l)
{
	return l->tally.failed > 0 || l->tally.failures_n > 0 ? EX_TEMPFAIL : EX_OK;
}

int
load_main(int argc, char **argv)
{
	static struct load l;
	int bad = plan_read(&l.plan, argc, argv);

	if (bad != EX_OK)
		return bad;
	if (prepare(&l)) {
		run(&l);
		bad = result_write(&l, argc, argv) ? status(&l) : EX_CANTCREAT;
	} else {
		fputs("byway-bench load: out of memory\n", stderr);
		bad = EX_OSERR;
	}
	free(l.rcpts);
	free(l.rcpt_ends);
	free(l.progress_times);
	tally_fini(&l.tally);
	if (l.loop)
		loop_close(l.loop);
	buf_pool_trim();
	plan_fini(&l.plan);
	return bad;
}
