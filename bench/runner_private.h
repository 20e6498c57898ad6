/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RUNNER_PRIVATE_H
#define BENCH_RUNNER_PRIVATE_H

/*
 * runner_private - what runner.c (messages) and runner_setup.c (the way there) do for each other
 */
#include "bench/runner.h"

/* Queues what is to be said, and that COUNT replies will come to it. */
void runner_say(struct runner *r, enum phase phase, uint64_t count, struct slice what);
/* Only that they will come. */
struct await *runner_expect(struct runner *r, enum phase phase, uint64_t count);
void runner_pump(struct runner *r);
/* The session ends here, as a failure. */
void runner_break(struct runner *r, enum phase phase, int code, struct slice words);
/* It is logged in: messages may begin. */
void runner_is_ready(struct runner *r);

/* Of runner_setup.c: events, and replies before the first message. */
void runner_connected(struct runner *r);
void runner_secured(struct runner *r);
void runner_set_up(struct runner *r, enum phase phase, const struct reply *reply);
/* The MAIL line, which may depend on the log-in. */
void runner_write_mail(struct runner *r);

#endif
