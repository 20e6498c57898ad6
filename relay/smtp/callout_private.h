/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_SMTP_CALLOUT_PRIVATE_H
#define RELAY_SMTP_CALLOUT_PRIVATE_H

/*
 * callout_private - what callout.c (the memory, who waits) and callout_call.c (one call: names,
 * dialogue) share
 */
#include "relay/smtp/callout.h"
#include "relay/relay_private.h"
#include "relay/list.h"
#include "wire/mx.h"

struct callout_call;

/* An address that was asked about. */
struct callout_entry {
	struct callout_entry *chain; /* in its bucket */
	struct link age;             /* by the time when it was asked */
	struct callout_call *call;   /* NULL: the answer is known */
	struct callout_waiter *waiters;
	enum callout_said said;
	ev_tstamp until;
	size_t domain; /* where it begins */
	size_t n;
	char address[]; /* the domain in lower case, the local part as it came */
};

enum { CALLOUT_BUCKETS = 1024 };

struct callouts {
	struct loop *loop;
	struct conf *conf;
	struct relay *relay; /* whose guard, and whose look-ups */
	callout_fn *fn;
	void *ctx;
	uint64_t seed;
	struct list known; /* entries, the oldest first */
	struct list calls;
	struct callout_entry *buckets[CALLOUT_BUCKETS];
};

/* False: too many, or no memory. Else callout_heard() comes, from the loop. */
bool callout_begin(struct callouts *all, struct callout_entry *e, uint64_t account) MUST_CHECK;
void callout_heard(struct callouts *all, struct callout_entry *e, enum callout_said said);
/* Closes all that are open; tells nobody. */
void callout_cut_all(struct callouts *all);

#endif
