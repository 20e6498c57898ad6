/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/confine.h"

#include "wire/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- filters --------------------------------------------------------------------------------- */

/* What nobody here ever calls. Numbers that this architecture lacks are skipped by libseccomp. */
static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal), SCMP_SYS(kcmp), SCMP_SYS(mount), SCMP_SYS(umount2),
	SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount), SCMP_SYS(open_tree),
	SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(quotactl),
	SCMP_SYS(syslog), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid),
	SCMP_SYS(setregid), SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups),
	SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(capset), SCMP_SYS(iopl), SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt), SCMP_SYS(open_by_handle_at), SCMP_SYS(fanotify_init),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(vhangup),
	SCMP_SYS(mknod), SCMP_SYS(mknodat) };

/* What a process does that computes, allocates and ends. */
static const int common[] = { SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(sched_yield),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(restart_syscall) };

static const int nursery[] = { SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(read), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup),
	SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fork),
	SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(kill),
	SCMP_SYS(prlimit64), SCMP_SYS(setrlimit), SCMP_SYS(setpriority), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(prctl), SCMP_SYS(seccomp), SCMP_SYS(clock_nanosleep) };

static bool
add_all(scmp_filter_ctx f, uint32_t act, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int e = seccomp_rule_add(f, act, calls[i], 0);

		/* EDOM, EFAULT: there is no such call here. */
		if (e != 0 && e != -EDOM && e != -EFAULT && e != -EOPNOTSUPP)
			return false;
	}
	return true;
}

/* Memory that may be executed is made by nobody. */
static bool
add_memory(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
	    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
	        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
}

/* glibc asks for clone3 first and takes clone where there is none: its flags can be looked at. */
static bool
no_clone3(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

static bool
load(scmp_filter_ctx f, bool good)
{
	int e = good ? seccomp_load(f) : -EINVAL;

	seccomp_release(f);
	if (e != 0)
		errno = -e;
	return e == 0;
}

static scmp_filter_ctx
open_filter(uint32_t otherwise)
{
	scmp_filter_ctx f;

	/* Without it an unprivileged process may have no filter. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !(f = seccomp_init(otherwise)))
		return NULL;
	return f;
}

bool
confine_worker(void)
{
	scmp_filter_ctx f = open_filter(SCMP_ACT_ALLOW);
	bool good;

	if (!f)
		return false;
	good = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
	    add_all(f, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
#ifndef WIRE_HAS_ASAN
	/* The leak checker is a process that traces us. */
	static const int others[] = { SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo),
		SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(process_madvise) };
	static const int tracing[] = { SCMP_SYS(ptrace), SCMP_SYS(personality) };

	good = good && no_clone3(f) && add_all(f, SCMP_ACT_ERRNO(EPERM), others, COUNT(others)) &&
	    add_all(f, SCMP_ACT_KILL_PROCESS, tracing, COUNT(tracing)) &&
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
	        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0;
#endif
	return load(f, good);
}

bool
confine_nursery(void)
{
	scmp_filter_ctx f = open_filter(SCMP_ACT_KILL_PROCESS);

	return f &&
	    load(f,
	        add_all(f, SCMP_ACT_ALLOW, common, COUNT(common)) &&
	            add_all(f, SCMP_ACT_ALLOW, nursery, COUNT(nursery)) && add_memory(f) &&
	            no_clone3(f) &&
	            /* Its children's, each to one descriptor. */
	            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 0) == 0 &&
	            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(pwrite64), 0) == 0);
}

bool
confine_parser(int out)
{
	scmp_filter_ctx f = open_filter(SCMP_ACT_KILL_PROCESS);
	const struct scmp_arg_cmp to = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)(unsigned)out, 0);

	return f &&
	    load(f,
	        add_all(f, SCMP_ACT_ALLOW, common, COUNT(common)) && add_memory(f) &&
	            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, to) == 0 &&
	            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(pwrite64), 1, to) == 0);
}

/* ---- where files are written ----------------------------------------------------------------- */

enum {
	WRITES = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
	    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
	FILES = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
	    LANDLOCK_ACCESS_FS_MAKE_REG,
};

/* Files beside FILE, and FILE, may be written. */
static bool
add_place(int rules, const char *file)
{
	char mem[PATH_MAX];
	struct landlock_path_beneath_attr at = { .allowed_access = FILES };
	size_t n = strlen(file);
	int e;

	if (n >= sizeof(mem)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(mem, file, n + 1);
	at.parent_fd = open(dirname(mem), O_PATH | O_CLOEXEC);
	if (at.parent_fd < 0)
		return false;
	e = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0);
	close(at.parent_fd);
	return e == 0;
}

bool
confine_writes(const char *const *files, size_t n)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = WRITES };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	bool good = rules >= 0;

	for (size_t i = 0; good && i < n; i++)
		if (files[i] && *files[i])
			good = add_place(rules, files[i]);
	good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	if (rules >= 0)
		close(rules);
	return good;
}
