/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mx.h"

static void
note_ttl(struct mx *mx, const struct dns_answer *a)
{
	if (a->ttl_s < mx->ttl_s)
		mx->ttl_s = a->ttl_s;
}

static void
add_host(struct mx *mx, struct slice name)
{
	char *to = mx->hosts[mx->hosts_n];

	if (name.n == 0 || name.n >= MX_NAME_ROOM)
		return;
	memcpy(to, name.p, name.n);
	to[name.n] = '\0';
	mx->hosts_n++;
}

/* The best first, in the server's order where they are equal. */
static void
sort_hosts(struct mx *mx, const struct dns_answer *a)
{
	bool used[DNS_RECORDS_MAX] = { false };

	while (mx->hosts_n < MX_HOSTS_MAX) {
		size_t best = a->n;

		for (size_t i = 0; i < a->n; i++)
			if (!used[i] && (best == a->n || a->at[i].priority < a->at[best].priority))
				best = i;
		if (best == a->n)
			return;
		used[best] = true;
		add_host(mx, a->at[best].value);
	}
	mx->failed = a->n > MX_HOSTS_MAX;
}

static union mx_address
address_of(struct slice value)
{
	union mx_address a = { .v6 = { .sin6_family = AF_UNSPEC } };

	if (value.n == sizeof(a.v4.sin_addr)) {
		a.v4.sin_family = AF_INET;
		memcpy(&a.v4.sin_addr, value.p, value.n);
	} else if (value.n == sizeof(a.v6.sin6_addr)) {
		a.v6.sin6_family = AF_INET6;
		memcpy(&a.v6.sin6_addr, value.p, value.n);
	}
	return a;
}

static void
end(struct mx *mx)
{
	mx->fn(mx, mx->n ? MX_FOUND : mx->failed ? MX_UNKNOWN : MX_NONE);
}

static void on_host(struct dns_ask *ask, const struct dns_answer *a);

static void
next_host(struct mx *mx)
{
	while (mx->n < mx->wanted && mx->looked < mx->hosts_n) {
		double left = mx->until - loop_now(mx->loop);
		const char *host = mx->hosts[mx->looked++];

		mx->ask.fn = on_host;
		if (left > 0 &&
		    dns_look_up(mx->dns, mx->account, slice_str(host), DNS_ADDRESS, left, &mx->ask))
			return;
		mx->failed = true;
	}
	end(mx);
}

static void
on_host(struct dns_ask *ask, const struct dns_answer *a)
{
	struct mx *mx = (struct mx *)(void *)((char *)ask - offsetof(struct mx, ask));

	if (a->got == DNS_FAILED)
		mx->failed = true;
	else
		note_ttl(mx, a);
	if (a->got == DNS_FOUND) {
		if (mx->n == 0 && a->n > 1) {
			mx->spare = address_of(a->at[1].value);
			mx->has_spare = true;
		}
		mx->at[mx->n++] = address_of(a->at[0].value);
	}
	next_host(mx);
}

static void
on_mx(struct dns_ask *ask, const struct dns_answer *a)
{
	struct mx *mx = (struct mx *)(void *)((char *)ask - offsetof(struct mx, ask));

	if (a->got != DNS_FAILED)
		note_ttl(mx, a);
	switch (a->got) {
	case DNS_FAILED:
		mx->failed = true;
		mx->hosts_n = 0;
		break;
	case DNS_NO_NAME:
		mx->hosts_n = 0;
		break;
	case DNS_EMPTY: /* the domain stands there already */
		break;
	case DNS_FOUND:
		mx->hosts_n = 0;
		if (a->n == 1 && a->at[0].value.n == 0) {
			mx->fn(mx, MX_NULL);
			return;
		}
		sort_hosts(mx, a);
		break;
	}
	next_host(mx);
}

bool
mx_look_up(struct mx *mx, struct loop *l, struct slice domain)
{
	mx->loop = l;
	mx->until = loop_now(l) + DNS_PATIENCE_S;
	mx->n = mx->hosts_n = mx->looked = 0;
	mx->has_spare = mx->failed = false;
	mx->ttl_s = DNS_NO_TTL;
	add_host(mx, domain);
	mx->ask.fn = on_mx;
	return dns_look_up(mx->dns, mx->account, domain, DNS_MX, DNS_PATIENCE_S, &mx->ask);
}

void
mx_forget(struct mx *mx)
{
	dns_forget(&mx->ask);
}
