/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_CREW_H
#define PROXY_CREW_H

/*
 * crew - the workers as the master sees them: started, asked, replaced
 *
 * A worker that dies is replaced at once; if it dies young (within 10 s) again and again, after 0.1 s, doubling to 10 s. Its column of the scoreboard is cleared in between. Never does the
 * crew give up: what keeps workers from starting (a full disk, a database that is being restored) may pass.
 *
 * Owns:   processes, their channels, a reference to the configuration that the next worker starts with.
 */
#include "proxy/channel.h"
#include "proxy/listener.h"
#include "proxy/scoreboard.h"

struct tally_shared;

enum crew_state { CREW_DEAD, CREW_STARTING, CREW_UP, CREW_DRAINING };

/* What the master has open and a worker must not: closed in the child. */
typedef void crew_child_fn(void *ctx);
/* A worker came up or died. */
typedef void crew_change_fn(void *ctx);

/* What one worker said to crew_tell() of that serial; valid for the length of the call. */
typedef void crew_told_fn(void *ctx, uint32_t serial, struct slice words);

struct crew_options {
	struct loop *loop;
	unsigned workers;
	const char *conf_path;
	struct conf *conf; /* reference is taken */
	struct scoreboard *board;
	struct tally_shared *tally;
	struct shape *shape;
	struct listeners *listeners;
	unsigned char ticket_seed[32];
	crew_child_fn *in_child;
	crew_change_fn *on_change;
	crew_told_fn *on_told;
	void *ctx;
};

struct crew;

struct crew *crew_open(const struct crew_options *o) MUST_CHECK;
/* All workers must have gone. */
void crew_close(struct crew *c);
void crew_start(struct crew *c);
/* On SIGCHLD. */
void crew_reap(struct crew *c);
/* No replacements from now on; NOW: sessions are closed at once. */
void crew_stop(struct crew *c, bool now);
/* SIGKILL to all that are left. */
void crew_kill(struct crew *c);
/* Logs are opened anew. */
void crew_reopen(struct crew *c);

struct conf *crew_conf(const struct crew *c);
/* For workers that start from now on. */
void crew_set_conf(struct crew *c, struct conf *conf);
unsigned crew_alive(const struct crew *c);
unsigned crew_up(const struct crew *c);
unsigned crew_workers(const struct crew *c);

struct crew_view {
	enum crew_state state;
	pid_t pid; /* 0 while dead */
	unsigned generation;
	unsigned deaths;
	int64_t started; /* unix seconds, of this generation */
};
struct crew_view crew_view(const struct crew *c, unsigned w);

/* One worker that is up, each in its turn, is asked WORDS: the serial of its answer, which on_told() brings if the worker lives; 0: nobody is up. */
uint32_t crew_tell(struct crew *c, struct slice words) MUST_CHECK;

/* ---- questions to all ---- */

enum crew_question { CREW_RELOAD, CREW_STATUS, CREW_QUESTIONS };
enum crew_answer { CREW_NONE, CREW_DONE, CREW_FAILED }; /* NONE: not up, gone, or too slow */

typedef void crew_answers_fn(void *ctx);

/* Asks all that are up (CREW_RELOAD: those that are starting too); FN comes once, from the loop, when all have answered or SECONDS have passed. One question of a kind at a time. */
void crew_ask(struct crew *c, enum crew_question q, double seconds, crew_answers_fn *fn, void *ctx);
bool crew_is_asking(const struct crew *c, enum crew_question q);
/* Valid from FN until the next crew_ask of that kind. */
enum crew_answer crew_answer(const struct crew *c, enum crew_question q, unsigned w,
    struct slice *words_r);

#endif
