/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/nursery.h"

#include "relay/web/convert_private.h"
#include "relay/web/sendgrid.h"
#include "wire/confine.h"
#include "wire/poison.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
	MESSAGE = 3, /* a parser's descriptors */
	JSON = 4,
	BASE_MEMORY = 192 * 1024 * 1024, /* our libraries, and some */
	TIMES = 8,                       /* what GMime and the JSON take of a message's size */
	STACK = 2 * 1024 * 1024,
	/* workers come first, and yet it comes to its end within CONVERT_WALL_S beside them */
	NICE = 4,
	RECIPIENTS_MAX = 10000,
};

/* How a parser ends by itself. */
enum { EXIT_DONE, EXIT_REFUSED, EXIT_CANNOT };

struct parser {
	pid_t pid; /* 0: free */
	size_t seat;
	uint64_t serial;
	time_t deadline;
};

struct seat {
	int fd; /* -1: nobody is there any more */
	unsigned parsers;
};

struct nursery {
	size_t seats_n;
	struct seat *seats;
	struct parser *parsers; /* CONVERT_SLOTS a seat */
	struct pollfd *polled;  /* the seats', then the signals' */
	int signals;
};

/* ---- a parser -------------------------------------------------------------------------------- */

struct output {
	uint64_t n, max;
	bool full;
};

static bool
put(void *ctx, struct slice octets)
{
	struct output *out = ctx;

	if (octets.n > out->max - out->n) {
		out->full = true;
		return false;
	}
	while (octets.n) {
		ssize_t n = write(JSON, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		out->n += (uint64_t)n;
		octets = slice_skip(octets, (size_t)n);
	}
	return true;
}

static void
limit(int what, rlim_t soft, rlim_t hard)
{
	const struct rlimit l = { soft, hard };

	if (setrlimit((__rlimit_resource_t)what, &l) != 0)
		_exit(EXIT_CANNOT);
}

static void
bound(uint64_t size)
{
	limit(RLIMIT_CPU, CONVERT_CPU_S, CONVERT_CPU_S + 1);
	limit(RLIMIT_STACK, STACK, STACK);
	limit(RLIMIT_FSIZE, convert_json_max(size), convert_json_max(size));
	limit(RLIMIT_CORE, 0, 0);
#ifndef WIRE_HAS_ASAN
	/* Its shadow is larger than any machine. */
	limit(RLIMIT_AS, BASE_MEMORY + TIMES * size, BASE_MEMORY + TIMES * size);
#endif
	(void)setpriority(PRIO_PROCESS, 0, NICE);
}

static bool
cut_recipients(struct slice lines, struct slice *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lines.n == 0)
			return false;
		to[i] = slice_cut(&lines, '\n');
	}
	return lines.n == 0;
}

/* The reason takes the JSON's place. */
static int
say_why(struct slice why)
{
	char mem[CONVERT_WHY_MAX] = "";

	memcpy(mem, why.p, why.n < sizeof(mem) ? why.n : sizeof(mem) - 1);
	return pwrite(JSON, mem, sizeof(mem), 0) == (ssize_t)sizeof(mem) ? EXIT_REFUSED
	                                                                 : EXIT_CANNOT;
}

static int
parse(struct slice all, const struct convert_ask *ask)
{
	struct output out = { .max = convert_json_max(ask->size) };
	struct slice *recipients = calloc(ask->recipients + 1, sizeof(*recipients));
	char mem[CONVERT_WHY_MAX];
	struct text why = text_over(mem, sizeof(mem));
	const struct sendgrid_job job = {
		.message = slice_head(all, ask->size),
		.recipients = recipients,
		.recipients_n = ask->recipients,
		.strict = ask->strict != 0,
		.put = put,
		.ctx = &out,
	};
	enum sendgrid_got got;

	if (!recipients || !cut_recipients(slice_skip(all, ask->size), recipients, ask->recipients))
		return EXIT_CANNOT;
	got = sendgrid_convert(&job, &why);
	if (out.full)
		return say_why(
		    SLICE("Not possible through this provider's API: too large as JSON"));
	if (got == SENDGRID_REFUSED)
		return say_why(text_slice(&why));
	return got == SENDGRID_OK ? EXIT_DONE : EXIT_CANNOT;
}

