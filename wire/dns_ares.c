/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel of c-ares on libev, and answers taken from its parsers. c-ares' callbacks only take
 * notes: what they lead to happens in a task.
 */
#include "wire/dns_private.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

static const char conf_file[] = "/etc/resolv.conf";
static const double look_s = 5;      /* between two looks at it */
static const unsigned hosts_ttl = 5; /* /etc/hosts may be edited */

enum { TRIES = 2, EDNS_OCTETS = 1232, TYPE_A = 1, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28 };

/* One socket of c-ares; FD -1: to be used again. */
struct watcher {
	struct watcher *next;
	struct dns *dns;
	int fd;
	ev_io io;
};

/* ---- the channel ----------------------------------------------------------------------------- */

static void
arm(struct dns *d)
{
	struct timeval tv;
	const struct timeval *next = ares_timeout(d->channel, NULL, &tv);

	ev_timer_stop(loop_ev(d->loop), &d->timer);
	if (!next)
		return;
	ev_timer_set(&d->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6 + 0.001, 0.);
	ev_timer_start(loop_ev(d->loop), &d->timer);
}

static void
on_timer(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct dns *d = t->data;

	(void)ev;
	(void)revents;
	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(d);
}

static void
on_io(struct ev_loop *ev, ev_io *io, int revents)
{
	struct watcher *w = io->data;

	(void)ev;
	ares_process_fd(w->dns->channel, revents & EV_READ ? w->fd : ARES_SOCKET_BAD,
	    revents & EV_WRITE ? w->fd : ARES_SOCKET_BAD);
	arm(w->dns);
}

static struct watcher *
watcher_of(struct dns *d, int fd)
{
	struct watcher *w = d->watchers;

	while (w && w->fd != fd)
		w = w->next;
	if (w || fd < 0)
		return w;
	w = watcher_of(d, -1);
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return NULL;
		ev_init(&w->io, on_io);
		w->io.data = w;
		w->dns = d;
		w->next = d->watchers;
		d->watchers = w;
	}
	w->fd = fd;
	return w;
}

/* Without memory nobody looks at the socket, and the deadline ends what waits for it. */
static void
on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct dns *d = ctx;
	struct watcher *w = watcher_of(d, fd);

	if (!w)
		return;
	ev_io_stop(loop_ev(d->loop), &w->io);
	if (!readable && !writable) {
		w->fd = -1;
		return;
	}
	ev_io_set(&w->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	ev_io_start(loop_ev(d->loop), &w->io);
}

static bool
set_servers(struct dns *d)
{
	struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = { 0 };

	for (size_t i = 0; i < d->servers.n; i++) {
		const struct sockaddr_storage *at = &d->servers.at[i];
		const struct sockaddr_in *v4 = (const void *)at;
		const struct sockaddr_in6 *v6 = (const void *)at;
		bool six = at->ss_family == AF_INET6;
		unsigned port = ntohs(six ? v6->sin6_port : v4->sin_port);

		nodes[i].family = at->ss_family;
		if (six)
			memcpy(&nodes[i].addr.addr6, &v6->sin6_addr, sizeof(v6->sin6_addr));
		else
			nodes[i].addr.addr4 = v4->sin_addr;
		nodes[i].udp_port = (int)port;
		nodes[i].tcp_port = (int)port;
		nodes[i].next = i + 1 < d->servers.n ? &nodes[i + 1] : NULL;
	}
	return ares_set_servers_ports(d->channel, nodes) == ARES_SUCCESS;
}

