/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_POOL_OFFERS_H
#define RELAY_POOL_OFFERS_H

/*
 * offers - what the last EHLO of each upstream offered, known to all workers and kept over a
 * restart (BEHAVIOUR P9)
 *
 * A table of fixed size in memory that the workers share; where it is full the newest stay. The
 * file is text, a line for each upstream: key, SIZE, traits. It is replaced as a
 * whole; a line that cannot be read is left out.
 *
 * Owns:   nothing.
 * Errors: a file that is not there is no error; else errno.
 * Never:  locks, waits.
 */
#include "relay/relay.h"

enum { OFFERS_ROWS = 1 << 14, OFFERS_NATIVE = 0 };

/* Zeroed: nothing is known. */
struct offers {
	_Atomic uint64_t changes; /* so often did somebody offer something else */
	struct offers_row {
		_Atomic uint64_t key; /* 0: free */
		_Atomic uint64_t size;
		_Atomic uint64_t traits;
	} rows[OFFERS_ROWS];
};

/* WHOSE: a profile's number, OFFERS_NATIVE for the operator's servers; another VERSION of its
 * settings, HOST or PORT is another upstream. */
uint64_t offers_key(uint64_t whose, uint64_t version, const char *host, unsigned port);
void offers_note(struct offers *all, uint64_t key, const struct relay_offer *o);
/* known is false where nothing is. */
struct relay_offer offers_find(const struct offers *all, uint64_t key);

/* One upstream and what it offers, as words: what a profile's test tells the daemon. */
void offers_write(const struct profile *p, const struct relay_offer *o, struct text *out);
/* False: WORDS are no such words; nothing is noted. */
bool offers_hear(struct offers *all, struct slice words) MUST_CHECK;

bool offers_save(const struct offers *all, const char *path) MUST_CHECK;
bool offers_load(struct offers *all, const char *path) MUST_CHECK;

#endif
