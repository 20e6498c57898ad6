/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a confined process cannot do any more, each in a child of its own: the child exits with 0
 * where it was let, with the errno where it was refused, or is killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/confine.h"
#include "wire/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHER = 3, OUT = 4, LET = 0, CANNOT = 255 };

static char place[] = "/tmp/byway-confine-XXXXXX";

/* 0 or errno. */
typedef int call_fn(void);

static int
result(long r)
{
	return r < 0 ? errno : LET;
}

static int
try_exec(void)
{
	char program[] = "/bin/true";
	char *argv[] = { program, NULL };

	return result(execve(program, argv, NULL));
}

static int
try_memory(void)
{
	struct iovec v = { place, 1 };

	return result(process_vm_readv(getpid(), &v, 1, &v, 1, 0));
}

static int
try_mount(void)
{
	return result(mount("none", "/", "tmpfs", 0, NULL));
}

static int
try_module(void)
{
	return result(syscall(SYS_finit_module, -1, "", 0));
}

static int
try_user(void)
{
	return result(syscall(SYS_setuid, getuid()));
}

static int
try_namespace(void)
{
	return result(syscall(SYS_unshare, 0));
}

static int
try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_ring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int
try_trace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
try_kill(void)
{
	return result(kill(getppid(), 0));
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, nothing, NULL);

	return e ? e : pthread_join(t, NULL);
}

static int
try_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
try_read_file(void)
{
	return result(open("/etc/hostname", O_RDONLY));
}

static int
write_to(const char *folder)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/made", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || unlink(path) != 0)
		return errno;
	return LET;
}

static int
try_write_here(void)
{
	return write_to(place);
}

static int
try_write_elsewhere(void)
{
	return write_to("/tmp");
}

static int
try_out(void)
{
	return result(write(OUT, "x", 1));
}

static int
try_out_again(void)
{
	return result(pwrite(OUT, "x", 1, 0));
}

static int
try_other(void)
{
	return result(write(OTHER, "x", 1));
}

static int
try_other_again(void)
{
	return result(pwrite(OTHER, "x", 1, 0));
}

static int
try_allocate(void)
{
	for (size_t n = 1; n < 64 << 20; n *= 3) {
		char *p = malloc(n);

		if (!p)
			return ENOMEM;
		p[n - 1] = 'x';
		free(p);
	}
	return LET;
}

static int
try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	        MAP_FAILED
	    ? errno
	    : LET;
}

static bool
as_worker(void)
{
	return confine_worker();
}

static bool
as_parser(void)
{
	int fd = memfd_create("out", 0);

	return dup2(fd, OUT) == OUT && dup2(fd, OTHER) == OTHER && confine_parser(OUT);
}

static bool
with_files(void)
{
	char path[256];
	const char *files[] = { path, NULL, "" };

	(void)snprintf(path, sizeof(path), "%s/file", place);
	return confine_writes(files, 3);
}

/* The exit status, or the signal and 256. */
static int
outcome(bool (*confine)(void), call_fn *call)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(confine() ? call() : CANNOT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

enum { KILLED = 256 + SIGSYS };

struct row {
	const char *what;
	call_fn *call;
	int want;
};

static void
check(bool (*confine)(void), const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = outcome(confine, rows[i].call);

		if (got != rows[i].want)
			fail_msg("%s: %d, not %d", rows[i].what, got, rows[i].want);
	}
}

#define CHECK(confine, rows) check(confine, rows, sizeof(rows) / sizeof((rows)[0]))

static void
test_worker(void **state)
{
	static const struct row rows[] = {
		{ "exec", try_exec, KILLED },
		{ "another's memory", try_memory, KILLED },
		{ "mount", try_mount, KILLED },
		{ "module", try_module, KILLED },
		{ "setuid", try_user, KILLED },
		{ "unshare", try_namespace, KILLED },
		{ "bpf", try_bpf, KILLED },
		{ "io_uring", try_ring, KILLED },
#ifndef WIRE_HAS_ASAN
		{ "ptrace", try_trace, KILLED },
		{ "fork", try_fork, EPERM },
		{ "kill", try_kill, EPERM },
#endif
		{ "thread", try_thread, LET },
		{ "socket", try_socket, LET },
		{ "file", try_read_file, LET },
		{ "memory", try_allocate, LET },
	};

	(void)state;
	CHECK(as_worker, rows);
}

static void
test_parser(void **state)
{
	static const struct row rows[] = {
		{ "memory", try_allocate, LET },
		{ "its output", try_out, LET },
		{ "its output from the start", try_out_again, LET },
		{ "another descriptor", try_other, KILLED },
		{ "another's start", try_other_again, KILLED },
		{ "socket", try_socket, KILLED },
		{ "file", try_read_file, KILLED },
		{ "exec", try_exec, KILLED },
		{ "fork", try_fork, KILLED },
		{ "kill", try_kill, KILLED },
		{ "code", try_code, KILLED },
		{ "ptrace", try_trace, KILLED },
	};

	(void)state;
	CHECK(as_parser, rows);
}

static void
test_files(void **state)
{
	static const struct row rows[] = {
		{ "read", try_read_file, LET },
		{ "write here", try_write_here, LET },
		{ "write elsewhere", try_write_elsewhere, EACCES },
	};

	(void)state;
	if (outcome(with_files, try_read_file) == CANNOT)
		skip(); /* a kernel without Landlock */
	CHECK(with_files, rows);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_parser),
		cmocka_unit_test(test_files),
	};
	int failed;

	if (!mkdtemp(place))
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(place);
	return failed;
}
