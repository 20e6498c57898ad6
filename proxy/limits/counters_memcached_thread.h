/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_LIMITS_COUNTERS_MEMCACHED_THREAD_H
#define PROXY_LIMITS_COUNTERS_MEMCACHED_THREAD_H

/*
 * counters_memcached_thread - one server's thread, and what it shares with the loop
 *
 *      up --refuses, or is silent three times--> silent --answers--> up
 *       '--its epoch or a number has gone, or cannot be right--> up, empty
 *
 *      silent  not asked for orders: on_counter_loss decides them. Asked for its epoch after a
 *              second, doubling to ten; when it answers, what was counted meanwhile is owed.
 *      empty   up in a new epoch: all nodes put back what is theirs. For FLOOR_MS the larger counts
 *              of what is read and what was known.
 *
 * A batch that was not answered is cleared up before the next (counters_batch.h): where the server
 * has its mark it has arrived; else the server is taken as empty.
 *
 * Never:  blocks the loop; logs. Private to counters_memcached*.
 */
#include <libmemcached/memcached.h>

#include "proxy/limits/counters_memcached.h"

enum server_state { SERVER_UP, SERVER_SILENT };

enum news { NEWS_NONE, NEWS_LOST = 1, NEWS_BACK = 2, NEWS_EMPTY = 4, NEWS_EVICTED = 8 };

struct orders {
	struct counters_order *first, **last;
};

struct server {
	struct counters_remote *remote;
	unsigned index;
	struct counter_server at;
	struct orders gathered; /* the loop's */
	pthread_t thread;
	bool opened, started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct orders queue; /* under the lock */
	_Atomic bool stopping;
	_Atomic enum server_state state;
	_Atomic unsigned news;
	_Atomic uint64_t batches, orders, silences;
	/* the thread's */
	struct memcached_link *link;
	struct counters_batch batch;
	unsigned silent;
	uint64_t began_us;                                 /* the last batch */
	bool crowded;                                      /* it was for more than one */
	uint64_t back_off_ms, retry_ms, probe_ms, bump_ms; /* monotonic */
	uint64_t bump_wait_ms;
	bool scans;
	size_t scan_at;
	unsigned dice;
};

struct counters_remote {
	struct loop *loop;
	struct counters_shared *shared;
	memcached_st *ring; /* for its hash alone, on the loop */
	_Atomic enum counter_loss loss;
	char claim[32]; /* this node's word in each epoch */
	struct task flush;
	ev_async answered;
	pthread_mutex_t lock;
	struct orders answers;
	size_t servers_n;
	struct server server[];
};

void orders_init(struct orders *l);
void orders_put(struct orders *l, struct counters_order *o);
/* NULL: none is left. */
struct counters_order *orders_take(struct orders *l);
void orders_move(struct orders *to, struct orders *from);

bool server_is_silent(const struct server *s);
/* Until s->stopping and nothing is left to do. ARG: the server. */
void *server_serve(void *arg);
/* On the loop, when the thread has ended: what the last answers gave back. */
void server_finish(struct server *s);

#endif
