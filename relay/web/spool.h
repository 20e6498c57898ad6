/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_SPOOL_H
#define RELAY_WEB_SPOOL_H

/*
 * spool - a message that must be whole before it can go: in memory up to SPOOL_MEMORY octets, then
 * in a file that lives in memory alone (memfd)
 *
 * An HTTP API is given a request of known size, so its body is gathered here. Nothing touches a
 * disk. All spools of a worker draw on one budget.
 *
 * Owns:   its memory and its file; takes from the budget what it holds.
 * Errors: false: over the budget, or no memory. What was put stays.
 */
#include "wire/slice.h"

enum { SPOOL_MEMORY = 256 * 1024 };

struct spool_budget {
	size_t max;
	size_t used;
};

struct spool {
	struct spool_budget *budget;
	char *mem;
	size_t cap;
	size_t n; /* octets put */
	int fd;   /* -1: in MEM */
};

void spool_init(struct spool *s, struct spool_budget *budget);
void spool_fini(struct spool *s);
/* Its octets held a secret: they are overwritten first. */
void spool_wipe(struct spool *s);
bool spool_put(struct spool *s, struct slice octets) MUST_CHECK;
/* At most N octets from AT on; less only at the end. False: they cannot be read. */
bool spool_read(const struct spool *s, size_t at, char *to, size_t n, size_t *n_r) MUST_CHECK;
/* All of it in one piece, until spool_unmap(): for a thread too. */
bool spool_map(const struct spool *s, struct slice *all_r) MUST_CHECK;
void spool_unmap(const struct spool *s, struct slice all);

#endif
