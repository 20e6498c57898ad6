/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_DAEMON_H
#define CONSOLE_DAEMON_H

/*
 * daemon - the running daemon, asked at the socket that --socket or the configuration names
 *
 * Errors: sysexits, already said.
 */
#include "console/cli.h"

/* WORD with its arguments; an answer that says "ok" in one way or the other. EX_OK, or the exit
 * status. */
int daemon_ask(struct cli *c, const char *word, unsigned seconds, struct slice *answer_r)
    MUST_CHECK;
/* Says why ANSWER is not ok; the exit status. */
void daemon_print(struct slice answer);

#endif
