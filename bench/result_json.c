/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result_json - a run as one JSON object; docs/BENCHMARKING.md names its members
 */
#include "bench/clock.h"
#include "bench/result.h"

#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { STRING_MAX = 2048 };

static void
put_string(FILE *out, struct slice s)
{
	char mem[STRING_MAX];
	struct text t = text_over(mem, sizeof(mem));

	/* At worst an octet becomes six. */
	text_json(&t, slice_head(s, (STRING_MAX - 1) / 6));
	fprintf(out, "\"%s\"", mem);
}

static void
put_member(FILE *out, const char *key, const char *value)
{
	fprintf(out, "\"%s\":", key);
	put_string(out, slice_str(value));
}

static void
put_number(FILE *out, const char *key, double value)
{
	fprintf(out, ",\"%s\":%.10g", key, value);
}

static void
put_command(int argc, char **argv, FILE *out)
{
	fputs(",\"command\":[", out);
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			fputc(',', out);
		put_string(out, slice_str(argv[i]));
	}
	fputc(']', out);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void
read_cpu(char *name, size_t cap)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[512];

	snprintf(name, cap, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		struct slice rest = slice_of(line, strcspn(line, "\n"));

		if (slice_starts(rest, SLICE("model name"))) {
			(void)slice_cut(&rest, ':');
			rest = slice_trim(rest);
			snprintf(name, cap, "%.*s", SLICE_FMT(rest));
			break;
		}
	}
	if (f)
		fclose(f);
}

