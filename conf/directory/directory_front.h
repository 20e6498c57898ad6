/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_FRONT_H
#define CONF_DIRECTORY_DIRECTORY_FRONT_H

/*
 * directory_front - private to directory.c (what is known on the loop), directory_ask.c (questions
 * on their way), directory_turn.c (whose hash is next) and directory_run.c (what threads do)
 *
 *      directory_login() --- remembered, fresh ---------------------> deferred task --> fn
 *             |                                                           ^
 *             |--- the same question is on its way: joins it              |
 *             '--- ask -> line -> thread: run -> loop: done -> cache -> fn of the asker and of all who joined
 *
 * Who asked may leave: what nobody waits for any more is taken out of the line, or is found by the
 * thread, which then makes no hash.
 *
 * A refused log-in is told when as much time has passed since its check began as the slowest check
 * of any stored scheme takes on the machine as busy as it is, and a quarter more: whatever it was
 * (BEHAVIOUR A1). The check itself has ended then and holds no thread.
 *
 * Freshness. The poll learns which accounts were written to. A snapshot is fresh while its account
 * has not been since it was read: its revision is at least `floor`, and at least what `changed`
 * holds for the account.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "conf/directory/directory_backend.h"
#include "conf/directory/directory_cache.h"
#include "conf/directory/hashing.h"
#include "wire/crypto.h"

enum { BACKENDS_IDLE = 8, CHANGED_MAX = 4096, ASK_KEY = 32, WHY_MAX = 192 };

enum ask_kind { ASK_LOGIN, ASK_ADDRESS, ASK_MAILBOX, ASK_REFRESH, ASK_FIND, ASK_DOMAIN, ASK_POLL };

/* A log-in's. */
enum ask_lane { LANE_KNOWN, LANE_STRANGERS, LANES };
enum ask_stage {
	ASK_NEW,
	ASK_IN_LINE,
	ASK_AT_WORK,  /* a thread's, and then to be told when it is due */
	ASK_ANSWERED, /* is told at the end of the turn */
};

struct ask {
	struct job job;
	struct task task;
	struct directory *d;
	enum ask_kind kind;
	struct ask *next; /* on its way, or about to be answered: d's lists */
	struct ask **prev;
	struct ask *joined; /* who asks the same */
	struct ask *lead;   /* the one it has joined; itself where it has not */
	/* of a lead: it and those who joined, but for those who have left */
	_Atomic unsigned wanted;
	enum ask_stage stage;
	enum ask_lane lane;
	struct ask *behind; /* in the line */
	uint64_t address;   /* where it comes from: the same for those that share a turn */
	uint64_t owner;
	directory_fn *fn;
	uint64_t known_at; /* d's revision when asked */
	ev_timer due;
	unsigned cell; /* of HASHING, while a thread has it */
	double began;  /* the check, CLOCK_MONOTONIC */
	unsigned char key[ASK_KEY];
	/* the question */
	size_t name_n;
	char name[CACHE_KEY_MAX]; /* lower case */
	struct secret password;
	bool expects;    /* the password is right if the stored hash is still HASH */
	bool is_address; /* of the sender to refresh */
	unsigned char hash[CACHE_TAG];
	uint64_t
	    id; /* of the sender; of the account that asks about a domain; the poll's revision */
	struct net at;
	/* the answer */
	enum login_result result;
	uint64_t account; /* whose the domain is; 0: nobody's */
	const char *why;
	char why_mem[WHY_MAX];
	struct sender *sender;
	struct rehash
	    *rehash;      /* the password was right and its hash is not of our scheme; or NULL */
	enum found found; /* ASK_POLL */
	struct backend_changes changes;
};

struct changed {
	uint64_t account;
	uint64_t revision;
};

struct directory {
	struct loop *loop;
	struct work *work; /* passwords: slow */
	struct work *
	    reader; /* our own thread: a crowd that logs in must not hold up the poll, nor a MAIL */
	void *ctx;
	ev_timer timer;
	unsigned remember_s;
	char *path;
	bool closed;
	unsigned pending;   /* asks that a thread has or will have */
	struct ask *flying; /* the same asks but the poll: to be joined */
	struct ask *answering;
	struct ask *due; /* refused, and not told yet */

