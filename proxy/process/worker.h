/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_WORKER_H
#define PROXY_PROCESS_WORKER_H

/*
 * worker - one process of the daemon with one loop: its sessions, its relay, its view of the
 * directory
 *
 * A lane is a listener as one configuration describes it: settings, TLS context, name. Sessions
 * hold a reference, so that a reload changes the lane for new connections and leaves open ones
 * alone.
 *
 * Owns:   everything it points to. Life: worker_run() in the forked child, until drained.
 */
#include "conf/conf.h"
#include "conf/directory/directory.h"
#include "conf/mail_domain.h"
#include "conf/vault/vault.h"
#include "proxy/process/scoreboard.h"
#include "relay/relay.h"
#include "wire/loop.h"
#include "wire/tls.h"
#include "wire/work.h"

struct callouts;
struct quota;
struct desk;
struct sessions;
struct counters;
struct counters_shared;

struct worker {
	unsigned number; /* column of the scoreboard */
	struct loop *loop;
	struct work *work;
	struct conf *conf;
	struct vault *vault;
	struct directory *directory;
	struct relay *relay;
	struct mail_domains *mail_domains;
	struct callouts *callouts;
	struct counters *counters;
	struct quota *quota;
	struct scoreboard *board;
	struct sessions *sessions;
	struct desk *desk;   /* NULL: not yet, or no more */
	int fds_for_clients; /* see descriptors.h */
	bool draining;
};

struct lane {
	unsigned refs;
	struct worker *worker;
	struct conf *conf; /* reference */
	const struct conf_listener *listener;
	struct tls_ctx *tls; /* NULL where tls = none */
};

struct lane *lane_ref(struct lane *l);
void lane_unref(struct lane *l);

enum { WORKER_ALL = -1 };

/* A listening socket, of the listener of that name. */
struct worker_socket {
	char listener[49];
	int worker; /* whose connections it gets; WORKER_ALL: inherited, one for all */
	int fd;
};

struct worker_options {
	unsigned number;
	struct conf *conf;     /* reference is taken */
	const char *conf_path; /* for reloads */
	struct scoreboard *board;
	struct counters_shared *counters;
	struct shape *shape;                 /* relay.h */
	const struct worker_socket *sockets; /* all workers': one may have to serve another's */
	size_t sockets_n;
	int control_fd;                /* socketpair to the master */
	int parsers_fd;                /* and to the parsers */
	unsigned char ticket_seed[32]; /* the same in all workers */
};

/* Runs until told to stop; returns the exit status. */
int worker_run(const struct worker_options *o);

#endif
