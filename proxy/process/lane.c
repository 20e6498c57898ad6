/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane - lanes, their ticket keys, and accept()
 */
#include "proxy/process/lane.h"

#include "proxy/process/descriptors.h"

#include "conf/vault/secret.h"
#include "proxy/dialogue/session.h"
#include "wire/crypto.h"
#include "wire/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR_S = 3600, COMPLAIN_S = 60, CERTIFICATE_DAYS = 14, SEED_MIN = 32 };

static const double rest_s = 0.1;

struct acceptor {
	struct lanes *all;
	struct lane *lane;
	char listener[49];
	int fd; /* -1: stopped */
	int worker;
	bool served; /* by us: our own, or a dead one's */
	ev_io rd;
};

struct lanes {
	struct worker *worker;
	struct lane **list; /* of the configuration in force */
	size_t list_n;
	struct acceptor *acceptors;
	size_t acceptors_n;
	bool started;
	int spare; /* a descriptor to give up when there is none left; -1: given up */
	ev_timer rest;
	ev_periodic hourly;
	ev_tstamp complained, warned;
	unsigned char own_seed[32]; /* of this start */
	unsigned char seed[32];     /* in force: own_seed, or the key file's */
};

/* ---- lanes ---- */

/* References to all lanes of this process. */
static size_t total_refs;

struct lane *
lane_ref(struct lane *l)
{
	l->refs++;
	total_refs++;
	return l;
}

void
lane_unref(struct lane *l)
{
	if (!l)
		return;
	assert(l->refs > 0);
	total_refs--;
	if (--l->refs > 0)
		return;
	tls_ctx_unref(l->tls);
	conf_unref(l->conf);
	free(l);
}

static bool
ticket_key(const unsigned char seed[32], const char *listener, uint64_t hour, unsigned char key[32])
{
	char mem[128];
	struct text info = text_over(mem, sizeof(mem));

	text_put(&info, SLICE("ticket|"));
	text_put(&info, slice_str(listener));
	text_char(&info, '|');
	text_u64(&info, hour);
	return !info.overflow &&
	    crypto_hkdf_sha256(slice_of((const char *)seed, 32), SLICE("byway ticket v1"),
	        text_slice(&info), key, 32);
}

static uint64_t
hour_now(const struct lanes *all)
{
	return loop_wall_ms(all->worker->loop) / 1000 / HOUR_S;
}

static bool
rotate_one(struct lanes *all, struct lane *l, const unsigned char seed[32], uint64_t hour)
{
	unsigned char key[32];

	if (!l->tls || !l->conf->tls.tickets)
		return true;
	if (!ticket_key(seed, l->listener->name, hour, key))
		return false;
	tls_ctx_rotate_ticket_key(l->tls, key);
	crypto_wipe(key, sizeof(key));
	(void)all;
	return true;
}

/* The key of the hour before comes first and is then rotated away, so that tickets of that hour are
 * read by a worker that starts in this one. */
static bool
make_tls(struct lanes *all, struct lane *l, const unsigned char seed[32], struct text *why)
{
	const struct conf_listener *from = l->listener;
	unsigned char key[32];
	uint64_t hour = hour_now(all);
	bool tickets = l->conf->tls.tickets;

	if (tickets && !ticket_key(seed, from->name, hour - 1, key)) {
		text_fmt(why, "listener %s: no ticket key\n", from->name);
		return false;
	}
	const struct tls_server_options o = {
		.pairs = from->pairs,
		.pairs_n = from->pairs_n,
		.tls13 = l->conf->tls.tls13,
		.old_devices = from->tls_old_devices,
		.client_cert = from->client_certificates,
		.client_ca_file = from->client_ca_file,
		.ticket_key = tickets ? key : NULL,
		.ticket_lifetime_s = l->conf->tls.ticket_lifetime_s,
	};
	char mem[512];
	struct text reason = text_over(mem, sizeof(mem));

	l->tls = tls_server_ctx(&o, &reason);
	crypto_wipe(key, sizeof(key));
	if (!l->tls) {
		text_fmt(why, "listener %s: %s\n", from->name, mem);
		return false;
	}
	return rotate_one(all, l, seed, hour);
}

static struct lane *
make_lane(struct lanes *all, struct conf *conf, size_t i, const unsigned char seed[32],
    struct text *why)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (!l) {
		text_put(why, SLICE("out of memory\n"));
		return NULL;
	}
	*l = (struct lane){
		.refs = 1,
		.worker = all->worker,
		.conf = conf_ref(conf),
		.listener = &conf->listeners[i],
	};
	total_refs++;
	if (l->listener->tls == LISTENER_PLAIN || make_tls(all, l, seed, why))
		return l;
	lane_unref(l);
	return NULL;
}

static void
free_list(struct lane **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lane_unref(list[i]);
	free(list);
}

