/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_HTTP_WATCH_H
#define CONSOLE_HTTP_WATCH_H

/*
 * watch - who is connected, for how long, and who waits for what
 *
 * A thread of its own ends connections whose phase takes too long, and tells when a descriptor that
 * a connection waits for can be read. A user has at most so many connections; one more takes the
 * place of his oldest that has not said its request yet, so that idle ones keep nobody out; where
 * there is none, the new one is ended.
 *
 * To end is shutdown(2): whoever owns the connection sees its end and calls watch_leave(), before
 * it closes the descriptor.
 *
 * Owns:   the visitors; no descriptor.
 * Life:   watch_open, watch_stop (no more resuming), watch_close (all have left).
 */
#include <sys/types.h>

#include "wire/slice.h"

enum watch_phase {
	WATCH_HEAD,   /* its request is awaited */
	WATCH_BODY,   /* the rest of it */
	WATCH_WORK,   /* we work; no bound */
	WATCH_ANSWER, /* it takes the answer */
	WATCH_PHASES
};

struct watch_limits {
	double seconds[WATCH_PHASES]; /* 0: no bound */
	unsigned of_user;             /* connections at once */
};

struct watch;
struct visitor;

/* On the watching thread: the descriptor that OF waited for can be read, or the watch stops. */
typedef void watch_resume_fn(void *of);

struct watch *watch_open(const struct watch_limits *limits, watch_resume_fn *fn) MUST_CHECK;
void watch_stop(struct watch *w);
void watch_close(struct watch *w);

/* OF is connected over the unix socket FD. NULL: no memory. */
struct visitor *watch_enter(struct watch *w, int fd, void *of) MUST_CHECK;
void watch_leave(struct watch *w, struct visitor *v);
void watch_set(struct watch *w, struct visitor *v, enum watch_phase phase);
/* WATCH_RESUME_FN comes once, when FD can be read. False: it does not come, as the watch stops. */
bool watch_wait(struct watch *w, struct visitor *v, int fd) MUST_CHECK;

#endif
