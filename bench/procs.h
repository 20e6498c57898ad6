/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROCS_H
#define BENCH_PROCS_H

/*
 * procs - CPU time and memory of processes that the operator named, with all their descendants
 *
 * CPU time is what /proc/PID/stat counts (user and system, in ticks of 10 ms, so a run should last
 * seconds). Memory is proportional (shared pages count once) where we may read it, else resident.
 * Time of a descendant that ends during the run is lost, but for what its parent has waited for.
 */
#include "wire/slice.h"

#include <sys/types.h>

enum { PROCS_MAX = 16, PROCS_NAME_MAX = 32 };

struct proc {
	char name[PROCS_NAME_MAX];
	pid_t pid;
	uint64_t cpu_ns_at_start;
	uint64_t cpu_ns; /* since then */
	uint64_t memory_kib;
	uint64_t memory_kib_most;
	unsigned processes; /* at the last look */
};

struct procs {
	size_t n;
	struct proc at[PROCS_MAX];
};

/* "NAME=PID". False: no such form, no such process, or too many. */
bool procs_add(struct procs *p, const char *what) MUST_CHECK;
/* From here on counts. */
void procs_begin(struct procs *p);
/* CPU time so far; MEMORY: memory too (slower: the kernel walks page tables). */
void procs_look(struct procs *p, bool memory);

#endif
