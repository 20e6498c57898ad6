/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/guard.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

enum { LOCAL_MAX = 256, FRESH_S = 10 };

struct guard {
	struct conf *conf;
	struct net local[LOCAL_MAX]; /* this machine's own addresses */
	size_t local_n;
	time_t looked; /* at them, on the monotonic clock */
	struct net mtas[GUARD_MTAS_MAX];
	size_t mtas_n;
};

struct ban4 {
	uint32_t net;
	unsigned bits;
};

#define V4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* RFC 6890 and its registry, and one address of a cloud's own services that is public by number. */
static const struct ban4 bans4[] = {
	{ V4(0, 0, 0, 0), 8 },
	{ V4(10, 0, 0, 0), 8 },
	{ V4(100, 64, 0, 0), 10 },
	{ V4(127, 0, 0, 0), 8 },
	{ V4(168, 63, 129, 16), 32 },
	{ V4(169, 254, 0, 0), 16 },
	{ V4(172, 16, 0, 0), 12 },
	{ V4(192, 0, 0, 0), 24 },
	{ V4(192, 0, 2, 0), 24 },
	{ V4(192, 88, 99, 0), 24 },
	{ V4(192, 168, 0, 0), 16 },
	{ V4(198, 18, 0, 0), 15 },
	{ V4(198, 51, 100, 0), 24 },
	{ V4(203, 0, 113, 0), 24 },
	{ V4(224, 0, 0, 0), 4 },
	{ V4(240, 0, 0, 0), 4 },
};

/* How an IPv6 network is judged. */
enum form {
	FORM_BANNED,
	FORM_HOLDS_V4, /* an IPv4 address stands at OFFSET; banned as a form, whatever it is */
	FORM_6TO4,     /* likewise, but good where the inner one is */
};

struct ban6 {
	uint8_t net[16];
	unsigned bits;
	enum form form;
	unsigned offset;
};

static const struct ban6 bans6[] = {
	{ { [10] = 0xff, [11] = 0xff }, 96, FORM_HOLDS_V4, 12 }, /* ::ffff:0:0, mapped */
	{ { 0 }, 127, FORM_BANNED, 0 },                          /* :: and ::1 */
	{ { 0 }, 96, FORM_HOLDS_V4, 12 },                        /* compatible */
	{ { [0] = 0x00, [1] = 0x64, [2] = 0xff, [3] = 0x9b }, 96, FORM_HOLDS_V4, 12 }, /* NAT64 */
	{ { [0] = 0x00, [1] = 0x64, [2] = 0xff, [3] = 0x9b, [5] = 1 }, 48, FORM_BANNED, 0 },
	{ { [0] = 0x01 }, 64, FORM_BANNED, 0 },             /* discard */
	{ { [0] = 0x20, [1] = 0x01 }, 23, FORM_BANNED, 0 }, /* Teredo and other protocols */
	{ { [0] = 0x20, [1] = 0x01, [2] = 0x0d, [3] = 0xb8 }, 32, FORM_BANNED, 0 },
	{ { [0] = 0x20, [1] = 0x02 }, 16, FORM_6TO4, 2 },
	{ { [0] = 0x3f, [1] = 0xff }, 20, FORM_BANNED, 0 },
	{ { [0] = 0x5f, [1] = 0x00 }, 16, FORM_BANNED, 0 },
	{ { [0] = 0xfc }, 7, FORM_BANNED, 0 },
	{ { [0] = 0xfe, [1] = 0x80 }, 10, FORM_BANNED, 0 },
	{ { [0] = 0xfe, [1] = 0xc0 }, 10, FORM_BANNED, 0 },
	{ { [0] = 0xff }, 8, FORM_BANNED, 0 },
};

static bool
is_public4(uint32_t addr)
{
	for (size_t i = 0; i < sizeof(bans4) / sizeof(bans4[0]); i++)
		if ((addr ^ bans4[i].net) >> (32 - bans4[i].bits) == 0)
			return false;
	return true;
}

static bool
in_net6(const uint8_t *addr, const struct ban6 *b)
{
	unsigned whole = b->bits / 8;
	unsigned rest = b->bits % 8;

	if (memcmp(addr, b->net, whole) != 0)
		return false;
	return rest == 0 || (addr[whole] ^ b->net[whole]) >> (8 - rest) == 0;
}

static const struct ban6 *
find6(const uint8_t *addr)
{
	for (size_t i = 0; i < sizeof(bans6) / sizeof(bans6[0]); i++)
		if (in_net6(addr, &bans6[i]))
			return &bans6[i];
	return NULL;
}

static uint32_t
inner4(const uint8_t *addr, const struct ban6 *b)
{
	const uint8_t *p = addr + b->offset;

	return V4(p[0], p[1], p[2], p[3]);
}

/* Of the networks that hold SA, the narrowest one's bits; -1: none does. */
static int
narrowest(const struct net *all, size_t n, const struct sockaddr *sa)
{
	int bits = -1;

	for (size_t i = 0; i < n; i++)
		if (net_has(&all[i], sa) && (int)all[i].bits > bits)
			bits = (int)all[i].bits;
	return bits;
}

static int
allowed_bits(const struct guard *g, const struct sockaddr *sa)
{
	return narrowest(g->conf->upstream.allow_networks, g->conf->upstream.allow_networks_n, sa);
}

static bool
is_allowed(const struct guard *g, const struct sockaddr *sa)
{
	return allowed_bits(g, sa) >= 0;
}

