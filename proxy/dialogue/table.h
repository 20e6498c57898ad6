/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_TABLE_H
#define PROXY_DIALOGUE_TABLE_H

/*
 * table - a worker's sessions: by number, and those that have not logged in by age
 *
 * A number is a slot and the slot's generation, so that an answer for a session that has gone finds
 * nobody.
 */
#include <stdbool.h>

#include "proxy/dialogue/session.h"

struct session;

bool sessions_add(struct sessions *all, struct session *s) MUST_CHECK;
void sessions_remove(struct sessions *all, struct session *s);
/* It has logged in. */
void sessions_unlist(struct sessions *all, struct session *s);
/* The oldest that has not logged in; NULL: all have. */
struct session *sessions_oldest(struct sessions *all);

#endif
