/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - many SMTP sessions that send as fast as they are answered
 *
 * Each session speaks a dialogue of groups: what may be pipelined goes in one write (RFC 2920), and
 * the next group when the last reply to it is in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "bench/bench.h"
#include "wire/base64.h"
#include "wire/crypto.h"
#include "wire/options.h"
#include "wire/reply.h"
#include "wire/stream.h"

enum tls_mode { TLS_MODE_NONE, TLS_MODE_STARTTLS, TLS_MODE_IMPLICIT };

struct load {
	struct loop *loop;
	struct sockaddr_in to;
	struct tls_ctx *tls;
	enum tls_mode mode;
	const char *from;
	const char *rcpt;
	const char *auth; /* the whole AUTH line; NULL: none */
	unsigned char pin[32];
	uint64_t sessions, messages, size, recipients, idle_s;
	bool reconnect, json, anywhere;
	char *content; /* with its final dot */
	size_t content_n;
	uint64_t started, done, failed, open, ready;
	char complaint[256];
	ev_timer rest;
	float *took; /* seconds from the end of the content to its answer, a message each */
};

enum at { AT_GREETING, AT_EHLO, AT_STARTTLS, AT_AUTH, AT_ENVELOPE, AT_CONTENT, AT_QUIT, AT_IDLE };

struct runner {
	struct grave grave;
	struct stream s;
	struct reply_scan scan;
	struct load *load;
	enum at at;
	bool secure;
	uint64_t wanted; /* replies to the group that is out */
	size_t sent;     /* of the content */
	ev_tstamp asked;
};

static void start(struct load *l);

static void
free_runner(struct grave *g)
{
	free(g);
}

static bool
is_over(const struct load *l)
{
	return l->done + l->failed >= l->messages;
}

static void
leave(struct runner *r, const char *why, bool message)
{
	struct load *l = r->load;

	stream_close(&r->s);
	loop_bury(l->loop, &r->grave);
	l->open--;
	if (message) {
		l->failed++;
		if (l->complaint[0] == '\0')
			snprintf(l->complaint, sizeof(l->complaint), "%s", why);
	}
	if (!is_over(l) && l->idle_s == 0)
		start(l);
	else if (l->open == 0)
		loop_stop(l->loop);
}

static void
say(struct runner *r, enum at at, uint64_t replies, const char *what)
{
	r->at = at;
	r->wanted = replies;
	if (!stream_write(&r->s, slice_str(what)))
		leave(r, "no room for a command", true);
}

static void
say_envelope(struct runner *r)
{
	struct load *l = r->load;
	char mem[16384];
	struct text t = text_over(mem, sizeof(mem));

	l->started++;
	text_fmt(&t, "MAIL FROM:<%s>\r\n", l->from);
	for (uint64_t i = 0; i < l->recipients; i++)
		text_fmt(&t, "RCPT TO:<%s>\r\n", l->rcpt);
	text_fmt(&t, "DATA\r\n");
	say(r, AT_ENVELOPE, l->recipients + 2, mem);
}

static void
feed(struct runner *r)
{
	struct load *l = r->load;
	size_t room = stream_room(&r->s);
	size_t n = l->content_n - r->sent;

	n = n < room ? n : room;
	if (!stream_write(&r->s, slice_of(l->content + r->sent, n))) {
		leave(r, "no room for content", true);
		return;
	}
	r->sent += n;
	if (r->sent < l->content_n)
		stream_want_lowat(&r->s, BUF_LARGE / 2);
	else
		r->asked = loop_now(l->loop);
}

/* A message is through: another one, or the end. */
static void
next_message(struct runner *r)
{
	struct load *l = r->load;

	if (l->idle_s > 0) {
		r->at = AT_IDLE;
		l->ready++;
	} else if (l->started < l->messages && !(l->reconnect && r->at == AT_CONTENT)) {
		say_envelope(r);
	} else {
		say(r, AT_QUIT, 1, "QUIT\r\n");
	}
}

static void
after_ehlo(struct runner *r)
{
	struct load *l = r->load;

	if (l->mode == TLS_MODE_STARTTLS && !r->secure)
		say(r, AT_STARTTLS, 1, "STARTTLS\r\n");
	else if (l->auth != NULL)
		say(r, AT_AUTH, 1, l->auth);
	else
		next_message(r);
}

static void
advance(struct runner *r)
{
	struct load *l = r->load;

	switch (r->at) {
	case AT_GREETING:
		say(r, AT_EHLO, 1, "EHLO bench.example\r\n");
		break;
	case AT_EHLO:
		after_ehlo(r);
		break;
	case AT_STARTTLS:
		if (!stream_secure(&r->s, l->tls, SLICE("localhost")))
			leave(r, "octets behind STARTTLS", true);
		break;
	case AT_AUTH:
		next_message(r);
		break;
	case AT_ENVELOPE:
		r->at = AT_CONTENT;
		r->wanted = 1;
		r->sent = 0;
		feed(r);
		break;
	case AT_CONTENT:
		l->took[l->done++] = (float)(loop_now(l->loop) - r->asked);
		next_message(r);
		break;
	case AT_QUIT:
		leave(r, "", false);
		break;
	case AT_IDLE:
		break;
	}
}

