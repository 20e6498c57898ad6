/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - fork, load, tell
 */
#include "proxy/process/check.h"

#include "conf/conf.h"
#include "conf/directory/admin.h"
#include "proxy/process/privilege.h"
#include "wire/crypto.h"
#include "wire/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

struct check {
	struct loop *loop;
	pid_t pid;
	int fd;
	ev_io rd;
	check_fn *fn;
	void *ctx;
	struct text said;
	char mem[CHECK_WORDS_MAX];
};

/* ---- in the child ---- */

/* The folder of PATH must be there, and files can be made in it. */
static bool
look_at_folder(const char *path, const char *what, struct text *out)
{
	char folder[4096];
	struct slice all = slice_str(path);
	size_t n = all.n;

	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n >= sizeof(folder))
		return true;
	memcpy(folder, n ? path : ".", n ? n : 1);
	folder[n ? n : 1] = '\0';
	if (access(folder, W_OK | X_OK) == 0)
		return true;
	text_fmt(out, "%s: %s: cannot make files in %s: %s\n", what, path, folder, strerror(errno));
	return false;
}

static bool
look_at_files(const struct conf *c, struct text *out)
{
	bool ok = look_at_folder(c->directory.path, "[directory] path", out);

	if (access(c->directory.path, R_OK | W_OK) != 0) {
		text_fmt(out, "[directory] path: %s: %s\n", c->directory.path,
		    errno == ENOENT ? "is not there (`byway init` makes one)" : strerror(errno));
		ok = false;
	}
	if (c->server.control_socket && *c->server.control_socket)
		ok &= look_at_folder(c->server.control_socket, "[server] control_socket", out);
	if (c->log.path && strcmp(c->log.path, "-") != 0)
		ok &= look_at_folder(c->log.path, "[log] path", out);
	return ok;
}

static bool
look_at_directory(const struct conf *c, struct text *out)
{
	char mem[1024];
	struct text why = text_over(mem, sizeof(mem));

	if (admin_check(c->directory.path, &why))
		return true;
	text_fmt(out, "[directory] path: %s\n", mem);
	return false;
}

/* As root: who shall the child be? That stands in the file that it is to check. */
static int
become_user(const char *path, struct text *out)
{
	struct privilege_target to;
	struct conf *c;
	int status = 0;

	if (geteuid() != 0)
		return 0;
	if (!(c = conf_load(path, false, out)))
		return EX_CONFIG;
	if (!privilege_find(c->server.user, c->server.group, &to, out))
		status = EX_CONFIG;
	else if (!privilege_drop(&to, out))
		status = EX_NOPERM;
	conf_unref(c);
	return status;
}

static int
look(const char *path, struct text *out)
{
	int status = become_user(path, out);
	struct conf *c;

	if (status)
		return status;
	if (!crypto_init() || !tls_init(out)) {
		text_put(out, SLICE("the cryptographic library does not start\n"));
		return EX_SOFTWARE;
	}
	if (!(c = conf_load(path, true, out)))
		return EX_CONFIG;
	if (!look_at_files(c, out))
		status = EX_NOPERM;
	else if (!look_at_directory(c, out))
		status = EX_CONFIG;
	conf_unref(c);
	return status;
}

static void
tell(int fd, struct slice what)
{
	while (what.n > 0) {
		ssize_t n = write(fd, what.p, what.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		what = slice_skip(what, (size_t)n);
	}
}

static void
child(int fd, const char *path)
{
	static char mem[CHECK_WORDS_MAX];
	struct text out = text_over(mem, sizeof(mem));
	int status = look(path, &out);

	if (status && out.n == 0)
		text_put(&out, SLICE("the configuration cannot be used\n"));
	if (status)
		tell(fd, text_slice(&out));
	_exit(status);
}

static pid_t
spawn(const char *path, int *fd_r)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(fds[1], path);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*fd_r = fds[0];
	return pid;
}

/* ---- in the parent ---- */

static int
reap(pid_t pid)
{
	int status = 0;
	pid_t got;

	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	if (got == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EX_SOFTWARE;
}

/* What the pipe holds now is added to OUT. False at its end. */
static bool
gather(int fd, struct text *out, bool *would_block_r)
{
	char mem[4096];
	ssize_t n = read(fd, mem, sizeof(mem));

	*would_block_r = n < 0 && (errno == EAGAIN || errno == EINTR);
	if (n > 0)
		text_put(out, slice_of(mem, (size_t)n));
	return n > 0 || *would_block_r;
}

int
check_now(const char *path, struct text *mistakes)
{
	bool would_block;
	int fd;
	int status;
	pid_t pid = spawn(path, &fd);

	if (pid < 0) {
		text_fmt(mistakes, "no process for the check: %s\n", strerror(errno));
		return EX_OSERR;
	}
	while (gather(fd, mistakes, &would_block))
		;
	close(fd);
	status = reap(pid);
	if (status && mistakes->n == 0)
		text_put(mistakes, SLICE("the process that checks the configuration died\n"));
	return status;
}

static void
on_said(struct ev_loop *ev, ev_io *w, int revents)
{
	struct check *c = w->data;
	bool would_block = false;
	int status;

	(void)revents;
	if (gather(c->fd, &c->said, &would_block))
		return;
	ev_io_stop(ev, &c->rd);
	close(c->fd);
	/* It closes the pipe by ending. */
	status = reap(c->pid);
	if (status && c->said.n == 0)
		text_put(&c->said, SLICE("the process that checks the configuration died\n"));
	c->fn(c->ctx, status == 0, text_slice(&c->said));
	free(c);
}

struct check *
check_start(struct loop *l, const char *path, check_fn *fn, void *ctx)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->fn = fn;
	c->ctx = ctx;
	c->said = text_over(c->mem, sizeof(c->mem));
	c->pid = spawn(path, &c->fd);
	if (c->pid < 0) {
		free(c);
		return NULL;
	}
	(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
	ev_io_init(&c->rd, on_said, c->fd, EV_READ);
	c->rd.data = c;
	ev_io_start(loop_ev(l), &c->rd);
	return c;
}

void
check_abandon(struct check *c)
{
	if (!c)
		return;
	ev_io_stop(loop_ev(c->loop), &c->rd);
	close(c->fd);
	free(c);
}

void
check_stop(struct check *c)
{
	if (!c)
		return;
	kill(c->pid, SIGKILL);
	(void)reap(c->pid);
	check_abandon(c);
}
