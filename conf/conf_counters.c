/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

#include <netdb.h>
#include <sys/un.h>

#include "wire/net.h"

enum { WEIGHT_MAX = 1000 };

static bool
is_number(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static bool
parse_socket(struct slice path, struct counter_server *r)
{
	if (path.n < 2 || path.n >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return false;
	*r = (struct counter_server){ .weight = 1 };
	memcpy(r->host, path.p, path.n);
	return true;
}

/* "host:port", "[address]:port" or "/path/of/a/socket". */
static bool
parse_server(struct slice word, struct counter_server *r)
{
	if (slice_starts(word, SLICE("/")))
		return parse_socket(word, r);
	size_t colon = word.n;
	uint64_t port;

	while (colon > 0 && word.p[colon - 1] != ':')
		colon--;
	if (colon < 2 || !slice_to_u64(slice_skip(word, colon), &port) || port < 1 || port > 65535)
		return false;
	struct slice host = slice_head(word, colon - 1);

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_head(slice_skip(host, 1), host.n - 2);
	else if (slice_find(host, ':') < host.n)
		return false;
	if (host.n >= sizeof(r->host) || slice_find(host, '/') < host.n)
		return false;
	*r = (struct counter_server){ .port = (unsigned)port, .weight = 1 };
	memcpy(r->host, host.p, host.n);
	return true;
}

bool
conf_counter_server(const struct conf *c, size_t *at, struct counter_server *server_r,
    const char **why_r)
{
	uint64_t weight;

	if (*at >= c->counters.servers_n)
		return false;
	if (!parse_server(slice_str(c->counters.servers[(*at)++]), server_r)) {
		*why_r =
		    "not a server (expected host:port or /path/of/a/socket, perhaps a weight behind it)";
		return false;
	}
	if (*at >= c->counters.servers_n)
		return true;
	struct slice next = slice_str(c->counters.servers[*at]);

	if (!is_number(next))
		return true;
	if (!slice_to_u64(next, &weight) || weight < 1 || weight > WEIGHT_MAX) {
		*why_r = "a weight is out of bounds (expected 1 to 1000)";
		return false;
	}
	server_r->weight = (unsigned)weight;
	(*at)++;
	return true;
}

/* Loopback and private networks, of this link and of carriers too. */
static bool
is_inside(const struct sockaddr *at)
{
	static const char *const nets[] = { "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12",
		"192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
		"fe80::/10" };
	struct net net;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (net_parse(slice_str(nets[i]), &net) && net_has(&net, at))
			return true;
	return false;
}

static bool
is_outside(const struct counter_server *s, bool look_up)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = look_up ? 0 : AI_NUMERICHOST };
	struct addrinfo *found = NULL;
	bool outside = false;

	if (s->port == 0 || getaddrinfo(s->host, NULL, &hints, &found) != 0)
		return false;
	for (const struct addrinfo *a = found; a; a = a->ai_next)
		outside = outside || !is_inside(a->ai_addr);
	freeaddrinfo(found);
	return outside;
}

void
conf_counter_warnings(const struct conf *c, bool look_up, struct text *out)
{
	struct counter_server s;
	const char *why = NULL;
	size_t at = 0;

	while (conf_counter_server(c, &at, &s, &why))
		if (is_outside(&s, look_up))
			text_fmt(out,
			    "[counters] servers: %s is neither on this machine nor in a private network; "
			    "who reaches it sets everybody's counts\n",
			    s.host);
}
