/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink - listens, counts, and tells in the end what it has counted (the dialogue is sink_guest.c's)
 */
#include "bench/sink.h"

#include "bench/bench.h"
#include "wire/buf.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, BACKLOG = 1024 };

static void
on_accept(struct ev_loop *ev, ev_io *w, int revents)
{
	(void)ev;
	(void)revents;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		sink_guest_open(w->data, fd);
	}
}

static void
on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct sink *s = w->data;

	(void)ev;
	(void)revents;
	loop_stop(s->loop);
}

static int
listen_on(const struct sink *s)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)s->port),
		.sin_addr.s_addr = htonl(s->anywhere ? INADDR_ANY : INADDR_LOOPBACK),
	};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
put_by_phase(const char *what, const uint64_t *n, bool json)
{
	bool first = true;

	if (json)
		printf(",\"%s\":{", what);
	for (size_t i = 0; i < PHASE_COUNT; i++) {
		if (n[i] == 0)
			continue;
		if (json)
			printf("%s\"%s\":%llu", first ? "" : ",", phase_word((enum phase)i),
			    (unsigned long long)n[i]);
		else
			printf("%s %s: %llu\n", what, phase_word((enum phase)i),
			    (unsigned long long)n[i]);
		first = false;
	}
	if (json)
		putchar('}');
}

static void
put_count(const struct sink *s)
{
	const struct sink_count *c = &s->count;

	printf(s->json ? "{\"connections\":%llu,\"tls\":%llu,\"logins\":%llu,\"messages\":%llu,"
	                 "\"recipients\":%llu,\"octets\":%llu,\"delayed\":%llu"
	               : "%llu connections, %llu with TLS, %llu log-ins, %llu messages, "
	                 "%llu recipients, %llu octets, %llu answers delayed\n",
	    (unsigned long long)c->connections, (unsigned long long)c->secured,
	    (unsigned long long)c->logins, (unsigned long long)c->messages,
	    (unsigned long long)c->recipients, (unsigned long long)c->octets,
	    (unsigned long long)c->delayed);
	put_by_phase("refused", c->refused, s->json);
	put_by_phase("dropped", c->dropped, s->json);
	if (s->json)
		puts("}");
}

static void
start_signal(struct sink *s, ev_signal *w, int number)
{
	ev_signal_init(w, on_signal, number);
	w->data = s;
	ev_signal_start(loop_ev(s->loop), w);
}

int
sink_main(int argc, char **argv)
{
	static struct sink s;
	int bad = sink_plan_read(&s, argc, argv);
	int fd;

	if (bad != EX_OK)
		return bad;
	s.loop = loop_open();
	fd = listen_on(&s);
	if (fd < 0 || !s.loop) {
		fprintf(stderr, "byway-bench sink: cannot listen on port %u: %s\n", s.port,
		    strerror(errno));
		sink_plan_fini(&s);
		return EX_OSERR;
	}
	ev_io_init(&s.accept, on_accept, fd, EV_READ);
	s.accept.data = &s;
	ev_io_start(loop_ev(s.loop), &s.accept);
	start_signal(&s, &s.interrupt, SIGINT);
	start_signal(&s, &s.terminate, SIGTERM);
	loop_run(s.loop);
	if (!s.quiet)
		put_count(&s);
	sink_guests_close(&s);
	sink_plan_fini(&s);
	loop_close(s.loop);
	buf_pool_trim();
	close(fd);
	return EX_OK;
}
