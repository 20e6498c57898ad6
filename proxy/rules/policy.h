/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_RULES_POLICY_H
#define PROXY_RULES_POLICY_H

/*
 * policy - who may send, and by which route (BEHAVIOUR 4 and 6, R1, S3)
 *
 * Pure: a snapshot of the sender and the envelope sender go in, a row of the reply catalogue or a
 * route comes out. The SMTP path and `explain` ask the same questions here.
 */
#include "conf/directory/directory.h"
#include "proxy/reply.h"
#include "wire/path.h"

/* What stands against SENDER's mail at MAIL, in the order of section 4; SAY_NONE: nothing. */
enum reply_id policy_sender(const struct sender *sender, int64_t now_s);
/* Its three parts: blocked, closed or paused; suspended; the owner's address not confirmed in time
 * (S1, S2, A4, A6). */
enum reply_id policy_suspension(const struct sender *sender);
enum reply_id policy_owner(const struct sender *sender, int64_t now_s);
/* Until when an account may send whose owner has not confirmed; INT64_MAX: for ever. */
int64_t policy_owner_until(const struct account *a);
/* The route of mail from FROM; SAY_NONE, or why there is none. */
enum reply_id policy_route(const struct sender *sender, const struct path *from, struct way *way_r);
/* SAY_NO_ROUTE where WAY can only be native and there is no [mta] (HAS_MTA); a native fallback is
 * then none. */
enum reply_id policy_native(struct way *way, bool has_mta);

#endif
