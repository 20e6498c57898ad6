/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_ASK_H
#define CONSOLE_ASK_H

/*
 * ask - passwords from standard input, from a file, from a terminal without echo, or made; and yes
 * or no
 *
 * Owns:   the secret goes to the credential; every buffer it passed through is wiped.
 * Errors: already said; sysexits.
 * Never:  takes a password from the command line or the environment.
 */
#include "console/kind.h"

enum { ASK_PASSWORD_MAX = 511, ASK_GENERATED_OCTETS = 20 };

/* True where one of the password options was given. */
bool ask_has_password(const struct cli *c);
/* The password that the options name; without one of them it is asked for twice at a terminal,
 * where NEEDED. FOR stands in the question. */
int ask_password(struct cli *c, bool needed, const char *what, struct credential *cred) MUST_CHECK;
/* The same, where standard input is taken unasked if it is no terminal. */
int ask_password_or_stdin(struct cli *c, struct credential *cred) MUST_CHECK;
/* A passphrase, at the terminal without echo. TWICE: asked for again, and both must be the same. */
int ask_passphrase_at(struct cli *c, bool twice, struct credential *cred) MUST_CHECK;
/* Fills in cred->hash. */
int ask_hash(struct store *s, struct credential *cred) MUST_CHECK;
/* A note where PASSWORD holds what was hardly meant. WHOSE: "The password". */
void ask_warn_of(struct cli *c, const char *whose, struct slice password);
/* True where standard input and output are a terminal: somebody can answer. */
bool ask_can(const struct cli *c);
/* One line of an answer; OTHERWISE (it stands in the question, where it is not NULL) for an empty
 * one and for the end of the input. */
const char *ask_line(struct cli *c, const char *question, const char *otherwise);
/* One line of an answer; only y and yes are yes. */
bool ask_yes(struct cli *c, const char *question);

#endif
