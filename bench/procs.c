/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/procs.h"
#include "bench/clock.h"
#include "wire/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A daemon with more descendants than that is measured in part. */
enum { FAMILY_MAX = 512 };

struct family {
	size_t n;
	pid_t pid[FAMILY_MAX];
};

/* Up to CAP - 1 octets of a small file of /proc, NUL-terminated; 0 octets where it is not there. */
static size_t
slurp(const char *path, char *mem, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(mem, 1, cap - 1, f) : 0;

	if (f)
		fclose(f);
	mem[n] = '\0';
	return n;
}

static void
add_children(struct family *f, pid_t pid)
{
	char path[64], mem[4096];
	char *at = mem;
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	slurp(path, mem, sizeof(mem));
	for (;;) {
		long child = strtol(at, &end, 10);

		if (end == at || f->n == FAMILY_MAX)
			return;
		f->pid[f->n++] = (pid_t)child;
		at = end;
	}
}

static void
find_family(struct family *f, pid_t pid)
{
	f->n = 1;
	f->pid[0] = pid;
	for (size_t i = 0; i < f->n; i++)
		add_children(f, f->pid[i]);
}

/* Fields 14 to 17 of /proc/PID/stat: user and system, its own and that of children waited for. */
static uint64_t
cpu_ns_of(pid_t pid)
{
	enum { COMM = 2, UTIME = 14, CSTIME = 17 }; /* proc_pid_stat(5) counts fields from 1 */
	char path[64], mem[1024];
	uint64_t ticks = 0;
	uint64_t v;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	slurp(path, mem, sizeof(mem));
	const char *end = strrchr(mem, ')');

	if (!end)
		return 0;
	struct slice rest = slice_str(end + 1);

	(void)slice_cut(&rest, ' ');
	for (int field = COMM + 1; field <= CSTIME; field++) {
		struct slice word = slice_cut(&rest, ' ');

		if (field < UTIME)
			continue;
		if (!slice_to_u64(word, &v))
			return 0;
		ticks += v;
	}

	return ticks * (CLOCK_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t
kib_behind(const char *mem, const char *word)
{
	const char *at = strstr(mem, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static uint64_t
memory_kib_of(pid_t pid)
{
	char path[64], mem[4096];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if (slurp(path, mem, sizeof(mem)) > 0)
		return kib_behind(mem, "\nPss:");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	slurp(path, mem, sizeof(mem));
	return kib_behind(mem, "\nVmRSS:");
}

bool
procs_add(struct procs *p, const char *what)
{
	struct slice rest = slice_str(what);
	struct slice name = slice_cut(&rest, '=');
	uint64_t pid;

	if (p->n == PROCS_MAX || name.n == 0 || name.n >= PROCS_NAME_MAX || !slice_is_ascii(name) ||
	    !slice_to_u64(rest, &pid) || pid == 0 || pid > INT32_MAX)
		return false;
	struct proc *proc = &p->at[p->n];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (access(path, F_OK) != 0)
		return false;
	*proc = (struct proc){ .pid = (pid_t)pid };
	memcpy(proc->name, name.p, name.n);
	p->n++;
	return true;
}

static uint64_t
cpu_of_family(const struct family *f)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < f->n; i++)
		ns += cpu_ns_of(f->pid[i]);
	return ns;
}

void
procs_begin(struct procs *p)
{
	struct family f;

	for (size_t i = 0; i < p->n; i++) {
		find_family(&f, p->at[i].pid);
		p->at[i].cpu_ns_at_start = cpu_of_family(&f);
		p->at[i].cpu_ns = 0;
	}
}

void
procs_look(struct procs *p, bool memory)
{
	struct family f;

	for (size_t i = 0; i < p->n; i++) {
		struct proc *proc = &p->at[i];

		find_family(&f, proc->pid);
		uint64_t now = cpu_of_family(&f);

		/* Less than before: a descendant has gone. What was counted stays counted. */
		if (now > proc->cpu_ns_at_start + proc->cpu_ns)
			proc->cpu_ns = now - proc->cpu_ns_at_start;
		if (!memory)
			continue;
		proc->processes = (unsigned)f.n;
		proc->memory_kib = 0;
		for (size_t j = 0; j < f.n; j++)
			proc->memory_kib += memory_kib_of(f.pid[j]);
		if (proc->memory_kib > proc->memory_kib_most)
			proc->memory_kib_most = proc->memory_kib;
	}
}
