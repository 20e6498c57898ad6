/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

/*
 * sink - a server that takes mail and forgets it, and can be as bad as it was told to be
 *
 * Rules say at which phase it is slow, refuses or hangs up, and how often. Shares are spread
 * evenly, not by chance: 10 % is every tenth time, so that runs are the same.
 *
 * Owns:   log-ins, TLS context, words of refusals, until sink_plan_fini().
 */
#include "bench/logins.h"
#include "bench/phase.h"
#include "wire/loop.h"
#include "wire/tls.h"

enum { SINK_RULES_MAX = 32, SINK_WORDS_MAX = 96 };

enum sink_kind { SINK_DELAY, SINK_REFUSE, SINK_DROP };

struct sink_rule {
	enum phase phase;
	enum sink_kind kind;
	uint64_t least_ns, most_ns; /* of a delay */
	unsigned share;             /* times in 1000 */
	unsigned owed;              /* what the share has run up to */
	struct slice words;         /* of a refusal, a whole reply */
	char mem[SINK_WORDS_MAX];
};

struct sink_count {
	uint64_t connections;
	uint64_t secured;
	uint64_t logins;
	uint64_t messages;
	uint64_t recipients;
	uint64_t octets; /* of content, dots not doubled */
	uint64_t delayed;
	uint64_t refused[PHASE_COUNT];
	uint64_t dropped[PHASE_COUNT];
};

struct guest;

struct sink {
	struct loop *loop;
	/* What was asked for. */
	bool implicit, starttls, auth, chunking, no_pipelining, anywhere, json, quiet;
	const char *chain_file, *key_file, *certificate_out, *logins_file;
	struct logins logins; /* n == 0: whoever logs in is let in */
	struct tls_ctx *ctx;
	struct sink_rule rules[SINK_RULES_MAX];
	size_t rules_n;
	unsigned port;
	/* EHLO's answer: before and after TLS. */
	struct slice ehlo[2];
	char ehlo_mem[2][320];
	/* The run. */
	struct sink_count count;
	uint64_t chance;
	struct guest *guests;
	ev_io accept;
	ev_signal interrupt, terminate;
};

/* EX_OK, or the exit status after standard error was told why not. */
int sink_plan_read(struct sink *s, int argc, char **argv) MUST_CHECK;
void sink_plan_fini(struct sink *s);

/* What the rules make of one command: how long to wait before REPLY, which may become another. */
struct sink_fate {
	bool drop;
	bool refused;
	uint64_t delay_ns;
	struct slice reply;
};
struct sink_fate sink_decide(struct sink *s, enum phase phase, struct slice reply);

/* Takes FD, a client's connection. */
void sink_guest_open(struct sink *s, int fd);
/* All clients, when the loop does not run any more. */
void sink_guests_close(struct sink *s);

#endif
