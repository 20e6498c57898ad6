/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_REFRESH_H
#define RELAY_WEB_REFRESH_H

/*
 * refresh - the newest refresh token of one profile, sealed: in memory at once, in the directory as
 * soon as it can be
 *
 *      KEPT --- refresh_replace ---> WRITING --- refresh_kept, good ---> KEPT
 *                                     ^   '---- not good ---> WAITING
 *                                     '---- after a while -------'
 *
 * A provider that replaces refresh tokens at each use has forgotten the one before: what it gave is
 * never thrown away because the directory is busy. While it is not stored its upstream stays, even
 * without messages, and profile health says so.
 *
 * Owns:   its blobs, and a reference to U while the newest is not stored.
 * Errors: told in the log; one that was not stored before the end of the process is lost, and the
 *         log says that too.
 */
#include "relay/pool/pool.h"

enum refresh_state { REFRESH_KEPT, REFRESH_WRITING, REFRESH_WAITING };

struct refresh {
	struct upstream *u;
	enum refresh_state state;
	char *blob;    /* the newest; empty: none */
	char *stored;  /* what the directory holds: BLOB, unless the state is another than KEPT */
	char *writing; /* what is on its way there; NULL: nothing */
	ev_timer again;
	double wait_s;
};

/* False: no memory. */
bool refresh_init(struct refresh *r, struct upstream *u, const char *blob) MUST_CHECK;
void refresh_fini(struct refresh *r);
/* The directory holds BLOB now: taken, unless it is an older one than ours. False: no memory. */
bool refresh_update(struct refresh *r, const char *blob) MUST_CHECK;
/* The provider gave PLAIN. False: it cannot be sealed, and is lost. Where the state is WRITING
 * afterwards, refresh_kept() comes. */
bool refresh_replace(struct refresh *r, const struct secret *plain) MUST_CHECK;
/* relay_token_kept(). */
void refresh_kept(struct refresh *r, bool good);

#endif
