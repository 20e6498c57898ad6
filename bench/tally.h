/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

/*
 * tally - what a load has seen: times by phase, failures by phase and code, and samples over time
 *
 * What happens before tally_open() (a warm-up) is not counted, but for failures: those always are.
 *
 * Owns:   its memory, from tally_init() to tally_fini().
 */
#include "bench/hdr.h"
#include "bench/phase.h"
#include "bench/procs.h"

enum { TALLY_FAILURES_MAX = 48, TALLY_WORDS_MAX = 160 };

/* One kind of failure: where, the reply's code (0: none came), the words of the first. */
struct failure {
	enum phase phase;
	int code;
	uint64_t n;
	char words[TALLY_WORDS_MAX];
};

/* What was seen in one interval. */
struct sample {
	uint64_t end_ns; /* since the run began */
	uint64_t ns;     /* how long the interval was */
	uint64_t done;
	uint64_t failed;
	uint64_t sessions;            /* open at its end */
	uint64_t waiting;             /* messages that are due and have no session, at its end */
	uint64_t p50, p90, p99, most; /* of the phase MESSAGE, ns */
	uint64_t cpu_ns[PROCS_MAX];
	uint64_t memory_kib[PROCS_MAX];
};

struct tally {
	struct hdr *phases; /* PHASE_COUNT of them */
	struct hdr *recent; /* the phase MESSAGE in the interval that is not over */
	uint64_t done;      /* messages that were taken, without the warm-up */
	uint64_t failed;    /* messages that were not */
	uint64_t octets;    /* of the content of those that were */
	uint64_t refused;   /* recipients of messages that were taken for others */
	uint64_t resumed;   /* TLS sessions that were taken up again */
	bool counts;        /* the warm-up is over */
	struct failure failures[TALLY_FAILURES_MAX];
	size_t failures_n;
	uint64_t failures_more; /* of kinds that had no room */
	struct sample *samples;
	size_t samples_n;
	size_t samples_cap;
	uint64_t done_before, failed_before, at_before; /* at the end of the last interval */
	uint64_t cpu_before[PROCS_MAX];
};

bool tally_init(struct tally *t) MUST_CHECK;
void tally_fini(struct tally *t);
/* Counts from now on. */
void tally_open(struct tally *t);
void tally_time(struct tally *t, enum phase p, uint64_t ns);
/* Something was refused or broke. CODE 0: no reply; WORDS are then ours. */
void tally_fault(struct tally *t, enum phase p, int code, struct slice words);
/* A message is over: taken, after so long and with so many octets, or not. */
void tally_taken(struct tally *t, uint64_t ns, uint64_t octets);
void tally_failed(struct tally *t, uint64_t n);
/* Ends an interval at NOW, nanoseconds since the run began; SESSIONS and WAITING as of now. */
void tally_sample(struct tally *t, uint64_t now, uint64_t sessions, uint64_t waiting,
    const struct procs *procs);

#endif