/* The message and the JSON, and nothing else, on the descriptors that a parser knows. */
static bool
keep_only(const int fds[CONVERT_FDS])
{
	int message = fds[0] == JSON ? dup(fds[0]) : fds[0];

	if (message < 0 || (fds[1] != JSON && dup2(fds[1], JSON) != JSON) ||
	    (message != MESSAGE && dup2(message, MESSAGE) != MESSAGE))
		return false;
	return close_range(JSON + 1, ~0U, 0) == 0;
}

static _Noreturn void
be_parser(const struct convert_ask *ask, const int fds[CONVERT_FDS])
{
	struct stat st;
	void *at;

	if (!keep_only(fds) || fstat(MESSAGE, &st) != 0 || st.st_size <= 0 ||
	    ask->size > (uint64_t)st.st_size || ask->recipients > RECIPIENTS_MAX)
		_exit(EXIT_CANNOT);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, MESSAGE, 0);
	if (at == MAP_FAILED)
		_exit(EXIT_CANNOT);
	close(MESSAGE);
	bound(ask->size);
	if (!confine_parser(JSON))
		_exit(EXIT_CANNOT);
	_exit(parse(slice_of(at, (size_t)st.st_size), ask));
}

/* ---- orders and answers ---------------------------------------------------------------------- */

static time_t
now_s(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void
say(struct seat *s, uint64_t serial, enum convert_end how)
{
	const struct convert_answer a = { serial, how };
	struct iovec part = { .iov_base = (void *)(uintptr_t)&a, .iov_len = sizeof(a) };
	const struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	/* A worker that does not read has its own deadline. */
	if (s->fd >= 0)
		(void)!sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct parser *
free_parser(struct nursery *n, size_t seat)
{
	for (size_t i = 0; i < CONVERT_SLOTS; i++)
		if (n->parsers[seat * CONVERT_SLOTS + i].pid == 0)
			return &n->parsers[seat * CONVERT_SLOTS + i];
	return NULL;
}

static void
start(struct nursery *n, size_t seat, const struct convert_ask *ask, const int fds[CONVERT_FDS])
{
	struct parser *p = free_parser(n, seat);
	pid_t pid = p ? fork() : -1;

	if (pid == 0)
		be_parser(ask, fds);
	if (pid < 0) {
		say(&n->seats[seat], ask->serial, CONVERT_UNAVAILABLE);
		return;
	}
	*p = (struct parser){
		.pid = pid,
		.seat = seat,
		.serial = ask->serial,
		.deadline = now_s() + CONVERT_WALL_S,
	};
	n->seats[seat].parsers++;
}

/* The descriptors that came with M; how many. */
static size_t
take_fds(struct msghdr *m, int fds[CONVERT_FDS])
{
	struct cmsghdr *head = CMSG_FIRSTHDR(m);
	size_t n = 0;

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(head), n * sizeof(int));
	return n;
}

static void
read_ask(struct nursery *n, size_t seat)
{
	union {
		struct cmsghdr head;
		char mem[CMSG_SPACE(CONVERT_FDS * sizeof(int))];
	} control = { 0 };
	struct convert_ask ask = { 0 };
	struct iovec part = { .iov_base = &ask, .iov_len = sizeof(ask) };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.mem,
		.msg_controllen = sizeof(control.mem) };
	int fds[CONVERT_FDS];
	ssize_t got = recvmsg(n->seats[seat].fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t fds_n = got > 0 ? take_fds(&m, fds) : 0;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close(n->seats[seat].fd);
		n->seats[seat].fd = -1;
		return;
	}
	if (got == (ssize_t)sizeof(ask) && fds_n == CONVERT_FDS)
		start(n, seat, &ask, fds);
	else
		say(&n->seats[seat], ask.serial, CONVERT_UNAVAILABLE);
	for (size_t i = 0; i < fds_n; i++)
		close(fds[i]);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* What the bounds kill is the content's doing. SIGKILL before the processor time is used up is not:
 * the machine was too busy for it, or somebody else did it. */
static enum convert_end
end_of(int status, const struct rusage *used)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == EXIT_DONE   ? CONVERT_DONE
		    : WEXITSTATUS(status) == EXIT_REFUSED ? CONVERT_REFUSED
		                                          : CONVERT_UNAVAILABLE;
	return WTERMSIG(status) == SIGKILL &&
	        used->ru_utime.tv_sec + used->ru_stime.tv_sec < CONVERT_CPU_S
	    ? CONVERT_UNAVAILABLE
	    : CONVERT_KILLED;
}

