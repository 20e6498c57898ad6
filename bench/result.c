/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result - where a run's figures go, and the table
 */
#include "bench/result.h"

#include "bench/clock.h"
#include "bench/report.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

double
result_seconds(const struct load *l)
{
	return l->last_done_ns > l->counts_ns ? clock_seconds(l->last_done_ns - l->counts_ns) : 0;
}

double
result_rate(const struct load *l)
{
	double s = result_seconds(l);

	return s > 0 ? (double)l->tally.done / s : 0;
}

uint64_t
result_own_cpu_ns(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * CLOCK_S +
	    ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void
put_head(const struct load *l, FILE *out)
{
	const struct plan *p = &l->plan;
	const struct tally *t = &l->tally;

	fprintf(out, "%s port %s, tls %s, %llu sessions, pipelining %s%s, %s", p->host, p->port,
	    plan_tls_word(p->tls), (unsigned long long)p->sessions,
	    plan_pipelining_word(p->pipelining), p->chunking ? ", BDAT" : "", p->contents.said);
	if (p->pace.rate > 0)
		fprintf(out, ", open loop at %g/s\n", p->pace.rate);
	else
		fputs(", closed loop\n", out);
	fprintf(out, "%llu messages, %llu failed, %.3f s, %.0f/s, %.1f MiB/s",
	    (unsigned long long)t->done, (unsigned long long)t->failed, result_seconds(l),
	    result_rate(l),
	    result_seconds(l) > 0 ? (double)t->octets / result_seconds(l) / (1024 * 1024) : 0);
	if (p->idle_ns > 0)
		fprintf(out, ", %llu sessions ready", (unsigned long long)l->ready);
	if (t->refused > 0)
		fprintf(out, ", %llu recipients refused", (unsigned long long)t->refused);
	if (t->resumed > 0)
		fprintf(out, ", %llu TLS sessions resumed", (unsigned long long)t->resumed);
	fputs("\n\n", out);
}

static void
put_phases(const struct load *l, FILE *out)
{
	static const double percents[] = { 50, 90, 99, 99.9, 100 };

	fprintf(out, "%-10s %10s %10s %10s %10s %10s %10s %10s  ms\n", "", "times", "mean", "p50",
	    "p90", "p99", "p99.9", "max");
	for (size_t i = 0; i < PHASE_COUNT; i++) {
		const struct hdr *h = &l->tally.phases[i];

		if (h->n == 0)
			continue;
		fprintf(out, "%-10s %10llu %10.3f", phase_word((enum phase)i),
		    (unsigned long long)h->n, hdr_mean(h) / CLOCK_MS);
		for (size_t j = 0; j < sizeof(percents) / sizeof(percents[0]); j++)
			fprintf(out, " %10.3f", (double)hdr_percentile(h, percents[j]) / CLOCK_MS);
		fprintf(out, "  %s\n", phase_said((enum phase)i));
	}
}

static void
put_failures(const struct tally *t, FILE *out)
{
	if (t->failures_n > 0)
		fputs("\nfailures\n", out);
	for (size_t i = 0; i < t->failures_n; i++) {
		const struct failure *f = &t->failures[i];
		char code[16] = "-";

		if (f->code > 0)
			snprintf(code, sizeof(code), "%d", f->code);
		fprintf(out, "%-10s %4s %10llu times  %s\n", phase_word(f->phase), code,
		    (unsigned long long)f->n, f->words);
	}
	if (t->failures_more > 0)
		fprintf(out, "%llu more of other kinds\n", (unsigned long long)t->failures_more);
}

static void
put_process(const struct load *l, const char *name, uint64_t cpu_ns, uint64_t memory_kib, FILE *out)
{
	double s = result_seconds(l);
	double messages = (double)l->tally.done;

	fprintf(out, "%-20s %9.1f us a message  %6.1f %% of a core", name,
	    messages > 0 ? (double)cpu_ns / 1000 / messages : 0,
	    s > 0 ? 100 * clock_seconds(cpu_ns) / s : 0);
	if (memory_kib > 0)
		fprintf(out, "  %.1f MiB at most", (double)memory_kib / 1024);
	fputc('\n', out);
}

void
result_table(const struct load *l, FILE *out)
{
	const struct procs *p = &l->plan.procs;

	put_head(l, out);
	put_phases(l, out);
	put_failures(&l->tally, out);
	fputs("\nCPU\n", out);
	for (size_t i = 0; i < p->n; i++)
		put_process(l, p->at[i].name, p->at[i].cpu_ns, p->at[i].memory_kib_most, out);
	put_process(l, "byway-bench itself", l->own_cpu_ns, 0, out);
}

/* ---- where it goes --------------------------------------------------------------------------- */

static bool
complain(const char *path)
{
	fprintf(stderr, "byway-bench load: %s: %s\n", path, strerror(errno));
	return false;
}

static bool
write_json(const struct load *l, int argc, char **argv)
{
	const char *path = l->plan.json_file;
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f)
		return complain(path);
	result_json(l, argc, argv, f);
	if (!path)
		return fflush(f) == 0 || complain("standard output");
	return fclose(f) == 0 || complain(path);
}

static bool
write_page(const struct load *l, int argc, char **argv)
{
	char *json = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&json, &n);
	bool good = false;

	if (!f)
		return complain(l->plan.html_file);
	result_json(l, argc, argv, f);
	if (fclose(f) == 0) {
		struct slice run = slice_of(json, n);

		good = report_write(l->plan.html_file, &run, 1);
	}
	free(json);
	return good || complain(l->plan.html_file);
}

bool
result_write(struct load *l, int argc, char **argv)
{
	bool good = true;

	l->own_cpu_ns = result_own_cpu_ns() - l->own_cpu_ns;
	if (!l->plan.json || l->plan.json_file)
		result_table(l, stdout);
	if (l->plan.json)
		good = write_json(l, argc, argv);
	if (l->plan.html_file)
		good = write_page(l, argc, argv) && good;
	return good;
}
