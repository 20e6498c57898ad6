/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink - takes any mail and forgets it, in as few instructions as SMTP allows, so that what is
 * measured in front of it is not itself
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "bench/bench.h"
#include "wire/command.h"
#include "wire/dots.h"
#include "wire/options.h"
#include "wire/stream.h"

struct sink {
	struct loop *loop;
	struct slice ehlo;
	ev_io accept;
};

struct guest {
	struct grave grave;
	struct stream s;
	struct sink *sink;
	struct dots_decoder dots;
	bool content;
	uint64_t chunk;
	bool last;
};

static void
free_guest(struct grave *g)
{
	free(g);
}

static void
on_gone(void *owner)
{
	struct guest *g = owner;

	loop_bury(g->sink->loop, &g->grave);
}

static void
say(struct guest *g, struct slice what)
{
	if (!stream_write(&g->s, what))
		stream_reset(&g->s);
}

/* False: more input is needed. */
static bool
take_content(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t before = in.n;
	struct slice span;
	enum dots_got got;

	do
		got = dots_decode(&g->dots, &in, &span);
	while (got == DOTS_SPAN);
	stream_consume(&g->s, before - in.n);
	if (got == DOTS_MORE)
		return false;
	g->content = false;
	say(g, SLICE("250 2.0.0 Ok: queued as S1NK\r\n"));
	return true;
}

static bool
take_chunk(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t n = in.n < g->chunk ? in.n : (size_t)g->chunk;

	stream_consume(&g->s, n);
	g->chunk -= n;
	if (g->chunk > 0)
		return false;
	say(g, g->last ? SLICE("250 2.0.0 Ok: queued as S1NK\r\n") : SLICE("250 2.0.0 Ok\r\n"));
	return true;
}

static void
run_command(struct guest *g, const struct command *cmd)
{
	if (cmd->verb == VERB_EHLO || cmd->verb == VERB_HELO) {
		say(g, g->sink->ehlo);
	} else if (cmd->verb == VERB_DATA) {
		say(g, SLICE("354 Go\r\n"));
		dots_decode_init(&g->dots, DOTS_REFUSE, false);
		g->content = true;
	} else if (cmd->verb == VERB_QUIT) {
		say(g, SLICE("221 2.0.0 Bye\r\n"));
		stream_finish(&g->s, on_gone);
	} else {
		say(g, SLICE("250 2.1.0 Ok\r\n"));
	}
}

static bool
take_line(struct guest *g)
{
	struct slice in = stream_in(&g->s);
	size_t n = slice_find(in, '\n');
	struct command cmd;

	if (n == in.n || n == 0)
		return false;
	if (!command_parse(slice_head(in, n - 1), &cmd)) {
		stream_consume(&g->s, n + 1);
		say(g, SLICE("500 5.5.2 What?\r\n"));
		return true;
	}
	if (cmd.verb == VERB_BDAT && bdat_parse(cmd.args, &g->chunk, &g->last)) {
		stream_consume(&g->s, n + 1);
		return take_chunk(g);
	}
	run_command(g, &cmd);
	if (cmd.verb == VERB_QUIT)
		return false;
	stream_consume(&g->s, n + 1);
	return true;
}

static void
on_event(void *owner, enum stream_event event)
{
	struct guest *g = owner;
	bool more = event == STREAM_DATA;

	if (event == STREAM_CLOSED) {
		stream_close(&g->s);
		loop_bury(g->sink->loop, &g->grave);
	}
	while (more)
		more = g->content ? take_content(g) : g->chunk > 0 ? take_chunk(g) : take_line(g);
}

static void
on_accept(struct ev_loop *ev, ev_io *w, int revents)
{
	struct sink *sink = w->data;

	(void)ev;
	(void)revents;
	for (int i = 0; i < 64; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		struct guest *g = calloc(1, sizeof(*g));

		if (g == NULL) {
			close(fd);
			return;
		}
		g->sink = sink;
		g->grave.free_fn = free_guest;
		stream_init(&g->s, sink->loop, BUF_LARGE, BUF_SMALL * 4, on_event, g);
		stream_adopt(&g->s, fd);
		say(g, SLICE("220 sink ESMTP\r\n"));
	}
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(fd, 1024) == 0)
		return fd;
	close(fd);
	return -1;
}

int
sink_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "chunking", no_argument, NULL, 'c' },
		{ "no-pipelining", no_argument, NULL, 'p' },
		{ 0 },
	};
	bool chunking = false;
	bool pipelining = true;
	char mem[256];
	struct text ehlo = text_over(mem, sizeof(mem));
	uint64_t port = 0;
	int o;

	while ((o = options_next(argc, argv, "", options)) >= 0) {
		if (o == '?')
			return EX_USAGE;
		chunking = chunking || o == 'c';
		pipelining = pipelining && o != 'p';
	}
	if (optind + 1 != argc || !slice_to_u64(slice_str(argv[optind]), &port) || port > 65535) {
		fputs("byway-bench sink: one port is needed, for instance: byway-bench sink 2600\n",
		    stderr);
		return EX_USAGE;
	}
	text_fmt(&ehlo, "250-sink\r\n%s%s250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 0\r\n",
	    pipelining ? "250-PIPELINING\r\n" : "", chunking ? "250-CHUNKING\r\n" : "");
	struct sink sink = { .loop = loop_open(), .ehlo = text_slice(&ehlo) };
	int fd = listen_on((unsigned)port);

	if (fd < 0 || sink.loop == NULL) {
		fprintf(stderr, "byway-bench sink: cannot listen on port %u: %s\n", (unsigned)port,
		    strerror(errno));
		return EX_OSERR;
	}
	ev_io_init(&sink.accept, on_accept, fd, EV_READ);
	sink.accept.data = &sink;
	ev_io_start(loop_ev(sink.loop), &sink.accept);
	loop_run(sink.loop);
	return EX_OK;
}