/* What is said of the smaller network counts. */
static bool
is_forbidden(const struct guard *g, const struct sockaddr *sa)
{
	int bits =
	    narrowest(g->conf->upstream.deny_networks, g->conf->upstream.deny_networks_n, sa);

	return bits >= 0 && bits >= allowed_bits(g, sa);
}

/* This machine, or one of the operator's MTAs: from there mail goes out as the operator's. */
static bool
is_own(const struct guard *g, const struct sockaddr *sa)
{
	return narrowest(g->local, g->local_n, sa) >= 0 || narrowest(g->mtas, g->mtas_n, sa) >= 0;
}

static bool
port_is_allowed(const struct guard *g, unsigned port)
{
	for (size_t i = 0; i < g->conf->upstream.allow_ports_n; i++)
		if (g->conf->upstream.allow_ports[i] == port)
			return true;
	return false;
}

static unsigned
port_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
	if (sa->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
	return 0;
}

static bool
is_wildcard(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr == 0;
	return sa->sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

/* A connection to 0.0.0.0, or to anything in 127/8, ends on this host. */
static bool
is_local(const struct guard *g, const struct sockaddr *sa)
{
	struct net loopback = { .family = 4, .bits = 8, .addr = { 127 } };

	if (is_wildcard(sa) || net_has(&loopback, sa))
		return true;
	for (size_t i = 0; i < g->local_n; i++)
		if (net_has(&g->local[i], sa))
			return true;
	return false;
}

static bool
is_listener(const struct guard *g, const struct sockaddr *sa)
{
	const struct conf *c = g->conf;
	unsigned port = port_of(sa);

	for (size_t i = 0; i < c->listeners_n; i++) {
		for (size_t j = 0; j < c->listeners[i].addresses_n; j++) {
			const struct sockaddr *ours =
			    (const struct sockaddr *)(const void *)&c->listeners[i]
			        .addresses[j]
			        .addr;
			struct net exact;

			if (port_of(ours) != port)
				continue;
			if (is_wildcard(ours) ? is_local(g, sa)
			                      : net_of(ours, &exact) && net_has(&exact, sa))
				return true;
			if (is_wildcard(sa))
				return true;
		}
	}
	return false;
}

static struct sockaddr_in
as_v4(uint32_t addr, unsigned port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(addr),
	};
}

static enum guard_answer
ask4(const struct guard *g, enum guard_use use, const struct sockaddr_in *to)
{
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)to;

	if (is_listener(g, sa) || is_forbidden(g, sa))
		return GUARD_DENIED;
	if (is_allowed(g, sa))
		return GUARD_TRUSTED;
	if (!is_public4(ntohl(to->sin_addr.s_addr)) || (use == GUARD_SENDS && is_own(g, sa)))
		return GUARD_DENIED;
	return port_is_allowed(g, ntohs(to->sin_port)) ? GUARD_PUBLIC : GUARD_DENIED;
}

static enum guard_answer
ask6(const struct guard *g, enum guard_use use, const struct sockaddr_in6 *to)
{
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)to;
	const uint8_t *addr = to->sin6_addr.s6_addr;
	unsigned port = ntohs(to->sin6_port);
	const struct ban6 *b = find6(addr);

	if (is_listener(g, sa) || is_forbidden(g, sa))
		return GUARD_DENIED;
	if (b && b->form != FORM_BANNED) {
		struct sockaddr_in in = as_v4(inner4(addr, b), port);
		enum guard_answer inner = ask4(g, use, &in);
		bool form_is_good = b->form == FORM_6TO4 || is_allowed(g, sa);

		if (inner == GUARD_PUBLIC && !form_is_good)
			return GUARD_DENIED;
		return inner;
	}
	if (is_allowed(g, sa))
		return GUARD_TRUSTED;
	if (b || (use == GUARD_SENDS && is_own(g, sa)))
		return GUARD_DENIED;
	return port_is_allowed(g, port) ? GUARD_PUBLIC : GUARD_DENIED;
}

/* Addresses come and go while we run. */
static void
refresh(struct guard *g)
{
	struct ifaddrs *all = NULL;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (g->looked && now.tv_sec - g->looked < FRESH_S)
		return;
	g->looked = now.tv_sec ? now.tv_sec : 1;
	if (getifaddrs(&all) != 0)
		return;
	g->local_n = 0;
	for (const struct ifaddrs *i = all; i && g->local_n < LOCAL_MAX; i = i->ifa_next)
		if (i->ifa_addr && net_of(i->ifa_addr, &g->local[g->local_n]))
			g->local_n++;
	freeifaddrs(all);
}

enum guard_answer
guard_ask(struct guard *g, enum guard_use use, const struct sockaddr *to)
{
	refresh(g);
	if (to->sa_family == AF_INET)
		return ask4(g, use, (const struct sockaddr_in *)(const void *)to);
	if (to->sa_family == AF_INET6)
		return ask6(g, use, (const struct sockaddr_in6 *)(const void *)to);
	return GUARD_DENIED;
}

void
guard_set_mtas(struct guard *g, const struct net *all, size_t n)
{
	g->mtas_n = n < GUARD_MTAS_MAX ? n : GUARD_MTAS_MAX;
	memcpy(g->mtas, all, g->mtas_n * sizeof(*all));
}

struct guard *
guard_open(struct conf *c)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->conf = conf_ref(c);
	refresh(g);
	return g;
}

void
guard_close(struct guard *g)
{
	if (!g)
		return;
	conf_unref(g->conf);
	free(g);
}
