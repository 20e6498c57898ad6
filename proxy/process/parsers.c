/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/parsers.h"

#include "relay/relay.h"
#include "wire/log.h"
#include "wire/text.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static const double young_s = 10.0;
static const double first_delay_s = 0.1;
static const double longest_delay_s = 10.0;

enum { WORD_MAX = 12 };

struct pair {
	int worker;
	int parser;
};

struct parsers {
	struct loop *loop;
	pid_t pid; /* 0: none */
	ev_tstamp born;
	double delay;
	ev_timer respawn;
	bool again;
	bool stopping;
	unsigned n;
	struct pair pairs[];
};

/* ---- the process ----------------------------------------------------------------------------- */

/* Of the environment only what an instrumented build listens to. */
static char **
environment(void)
{
	static char *kept[4];
	static const char *const names[] = { "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };
	size_t n = 0;

	for (char **e = environ; *e; e++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (n < 3 && strncmp(*e, names[i], strlen(names[i])) == 0)
				kept[n++] = *e;
	return kept;
}

/* "bywayd --parsers [again] FD ...": all in one piece, which the caller frees. */
static char **
command(const struct parsers *p)
{
	static char program[] = "bywayd";
	static char option[] = PARSERS_OPTION;
	static char again[] = "again";
	size_t words_n = p->n + 4;
	char **words = calloc(1, words_n * sizeof(*words) + p->n * WORD_MAX);
	char *mem = (char *)(words + words_n);
	size_t n = 0;

	if (!words)
		return NULL;
	words[n++] = program;
	words[n++] = option;
	if (p->again)
		words[n++] = again;
	for (unsigned i = 0; i < p->n; i++, mem += WORD_MAX) {
		struct text t = text_over(mem, WORD_MAX);

		text_u64(&t, (uint64_t)p->pairs[i].parser);
		words[n++] = t.mem;
	}
	return words;
}

/* The sockets lose their mark that exec closes them; signals are as for any program. */
static bool
set_up(const struct parsers *p, posix_spawn_file_actions_t *files, posix_spawnattr_t *how)
{
	sigset_t none;
	int failed = 0;

	sigemptyset(&none);
	for (unsigned i = 0; i < p->n; i++)
		failed |=
		    posix_spawn_file_actions_adddup2(files, p->pairs[i].parser, p->pairs[i].parser);
	return !failed && posix_spawnattr_setsigmask(how, &none) == 0 &&
	    posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK) == 0;
}

/* The pid, or -1 and errno. */
static pid_t
spawn(const struct parsers *p)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	char **words = command(p);
	pid_t pid = -1;
	int failed = ENOMEM;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	if (words && set_up(p, &files, &how))
		failed = posix_spawn(&pid, "/proc/self/exe", &files, &how, words, environment());
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	free(words);
	errno = failed;
	return failed ? -1 : pid;
}

static void
start_later(struct parsers *p)
{
	ev_timer_stop(loop_ev(p->loop), &p->respawn);
	ev_timer_set(&p->respawn, p->delay, 0.);
	ev_timer_start(loop_ev(p->loop), &p->respawn);
	p->delay = p->delay > 0 ? p->delay * 2 : first_delay_s;
	if (p->delay > longest_delay_s)
		p->delay = longest_delay_s;
}

void
parsers_start(struct parsers *p)
{
	p->pid = spawn(p);
	if (p->pid < 0) {
		log_say(LOG_ERROR, "parsers", "they cannot be started: %s", strerror(errno));
		p->pid = 0;
		start_later(p);
		return;
	}
	p->again = true;
	p->born = loop_now(p->loop);
}

static void
on_respawn(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct parsers *p = t->data;

	(void)ev;
	(void)revents;
	if (!p->stopping && p->pid == 0)
		parsers_start(p);
}

void
parsers_reap(struct parsers *p)
{
	int status;

	if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	p->pid = 0;
	if (p->stopping)
		return;
	if (loop_now(p->loop) - p->born >= young_s)
		p->delay = 0;
	log_say(LOG_ERROR, "parsers", "their process died (%s %d)",
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	start_later(p);
}

int
parsers_run(char *const *words, int n)
{
	bool again = n > 0 && strcmp(words[0], "again") == 0;
	int *fds = calloc((size_t)n + 1, sizeof(*fds));
	size_t fds_n = 0;

	for (int i = again; fds && i < n; i++) {
		uint64_t fd;
		int type = 0;
		socklen_t len = sizeof(type);

		if (!slice_to_u64(slice_str(words[i]), &fd) || fd > INT16_MAX ||
		    getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
		    type != SOCK_SEQPACKET)
			return EX_USAGE;
		fds[fds_n++] = (int)fd;
	}
	if (!fds || !fds_n)
		return EX_USAGE;
	/* Without exit handlers: an instrumented build would look for leaks, and wait for ever for
	 * a thread that the filter does not let it have. */
	_exit(relay_nursery(fds, fds_n, again));
}

/* ---- life ------------------------------------------------------------------------------------ */

struct parsers *
parsers_open(struct loop *l, unsigned workers)
{
	struct parsers *p = calloc(1, sizeof(*p) + workers * sizeof(p->pairs[0]));

	if (!p)
		return NULL;
	p->loop = l;
	ev_timer_init(&p->respawn, on_respawn, 0., 0.);
	p->respawn.data = p;
	for (unsigned i = 0; i < workers; i++) {
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
			parsers_close(p);
			return NULL;
		}
		p->pairs[p->n++] = (struct pair){ .worker = fds[0], .parser = fds[1] };
	}
	return p;
}

static void
hang_up(struct parsers *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->pairs[i].worker >= 0)
			close(p->pairs[i].worker);
		close(p->pairs[i].parser);
	}
	p->n = 0;
}

void
parsers_stop(struct parsers *p)
{
	p->stopping = true;
	ev_timer_stop(loop_ev(p->loop), &p->respawn);
	hang_up(p);
}

/* The workers have gone: so nobody waits for what it does. */
void
parsers_close(struct parsers *p)
{
	if (!p)
		return;
	parsers_stop(p);
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	free(p);
}

int
parsers_take(struct parsers *p, unsigned w)
{
	int fd = p->pairs[w].worker;

	p->pairs[w].worker = -1;
	ev_timer_stop(loop_ev(p->loop), &p->respawn);
	hang_up(p);
	return fd;
}