	/* log-ins that wait for their hash, and those that a thread has */
	struct ask *line[LANES];
	struct ask *hashing[HASHING_MAX];
	unsigned hashing_n, hashing_max;
	struct hashing *hashing_all, *hashing_own; /* of all processes; ours where we are alone */
	unsigned process;
	uint64_t cells; /* of ours, that are taken */
	ev_timer again; /* one of those in line may wait for another process */
	unsigned turns;

	/* what is known */
	uint64_t revision;
	uint64_t floor; /* snapshots older than this are stale, whatever their account */
	uint64_t ip_revision;
	uint64_t domain_revision;
	bool has_addresses;
	struct changed changed[2 * CHANGED_MAX]; /* open addressing */
	size_t changed_n;
	struct cache mailboxes; /* by address, lower case */
	struct cache addresses; /* by struct net */
	struct cache domains;   /* by name, lower case: whose they are */

	bool polling;
	bool poll_failed;

	/* for the threads */
	_Atomic double slowest_s; /* of processor, for a check of the slowest scheme */
	_Atomic double stretch; /* by how much longer checks take now than their processor's time */
	unsigned char secret[32]; /* of this process: keys what is remembered */
	pthread_mutex_t lock;
	struct backend *idle[BACKENDS_IDLE];
	unsigned idle_n;
	struct backend *poller; /* the poll's alone: one poll at a time */
	pthread_mutex_t vault_lock;
	struct vault *vault;
};

/* directory_ask.c */
struct ask *ask_new(struct directory *d, enum ask_kind kind, uint64_t owner, directory_fn *fn)
    MUST_CHECK;
void ask_free(struct ask *a);
/* Answers from the loop, at the end of this turn; takes the reference to SENDER. */
void ask_answer(struct ask *a, enum login_result result, struct sender *sender, const char *why);
/* Sends A to a thread, or lets it join one of the same key that knows no less. */
void ask_send(struct ask *a);
/* Lets go of what waits to be answered. */
void ask_forget_all(struct directory *d);

/* directory_turn.c. False: too many wait already. */
bool turn_put(struct directory *d, struct ask *a) MUST_CHECK;
void turn_leave(struct directory *d, struct ask *a);
/* Sends to threads what may run now. */
void turn_move(struct directory *d);
void turn_on_again(struct ev_loop *ev, ev_timer *t, int revents);
/* A's thread has ended. */
void turn_done(struct directory *d, const struct ask *a);

/* directory_run.c: on a thread */
void ask_run(struct job *j);
/* What the stored schemes cost. Takes as long as one check of each. */
void directory_measure(struct directory *d, struct backend *b);
double directory_clock(void);

/* directory_rehash.c: a right password's hash in the scheme of today. NULL: it is, or no memory. */
struct rehash *rehash_new(struct directory *d, uint64_t mailbox, struct slice hash,
    const struct secret *password) MUST_CHECK;
/* Takes it: the thread writes it, nobody waits. */
void rehash_send(struct rehash *r);
void rehash_free(struct rehash *r);
/* A keyed hash that only this process can make. */
bool directory_tag(const struct directory *d, struct slice purpose, struct slice a, struct slice b,
    unsigned char tag[CACHE_TAG]) MUST_CHECK;

/* directory_fresh.c: true where nothing of ACCOUNT was written after REVISION. */
bool directory_is_current(struct directory *d, uint64_t revision, uint64_t account) MUST_CHECK;
void directory_on_timer(struct ev_loop *ev, ev_timer *t, int events);
void directory_learn_changes(struct directory *d, struct ask *a);

/* directory.c: what came back is known from now on; may put another snapshot into A. */
void directory_learn(struct directory *d, struct ask *a);
void directory_put(struct directory *d);

#endif
