/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

enum { WEIGHT_MAX = 1000 };

static bool
is_number(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* "host:port" or "[address]:port". */
static bool
parse_server(struct slice word, struct counter_server *r)
{
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
		*why_r = "not a server (expected host:port, perhaps a weight behind it)";
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
