/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_API_FRONT_H
#define CONSOLE_API_FRONT_H

/*
 * front - the HTTP API over a unix socket: who calls, which operation, may they
 *
 * Who can open the socket (mode 0660) is an operator. An Authorization header is refused: tokens
 * are not known yet.
 *
 * Owns:   the socket's file, the directory's connection, the vault.
 * Life:   front_open, front_close; between them calls come on several threads, each with a
 *         connection to the directory, a reader and a vault of its own.
 * Errors: front_open gives an exit status (sysexits.h) after having said why.
 */
#include <stdio.h>

#include "console/cli.h"

struct front;

/* C's configuration says which directory; PATH is the socket's. */
int front_open(struct cli *c, const char *path, struct front **front_r) MUST_CHECK;
void front_close(struct front *a);
/* The API's description (OpenAPI 3.1) to F; opens nothing. */
void front_describe(FILE *f);

#endif
