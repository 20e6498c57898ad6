/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tally.h"

#include <stdlib.h>

bool
tally_init(struct tally *t)
{
	*t = (struct tally){ 0 };
	t->phases = calloc(PHASE_COUNT, sizeof(*t->phases));
	t->recent = calloc(1, sizeof(*t->recent));
	return t->phases && t->recent;
}

void
tally_fini(struct tally *t)
{
	free(t->phases);
	free(t->recent);
	free(t->samples);
	*t = (struct tally){ 0 };
}

void
tally_open(struct tally *t)
{
	t->counts = true;
}

void
tally_time(struct tally *t, enum phase p, uint64_t ns)
{
	if (t->counts)
		hdr_add(&t->phases[p], ns);
}

static struct failure *
failure_of(struct tally *t, enum phase p, int code, struct slice words)
{
	for (size_t i = 0; i < t->failures_n; i++) {
		struct failure *f = &t->failures[i];

		/* Without a reply the words are ours and few: they tell kinds apart. */
		if (f->phase == p && f->code == code &&
		    (code > 0 ||
		        slice_eq(slice_str(f->words), slice_head(words, TALLY_WORDS_MAX - 1))))
			return f;
	}
	if (t->failures_n == TALLY_FAILURES_MAX)
		return NULL;
	struct failure *f = &t->failures[t->failures_n++];

	*f = (struct failure){ .phase = p, .code = code };
	words = slice_head(words, TALLY_WORDS_MAX - 1);
	memcpy(f->words, words.p, words.n);
	return f;
}

void
tally_fault(struct tally *t, enum phase p, int code, struct slice words)
{
	struct failure *f = failure_of(t, p, code, words);

	if (f)
		f->n++;
	else
		t->failures_more++;
}

void
tally_taken(struct tally *t, uint64_t ns, uint64_t octets)
{
	if (!t->counts)
		return;
	t->done++;
	t->octets += octets;
	hdr_add(&t->phases[PHASE_MESSAGE], ns);
	hdr_add(t->recent, ns);
}

void
tally_failed(struct tally *t, uint64_t n)
{
	t->failed += n;
}

void
tally_sample(struct tally *t, uint64_t now, uint64_t sessions, uint64_t waiting,
    const struct procs *procs)
{
	if (t->samples_n == t->samples_cap) {
		size_t cap = t->samples_cap ? 2 * t->samples_cap : 256;
		struct sample *more = realloc(t->samples, cap * sizeof(*more));

		if (!more)
			return;
		t->samples = more;
		t->samples_cap = cap;
	}
	struct sample *s = &t->samples[t->samples_n++];

	*s = (struct sample){
		.end_ns = now,
		.ns = now - t->at_before,
		.done = t->done - t->done_before,
		.failed = t->failed - t->failed_before,
		.sessions = sessions,
		.waiting = waiting,
		.p50 = hdr_percentile(t->recent, 50),
		.p90 = hdr_percentile(t->recent, 90),
		.p99 = hdr_percentile(t->recent, 99),
		.most = t->recent->most,
	};
	for (size_t i = 0; i < procs->n; i++) {
		s->cpu_ns[i] = procs->at[i].cpu_ns - t->cpu_before[i];
		s->memory_kib[i] = procs->at[i].memory_kib;
		t->cpu_before[i] = procs->at[i].cpu_ns;
	}
	t->done_before = t->done;
	t->failed_before = t->failed;
	t->at_before = now;
	hdr_reset(t->recent);
}