static struct timespec
conf_time(void)
{
	struct stat st;

	return stat(conf_file, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

/* Each server is to have had its first turn before the look-up's time is over. */
static int
timeout_ms(const struct dns_servers *s)
{
	unsigned fair = DNS_PATIENCE_S * 900 / (s->n ? (unsigned)s->n : 2);
	unsigned ms = s->timeout_s * 1000;

	return (int)(ms < fair ? ms : fair);
}

bool
dns_channel_open(struct dns *d)
{
	struct ares_options o = {
		.flags = ARES_FLAG_EDNS,
		.timeout = timeout_ms(&d->servers),
		.tries = TRIES,
		.ednspsz = EDNS_OCTETS,
		.sock_state_cb = on_state,
		.sock_state_cb_data = d,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
	    ARES_OPT_SOCK_STATE_CB;

#ifdef ARES_OPT_QUERY_CACHE
	o.qcache_max_ttl = 0; /* our callers remember */
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	if (!d->timer.data) {
		ev_init(&d->timer, on_timer);
		d->timer.data = d;
	}
	d->conf = conf_time();
	d->looked = loop_now(d->loop);
	if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS) {
		d->channel = NULL;
		return false;
	}
	if (d->servers.n == 0 || set_servers(d))
		return true;
	ares_destroy(d->channel);
	d->channel = NULL;
	return false;
}

void
dns_channel_close(struct dns *d)
{
	if (d->channel)
		ares_destroy(d->channel);
	d->channel = NULL;
	ev_timer_stop(loop_ev(d->loop), &d->timer);
	while (d->watchers) {
		struct watcher *w = d->watchers;

		d->watchers = w->next;
		ev_io_stop(loop_ev(d->loop), &w->io);
		free(w);
	}
}

bool
dns_channel_is_old(struct dns *d)
{
	if ((d->servers.n && d->channel) || loop_now(d->loop) - d->looked < look_s)
		return false;
	d->looked = loop_now(d->loop);
	if (!d->channel)
		return true;

	struct timespec now = conf_time();

	return now.tv_sec != d->conf.tv_sec || now.tv_nsec != d->conf.tv_nsec;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
shorten(struct dns_answer *a, unsigned ttl)
{
	if (ttl < a->ttl_s)
		a->ttl_s = ttl;
}

/* Appends to the record that is being made. */
static bool
put(struct dns_answer *a, const void *octets, size_t n)
{
	if (n > sizeof(a->mem) - a->used)
		return false;
	memcpy(a->mem + a->used, octets, n);
	a->used += n;
	return true;
}

static void
keep(struct dns_answer *a, unsigned priority, const void *octets, size_t n)
{
	const char *at = a->mem + a->used;

	if (a->n == DNS_RECORDS_MAX || !put(a, octets, n))
		return;
	a->at[a->n++] = (struct dns_record){ .priority = priority, .value = slice_of(at, n) };
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* RFC 2308, 5: that there is nothing holds as long as the SOA and its last field say. */
static unsigned
ttl_of_soa(const ns_rr *rr)
{
	if (ns_rr_type(*rr) != ns_t_soa || ns_rr_rdlen(*rr) < 4)
		return DNS_NO_TTL;
	return least((unsigned)ns_rr_ttl(*rr),
	    (unsigned)ns_get32(ns_rr_rdata(*rr) + ns_rr_rdlen(*rr) - 4));
}

/* The parsers of MX and TXT do not tell how long their records live. */
static void
note_ttl(struct dns_answer *a, const unsigned char *message, int n, bool found)
{
	ns_msg m;
	ns_rr rr;
	unsigned ttl = DNS_NO_TTL;

	if (!message || ns_initparse(message, n, &m) != 0)
		return;
	for (int i = 0; found && i < ns_msg_count(m, ns_s_an); i++)
		if (ns_parserr(&m, ns_s_an, i, &rr) == 0)
			ttl = least(ttl, (unsigned)ns_rr_ttl(rr));
	for (int i = 0; !found && i < ns_msg_count(m, ns_s_ns); i++)
		if (ns_parserr(&m, ns_s_ns, i, &rr) == 0)
			ttl = least(ttl, ttl_of_soa(&rr));
	shorten(a, ttl);
}

static int
take_v4(struct dns_answer *a, const unsigned char *message, int size)
{
	struct ares_addrttl at[DNS_RECORDS_MAX / 2];
	int n = DNS_RECORDS_MAX / 2;
	int status = ares_parse_a_reply(message, size, NULL, at, &n);

	for (int i = 0; status == ARES_SUCCESS && i < n; i++)
		keep(a, 0, &at[i].ipaddr, sizeof(at[i].ipaddr));
	return status == ARES_SUCCESS && n == 0 ? ARES_ENODATA : status;
}

static int
take_v6(struct dns_answer *a, const unsigned char *message, int size)
{
	struct ares_addr6ttl at[DNS_RECORDS_MAX / 2];
	int n = DNS_RECORDS_MAX / 2;
	int status = ares_parse_aaaa_reply(message, size, NULL, at, &n);

	for (int i = 0; status == ARES_SUCCESS && i < n; i++)
		keep(a, 0, &at[i].ip6addr, sizeof(at[i].ip6addr));
	return status == ARES_SUCCESS && n == 0 ? ARES_ENODATA : status;
}

static int
take_mx(struct dns_answer *a, const unsigned char *message, int size)
{
	struct ares_mx_reply *all = NULL;
	int status = ares_parse_mx_reply(message, size, &all);

	for (const struct ares_mx_reply *m = all; m; m = m->next) {
		struct slice host = slice_str(m->host);

		if (slice_eq(host, SLICE(".")))
			host = SLICE("");
		keep(a, m->priority, host.n ? host.p : "", host.n);
	}
	if (all)
		ares_free_data(all);
	return status == ARES_SUCCESS && a->n == 0 ? ARES_ENODATA : status;
}

/* A record comes as its strings, the first of each marked; one that does not fit is left out. */
static int
take_txt(struct dns_answer *a, const unsigned char *message, int size)
{
	struct ares_txt_ext *all = NULL;
	int status = ares_parse_txt_reply_ext(message, size, &all);
	bool fits = true;

	for (const struct ares_txt_ext *t = all; t; t = t->next) {
		if (t->record_start) {
			fits = a->n < DNS_RECORDS_MAX;
			if (fits)
				a->at[a->n++].value = slice_of(a->mem + a->used, 0);
		}
		if (!fits || a->n == 0)
			continue;
		if (put(a, t->txt, t->length)) {
			a->at[a->n - 1].value.n += t->length;
		} else {
			a->n--;
			fits = false;
		}
	}
	if (all)
		ares_free_data(all);
	return status == ARES_SUCCESS && a->n == 0 ? ARES_ENODATA : status;
}

static enum dns_got
got_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return DNS_FOUND;
	case ARES_ENODATA:
		return DNS_EMPTY;
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return DNS_NO_NAME;
	default:
		return DNS_FAILED;
	}
}

static int
take(int type, struct dns_answer *a, const unsigned char *message, int n)
{
	switch (type) {
	case TYPE_A:
		return take_v4(a, message, n);
	case TYPE_AAAA:
		return take_v6(a, message, n);
	case TYPE_MX:
		return take_mx(a, message, n);
	default:
		return take_txt(a, message, n);
	}
}

/* Of a channel that goes the flight is asked anew by its successor: it stays out. */
static void
on_answer(void *ctx, int status, int timeouts, unsigned char *message, int n)
{
	struct question *q = ctx;
	struct flight *f = q->flight;

	(void)timeouts;
	q->out = false;
	if (status == ARES_EDESTRUCTION) {
		q->got = DNS_FAILED;
		return;
	}
	if (f->answer && f->state == FLIGHT_ASKED) {
		if (status == ARES_SUCCESS)
			status = take(q->type, f->answer, message, n);
		q->got = got_of(status);
		if (q->got != DNS_FAILED)
			note_ttl(f->answer, message, n, q->got == DNS_FOUND);
	}
	dns_heard(f);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* True: /etc/hosts has it, in one family or in both. */
static bool
look_into_hosts(struct flight *f)
{
	static const int families[] = { AF_INET, AF_INET6 };
	bool found = false;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		struct hostent *host = NULL;

		f->at[i].got = DNS_EMPTY;
		if (ares_gethostbyname_file(f->dns->channel, f->name, families[i], &host) !=
		        ARES_SUCCESS ||
		    !host)
			continue;
		for (char **p = host->h_addr_list; host->h_addrtype == families[i] && *p; p++) {
			keep(f->answer, 0, *p, (size_t)host->h_length);
			f->at[i].got = DNS_FOUND;
			found = true;
		}
		ares_free_hostent(host);
	}
	if (found)
		shorten(f->answer, hosts_ttl);
	return found;
}

void
dns_channel_ask(struct flight *f)
{
	static const int types[][2] = {
		[DNS_MX] = { TYPE_MX, 0 },
		[DNS_TXT] = { TYPE_TXT, 0 },
		[DNS_ADDRESS] = { TYPE_A, TYPE_AAAA },
	};
	struct dns *d = f->dns;
	bool known = f->type == DNS_ADDRESS && look_into_hosts(f);

	for (size_t i = 0; i < 2 && !known && types[f->type][i]; i++) {
		struct question *q = &f->at[i];

		q->flight = f;
		q->type = types[f->type][i];
		q->got = DNS_FAILED;
		q->out = true;
	}
	for (size_t i = 0; i < 2; i++)
		if (f->at[i].out)
			ares_query(d->channel, f->name, ns_c_in, f->at[i].type, on_answer,
			    &f->at[i]);
	if (known)
		dns_heard(f);
	arm(d);
}
