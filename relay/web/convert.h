/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_CONVERT_H
#define RELAY_WEB_CONVERT_H

/*
 * convert - content that a foreign parser takes apart, in a process that holds nothing (BEHAVIOUR
 * R10, R11)
 *
 *      worker: convert --socketpair--> nursery: forks a parser a message --> sendgrid_convert()
 *              message (sealed memfd) + JSON (empty memfd) go by SCM_RIGHTS; the answer says how
 *              the parser ended
 *
 * A parser lives for one message. It has no key, no socket and no other customer's octets, and
 * bounds on memory, stack, processor and wall time; what it does beyond them ends it, and nobody
 * else.
 *
 * Shares:  CONVERT_SLOTS parsers a worker, of which one account has CONVERT_OF_ACCOUNT at most;
 *          accounts take turns. Who has waited CONVERT_WAIT_S hears CONVERT_UNAVAILABLE.
 *
 * Owns:    the socket, the JSON's file until it is handed over.
 * Never:   calls back from inside convert_start().
 */
#include "relay/list.h"
#include "wire/loop.h"

enum {
	CONVERT_SLOTS = 4,
	CONVERT_OF_ACCOUNT = 1,
	CONVERT_WAIT_S = 30,
	CONVERT_WHY_MAX = 200,
};

enum convert_end {
	CONVERT_DONE,
	CONVERT_REFUSED,     /* with the reason */
	CONVERT_KILLED,      /* this content goes beyond the parser's bounds, or made it fall */
	CONVERT_UNAVAILABLE, /* not the content's fault */
};

struct convert_result {
	enum convert_end end;
	int fd;     /* the JSON, sealed, which the callee takes; -1 where there is none */
	uint64_t n; /* its octets */
	const char *why;
};
typedef void convert_fn(void *ctx, const struct convert_result *r);

struct convert_order {
	uint64_t account;
	int fd; /* the message, then the recipients, a line each; sealed; borrowed until the end */
	uint64_t size; /* of the message alone */
	unsigned recipients;
	bool strict; /* refuse what would have to be mended */
	convert_fn *fn;
	void *ctx;
};

struct converter;
struct conversion;

/* FD: a socket whose other end the nursery has; taken. NULL: no memory. */
struct converter *converter_open(struct loop *l, int fd) MUST_CHECK;
/* Nobody is told. */
void converter_close(struct converter *c);
/* NULL: no memory. */
struct conversion *convert_start(struct converter *c, const struct convert_order *o) MUST_CHECK;
/* Its answer is no longer wanted. */
void convert_forget(struct conversion *v);

#endif
