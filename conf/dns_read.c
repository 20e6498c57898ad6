/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One answer of a name server, taken apart, and the asking for it. Whatever does not add up makes
 * the whole answer DNS_FAILED.
 */
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/dns.h"

enum {
	HEADER_OCTETS = 12,
	NAME_MAX_OCTETS = 1025,
	CHAIN_MAX = 8,
	ATTEMPTS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6
};

/* One resource record; RDATA lies in the message. */
struct rr {
	char owner[NAME_MAX_OCTETS];
	unsigned type, class;
	uint32_t ttl;
	const uint8_t *rdata;
	size_t n;
};

/* The message, and where in it we are. */
struct message {
	const uint8_t *p, *end, *at;
};

static unsigned
u16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t
u32(const uint8_t *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

/* The name at AT, which must not reach behind END, as text; its octets there, or -1. */
static int
expand(const struct message *m, const uint8_t *at, char name[NAME_MAX_OCTETS])
{
	return at < m->end ? dn_expand(m->p, m->end, at, name, NAME_MAX_OCTETS) : -1;
}

static bool
skip_question(struct message *m)
{
	char name[NAME_MAX_OCTETS];
	int n = expand(m, m->at, name);

	if (n < 0 || m->end - m->at - n < 4)
		return false;
	m->at += n + 4;
	return true;
}

static bool
next_rr(struct message *m, struct rr *rr)
{
	int n = expand(m, m->at, rr->owner);

	if (n < 0 || m->end - m->at - n < 10)
		return false;

	const uint8_t *p = m->at + n;

	rr->type = u16(p);
	rr->class = u16(p + 2);
	rr->ttl = u32(p + 4);
	if (rr->ttl > INT32_MAX) /* RFC 2181, 8 */
		rr->ttl = 0;
	rr->n = u16(p + 8);
	rr->rdata = p + 10;
	if ((size_t)(m->end - rr->rdata) < rr->n)
		return false;
	m->at = rr->rdata + rr->n;
	return true;
}

static void
shorten(struct dns_answer *a, uint32_t ttl, bool *any)
{
	if (!*any || ttl < a->ttl_s)
		a->ttl_s = ttl;
	*any = true;
}

static struct slice
keep(struct dns_answer *a, const void *octets, size_t n)
{
	struct slice s = slice_of(a->mem + a->used, n);

	if (n > sizeof(a->mem) - a->used)
		return slice_of(NULL, 0);
	memcpy(a->mem + a->used, octets, n);
	a->used += n;
	return s;
}

/* RDATA of TXT: strings with their length before them. */
static bool
read_txt(const struct rr *rr, struct dns_answer *a, struct slice *value_r)
{
	size_t start = a->used;

	for (size_t i = 0; i < rr->n; i += 1u + rr->rdata[i]) {
		size_t n = rr->rdata[i];

		if (n > rr->n - i - 1 || keep(a, rr->rdata + i + 1, n).p == NULL)
			return false;
	}
	*value_r = slice_of(a->mem + start, a->used - start);
	return true;
}

static bool
read_value(const struct message *m, const struct rr *rr, struct dns_answer *a, struct dns_record *r)
{
	char host[NAME_MAX_OCTETS];

	switch ((enum dns_type)rr->type) {
	case DNS_A:
	case DNS_AAAA:
		r->value = keep(a, rr->rdata, rr->n);
		return rr->n == (rr->type == DNS_A ? 4 : 16) && r->value.p != NULL;
	case DNS_MX:
		if (rr->n < 3 || expand(m, rr->rdata + 2, host) != (int)rr->n - 2)
			return false;
		r->priority = u16(rr->rdata);
		r->value = keep(a, host, strlen(host));
		return r->value.p != NULL;
	case DNS_TXT:
		return read_txt(rr, a, &r->value);
	}
	return false;
}

/* Where the CNAMEs of the answer section lead from OWNER; false for a loop, or a broken message. */
static bool
follow(struct message m, unsigned count, char owner[NAME_MAX_OCTETS], struct dns_answer *a,
    bool *any)
{
	const uint8_t *start = m.at;

	for (unsigned step = 0; step < CHAIN_MAX; step++) {
		char target[NAME_MAX_OCTETS];
		bool moved = false;

		m.at = start;
		for (unsigned i = 0; i < count && !moved; i++) {
			struct rr rr;

			if (!next_rr(&m, &rr))
				return false;
			if (rr.type != TYPE_CNAME || rr.class != ns_c_in ||
			    strcasecmp(rr.owner, owner) != 0)
				continue;
			if (expand(&m, rr.rdata, target) != (int)rr.n)
				return false;
			shorten(a, rr.ttl, any);
			moved = true;
		}
		if (!moved)
			return true;
		(void)snprintf(owner, NAME_MAX_OCTETS, "%s", target);
	}
	return false;
}

static bool
read_answers(struct message *m, unsigned count, const char *owner, enum dns_type type,
    struct dns_answer *a, bool *any)
{
	for (unsigned i = 0; i < count; i++) {
		struct rr rr;
		struct dns_record r = { 0 };

		if (!next_rr(m, &rr))
			return false;
		if (rr.type != type || rr.class != ns_c_in || strcasecmp(rr.owner, owner) != 0)
			continue;
		if (!read_value(m, &rr, a, &r))
			return false;
		shorten(a, rr.ttl, any);
		if (a->n < DNS_RECORDS_MAX)
			a->at[a->n++] = r;
	}
	return true;
}

/* How long "there is none" holds: the lesser of the SOA's own life and its last field (RFC 2308,
 * 5). */
static bool
read_soa(struct message *m, unsigned count, struct dns_answer *a, bool *any)
{
	for (unsigned i = 0; i < count; i++) {
		struct rr rr;

		if (!next_rr(m, &rr))
			return false;
		if (rr.type != TYPE_SOA || rr.n < 20)
			continue;
		shorten(a, rr.ttl, any);
		shorten(a, u32(rr.rdata + rr.n - 4), any);
	}
	return true;
}

static bool
read_message(struct message *m, const char *name, enum dns_type type, struct dns_answer *a)
{
	unsigned flags, rcode, questions, answers, authority;
	char owner[NAME_MAX_OCTETS];
	bool any = false;

	if (m->end - m->p < HEADER_OCTETS)
		return false;
	flags = u16(m->p + 2);
	rcode = flags & 0xf;
	questions = u16(m->p + 4);
	answers = u16(m->p + 6);
	authority = u16(m->p + 8);
	/* Not an answer, cut short, or one that says nothing. */
	if (!(flags & 0x8000) || (flags & 0x0200) || (rcode != 0 && rcode != 3) || questions != 1)
		return false;
	m->at = m->p + HEADER_OCTETS;
	if (!skip_question(m))
		return false;
	(void)snprintf(owner, sizeof(owner), "%s", name);
	if (!follow(*m, answers, owner, a, &any) || !read_answers(m, answers, owner, type, a, &any))
		return false;
	a->got = a->n > 0 ? DNS_FOUND : rcode == 3 ? DNS_NO_NAME : DNS_EMPTY;
	if (a->n > 0)
		return true;
	/* Without an SOA nobody said how long; the CNAMEs did not. */
	any = any && a->ttl_s == 0;
	return read_soa(m, authority, a, &any);
}

void
dns_read(struct slice message, struct slice name, enum dns_type type, struct dns_answer *a_r)
{
	struct message m = { .p = (const uint8_t *)message.p };
	char z[NAME_MAX_OCTETS];

	m.end = m.p + message.n;
	a_r->got = DNS_FAILED;
	a_r->ttl_s = 0;
	a_r->n = 0;
	a_r->used = 0;
	if (name.n >= sizeof(z))
		return;
	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	if (read_message(&m, z, type, a_r))
		return;
	a_r->got = DNS_FAILED;
	a_r->n = 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Puts OURS in the place of resolv.conf's servers. glibc keeps IPv6 addresses apart, allocated. */
static bool
set_servers(struct __res_state *state, const struct dns_servers *ours)
{
	for (size_t i = 0; i < MAXNS; i++) {
		free(state->_u._ext.nsaddrs[i]);
		state->_u._ext.nsaddrs[i] = NULL;
	}
	state->_u._ext.nscount = 0;
	state->nscount = 0;
	for (size_t i = 0; i < ours->n; i++) {
		if (ours->at[i].ss_family == AF_INET) {
			memcpy(&state->nsaddr_list[i], &ours->at[i], sizeof(struct sockaddr_in));
		} else {
			struct sockaddr_in6 *v6 = malloc(sizeof(*v6));

			if (!v6)
				return false;
			memcpy(v6, &ours->at[i], sizeof(*v6));
			state->_u._ext.nsaddrs[i] = v6;
			state->nsaddr_list[i].sin_family = 0;
		}
		state->nscount++;
	}
	return true;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void
dns_look_up(const struct dns_servers *servers, struct slice name, enum dns_type type,
    struct dns_answer *a_r)
{
	static const size_t size = DNS_MESSAGE_MAX;
	uint8_t *message = calloc(1, size);
	struct __res_state state = { 0 };
	char z[NAME_MAX_OCTETS];
	int n = -1;

	a_r->got = DNS_FAILED;
	a_r->ttl_s = 0;
	a_r->n = 0;
	if (!message || name.n == 0 || name.n >= sizeof(z) || res_ninit(&state) != 0) {
		free(message);
		return;
	}
	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	if (servers->n == 0 || set_servers(&state, servers)) {
		state.retrans = (int)servers->timeout_s;
		state.retry = ATTEMPTS;
		state.options |= RES_USE_EDNS0;
		n = res_nquery(&state, z, ns_c_in, (int)type, message, (int)size);
	}
	/* Anything may lie in the buffer after a failure, a stranger's answer with a wrong id too;
	 * only after "there is none" it is the very answer, its length untold. */
	if (n >= 0)
		dns_read(slice_of((const char *)message, least((size_t)n, size)), name, type, a_r);
	else if (state.res_h_errno == HOST_NOT_FOUND || state.res_h_errno == NO_DATA)
		dns_read(slice_of((const char *)message, size), name, type, a_r);
	res_nclose(&state);
	free(message);
}

struct dns_servers
dns_servers_of(const struct conf *c)
{
	struct dns_servers s = { .timeout_s = c->dns.timeout_s ? c->dns.timeout_s : 3 };

	for (size_t i = 0; i < c->dns.resolvers_n && i < DNS_SERVERS_MAX; i++)
		s.at[s.n++] = c->dns.resolvers[i].addr;
	return s;
}