static void
put_machine(FILE *out)
{
	char cpu[256];
	struct utsname u;

	read_cpu(cpu, sizeof(cpu));
	fputs(",\"machine\":{", out);
	put_member(out, "cpu", cpu);
	put_number(out, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
	if (uname(&u) == 0) {
		fputc(',', out);
		put_member(out, "kernel", u.release);
	}
	fputc('}', out);
}

/* ---- what was asked for ---------------------------------------------------------------------- */

static void
put_load(const struct plan *p, FILE *out)
{
	fputs(",\"load\":{", out);
	put_member(out, "host", p->host);
	fputc(',', out);
	put_member(out, "port", p->port);
	fputc(',', out);
	put_member(out, "tls", plan_tls_word(p->tls));
	fputc(',', out);
	put_member(out, "pipelining", plan_pipelining_word(p->pipelining));
	fputc(',', out);
	put_member(out, "content", p->contents.said);
	fprintf(out, ",\"chunking\":%s,\"resume\":%s", p->chunking ? "true" : "false",
	    p->resume ? "true" : "false");
	put_number(out, "sessions", (double)p->sessions);
	put_number(out, "messages_per_session", (double)p->per_session);
	put_number(out, "recipients", (double)p->recipients);
	put_number(out, "logins", (double)p->logins.n);
	put_number(out, "rate", p->pace.rate);
	put_number(out, "ramp_s", clock_seconds(p->pace.ramp_ns));
	put_number(out, "duration_s", clock_seconds(p->pace.duration_ns));
	put_number(out, "warm_up_s", clock_seconds(p->warmup_ns));
	fputc('}', out);
}

/* ---- what was seen --------------------------------------------------------------------------- */

static void
put_phase(const struct hdr *h, FILE *out)
{
	static const struct {
		const char *key;
		double percent;
	} marks[] = {
		{ "p50_us", 50 },
		{ "p75_us", 75 },
		{ "p90_us", 90 },
		{ "p99_us", 99 },
		{ "p999_us", 99.9 },
		{ "p9999_us", 99.99 },
	};
	bool first = true;

	fprintf(out, "{\"n\":%llu", (unsigned long long)h->n);
	put_number(out, "mean_us", hdr_mean(h) / 1000);
	put_number(out, "min_us", (double)h->least / 1000);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		put_number(out, marks[i].key, (double)hdr_percentile(h, marks[i].percent) / 1000);
	put_number(out, "max_us", (double)h->most / 1000);
	fputs(",\"histogram\":[", out);
	for (size_t i = 0; i < HDR_SLOTS; i++) {
		if (h->slot[i] == 0)
			continue;
		fprintf(out, "%s[%.6g,%llu]", first ? "" : ",", (double)hdr_slot_high(i) / 1000,
		    (unsigned long long)h->slot[i]);
		first = false;
	}
	fputs("]}", out);
}

static void
put_phases(const struct tally *t, FILE *out)
{
	bool first = true;

	fputs(",\"phases\":{", out);
	for (size_t i = 0; i < PHASE_COUNT; i++) {
		if (t->phases[i].n == 0)
			continue;
		fprintf(out, "%s\"%s\":", first ? "" : ",", phase_word((enum phase)i));
		put_phase(&t->phases[i], out);
		first = false;
	}
	fputc('}', out);
}

static void
put_failures(const struct tally *t, FILE *out)
{
	fputs(",\"failures\":[", out);
	for (size_t i = 0; i < t->failures_n; i++) {
		const struct failure *f = &t->failures[i];

		fprintf(out, "%s{\"phase\":\"%s\",\"code\":%d,\"n\":%llu,", i > 0 ? "," : "",
		    phase_word(f->phase), f->code, (unsigned long long)f->n);
		put_member(out, "words", f->words);
		fputc('}', out);
	}
	fputc(']', out);
}

static void
put_sample(const struct load *l, const struct sample *s, FILE *out)
{
	const struct procs *p = &l->plan.procs;
	double seconds = clock_seconds(s->ns);

	fprintf(out, "{\"t\":%.4g", clock_seconds(s->end_ns));
	put_number(out, "s", seconds);
	put_number(out, "done", (double)s->done);
	put_number(out, "failed", (double)s->failed);
	put_number(out, "sessions", (double)s->sessions);
	put_number(out, "waiting", (double)s->waiting);
	put_number(out, "p50_us", (double)s->p50 / 1000);
	put_number(out, "p90_us", (double)s->p90 / 1000);
	put_number(out, "p99_us", (double)s->p99 / 1000);
	put_number(out, "max_us", (double)s->most / 1000);
	fputs(",\"cpu\":[", out);
	for (size_t i = 0; i < p->n; i++)
		fprintf(out, "%s%.4g", i > 0 ? "," : "",
		    seconds > 0 ? clock_seconds(s->cpu_ns[i]) / seconds : 0);
	fputs("],\"memory_kib\":[", out);
	for (size_t i = 0; i < p->n; i++)
		fprintf(out, "%s%llu", i > 0 ? "," : "", (unsigned long long)s->memory_kib[i]);
	fputs("]}", out);
}

static void
put_samples(const struct load *l, FILE *out)
{
	fputs(",\"samples\":[", out);
	for (size_t i = 0; i < l->tally.samples_n; i++) {
		if (i > 0)
			fputc(',', out);
		put_sample(l, &l->tally.samples[i], out);
	}
	fputc(']', out);
}

static void
put_process(const struct load *l, const char *name, double pid, uint64_t cpu_ns, FILE *out)
{
	double s = result_seconds(l);

	fputc('{', out);
	put_member(out, "name", name);
	put_number(out, "pid", pid);
	put_number(out, "cpu_s", clock_seconds(cpu_ns));
	put_number(out, "cpu_us_per_message",
	    l->tally.done > 0 ? (double)cpu_ns / 1000 / (double)l->tally.done : 0);
	put_number(out, "cores", s > 0 ? clock_seconds(cpu_ns) / s : 0);
}

static void
put_processes(const struct load *l, FILE *out)
{
	const struct procs *p = &l->plan.procs;

	fputs(",\"processes\":[", out);
	for (size_t i = 0; i < p->n; i++) {
		if (i > 0)
			fputc(',', out);
		put_process(l, p->at[i].name, (double)p->at[i].pid, p->at[i].cpu_ns, out);
		put_number(out, "processes", (double)p->at[i].processes);
		put_number(out, "memory_kib", (double)p->at[i].memory_kib);
		put_number(out, "memory_kib_most", (double)p->at[i].memory_kib_most);
		fputc('}', out);
	}
	fputs("],\"own\":", out);
	put_process(l, "byway-bench", (double)getpid(), l->own_cpu_ns, out);
	fputc('}', out);
}

void
result_json(const struct load *l, int argc, char **argv, FILE *out)
{
	const struct tally *t = &l->tally;
	const struct hdr *dot = &t->phases[PHASE_DOT];
	time_t began = time(NULL) - (time_t)clock_seconds(clock_ns() - l->began_ns);
	struct tm tm;
	char when[32] = "";

	if (gmtime_r(&began, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fputs("{\"byway_bench\":1,", out);
	put_member(out, "version", BYWAY_VERSION);
	fputc(',', out);
	put_member(out, "label", l->plan.label ? l->plan.label : "");
	fputc(',', out);
	put_member(out, "began", when);
	put_number(out, "messages", (double)t->done);
	put_number(out, "failed", (double)t->failed);
	put_number(out, "refused_recipients", (double)t->refused);
	put_number(out, "resumed", (double)t->resumed);
	put_number(out, "ready", (double)l->ready);
	put_number(out, "octets", (double)t->octets);
	put_number(out, "seconds", result_seconds(l));
	put_number(out, "rate", result_rate(l));
	put_number(out, "p50_ms", (double)hdr_percentile(dot, 50) / CLOCK_MS);
	put_number(out, "p99_ms", (double)hdr_percentile(dot, 99) / CLOCK_MS);
	put_command(argc, argv, out);
	put_machine(out);
	put_load(&l->plan, out);
	put_phases(t, out);
	put_failures(t, out);
	put_samples(l, out);
	put_processes(l, out);
	fputs("}\n", out);
}
