/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/https_url.h"

#include <sys/socket.h>

#include "wire/host.h"

static bool
take_host(struct slice *rest, struct slice *host_r)
{
	size_t n = 0;

	if (rest->n && *rest->p == '[') {
		*rest = slice_skip(*rest, 1);
		n = slice_find(*rest, ']');
		if (n == rest->n)
			return false;
		*host_r = slice_head(*rest, n);
		*rest = slice_skip(*rest, n + 1);
		return host_is_address(*host_r, AF_INET6);
	}
	while (n < rest->n && !slice_has(SLICE(":/[]"), rest->p[n]))
		n++;
	*host_r = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return host_is_normal(*host_r);
}

static bool
is_path_char(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("?#\"<>\\^`{|}@", c);
}

bool
https_url_parse(struct slice s, struct https_url *url_r)
{
	struct slice rest = s;
	uint64_t port = 443;

	if (!slice_starts(s, SLICE("https://")))
		return false;
	rest = slice_skip(s, 8);
	for (size_t i = 0; i < rest.n; i++)
		if (!is_path_char(rest.p[i]))
			return false;
	if (!take_host(&rest, &url_r->host))
		return false;
	if (rest.n && *rest.p == ':') {
		size_t n = slice_find(rest, '/');

		if (!slice_to_u64(slice_of(rest.p + 1, n - 1), &port) || port == 0 || port > 65535)
			return false;
		rest = slice_skip(rest, n);
	}
	url_r->port = (unsigned)port;
	url_r->path = rest.n ? rest : SLICE("/");
	return *url_r->path.p == '/';
}
