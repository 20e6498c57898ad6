/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_ROUTE_H
#define CONSOLE_ROUTE_H

/*
 * route - where the mail of an account, or of one of its domains, goes, as the directory says it
 * and as the daemon's router has it in the end
 *
 * Owns:   nothing; objects are the cli's memory.
 */
#include "console/kind.h"

struct route_place {
	const struct object *account;
	const struct object *domain; /* NULL: the account's own */
};

/* The account as the daemon sees it (sender_unref()); NULL: it cannot be read now. S has a
 * reader. */
struct sender *route_snapshot(struct store *s, const struct object *account) MUST_CHECK;
/* Where mail goes in the end: "native", a profile, "nowhere"; "unknown" where AS is NULL. */
const char *route_effective(const struct sender *as, const struct object *domain);
/* The members of the object that tells of it. */
void route_json(struct json *j, const struct sender *as, const struct route_place *p);
/* FALLBACK NULL: as it was, unless that is the new route itself. ADMIN_INVALID with *WHY_R: a name
 * that is none; with the others the sentence is admin_why()'s. */
enum admin_result route_write(struct store *s, const struct route_place *p, const char *route,
    const char *fallback, const char **why_r) MUST_CHECK;

#endif
