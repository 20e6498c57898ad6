/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_RECENT_H
#define PROXY_DESK_RECENT_H

/*
 * recent - what was refused of late, by cause, and what each upstream said last (BEHAVIOUR H2)
 *
 * For people who ask: the log has all of it, and this the last of each kind. A worker writes its
 * own column in shared memory; any worker reads all of them, so that one can answer for all. Causes
 * of one sender fold into one row with a count. Where a set is full, the oldest row makes room.
 *
 * Owns:   the mapping, made before the fork.
 * Never:  locks: a row being written is seen as such, and read again or passed over. Holds a
 *         secret: words are those that clients hear or that the log has.
 */
#include <stdint.h>

#include "wire/slice.h"

struct recent_refusal {
	uint64_t account; /* 0: a log-in that failed */
	int64_t first_s, last_s;
	uint64_t order; /* the larger, the later, over all workers: a second holds many */
	uint32_t count;
	int code;
	char cause[48];  /* a row of the catalogue, or a verdict's class */
	char sender[96]; /* mailbox or network, as far as it goes */
	char to[96];     /* the last recipient concerned, or empty */
	char words[200]; /* the upstream's, or why */
	char id[24];     /* of the last one in the log */
};

/* An account's profile (or PROFILE 0, account 0: the native pool) as its mail has found it. */
struct recent_line {
	uint64_t account, profile;
	uint64_t sent, failed; /* since the start */
	int64_t sent_s, failed_s;
	uint64_t order;        /* as above */
	uint64_t failed_order; /* of the last failure */
	char class[24];        /* of the last failure, whatever went well after it */
	char said[200];        /* the upstream's last line, or what was wrong */
	char id[24];
};

struct recent;

struct recent *recent_open(unsigned workers) MUST_CHECK;
void recent_close(struct recent *r);

/* By worker W into its own column. Count, order, first_s and last_s of ROW are not looked at. */
void recent_refused(struct recent *r, unsigned w, const struct recent_refusal *row, int64_t now_s);
/* GOOD: it took a message, and the class in LINE is not looked at. */
void recent_said(struct recent *r, unsigned w, const struct recent_line *line, bool good,
    int64_t now_s);

typedef void recent_refusal_fn(void *ctx, const struct recent_refusal *row);
/* All columns' rows of ACCOUNT (and of failed log-ins, which have none); of SENDER alone where it
 * is not empty. The same cause may come once for each worker. */
void recent_each(const struct recent *r, uint64_t account, struct slice sender,
    recent_refusal_fn *fn, void *ctx);
/* All columns added up, the last words of all; false if nothing was ever sent that way. */
bool recent_line(const struct recent *r, uint64_t account, uint64_t profile,
    struct recent_line *line_r) MUST_CHECK;

/* Copies S into a field, cut. */
void recent_put(char *field, size_t size, struct slice s);
#define RECENT_PUT(field, s) recent_put(field, sizeof(field), s)

#endif
