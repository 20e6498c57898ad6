/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_STORE_H
#define CONSOLE_STORE_H

/*
 * store - what commands stand on: the configuration, the directory it names, the vault
 *
 * Life:   store_open, then store_close on every way out; a transaction that was not committed is
 *         rolled back.
 * Errors: sysexits, already said.
 */
#include "conf/directory/admin.h"
#include "conf/directory/directory_backend.h"
#include "console/cli.h"

struct store {
	struct cli *cli;
	struct conf *conf;
	struct vault *vault; /* NULL unless asked for */
	struct admin *admin;
	struct backend *reader; /* what the daemon would see; NULL unless asked for */
};

enum {
	STORE_DIRECTORY = 1,
	STORE_VAULT = 2,
	STORE_VAULT_MAYBE = 4, /* where we may read it: admin says when it is missed */
	STORE_READER = 8
};

/* WHAT: STORE_* or-ed. EX_OK, or the exit status after having said why. */
int store_open(struct cli *c, unsigned what, struct store *s) MUST_CHECK;
void store_close(struct store *s);
/* The configuration alone; NULL after having said why, with the exit status in *STATUS_R. */
struct conf *store_conf(struct cli *c, bool deep, int *status_r) MUST_CHECK;
/* Says admin's sentence; the exit status for R. */
int store_fail(struct store *s, enum admin_result r);
int store_status(enum admin_result r);

#endif
