/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_VERDICT_VERDICT_H
#define RELAY_VERDICT_VERDICT_H

/*
 * verdict - what an upstream's answer means, and what the client hears of it (BEHAVIOUR 7)
 *
 * Two steps, both tables. An answer is classed: words (rule.def: providers' rows first, then those
 * for all), then its enhanced code, then its reply code, at last INTERNAL. The class (class.def)
 * then says the code and the words. Failures without an answer (lost, timeout, TLS, DNS) enter at
 * the second step.
 *
 * A verdict is neutral as to where it is said; verdict_at_rcpt() turns 554 into 550 for RCPT, and
 * too many recipients into what fits the place.
 *
 * Never:  lets a 3xx, 421, 530, 534, 535, 538, 454 or 432 of an upstream out; shows an access key,
 *         an ARN or the profile's user name.
 */
#include "relay/relay.h"
#include "wire/reply.h"

/* Where in the dialogue an answer came; also a mask in rule.def. */
enum phase {
	PHASE_CONNECT = 1,
	PHASE_GREETING = 2,
	PHASE_EHLO = 4,
	PHASE_STARTTLS = 8,
	PHASE_AUTH = 16,
	PHASE_MAIL = 32,
	PHASE_RCPT = 64,
	PHASE_DATA = 128,
	PHASE_DOT = 256,
	PHASE_ANY = 511,
};

enum { VERDICT_WORDS_MAX = 400, VERDICT_TEXT_MAX = 1024 };

/* PROVIDER: the preset's name, for its own rows. */
enum verdict_class verdict_class_of(const char *provider, enum phase phase, const struct reply *r)
    MUST_CHECK;
/* True where R, to AUTH, refuses the mechanism and not the credential. */
bool verdict_is_about_mechanism(const struct reply *r) MUST_CHECK;
/* The pieces of WORDS between its '*' stand in S in this order, case aside. */
bool verdict_has_words(struct slice s, const char *words) MUST_CHECK;
/* Whose trouble a class is. */
enum verdict_trouble {
	TROUBLE_MESSAGE, /* the message's, or nobody's */
	TROUBLE_ROUTE,   /* the route's: another may do better, and its health tells of it */
	TROUBLE_PASSING, /* but soon over: another may do better, health is as before */
	TROUBLE_NOTED,   /* its health tells of it, and no other route is tried: the message may be
	                  * there already, or would be refused there as well */
};

/* True where another route, or another server of the pool, may do better: the trouble is the
 * route's, not the message's. */
bool verdict_is_route_trouble(enum verdict_class class) MUST_CHECK;

/* R: NULL if local. HIDE: the profile's user name, or empty. The texts go to MEM (VERDICT_TEXT_MAX
 * octets are enough) and live as it does. */
struct relay_verdict verdict_make(enum verdict_class class, const struct reply *r,
    struct slice hide, struct text *mem);
/* A used up quota, where it is to be refused and not put off. */
struct relay_verdict verdict_refuse_quota(struct relay_verdict v);
/* True where a 421 on a connection that was used before says nothing but that it is over. */
bool verdict_is_goodbye(enum verdict_class class) MUST_CHECK;
/* As it is said in answer to RCPT. */
struct relay_verdict verdict_at_rcpt(struct relay_verdict v);
/* As it is said after the content, or in answer to DATA. */
struct relay_verdict verdict_at_end(struct relay_verdict v);
/* "550 5.1.1 no such user": all of R's words in one line, cleaned. */
void verdict_said(struct text *t, const struct reply *r, struct slice hide);
/* Printable ASCII of S, at most MAX octets, without what looks like a key, and without HIDE. */
void verdict_clean(struct text *t, struct slice s, struct slice hide, size_t max);

#endif
