/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_RULES_SENDER_RULES_H
#define PROXY_RULES_SENDER_RULES_H

/*
 * sender_rules - whose name mail may bear, in the envelope and in From: (BEHAVIOUR S5, S6)
 *
 * Pure: a snapshot of the sender and addresses go in, a row of the reply catalogue comes out.
 *
 *      envelope:  sender_rules_envelope() --- none ---> sender_rules_must_ask()? directory_foreign()
 *      From:      sender_rules_read() -> sender_rules_from() -> the same for each of its addresses
 *
 *      senders     envelope                             From:
 *      own         a domain of the account, or one of   the same, every address; one From: at most
 *                  its verified single addresses
 *      verified    (free)                               a verified domain of the account, or one of
 *                                                       its verified single addresses; one From:
 *      any         (free)                               (free)
 *
 * A domain of another account is refused whatever the rule says. restrict_senders narrows all three
 * to a list. A domain counts as itself: a name below it is another one. ASCII case does not count,
 * in local parts neither. What is not ASCII must be spelled as it stands in the directory, but for
 * the look at other accounts' domains, which knows both forms.
 *
 * The null sender <> is nobody's name: no rule of the envelope is about it; From: is looked at all
 * the same.
 */
#include "conf/directory/directory.h"
#include "wire/mx.h"
#include "conf/replies.h"
#include "wire/mailbox.h"
#include "wire/path.h"

enum { SENDER_FROM_MAX = 8192 }; /* octets of a From: field's value that are looked at */

/* What the account's own rules have against mail FROM; SAY_NONE: nothing. */
enum reply_id sender_rules_envelope(const struct sender *s, const struct path *from);
/* The directory must say whose ADDRESS's domain is: it is none of the account's own. */
bool sender_rules_must_ask(const struct sender *s, const struct path *address);
/* What that answer, directory_foreign()'s, means for the mail. */
enum reply_id sender_rules_owner(enum login_result asked);
/*
 * The addresses of a header with FROMS From: fields, their values VALUE, unfolded, with commas
 * between; CUT: they were longer. What nobody can read is taken apart by its domains where the rule
 * is `any`, and refused elsewhere. ALL_R borrows from VALUE.
 */
enum reply_id sender_rules_read(const struct sender *s, unsigned froms, struct slice value,
    bool cut, struct mailboxes *all_r) MUST_CHECK;
/* What the account's own rules have against them. */
enum reply_id sender_rules_from(const struct sender *s, const struct mailboxes *all);
/* DOMAIN is one of the account's own. */
bool sender_rules_is_own(const struct account *a, struct slice domain);
/* What the domain's verdict means for its mail. */
enum reply_id sender_rules_domain(enum mx_got got);

#endif
