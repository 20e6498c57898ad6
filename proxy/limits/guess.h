/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_GUESS_H
#define PROXY_LIMITS_GUESS_H

/*
 * guess - password guessing, slowed and stopped (BEHAVIOUR A3)
 *
 * Failed log-ins are counted in memory that all workers share: by client address (IPv6: its /64)
 * and by login name, whether there is such a name or not. What is counted leaks away: a limit's
 * worth in a window. Attempts whose answer is still out count too where they are more than
 * GUESS_PENDING at once: so that a burst buys no free guesses, and a program that opens many
 * sessions at once with the right password waits for nothing.
 *
 *      by name       beyond the limit nobody is even heard who comes from an address that the name
 *                    has not logged in from before; so an owner under attack gets in from home, and
 *                    what he mistypes there is counted apart.
 *      by address    beyond the limit the first wrong password ends the connection, after the
 *                    longest delay. A right one always gets in: a NAT full of good users is not
 *                    locked out for one of them. Each user who has logged in from there makes the
 *                    address's limit larger.
 *
 * Before either limit the answer is delayed: 0, 1, 2, 4 ... seconds, from the count before the
 * attempt, so that nobody can tell a right password from the delay.
 *
 * Owns:   the mapping, made before the fork. Tables are of a fixed size; what has leaked most makes
 *         room. Kept by node; what other nodes have counted comes from guess_nodes.h, and the
 *         larger count decides.
 * Never:  keeps a name or an address: keyed hashes alone. Locks: a cell is one atomic word.
 */
#include <sys/socket.h>

#include "wire/slice.h"
#include "wire/text.h"

struct guess_rules {
	double window_s;
	unsigned name_failures; /* limits; 0: none */
	unsigned address_failures;
	unsigned name_free; /* failures before delays begin */
	unsigned address_free;
	unsigned
	    /* by how many failures a user who has logged in makes an address's limit larger */
	    per_user;
	double delay_max_s;
	double remember_s; /* that a name has logged in from an address */
};

struct guess;

enum { GUESS_PENDING = 64 };

/* One attempt, from its beginning to its answer. */
struct guess_attempt {
	uint64_t name, address, pair;
	bool known; /* the name has logged in from that address before */
};

/* What all nodes know of an attempt. */
struct guess_common {
	bool known;             /* the name has logged in from that address, at some node */
	unsigned name, address; /* failures */
	unsigned users;
};

struct guess_verdict {
	bool refuse; /* without a look at the password */
	bool last;   /* a wrong password ends the connection */
	double delay_s;
};

struct guess *guess_open(void) MUST_CHECK;
void guess_close(struct guess *g);

/* Who tries. NOW_S: monotonic, the same clock in all workers. */
void guess_who(struct guess *g, const struct guess_rules *r, const struct sockaddr *from,
    struct slice name, double now_s, struct guess_attempt *a_r);
/* The attempt begins. C: NULL, or all zero, where other nodes are not asked. */
struct guess_verdict guess_decide(struct guess *g, const struct guess_rules *r,
    struct guess_attempt *a, const struct guess_common *c, double now_s);
/* Both, for this node alone. */
struct guess_verdict guess_begin(struct guess *g, const struct guess_rules *r,
    const struct sockaddr *from, struct slice name, double now_s, struct guess_attempt *a_r);
/* The password was wrong. */
void guess_wrong(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s);
/* The password was right. */
void guess_right(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s);
/* It could not be checked: the attempt does not count. */
void guess_void(struct guess *g, const struct guess_rules *r, const struct guess_attempt *a,
    double now_s);
/* What a count is of, in words that are the same at all nodes, for a keyed hash. KIND: n, a name;
 * a, an address; p, a pair. */
void guess_write(char kind, struct slice name, const struct sockaddr *from, struct text *out);
/* NAME's failures are forgotten: somebody has looked into it. */
void guess_forgive(struct guess *g, struct slice name);

#endif
