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
 * Shares: an account may always hold a quarter of the budget; more only while half of it is free.
 * So whoever comes first cannot take what the others need (BEHAVIOUR R10).
 *
 * Owns:   its memory and its file; takes from the budget what it holds.
 * Errors: false: over the budget, or no memory. What was put stays.
 */
#include "wire/slice.h"

enum { SPOOL_MEMORY = 256 * 1024 };

enum { SPOOL_BUCKETS = 64 };

struct spool_share;

struct spool_budget {
	size_t max;
	size_t used;
	struct spool_share *shares[SPOOL_BUCKETS]; /* of accounts that hold something */
};

struct spool {
	struct spool_budget *budget;
	uint64_t account; /* 0: nobody's; no share is looked at */
	char *mem;
	size_t cap;
	size_t n; /* octets put */
	int fd;   /* -1: in MEM */
};

void spool_init(struct spool *s, struct spool_budget *budget, uint64_t account);
void spool_fini(struct spool *s);
/* Its octets held a secret: they are overwritten first. */
void spool_wipe(struct spool *s);
bool spool_put(struct spool *s, struct slice octets) MUST_CHECK;
/* At most N octets from AT on; less only at the end. False: they cannot be read. */
bool spool_read(const struct spool *s, size_t at, char *to, size_t n, size_t *n_r) MUST_CHECK;
/* All of it as a file, whatever its size, that nobody can change any more: for another process. -1:
 * no memory. */
int spool_seal(struct spool *s) MUST_CHECK;
/* S holds the N octets of FD, which it takes, in place of what it held. False: over the budget; FD
 * is closed. */
bool spool_take(struct spool *s, int fd, size_t n) MUST_CHECK;

#endif