/* What the operator should hear before the clients do. */
static void
warn_of_certificates(const struct lanes *all)
{
	if (all->worker->number != 0)
		return;
	for (size_t i = 0; i < all->list_n; i++) {
		const struct lane *l = all->list[i];
		long days = l->tls ? tls_ctx_days_left(l->tls) : CERTIFICATE_DAYS;

		if (days < 0)
			log_say(LOG_WARNING, "certificate",
			    "listener %s: a certificate has expired", l->listener->name);
		else if (days < CERTIFICATE_DAYS)
			log_say(LOG_WARNING, "certificate",
			    "listener %s: a certificate ends in %ld days", l->listener->name, days);
	}
}

static void
warn_of_descriptors(const struct lanes *all, const struct conf *conf)
{
	char mem[512];
	struct text words = text_over(mem, sizeof(mem));

	if (all->worker->number == 0 && descriptors_lack(conf, &words))
		log_say(LOG_WARNING, "descriptors", "%s", mem);
}

static struct lane *
find_lane(const struct lanes *all, const char *name)
{
	for (size_t i = 0; i < all->list_n; i++) {
		if (strcmp(all->list[i]->listener->name, name) == 0)
			return all->list[i];
	}
	return NULL;
}

static void
assign(struct lanes *all)
{
	for (size_t i = 0; i < all->acceptors_n; i++) {
		struct acceptor *a = &all->acceptors[i];
		struct lane *l = find_lane(all, a->listener);

		if (!l)
			continue;
		lane_unref(a->lane);
		a->lane = lane_ref(l);
	}
}

static bool
read_seed(const struct lanes *all, const struct conf *conf, unsigned char seed_r[32],
    struct text *why)
{
	struct secret file;
	char mem[256] = "";
	bool ok;

	if (!conf->tls.ticket_key_file || !*conf->tls.ticket_key_file) {
		memcpy(seed_r, all->own_seed, 32);
		return true;
	}
	if (!secret_read_file(&file, conf->tls.ticket_key_file, false, mem, sizeof(mem))) {
		text_fmt(why, "[tls] ticket_key_file: %s\n", mem);
		return false;
	}
	ok = file.n >= SEED_MIN && crypto_sha256(secret_peek(&file), seed_r);
	if (!ok)
		text_fmt(why, "[tls] ticket_key_file: %s has less than %d octets\n",
		    conf->tls.ticket_key_file, SEED_MIN);
	secret_fini(&file);
	return ok;
}

bool
lanes_conf(struct lanes *all, struct conf *conf, struct text *why)
{
	size_t n = conf->listeners_n;
	struct lane **list = calloc(n ? n : 1, sizeof(struct lane *));
	unsigned char seed[32];
	bool ok = list && read_seed(all, conf, seed, why);

	for (size_t i = 0; ok && i < n; i++)
		ok = (list[i] = make_lane(all, conf, i, seed, why)) != NULL;
	if (!ok) {
		if (list)
			free_list(list, n);
		else
			text_put(why, SLICE("out of memory\n"));
		crypto_wipe(seed, sizeof(seed));
		return false;
	}
	free_list(all->list, all->list_n);
	all->list = list;
	all->list_n = n;
	memcpy(all->seed, seed, sizeof(seed));
	crypto_wipe(seed, sizeof(seed));
	assign(all);
	warn_of_certificates(all);
	warn_of_descriptors(all, conf);
	return true;
}

static void
on_hour(struct ev_loop *ev, ev_periodic *w, int revents)
{
	struct lanes *all = w->data;
	uint64_t hour = hour_now(all);

	(void)ev;
	(void)revents;
	for (size_t i = 0; i < all->list_n; i++) {
		if (!rotate_one(all, all->list[i], all->seed, hour))
			log_say(LOG_ERROR, "tls", "listener %s: no new ticket key",
			    all->list[i]->listener->name);
	}
}

/* ---- accepting ---- */

static void
watch(struct lanes *all, bool on)
{
	for (size_t i = 0; i < all->acceptors_n; i++) {
		struct acceptor *a = &all->acceptors[i];

		if (a->fd < 0 || !a->served)
			continue;
		if (on)
			ev_io_start(loop_ev(all->worker->loop), &a->rd);
		else
			ev_io_stop(loop_ev(all->worker->loop), &a->rd);
	}
}

static void
on_rested(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct lanes *all = w->data;

	(void)ev;
	(void)revents;
	if (all->spare < 0)
		all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (all->started)
		watch(all, true);
}

/* The connection that could not be accepted would wake the loop for ever: it is told why, at the
 * price of the spare descriptor. */
static void
turn_away(struct acceptor *a)
{
	static const char sorry[] = "421 4.3.2 Too many connections, try again later\r\n";
	struct lanes *all = a->all;
	int fd;

	if (all->spare < 0)
		return;
	close(all->spare);
	all->spare = -1;
	fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (a->lane->listener->tls != LISTENER_IMPLICIT)
			(void)!send(fd, sorry, sizeof(sorry) - 1, MSG_NOSIGNAL);
		close(fd);
		scoreboard_count(all->worker->board, all->worker->number, COUNTER_NO_FDS, 1);
	}
	all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
