/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/dns_conf.h"

struct dns_servers
dns_conf_servers(const struct conf *c)
{
	struct dns_servers s = { .timeout_s = c->dns.timeout_s ? c->dns.timeout_s : 2 };

	for (size_t i = 0; i < c->dns.resolvers_n && i < DNS_SERVERS_MAX; i++)
		s.at[s.n++] = c->dns.resolvers[i].addr;
	return s;
}
