/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOGINS_H
#define BENCH_LOGINS_H

/*
 * logins - names and passwords that sessions log in with, or that the sink takes
 *
 * Passwords come from files that nobody else may read (mode 0600) or from the environment, never
 * from the command line, which every user of the machine sees. The first call takes away the
 * process's right to dump core.
 *
 * Owns:   its memory, wiped in logins_fini().
 */
#include "wire/slice.h"
#include "wire/text.h"

struct login {
	struct slice name;
	struct slice password;
};

struct logins {
	size_t n;
	struct login *at;
	char *mem;
	size_t size;
};

/* Lines "NAME PASSWORD", parted by blanks; empty ones and those that start with # are skipped. */
bool logins_read(struct logins *l, const char *path, struct text *why) MUST_CHECK;
/* One log-in: NAME with the password in the file PATH, or in $BYWAY_BENCH_PASSWORD where PATH is
 * NULL. */
bool logins_one(struct logins *l, const char *name, const char *path, struct text *why) MUST_CHECK;
/* Whether NAME is there with PASSWORD. */
bool logins_has(const struct logins *l, struct slice name, struct slice password) MUST_CHECK;
void logins_fini(struct logins *l);

#endif