rest(struct acceptor *a, int error)
{
	struct lanes *all = a->all;
	ev_tstamp now = loop_now(all->worker->loop);

	if (error == EMFILE || error == ENFILE)
		turn_away(a);
	watch(all, false);
	ev_timer_set(&all->rest, rest_s, 0.);
	ev_timer_start(loop_ev(all->worker->loop), &all->rest);
	if (all->complained > 0 && now - all->complained < COMPLAIN_S)
		return;
	all->complained = now;
	log_say(LOG_ERROR, "accept", "listener %s: %s; accepting rests for 100 ms at a time",
	    a->listener, strerror(error));
}

/* accept(2): errors of the connection that was to be accepted, not of ours. */
static bool
is_theirs(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* Said once a minute. */
static void
tell_that_few_are_left(struct lanes *all, int fd)
{
	ev_tstamp now = loop_now(all->worker->loop);

	if (fd < all->worker->fds_for_clients ||
	    (all->warned > 0 && now - all->warned < COMPLAIN_S))
		return;
	all->warned = now;
	log_say(LOG_WARNING, "descriptors",
	    "%d are in use, and the rest is kept for upstreams: for each new client one that has "
	    "not logged in makes way",
	    fd);
}

static void
on_connection(struct ev_loop *ev, ev_io *w, int revents)
{
	struct acceptor *a = w->data;

	(void)ev;
	(void)revents;
	for (int i = 0; i < ACCEPT_A_TURN && a->fd >= 0; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd =
		    accept4(a->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			tell_that_few_are_left(a->all, fd);
			session_open(a->lane, fd, (const struct sockaddr *)&peer, len);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (is_theirs(errno))
			continue;
		rest(a, errno);
		return;
	}
}

struct lanes *
lanes_open(struct worker *w, const struct worker_socket *sockets, size_t n,
    const unsigned char seed[32])
{
	struct lanes *all = calloc(1, sizeof(*all));

	if (!all || !(all->acceptors = calloc(n ? n : 1, sizeof(*all->acceptors)))) {
		free(all);
		return NULL;
	}
	all->worker = w;
	w->fds_for_clients = descriptors_for_clients();
	all->acceptors_n = n;
	memcpy(all->own_seed, seed, 32);
	all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < n; i++) {
		struct acceptor *a = &all->acceptors[i];

		a->all = all;
		a->fd = sockets[i].fd;
		a->worker = sockets[i].worker;
		a->served = a->worker == WORKER_ALL || a->worker == (int)w->number;
		memcpy(a->listener, sockets[i].listener, sizeof(a->listener));
		ev_io_init(&a->rd, on_connection, a->fd, EV_READ);
		a->rd.data = a;
	}
	ev_timer_init(&all->rest, on_rested, rest_s, 0.);
	all->rest.data = all;
	ev_periodic_init(&all->hourly, on_hour, 0., HOUR_S, NULL);
	all->hourly.data = all;
	return all;
}

bool
lanes_in_use(const struct lanes *all)
{
	size_t ours = all->list_n;

	for (size_t i = 0; i < all->acceptors_n; i++)
		ours += all->acceptors[i].lane != NULL;
	return total_refs > ours;
}

void
lanes_start(struct lanes *all)
{
	all->started = true;
	watch(all, true);
	ev_periodic_start(loop_ev(all->worker->loop), &all->hourly);
}

void
lanes_cover(struct lanes *all, int worker, bool on)
{
	/* While they rest, all are left alone; on_rested() looks again. */
	watch(all, false);
	for (size_t i = 0; i < all->acceptors_n; i++) {
		struct acceptor *a = &all->acceptors[i];

		if (a->worker == worker && worker != (int)all->worker->number)
			a->served = on;
	}
	if (all->started && !ev_is_active(&all->rest))
		watch(all, true);
}

void
lanes_stop(struct lanes *all)
{
	watch(all, false);
	all->started = false;
	ev_timer_stop(loop_ev(all->worker->loop), &all->rest);
	ev_periodic_stop(loop_ev(all->worker->loop), &all->hourly);
	for (size_t i = 0; i < all->acceptors_n; i++) {
		if (all->acceptors[i].fd >= 0)
			close(all->acceptors[i].fd);
		all->acceptors[i].fd = -1;
	}
}

void
lanes_close(struct lanes *all)
{
	if (!all)
		return;
	lanes_stop(all);
	for (size_t i = 0; i < all->acceptors_n; i++)
		lane_unref(all->acceptors[i].lane);
	free_list(all->list, all->list_n);
	free(all->acceptors);
	if (all->spare >= 0)
		close(all->spare);
	crypto_wipe(all->seed, sizeof(all->seed));
	crypto_wipe(all->own_seed, sizeof(all->own_seed));
	free(all);
}
