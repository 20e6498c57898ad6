/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DNS_H
#define CONF_DNS_H

/*
 * dns - what the name system says about a domain: MX, A, AAAA, TXT (RFC 1035, RFC 7505, RFC 2308)
 *
 * Two ways in. dns_look_up() asks for one kind of record and blocks: for threads and for the
 * control tool. dns_mail() answers the one question that sessions have, whether mail to a domain
 * could go anywhere, from a memory or from threads of its own (a slow name server of somebody's
 * domain must not hold up the look-ups of upstreams).
 *
 * The memory holds DNS_KNOWN_MAX domains, each for as long as its records live, between 5 s and an
 * hour; that there is nothing, 5 minutes at most; that nobody could say, 5 s.
 *
 * Owns:   threads, from the first question on; the memory.
 * Errors: DNS_FAILED, DNS_MAIL_UNKNOWN: a time-out, SERVFAIL, REFUSED, an answer that cannot be
 * read. Never taken for "there is none".
 * Never:  follows the search list of resolv.conf; believes more of an answer than fits the question
 *         (owner names are followed along CNAMEs).
 */
#include <stdatomic.h>

#include "conf/conf.h"
#include "wire/loop.h"
#include "wire/slice.h"

enum { DNS_RECORDS_MAX = 64, DNS_MESSAGE_MAX = 16384, DNS_SERVERS_MAX = 3, DNS_KNOWN_MAX = 4096 };

enum dns_type { DNS_A = 1, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_got {
	DNS_FOUND,
	DNS_EMPTY, /* the name is there, but not with such a record */
	DNS_NO_NAME,
	DNS_FAILED,
};

struct dns_record {
	unsigned priority; /* MX */
	struct slice
	    /* A, AAAA: octets; MX: the host, empty for the root; TXT: its strings joined, any
	     * octets */
	    value;
};

struct dns_answer {
	enum dns_got got;
	unsigned ttl_s; /* the least of those that count; 0 where nothing was said */
	size_t n;
	struct dns_record at[DNS_RECORDS_MAX]; /* in the server's order; what is more is left out */
	size_t used;
	char mem[DNS_MESSAGE_MAX]; /* what the records point into: not to be copied */
};

/* Whom to ask, and how patiently: of [dns]. */
struct dns_servers {
	size_t n; /* 0: those of resolv.conf */
	struct sockaddr_storage at[DNS_SERVERS_MAX];
	unsigned timeout_s; /* of each of two attempts */
};

struct dns_servers dns_servers_of(const struct conf *c);
/* Blocks, for twice the time-out and each server at most. NAME: without a final dot. */
void dns_look_up(const struct dns_servers *servers, struct slice name, enum dns_type type,
    struct dns_answer *a_r);
/* A whole answer as it came, to a question for NAME and TYPE. */
void dns_read(struct slice message, struct slice name, enum dns_type type, struct dns_answer *a_r);

enum dns_mail {
	DNS_MAIL_OK,
	DNS_MAIL_NULL, /* a null MX: it says that it takes no mail */
	/* no such domain, or neither MX nor address, or none of its MX hosts has one */
	DNS_MAIL_NONE,
	DNS_MAIL_UNKNOWN,
};

/* The same question, blocking. *TTL_R: how long the answer holds. STOP (may be NULL): give up
 * between two look-ups once it is true. */
enum dns_mail dns_ask_mail(const struct dns_servers *servers, struct slice domain,
    const atomic_bool *stop, unsigned *ttl_r);

struct dns;

/* On the loop; OWNER as given. */
typedef void dns_fn(void *ctx, uint64_t owner, enum dns_mail verdict);

struct dns *dns_open(struct loop *l, const struct conf *c, void *ctx) MUST_CHECK;
/* No callback any more. Waits for the look-ups that run. */
void dns_close(struct dns *d);
/* What is known stays. */
void dns_reconf(struct dns *d, const struct conf *c);
/* True: *VERDICT_R is known. False: FN comes later, never from inside the call. DOMAIN is ASCII. */
bool dns_mail(struct dns *d, struct slice domain, uint64_t owner, dns_fn *fn,
    enum dns_mail *verdict_r) MUST_CHECK;

#endif
