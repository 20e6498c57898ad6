/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs FN in a child, since what is tested is the process's environment and its descriptors. */
static void
apart(void (*fn)(void))
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* In a child: cmocka's own assertions would go on with the parent's tests. */
#define NEED(x)                                                    \
	do {                                                       \
		if (!(x)) {                                        \
			fprintf(stderr, "%d: %s\n", __LINE__, #x); \
			_exit(1);                                  \
		}                                                  \
	} while (0)

static int
manager(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(at.sun_path, name, n);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	NEED(bind(fd, (struct sockaddr *)&at,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0);
	NEED(setenv("NOTIFY_SOCKET", name, 1) == 0);
	return fd;
}

static void
hear(int fd, const char *want)
{
	char mem[512];
	ssize_t n = recv(fd, mem, sizeof(mem) - 1, MSG_DONTWAIT);

	NEED(n >= 0);
	mem[n] = '\0';
	if (strncmp(mem, want, strlen(want)) != 0)
		fprintf(stderr, "'%s' is not '%s'\n", mem, want);
	NEED(strncmp(mem, want, strlen(want)) == 0);
}

static void
speak(const char *name)
{
	int fd = manager(name);

	notify_init();
	NEED(!getenv("NOTIFY_SOCKET"));
	notify_send("READY=1");
	hear(fd, "READY=1");
	notify_reloading();
	hear(fd, "RELOADING=1\nMONOTONIC_USEC=");
	notify_status("%u workers", 7U);
	hear(fd, "STATUS=7 workers");
}

static void
by_path(void)
{
	char dir[] = "/tmp/byway-notify.XXXXXX";
	char path[64];

	NEED(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/n", dir);
	speak(path);
	unlink(path);
	rmdir(dir);
}

static void
by_abstract_name(void)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "@byway-notify-%d", (int)getpid());
	speak(name);
}

static void
nobody_there(void)
{
	unsetenv("NOTIFY_SOCKET");
	notify_init();
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	notify_init();
	notify_send("READY=1");
}

static void
test_messages(void **state)
{
	(void)state;
	apart(by_path);
	apart(by_abstract_name);
	apart(nobody_there);
}

static void
pass(unsigned count, const char *names, int pid)
{
	char mem[32];

	for (int fd = 3; fd < 3 + (int)count; fd++)
		NEED(dup2(0, fd) == fd);
	(void)snprintf(mem, sizeof(mem), "%u", count);
	setenv("LISTEN_FDS", mem, 1);
	(void)snprintf(mem, sizeof(mem), "%d", pid);
	setenv("LISTEN_PID", mem, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

static bool
inherit(struct notify_socket out[4], size_t *n_r)
{
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));
	bool ok = notify_inherited(out, 4, n_r, &why);

	NEED(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
	NEED(ok == (why.n == 0));
	return ok;
}

static void
inherit_each_way(void)
{
	struct notify_socket got[4];
	size_t n = 9;

	NEED(inherit(got, &n) && n == 0);

	pass(3, "submission::smtps", getpid());
	NEED(inherit(got, &n) && n == 3);
	NEED(got[0].fd == 3 && strcmp(got[0].name, "submission") == 0);
	NEED(got[1].fd == 4 && strcmp(got[1].name, "unknown") == 0);
	NEED(got[2].fd == 5 && strcmp(got[2].name, "smtps") == 0);
	NEED(fcntl(5, F_GETFD) & FD_CLOEXEC);
	NEED(fcntl(5, F_GETFL) & O_NONBLOCK);

	pass(1, NULL, getpid());
	NEED(inherit(got, &n) && n == 1 && strcmp(got[0].name, "unknown") == 0);

	pass(1, NULL, getppid());
	NEED(inherit(got, &n) && n == 0);

	pass(4, NULL, getpid());
	setenv("LISTEN_FDS", "5", 1);
	NEED(!inherit(got, &n));

	pass(2, NULL, getpid());
	close(4);
	NEED(!inherit(got, &n));

	pass(1, NULL, getpid());
	setenv("LISTEN_FDS", "many", 1);
	NEED(!inherit(got, &n));
}

static void
test_inherited_sockets(void **state)
{
	(void)state;
	apart(inherit_each_way);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_inherited_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
