/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_CTL_H
#define CONSOLE_CTL_H

/*
 * ctl - one question to the running daemon's control socket: a word and LF there, one line of JSON
 * back
 *
 * Owns:   nothing; the answer is the cli's memory.
 * Errors: CTL_ABSENT where nobody listens (the daemon does not run), CTL_FAILED with a sentence
 * otherwise.
 */
#include "console/cli.h"

enum ctl_result { CTL_OK, CTL_ABSENT, CTL_FAILED };

/* PATH is [server] control_socket; waits SECONDS for the answer. */
enum ctl_result ctl_ask(struct cli *c, const char *path, const char *word, unsigned seconds,
    struct slice *answer_r, const char **why_r) MUST_CHECK;

/* The value of member KEY of OBJECT, as JSON; empty where there is none. */
struct slice ctl_find(struct slice object, const char *key);
/* The next element of ARRAY ("[...]" at first, the rest later). */
bool ctl_next(struct slice *array, struct slice *element_r) MUST_CHECK;
/* The next member of OBJECT likewise; KEY_R without quotes. */
bool ctl_member(struct slice *object, struct slice *key_r, struct slice *value_r) MUST_CHECK;
/* A string's text, unescaped; other values as they stand. */
const char *ctl_text(struct cli *c, struct slice value);
uint64_t ctl_u64(struct slice value);
bool ctl_true(struct slice value);

#endif
