/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_SUPERVISOR_H
#define PROXY_PROCESS_SUPERVISOR_H

/*
 * supervisor - the workers as the master sees them: started, asked, replaced
 *
 * A worker that dies is replaced at once; if it dies young (within 10 s) again and again, after 0.1
 * s, doubling to 2 s where it had served and to 10 s where it could not start. Meanwhile one that
 * is up serves its listening sockets (BEHAVIOUR R11). Its column of the scoreboard is cleared in
 * between. Once a worker has been up the supervisor never gives up: what keeps workers from
 * starting (a full disk, a database that is being restored) may pass. Where none ever was, and each
 * seat's has died or found no process, it says that there is no hope.
 *
 * Owns:   processes, their channels, a reference to the configuration that the next worker starts
 *         with.
 */
#include "proxy/process/channel.h"
#include "proxy/process/listener.h"
#include "proxy/process/scoreboard.h"

struct parsers;
struct counters_shared;

enum supervisor_state { SUPERVISOR_DEAD, SUPERVISOR_STARTING, SUPERVISOR_UP, SUPERVISOR_DRAINING };

/* What the master has open and a worker must not: closed in the child. */
typedef void supervisor_child_fn(void *ctx);
/* A worker came up or died. */
typedef void supervisor_change_fn(void *ctx);
/* One of each seat has died, or there was no process for it, and none was ever up: none is started
 * any more. */
typedef void supervisor_hopeless_fn(void *ctx);

/* What one worker said to supervisor_tell() of that serial; valid for the length of the call. */
typedef void supervisor_told_fn(void *ctx, uint32_t serial, struct slice words);

struct supervisor_options {
	struct loop *loop;
	unsigned workers;
	const char *conf_path;
	struct conf *conf; /* reference is taken */
	struct scoreboard *board;
	struct counters_shared *counters;
	struct shape *shape;
	struct listeners *listeners;
	struct parsers *parsers;
	unsigned char ticket_seed[32];
	supervisor_child_fn *in_child;
	supervisor_change_fn *on_change;
	supervisor_hopeless_fn *on_hopeless;
	supervisor_told_fn *on_told;
	void *ctx;
};

struct supervisor;

struct supervisor *supervisor_open(const struct supervisor_options *o) MUST_CHECK;
/* All workers must have gone. */
void supervisor_close(struct supervisor *c);
void supervisor_start(struct supervisor *c);
/* On SIGCHLD. */
void supervisor_reap(struct supervisor *c);
/* No replacements from now on; NOW: sessions are closed at once. */
void supervisor_stop(struct supervisor *c, bool now);
/* SIGKILL to all that are left. */
void supervisor_kill(struct supervisor *c);
/* Logs are opened anew. */
void supervisor_reopen(struct supervisor *c);

struct conf *supervisor_conf(const struct supervisor *c);
/* For workers that start from now on. */
void supervisor_set_conf(struct supervisor *c, struct conf *conf);
unsigned supervisor_alive(const struct supervisor *c);
unsigned supervisor_up(const struct supervisor *c);
unsigned supervisor_workers(const struct supervisor *c);

struct supervisor_view {
	enum supervisor_state state;
	pid_t pid; /* 0 while dead */
	unsigned generation;
	unsigned deaths;
	int64_t started; /* unix seconds, of this generation */
};
struct supervisor_view supervisor_view(const struct supervisor *c, unsigned w);

/* One worker that is up, each in its turn, is asked WORDS: the serial of its answer, which
 * on_told() brings if the worker lives; 0: nobody is up. */
uint32_t supervisor_tell(struct supervisor *c, struct slice words) MUST_CHECK;

/* ---- questions to all ---- */

enum supervisor_question { SUPERVISOR_RELOAD, SUPERVISOR_STATUS, SUPERVISOR_QUESTIONS };
enum supervisor_answer {
	SUPERVISOR_NONE,
	SUPERVISOR_DONE,
	SUPERVISOR_FAILED
}; /* NONE: not up, gone, or too slow */

typedef void supervisor_answers_fn(void *ctx);

/* Asks all that are up (SUPERVISOR_RELOAD: those that are starting too); FN comes once, from the
 * loop, when all have answered or SECONDS have passed. One question of a kind at a time. */
void supervisor_ask(struct supervisor *c, enum supervisor_question q, double seconds,
    supervisor_answers_fn *fn, void *ctx);
bool supervisor_is_asking(const struct supervisor *c, enum supervisor_question q);
/* Valid from FN until the next supervisor_ask of that kind. */
enum supervisor_answer supervisor_answer(const struct supervisor *c, enum supervisor_question q,
    unsigned w, struct slice *words_r);

#endif
