/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DNS_PRIVATE_H
#define WIRE_DNS_PRIVATE_H

/*
 * dns_private - what dns.c (lines, turns, deadlines) and dns_ares.c (the channel, answers) share
 */
#include <sys/stat.h>

/* The interface that both Debians have is marked as old in the newer one. */
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "wire/dns.h"

struct watcher;

/* One question to c-ares. */
struct question {
	struct flight *flight;
	int type; /* of RFC 1035 */
	bool out;
	enum dns_got got;
};

enum flight_state { FLIGHT_WAITS, FLIGHT_ASKED, FLIGHT_OVER };

struct flight {
	struct flight *next; /* in its account's line, or among those that were asked */
	struct dns *dns;
	struct line *line;   /* NULL: over, and only c-ares still holds a question */
	struct dns_ask *ask; /* NULL: nobody waits for it any more */
	enum flight_state state;
	enum dns_type type;
	struct question at[2]; /* the second: AAAA */
	ev_timer deadline;
	ev_tstamp until;
	struct task task;
	struct dns_answer *answer; /* from when it is asked */
	size_t name_n;
	char name[];
};

/* An account that has look-ups. */
struct line {
	struct line *next; /* a ring */
	uint64_t account;
	unsigned asked, waiting;
	struct flight *first, **last;
};

struct dns {
	struct loop *loop;
	struct dns_servers servers;
	ares_channel channel;
	struct watcher *watchers;
	ev_timer timer;       /* c-ares's own time-outs */
	struct timespec conf; /* resolv.conf's, as the channel knows it */
	ev_tstamp looked;     /* at it */
	bool closing;
	struct line *turn; /* of the ring, the one served last */
	struct flight *asked;
	unsigned flights, asked_n;
};

/* dns_ares.c */
bool dns_channel_open(struct dns *d) MUST_CHECK;
/* Questions that are out are asked anew by the next channel; on closing they are dropped. */
void dns_channel_close(struct dns *d);
/* True: it has to be opened anew, as resolv.conf has changed since or it could not be opened. */
bool dns_channel_is_old(struct dns *d) MUST_CHECK;
/* Puts F's questions; those that /etc/hosts answers are answered at once. */
void dns_channel_ask(struct flight *f);

/* dns.c: one of F's questions has an answer. Called by c-ares. */
void dns_heard(struct flight *f);

#endif
