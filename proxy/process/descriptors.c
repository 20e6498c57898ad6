/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/descriptors.h"

#include <limits.h>
#include <sys/resource.h>

enum {
	OTHERS = 64, /* sockets that listen, files, the directory's, the log's */
	KEPT_MIN = 32,
};

static uint64_t
limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY ||
	    r.rlim_cur > INT_MAX)
		return INT_MAX;
	return r.rlim_cur;
}

int
descriptors_for_clients(void)
{
	uint64_t all = limit();
	uint64_t kept = all / 4 > KEPT_MIN ? all / 4 : KEPT_MIN;

	return all > 2 * kept ? (int)(all - kept) : (int)(all / 2);
}

/* One worker may have to serve all clients, while the others wait to be started again; and clients
 * have three quarters. */
bool
descriptors_lack(const struct conf *c, struct text *words)
{
	uint64_t wanted = (4 * ((uint64_t)c->limits.connections + OTHERS) + 2) / 3;

	if (limit() >= wanted)
		return false;
	text_fmt(words,
	    "a process may have %llu descriptors, which is too few for [limits] connections = %u: "
	    "with a quarter for upstreams that wants %llu; raise LimitNOFILE= (ulimit -n), or lower "
	    "the cap",
	    (unsigned long long)limit(), c->limits.connections, (unsigned long long)wanted);
	return true;
}