static bool
is_good(const struct runner *r, const struct reply *reply)
{
	if (r->at == AT_ENVELOPE && r->wanted == 1)
		return reply->code == 354;
	return reply->code < 300;
}

static void
hear(struct runner *r)
{
	struct reply reply;
	size_t used;

	while (reply_parse(&r->scan, stream_in(&r->s), &reply, &used) == REPLY_WHOLE) {
		if (!is_good(r, &reply)) {
			char why[200];

			snprintf(why, sizeof(why), "%d %.*s", reply.code,
			    SLICE_FMT(slice_head(reply.text, 150)));
			leave(r, why, true);
			return;
		}
		stream_consume(&r->s, used);
		if (--r->wanted > 0)
			continue;
		enum at was = r->at;

		advance(r);
		if (was == AT_QUIT || !stream_is_open(&r->s))
			return;
	}
}

static void
on_event(void *owner, enum stream_event event)
{
	struct runner *r = owner;
	struct load *l = r->load;

	switch (event) {
	case STREAM_CONNECTED:
		if (l->mode == TLS_MODE_IMPLICIT &&
		    !stream_secure(&r->s, l->tls, SLICE("localhost")))
			leave(r, "octets before TLS", true);
		break;
	case STREAM_SECURED:
		r->secure = true;
		if (l->mode == TLS_MODE_STARTTLS)
			say(r, AT_EHLO, 1, "EHLO bench.example\r\n");
		break;
	case STREAM_DATA:
		hear(r);
		break;
	case STREAM_LOWAT:
		feed(r);
		break;
	case STREAM_TIMEOUT:
		break;
	case STREAM_CLOSED:
		leave(r, stream_why(&r->s), r->at != AT_QUIT);
		break;
	}
}

static void
start(struct load *l)
{
	struct runner *r;

	if (l->started >= l->messages && l->idle_s == 0)
		return;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->grave.free_fn = free_runner;
	r->load = l;
	r->wanted = 1;
	l->open++;
	stream_init(&r->s, l->loop, BUF_SMALL * 4, BUF_LARGE, on_event, r);
	if (!stream_connect(&r->s, (struct sockaddr *)&l->to, sizeof(l->to), NULL, 0)) {
		fprintf(stderr, "byway-bench load: %s\n", stream_why(&r->s));
		exit(EX_UNAVAILABLE);
	}
}

/* ---- what was asked for ---------------------------------------------------------------------- */

static void
make_content(struct load *l)
{
	static const char head[] =
	    "From: <a@bench.example>\r\nTo: <b@bench.example>\r\nSubject: bench\r\n"
	    "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <bench@bench.example>\r\n\r\n";
	static const char line[] =
	    "The quick brown fox jumps over the lazy dog, and then over it again.\r\n";
	size_t n = sizeof(head) - 1;

	l->content = malloc(l->size + sizeof(head) + sizeof(line) + 8);
	if (l->content == NULL)
		abort();
	memcpy(l->content, head, n);
	while (n < l->size) {
		memcpy(l->content + n, line, sizeof(line) - 1);
		n += sizeof(line) - 1;
	}
	memcpy(l->content + n, ".\r\n", 3);
	l->content_n = n + 3;
}

static bool
make_auth(struct load *l, const char *user, const char *file)
{
	static char line[1024];
	char plain[512];
	char password[256] = "";
	struct text t = text_over(line, sizeof(line));
	struct text p = text_over(plain, sizeof(plain));
	FILE *f = fopen(file, "r");

	if (f == NULL)
		return false;
	if (fgets(password, sizeof(password), f) == NULL)
		password[0] = '\0';
	fclose(f);
	password[strcspn(password, "\r\n")] = '\0';
	text_char(&p, '\0');
	text_put(&p, slice_str(user));
	text_char(&p, '\0');
	text_put(&p, slice_str(password));
	text_put(&t, SLICE("AUTH PLAIN "));
	base64_encode(&t, text_slice(&p));
	text_put(&t, SLICE("\r\n"));
	l->auth = line;
	return true;
}

static bool
make_tls(struct load *l, const char *ca)
{
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_client_options o = { .ca_file = ca };

	if (crypto_init() && tls_init(&why))
		l->tls = tls_client_ctx(&o, &why);
	if (l->tls == NULL)
		fprintf(stderr, "byway-bench load: %s\n", mem);
	return l->tls != NULL;
}

struct numbers {
	const char *name;
	size_t offset;
};

static const struct numbers numbers[] = {
	{ "sessions", offsetof(struct load, sessions) },
	{ "messages", offsetof(struct load, messages) },
	{ "size", offsetof(struct load, size) },
	{ "recipients", offsetof(struct load, recipients) },
	{ "idle", offsetof(struct load, idle_s) },
};

enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static int
usage(const char *what)
{
	fprintf(stderr, "byway-bench load: %s (see byway-bench --help)\n", what);
	return EX_USAGE;
}

static int
read_target(struct load *l, int argc, char **argv)
{
	uint64_t port = 0;

	if (optind + 2 != argc || !slice_to_u64(slice_str(argv[optind + 1]), &port) || port > 65535)
		return usage("host and port are needed");
	l->to.sin_family = AF_INET;
	l->to.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, argv[optind], &l->to.sin_addr) != 1)
		return usage("the host must be an IPv4 address");
	if (!l->anywhere && ntohl(l->to.sin_addr.s_addr) >> 24 != 127)
		return usage("a load goes to loopback only, unless --anywhere says so");
	return EX_OK;
}

static int
read_options(struct load *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "sessions", required_argument, NULL, 0 },
		{ "messages", required_argument, NULL, 1 },
		{ "size", required_argument, NULL, 2 },
		{ "recipients", required_argument, NULL, 3 },
		{ "idle", required_argument, NULL, 4 },
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "tls", required_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'u' },
		{ "password-file", required_argument, NULL, 'p' },
		{ "ca", required_argument, NULL, 'c' },
		{ "reconnect", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "anywhere", no_argument, NULL, 'a' },
		{ 0 },
	};
	const char *user = NULL, *file = NULL, *ca = NULL;
	int o;

	while ((o = options_next(argc, argv, "", options)) >= 0) {
		if (o < NUMBERS) {
			uint64_t *to = (uint64_t *)(void *)((char *)l + numbers[o].offset);

			if (!slice_to_u64(slice_str(optarg), to))
				return usage("not a number");
			continue;
		}
		switch (o) {
		case 'f':
			l->from = optarg;
			break;
		case 't':
			l->rcpt = optarg;
			break;
		case 'u':
			user = optarg;
			break;
		case 'p':
			file = optarg;
			break;
		case 'c':
			ca = optarg;
			break;
		case 'r':
			l->reconnect = true;
			break;
		case 'j':
			l->json = true;
			break;
		case 'a':
			l->anywhere = true;
			break;
		case 's':
			l->mode =
			    strcmp(optarg, "implicit") == 0 ? TLS_MODE_IMPLICIT : TLS_MODE_STARTTLS;
			break;
		default:
			return EX_USAGE;
		}
	}
	if (l->mode != TLS_MODE_NONE && ca == NULL)
		return usage("--tls needs --ca FILE, the certificate to trust for localhost");
	if (l->mode != TLS_MODE_NONE && !make_tls(l, ca))
		return EX_CONFIG;
	if (user != NULL && (file == NULL || !make_auth(l, user, file)))
		return usage("--user needs --password-file FILE that can be read");
	return read_target(l, argc, argv);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

static double
percentile_ms(const struct load *l, double p)
{
	size_t i = (size_t)((double)l->done * p);

	return l->done == 0 ? 0 : (double)l->took[i < l->done ? i : l->done - 1] * 1000;
}

static void
report(struct load *l, double seconds)
{
	qsort(l->took, l->done, sizeof(*l->took), by_size);
	printf(l->json
	        ? "{\"messages\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"rate\":%.0f,\"p50_ms\":%.2f,"
	          "\"p99_ms\":%.2f,\"sessions\":%llu}\n"
	        : "%llu messages, %llu failed, %.3f s, %.0f/s, final dot p50 %.2f ms, p99 %.2f ms, %llu sessions ready\n",
	    (unsigned long long)l->done, (unsigned long long)l->failed, seconds,
	    (double)l->done / seconds, percentile_ms(l, 0.5), percentile_ms(l, 0.99),
	    (unsigned long long)l->ready);
	if (l->complaint[0] != '\0')
		fprintf(stderr, "byway-bench load: first failure: %s\n", l->complaint);
}

static void
on_rest(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct load *l = w->data;

	(void)ev;
	(void)revents;
	loop_stop(l->loop);
}

int
load_main(int argc, char **argv)
{
	struct load l = {
		.sessions = 20,
		.messages = 10000,
		.size = 4096,
		.recipients = 1,
		.from = "a@bench.example",
		.rcpt = "b@bench.example",
	};
	int bad = read_options(&l, argc, argv);

	if (bad != EX_OK)
		return bad;
	l.loop = loop_open();
	l.took = calloc(l.messages + 1, sizeof(*l.took));
	if (l.loop == NULL || l.took == NULL)
		return EX_OSERR;
	make_content(&l);
	ev_timer_init(&l.rest, on_rest, (double)l.idle_s, 0);
	l.rest.data = &l;
	if (l.idle_s > 0)
		ev_timer_start(loop_ev(l.loop), &l.rest);
	ev_tstamp began = ev_time();

	for (uint64_t i = 0; i < l.sessions && (l.idle_s > 0 || i < l.messages); i++)
		start(&l);
	loop_run(l.loop);
	report(&l, ev_time() - began);
	return l.failed > 0 ? EX_TEMPFAIL : EX_OK;
}
