/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_GUESS_H
#define PROXY_LIMITS_GUESS_H

/*
 * guess - password guessing, slowed and stopped (BEHAVIOUR A3)
 *
 * Attempts to log in are counted in memory that all workers share: by client address and by login
 * name, whether there is such a name or not. An attempt counts when it starts, and is taken back
 * when the password was right or could not be checked: hanging up before the answer is a failure
 * like any other. What is counted leaks away: a limit's worth in a window. Of attempts whose
 * answer is still out, GUESS_PENDING do not weigh yet, and who comes while GUESS_CROWD are out may
 * wait until one has ended: a program that opens any number of sessions at once with the right
 * password is not refused, and more at once buy no free guesses.
 *
 *      start -> wait, and start again                        does not count
 *            -> decide -> refuse                             does not count
 *                      -> right, void                        does not count
 *                      -> stays: wrong, or the client left   counts
 *
 *      by name       beyond the limit nobody is even heard who comes from an address that the name
 *                    has not logged in from before; so an owner under attack gets in from home, and
 *                    what he mistypes there is counted apart.
 *      by address    beyond the limit the first wrong password ends the connection, after the
 *                    longest delay. A right one always gets in: a NAT full of good users is not
 *                    locked out for one of them. Each user who has logged in from there makes the
 *                    address's limit larger. An IPv6 address counts as its /64, its /56 and its
 *                    /48, which may four times as much each.
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

enum { GUESS_PENDING = 64, GUESS_CROWD = 48, GUESS_WIDTHS = 3 };

enum guess_state { GUESS_NONE, GUESS_OUT, GUESS_ENDED };

/* One attempt, from its start to its answer. Its numbers are keyed hashes, the same in all workers
 * of the machine. */
struct guess_attempt {
	enum guess_state state;
	unsigned widths; /* of ADDRESS: 1 of an IPv4 one */
	uint64_t name, pair, address[GUESS_WIDTHS];
	bool known; /* the name has logged in from that address before */
};

/* What all nodes know of an attempt. */
struct guess_common {
	bool known; /* the name has logged in from that address, at some node */
	/* failures */
	unsigned name, address[GUESS_WIDTHS];
	unsigned users[GUESS_WIDTHS];
};

struct guess_verdict {
	bool refuse; /* without a look at the password */
	bool last;   /* a wrong password ends the connection */
	double delay_s;
};

struct guess *guess_open(void) MUST_CHECK;
void guess_close(struct guess *g);

/* The attempt starts, and counts. False, only where it MAY_WAIT: a crowd is out already; it has not
 * started. NOW_S: monotonic, the same clock in all workers. */
bool guess_start(struct guess *g, const struct guess_rules *r, const struct sockaddr *from,
    struct slice name, bool may_wait, double now_s, struct guess_attempt *a_r) MUST_CHECK;
/* Whether its password is looked at. C: NULL, or all zero, where other nodes are not asked. One
 * that is refused has ended. */
struct guess_verdict guess_decide(struct guess *g, const struct guess_rules *r,
    struct guess_attempt *a, const struct guess_common *c, double now_s);
/* The password was right. */
void guess_right(struct guess *g, const struct guess_rules *r, struct guess_attempt *a,
    double now_s);
/* The password was wrong, or nobody waits for the answer. */
void guess_stays(struct guess *g, const struct guess_rules *r, struct guess_attempt *a,
    double now_s);
/* It could not be checked: the attempt does not count. */
void guess_void(struct guess *g, const struct guess_rules *r, struct guess_attempt *a,
    double now_s);
/* How many networks FROM counts for. */
unsigned guess_widths(const struct sockaddr *from);
/* What a count is of, in words that are the same at all nodes, for a keyed hash. KIND: n, a name;
 * a, an address (WIDTH 0: an IPv4 one or the /64; 1: the /56; 2: the /48); p, a pair. */
void guess_write(char kind, struct slice name, const struct sockaddr *from, unsigned width,
    struct text *out);
/* NAME's failures are forgotten: somebody has looked into it. */
void guess_forgive(struct guess *g, struct slice name);

#endif
