/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H

/*
 * dns - look-ups on the loop, by c-ares: MX, TXT, and a host's addresses of both families
 * (RFC 1035, RFC 2308, RFC 8305 section 3)
 *
 * Every look-up ends within DNS_PATIENCE_S, its time in line included. An account has DNS_AT_ONCE
 * of them under way; what it asks beyond waits in a line of its own, and the lines are served in
 * turn, so that nobody waits behind another's silent name servers. Addresses come from /etc/hosts
 * where it has the name. They are told when both families have answered, or shortly after the
 * first did: a name server that is silent about AAAA holds nobody up.
 *
 * Owns:   the channel, its sockets and timers. An ask is part of the asker, who forgets it
 *         (dns_forget) when it goes.
 * Errors: DNS_FAILED: a time-out, SERVFAIL, REFUSED, an answer that cannot be read, too many in
 *         line. Never taken for "there is none".
 * Never:  follows the search list of resolv.conf; remembers (its callers do); blocks, but for the
 *         reading of /etc/hosts; calls back from inside dns_look_up().
 */
#include <limits.h>
#include <sys/socket.h>

#include "wire/loop.h"
#include "wire/slice.h"

enum {
	DNS_RECORDS_MAX = 64,
	DNS_OCTETS_MAX = 16384,
	DNS_SERVERS_MAX = 3,
	DNS_AT_ONCE = 2,
	DNS_LINE_MAX = 64,
	DNS_PATIENCE_S = 5,
};

/* Nothing was said of how long it holds. */
#define DNS_NO_TTL UINT_MAX

enum dns_type { DNS_MX, DNS_TXT, DNS_ADDRESS };

enum dns_got {
	DNS_FOUND,
	DNS_EMPTY, /* the name is there, but not with such a record */
	DNS_NO_NAME,
	DNS_FAILED,
};

struct dns_record {
	unsigned priority;  /* MX */
	struct slice value; /* ADDRESS: 4 or 16 octets; MX: the host, empty for the root; TXT: its
	                       strings joined, any octets */
};

struct dns_answer {
	enum dns_got got;
	unsigned ttl_s; /* the least of those that count, or DNS_NO_TTL */
	size_t n;
	struct dns_record at[DNS_RECORDS_MAX]; /* what is more is left out */
	size_t used;
	char mem[DNS_OCTETS_MAX]; /* what the records point into: not to be copied */
};

/* Whom to ask. */
struct dns_servers {
	size_t n; /* 0: those of resolv.conf, which is read again when it changes */
	struct sockaddr_storage at[DNS_SERVERS_MAX];
	unsigned timeout_s; /* before the next server, or the same once more, is asked */
};

struct dns;
struct flight;

struct dns_ask {
	struct flight *flight; /* NULL: it waits for nothing */
	/* ANSWER is gone when FN has returned; FN may ask again. */
	void (*fn)(struct dns_ask *ask, const struct dns_answer *answer);
};

struct dns *dns_open(struct loop *l, const struct dns_servers *servers) MUST_CHECK;
/* Waits for nothing; no callback any more. */
void dns_close(struct dns *d);
/* Where they are others than before, what is under way is asked anew, of them. */
void dns_set_servers(struct dns *d, const struct dns_servers *servers);
/* ASK, whose FN is set, hears within SECONDS (at most DNS_PATIENCE_S). NAME: without a final dot.
 * ACCOUNT: whose line; 0 is the operator's. False: it hears nothing, as NAME cannot be one, there
 * is no memory, or the line is full: DNS_FAILED. */
bool dns_look_up(struct dns *d, uint64_t account, struct slice name, enum dns_type type,
    double seconds, struct dns_ask *ask) MUST_CHECK;
/* ACCOUNT waits for the same answer: it does not stand behind what the first asker has in line. */
void dns_join(struct dns_ask *ask, uint64_t account);
void dns_forget(struct dns_ask *ask);

#endif
