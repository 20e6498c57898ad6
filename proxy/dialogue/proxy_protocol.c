/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void
set_address(struct sockaddr_storage *sa, int family, const void *addr, uint16_t port)
{
	*sa = (struct sockaddr_storage){ 0 };
	if (family == AF_INET) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

		memcpy(&in.sin_addr, addr, sizeof(in.sin_addr));
		memcpy(sa, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&in6.sin6_addr, addr, sizeof(in6.sin6_addr));
		memcpy(sa, &in6, sizeof(in6));
	}
}

/* ---- version 1 ------------------------------------------------------------------------------- */

/* The next word of the line; words are parted by one blank. */
static bool
take_word(struct slice *rest, struct slice *word_r)
{
	*word_r = slice_cut(rest, ' ');
	return word_r->n > 0;
}

static bool
take_address(struct slice *rest, int family, uint8_t addr[16])
{
	char z[INET6_ADDRSTRLEN];
	struct slice word;

	if (!take_word(rest, &word) || word.n >= sizeof(z) || !slice_is_ascii(word))
		return false;
	memcpy(z, word.p, word.n);
	z[word.n] = '\0';
	return inet_pton(family, z, addr) == 1;
}

static bool
take_port(struct slice *rest, uint16_t *port_r)
{
	struct slice word;
	uint64_t port;

	if (!take_word(rest, &word) || !slice_to_u64(word, &port) || port > UINT16_MAX)
		return false;
	if (word.n > 1 && word.p[0] == '0')
		return false;
	*port_r = (uint16_t)port;
	return true;
}

/* LINE stands behind "PROXY ", without its CRLF. */
static bool
read_line(struct slice line, struct proxy_header *h)
{
	struct slice word;
	uint8_t source[16], dest[16];
	uint16_t source_port, dest_port;

	if (!take_word(&line, &word))
		return false;
	if (slice_eq(word, SLICE("UNKNOWN"))) {
		/* What follows is to be ignored, the specification says. */
		h->local = true;
		return true;
	}

	int family = slice_eq(word, SLICE("TCP6")) ? AF_INET6 : AF_INET;

	if (family == AF_INET && !slice_eq(word, SLICE("TCP4")))
		return false;
	/* The last word leaves nothing; a blank behind it would be a word more. */
	if (line.n == 0 || line.p[line.n - 1] == ' ')
		return false;
	if (!take_address(&line, family, source) || !take_address(&line, family, dest))
		return false;
	if (!take_port(&line, &source_port) || !take_port(&line, &dest_port) || line.n > 0)
		return false;
	set_address(&h->source, family, source, source_port);
	set_address(&h->dest, family, dest, dest_port);
	return true;
}

static enum proxy_got
parse_v1(struct slice data, struct proxy_header *h, size_t *used_r)
{
	struct slice most = slice_head(data, PROXY_V1_MAX);
	size_t cr = slice_find(most, '\r');

	if (slice_find(most, '\n') < cr || slice_find(most, '\0') < cr)
		return PROXY_FAULT;
	if (cr + 1 >= most.n)
		return data.n < PROXY_V1_MAX ? PROXY_MORE : PROXY_FAULT;
	if (most.p[cr + 1] != '\n')
		return PROXY_FAULT;
	if (!read_line(slice_skip(slice_head(most, cr), sizeof("PROXY ") - 1), h))
		return PROXY_FAULT;
	*used_r = cr + 2;
	return PROXY_WHOLE;
}

/* ---- version 2 ------------------------------------------------------------------------------- */

/*
 *      0                    12        13      14       16
 *      | signature          | ver cmd | fam   | length | addresses | TLVs |
 */
enum { V2_HEAD = 16, VERSION_2 = 0x20, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* AT holds N octets of addresses (and TLVs). */
static bool
read_addresses(uint8_t family, const uint8_t *at, size_t n, struct proxy_header *h)
{
	switch (family) {
	case TCP4:
		if (n < 12)
			return false;
		set_address(&h->source, AF_INET, at, be16(at + 8));
		set_address(&h->dest, AF_INET, at + 4, be16(at + 10));
		return true;
	case TCP6:
		if (n < 36)
			return false;
		set_address(&h->source, AF_INET6, at, be16(at + 32));
		set_address(&h->dest, AF_INET6, at + 16, be16(at + 34));
		return true;
	case UNSPEC:
	case UNIX_STREAM:
		h->local = true;
		return true;
	default:
		return false;
	}
}

static enum proxy_got
parse_v2(struct slice data, struct proxy_header *h, size_t *used_r)
{
	const uint8_t *octets = (const uint8_t *)data.p;

	if (data.n > 12 && octets[12] != (VERSION_2 | COMMAND_LOCAL) &&
	    octets[12] != (VERSION_2 | COMMAND_PROXY))
		return PROXY_FAULT;
	if (data.n < V2_HEAD)
		return PROXY_MORE;

	size_t n = be16(octets + 14);

	if (n > PROXY_HEADER_MAX - V2_HEAD)
		return PROXY_FAULT;
	if (data.n < V2_HEAD + n)
		return PROXY_MORE;
	if (octets[12] == (VERSION_2 | COMMAND_LOCAL))
		h->local = true;
	else if (!read_addresses(octets[13], octets + V2_HEAD, n, h))
		return PROXY_FAULT;
	*used_r = V2_HEAD + n;
	return PROXY_WHOLE;
}

/* ---------------------------------------------------------------------------------------------- */

/* DATA starts with START, as far as it goes. */
static bool
may_start(struct slice data, struct slice start)
{
	return slice_starts(start, slice_head(data, start.n));
}

enum proxy_got
proxy_header_parse(struct slice data, struct proxy_header *header_r, size_t *used_r)
{
	struct proxy_header h = { 0 };
	enum proxy_got got = PROXY_FAULT;

	if (data.n == 0)
		return PROXY_MORE;
	if (may_start(data, SLICE("PROXY ")))
		got = parse_v1(data, &h, used_r);
	else if (may_start(data, slice_of(signature, sizeof(signature) - 1)))
		got = parse_v2(data, &h, used_r);
	if (got == PROXY_WHOLE)
		*header_r = h;
	return got;
}