static void
reap(struct nursery *n)
{
	for (size_t i = 0; i < n->seats_n * CONVERT_SLOTS; i++) {
		struct parser *p = &n->parsers[i];
		struct rusage used;
		int status;

		if (p->pid == 0 || wait4(p->pid, &status, WNOHANG, &used) != p->pid)
			continue;
		n->seats[p->seat].parsers--;
		p->pid = 0;
		say(&n->seats[p->seat], p->serial, end_of(status, &used));
	}
}

static void
kill_overdue(struct nursery *n)
{
	time_t now = now_s();

	for (size_t i = 0; i < n->seats_n * CONVERT_SLOTS; i++) {
		struct parser *p = &n->parsers[i];

		if (p->pid != 0 && now >= p->deadline)
			(void)kill(p->pid, SIGKILL);
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* False: nobody is there any more. */
static bool
turn(struct nursery *n)
{
	bool busy = false;
	bool any = false;

	for (size_t i = 0; i < n->seats_n; i++) {
		const struct seat *s = &n->seats[i];

		/* Who has all parsers busy is read later. */
		n->polled[i] = (struct pollfd){
			.fd = s->parsers < CONVERT_SLOTS ? s->fd : -1,
			.events = POLLIN,
		};
		any |= s->fd >= 0;
		busy |= s->parsers > 0;
	}
	if (!any && !busy)
		return false;
	n->polled[n->seats_n] = (struct pollfd){ .fd = n->signals, .events = POLLIN };
	if (poll(n->polled, n->seats_n + 1, busy ? 1000 : -1) < 0)
		return errno == EINTR;
	for (size_t i = 0; i < n->seats_n; i++)
		if (n->polled[i].revents)
			read_ask(n, i);
	if (n->polled[n->seats_n].revents) {
		struct signalfd_siginfo got;

		(void)!read(n->signals, &got, sizeof(got));
	}
	reap(n);
	kill_overdue(n);
	return true;
}

static bool
open_nursery(struct nursery *n, const int *fds, size_t seats)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	n->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	n->seats_n = seats;
	n->seats = calloc(seats, sizeof(*n->seats));
	n->parsers = calloc(seats * CONVERT_SLOTS, sizeof(*n->parsers));
	n->polled = calloc(seats + 1, sizeof(*n->polled));
	if (!n->seats || !n->parsers || !n->polled || n->signals < 0)
		return false;
	for (size_t i = 0; i < seats; i++)
		n->seats[i].fd = fds[i];
	return true;
}

/* What else was inherited goes. */
static void
keep_seats(const int *fds, size_t n)
{
	int last = STDERR_FILENO;

	for (size_t i = 0; i < n; i++)
		if (fds[i] > last)
			last = fds[i];
	for (int fd = STDERR_FILENO + 1; fd < last; fd++) {
		size_t i = 0;

		while (i < n && fds[i] != fd)
			i++;
		if (i == n)
			close(fd);
	}
	(void)close_range((unsigned)last + 1, ~0U, 0);
}

int
nursery_run(const int *fds, size_t seats, bool again)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE };
	static struct nursery n;
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct rlimit none = { 0, 0 };

	(void)prctl(PR_SET_NAME, "bywayd/parsers", 0, 0, 0);
#ifndef WIRE_HAS_ASAN
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)setrlimit(RLIMIT_CORE, &none);
	/* It ends when the workers have gone; a terminal's signals are for the master. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
	keep_seats(fds, seats);
	sendgrid_init();
	if (!open_nursery(&n, fds, seats))
		return EX_OSERR;
	if (!confine_nursery()) {
		fprintf(stderr,
		    "bywayd: no system call filter here (%s): content is not converted\n",
		    strerror(errno));
		return EX_UNAVAILABLE;
	}
	for (size_t i = 0; again && i < seats; i++)
		say(&n.seats[i], 0, CONVERT_UNAVAILABLE);
	while (turn(&n))
		;
	return EX_OK;
}
