/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_SMTP_CALLOUT_H
#define RELAY_SMTP_CALLOUT_H

/*
 * callout - does an address exist, by the word of its own domain's server (BEHAVIOUR S5)
 *
 * Beside relay.h the one header of relay/ that proxy/ includes. Asks as a bounce would: MAIL
 * FROM:<>, RCPT TO the address, QUIT; no content goes, no TLS. The servers are those of MX, the
 * best first, or the domain itself; two attempts, CALLOUT_S in all from when their addresses are
 * known. Each address passes the guard.
 *
 * What was said is remembered: good for a day, refused for two hours, unable for five minutes;
 * CALLOUT_KNOWN_MAX addresses. Who asks what is being asked already waits for the same answer.
 *
 * Owns:   connections; the memory. Names are looked up as the relay does, which must stay longer.
 * Never:  counts a domain as gone because a name server failed (CALLOUT_LATER, not remembered);
 *         blocks.
 */
#include "conf/conf.h"
#include "wire/loop.h"
#include "wire/path.h"

enum { CALLOUT_S = 15, CALLOUT_KNOWN_MAX = 4096, CALLOUT_CALLS_MAX = 256 };

enum callout_said {
	CALLOUT_GOOD,    /* 2xx to RCPT */
	CALLOUT_REFUSED, /* 5xx to RCPT */
	CALLOUT_UNABLE,  /* nobody there, or no clear word */
	CALLOUT_LATER,   /* name servers fail, or too many are asked about now */
};

struct callouts;
struct relay;

/* On the loop; OWNER as given. */
typedef void callout_fn(void *ctx, uint64_t owner, enum callout_said said);

struct callouts *callouts_open(struct loop *l, struct relay *r, struct conf *c, callout_fn *fn,
    void *ctx) MUST_CHECK;
/* No callback any more. */
void callouts_close(struct callouts *all);
/* What is known stays. */
void callouts_reconf(struct callouts *all, struct conf *c);
/* True: *SAID_R is known. False: FN comes later, never from inside the call. ADDRESS is ASCII, of a
 * domain that is a name. */
bool callout(struct callouts *all, uint64_t account, const struct path *address, uint64_t owner,
    enum callout_said *said_r) MUST_CHECK;

#endif
