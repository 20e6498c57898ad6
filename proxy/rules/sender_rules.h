/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_RULES_SENDER_RULES_H
#define PROXY_RULES_SENDER_RULES_H

/*
 * sender_rules - whose name a sender may use, in the envelope and in From: (BEHAVIOUR S5)
 *
 * Pure: a snapshot of the sender and addresses go in, a row of the reply catalogue comes out. An
 * account without restrict_senders, require_verified_sender, check_sender_domain and
 * check_sender_callout has no rules here. A domain counts as itself: a name below it is another
 * one. ASCII case does not count, in local parts neither. What is not ASCII must be spelled as it
 * stands in the directory.
 *
 * The null sender <> is nobody's name: no rule of the envelope is about it; From: is looked at all
 * the same.
 */
#include "conf/directory/directory.h"
#include "wire/mx.h"
#include "conf/replies.h"
#include "wire/path.h"

enum { SENDER_FROM_MAX = 8192 }; /* octets of a From: field's value that are looked at */

/* From: must be seen. */
bool sender_rules_want_from(const struct sender *s);
/* What stands against mail FROM; SAY_NONE: nothing. */
enum reply_id sender_rules_envelope(const struct sender *s, const struct path *from);
/* The same of a header with FROMS From: fields, the first of them VALUE, unfolded; CUT: it was
 * longer. */
enum reply_id sender_rules_from(const struct sender *s, unsigned froms, struct slice value,
    bool cut);
/* DOMAIN is one of the account's own. */
bool sender_rules_is_own(const struct account *a, struct slice domain);
/* What the domain's verdict means for its mail. */
enum reply_id sender_rules_domain(enum mx_got got);

#endif
