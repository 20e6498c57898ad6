/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static struct net
net_v4(const uint8_t addr[4], unsigned bits)
{
	struct net net = { .family = 4, .bits = (uint8_t)bits };

	memcpy(net.addr, addr, 4);
	return net;
}

/* ::ffff:a.b.c.d/96+n is a.b.c.d/n. */
static struct net
net_v6(const uint8_t addr[16], unsigned bits)
{
	struct net net = { .family = 6, .bits = (uint8_t)bits };

	if (bits >= 96 && memcmp(addr, mapped, sizeof(mapped)) == 0)
		return net_v4(addr + sizeof(mapped), bits - 96);
	memcpy(net.addr, addr, 16);
	return net;
}

static bool
bits_are_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned octets = bits / 8;
	unsigned mask = 0xff00u >> bits % 8 & 0xff;

	if (memcmp(a, b, octets) != 0)
		return false;
	return bits % 8 == 0 || ((a[octets] ^ b[octets]) & mask) == 0;
}

static bool
is_clean(const struct net *net)
{
	struct net prefix = { 0 };
	unsigned octets = net->bits / 8;

	memcpy(prefix.addr, net->addr, octets);
	if (net->bits % 8 != 0)
		prefix.addr[octets] = (uint8_t)(net->addr[octets] & 0xff00u >> net->bits % 8);
	return memcmp(prefix.addr, net->addr, sizeof(prefix.addr)) == 0;
}

bool
net_parse(struct slice s, struct net *net_r)
{
	char z[NET_TEXT_MAX + 1];
	uint8_t addr[16];
	bool has_bits = slice_find(s, '/') < s.n;
	struct slice text = slice_cut(&s, '/');
	int family = slice_find(text, ':') < text.n ? AF_INET6 : AF_INET;
	uint64_t most = family == AF_INET6 ? 128 : 32;
	uint64_t bits = most;

	if (text.n == 0 || text.n >= sizeof(z) || !slice_is_ascii(text))
		return false;
	if (has_bits && (!slice_to_u64(s, &bits) || bits > most))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (inet_pton(family, z, addr) != 1)
		return false;

	struct net net =
	    family == AF_INET6 ? net_v6(addr, (unsigned)bits) : net_v4(addr, (unsigned)bits);

	if (!is_clean(&net))
		return false;
	*net_r = net;
	return true;
}

bool
net_of(const struct sockaddr *sa, struct net *net_r)
{
	/* Copied, since SA may be any octets that a peer's header or a socket call filled. */
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		uint8_t addr[4];

		memcpy(&in, sa, sizeof(in));
		memcpy(addr, &in.sin_addr, sizeof(addr));
		*net_r = net_v4(addr, 32);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		*net_r = net_v6(in6.sin6_addr.s6_addr, 128);
		return true;
	}
	return false;
}

bool
net_has(const struct net *net, const struct sockaddr *sa)
{
	struct net one;

	return net_of(sa, &one) && one.family == net->family &&
	    bits_are_equal(one.addr, net->addr, net->bits);
}

void
net_write(struct text *t, const struct sockaddr *sa)
{
	char z[NET_TEXT_MAX + 1];
	struct net one;

	if (sa->sa_family == AF_UNIX)
		text_put(t, SLICE("unix"));
	else if (net_of(sa, &one) &&
	    inet_ntop(one.family == 4 ? AF_INET : AF_INET6, one.addr, z, sizeof(z)))
		text_put(t, slice_str(z));
	else
		text_put(t, SLICE("unknown"));
}
