/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start does not wait for: names, counter servers, the native pool's servers, the clock. All
 * of it may pass by itself, so nothing here is more than a warning.
 */
#include "conf/check/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, ANSWER_MAX = 512 };

/* ---- one look over a connection ---- */

static bool
wait_for(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };
	int error = 0;
	socklen_t n = sizeof(error);

	if (poll(&p, 1, PATIENCE_MS) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0)
		return true;
	errno = error ? error : ETIMEDOUT;
	return false;
}

static int
connect_to(const struct sockaddr *at, socklen_t len)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, at, len) == 0 || (errno == EINPROGRESS && wait_for(fd, POLLOUT)))
		return fd;
	int was = errno;

	close(fd);
	errno = was;
	return -1;
}

/* To one of HOST's addresses, or to the socket HOST with PORT 0. -1: WHY. */
static int
reach(const char *host, unsigned port, struct text *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	char service[16];
	int fd = -1;

	if (port == 0 && strlen(host) < sizeof(local.sun_path)) {
		memcpy(local.sun_path, host, strlen(host));
		fd = connect_to((const struct sockaddr *)&local, sizeof(local));
	} else {
		(void)snprintf(service, sizeof(service), "%u", port);
		int code = getaddrinfo(host, service, &hints, &list);

		if (code != 0) {
			text_fmt(why, "%s: the name gives no address: %s", host,
			    gai_strerror(code));
			return -1;
		}
		for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
			fd = connect_to(a->ai_addr, a->ai_addrlen);
	}
	if (fd < 0)
		text_fmt(why, "%s:%u: cannot be reached: %s", host, port, strerror(errno));
	if (list)
		freeaddrinfo(list);
	return fd;
}

/* SAY is sent first, where it is not empty; the answer must begin with WANT. */
static bool
answers(int fd, const char *say, const char *want, struct text *why)
{
	char mem[ANSWER_MAX];
	ssize_t n = -1;

	if (!*say || write(fd, say, strlen(say)) == (ssize_t)strlen(say))
		n = wait_for(fd, POLLIN) ? read(fd, mem, sizeof(mem)) : -1;
	if (n > 0 && slice_starts(slice_of(mem, (size_t)n), slice_str(want)))
		return true;
	struct slice rest = slice_of(mem, n > 0 ? (size_t)n : 0);
	struct slice line = slice_cut(&rest, '\n');

	if (n > 0)
		text_fmt(why, "answers something else: %.*s", SLICE_FMT(line));
	else
		text_fmt(why, "does not answer");
	return false;
}

/* ---- what is looked at ---- */

static void
look_at_counters(struct inspect *in)
{
	const struct conf *c = in->conf;
	struct counter_server s;
	const char *bad = NULL;
	size_t at = 0;

	while (conf_counter_server(c, &at, &s, &bad)) {
		char mem[1024];
		struct text why = text_over(mem, sizeof(mem));
		int fd = reach(s.host, s.port, &why);

		if (fd >= 0)
			text_fmt(&why, "%s:%u ", s.host, s.port);
		bool ok = fd >= 0 && answers(fd, "version\r\n", "VERSION ", &why);

		if (fd >= 0)
			close(fd);
		if (ok)
			inspect_say(in, INSPECT_GOOD, TOPIC_COUNTERS, "%s:%u answers", s.host,
			    s.port);
		else
			inspect_say_of(in, INSPECT_WARNING, TOPIC_COUNTERS, "counters", NULL,
			    "servers", mem);
	}
}

static void
look_at_mtas(struct inspect *in)
{
	for (size_t i = 0; i < in->conf->mtas_n; i++) {
		const struct conf_mta *m = &in->conf->mtas[i];
		char mem[1024];
		struct text why = text_over(mem, sizeof(mem));
		int fd = reach(m->host, m->port, &why);

		if (fd >= 0)
			text_fmt(&why, "%s:%u ", m->host, m->port);
		/* Behind a handshake of TLS the greeting is the relay's to read. */
		bool ok =
		    fd >= 0 && (m->tls == UPSTREAM_TLS_IMPLICIT || answers(fd, "", "220", &why));

		if (fd >= 0)
			close(fd);
		if (ok)
			inspect_say(in, INSPECT_GOOD, TOPIC_POOL, "%s: %s:%u answers", m->name,
			    m->host, m->port);
		else
			inspect_say_of(in, INSPECT_WARNING, TOPIC_POOL, "mta", m->name, "host",
			    mem);
	}
}

static void
look_at_name(struct inspect *in)
{
	const char *name = in->conf->server.name;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));
	int code = getaddrinfo(name, NULL, &hints, &list);

	if (code == 0) {
		inspect_say(in, INSPECT_GOOD, TOPIC_NAMES, "%s has an address", name);
		freeaddrinfo(list);
		return;
	}
	text_fmt(&t, "%s has no address (%s): clients cannot find it", name, gai_strerror(code));
	inspect_say_of(in, INSPECT_WARNING, TOPIC_NAMES, "server", NULL, "name", mem);
}

/* Periods of quota, certificates and tokens go by it. */
static void
look_at_clock(struct inspect *in)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0)
		inspect_say(in, INSPECT_WARNING, TOPIC_CLOCK,
		    "the kernel does not say how it is: %s", strerror(errno));
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		inspect_say(in, INSPECT_WARNING, TOPIC_CLOCK,
		    "nothing keeps it right: install chrony or systemd-timesyncd (days and hours of limits, "
		    "certificates and log-ins by OAuth2 go by it)");
	else
		inspect_say(in, INSPECT_GOOD, TOPIC_CLOCK, "is kept right");
}

void
inspect_online(struct inspect *in)
{
	look_at_mtas(in);
	look_at_counters(in);
	look_at_name(in);
	look_at_clock(in);
}
