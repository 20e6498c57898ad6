/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_MAILBOX_H
#define WIRE_MAILBOX_H

/*
 * mailbox - the addresses in a header field's value (RFC 5322 3.4 and 4.4, RFC 6532, RFC 6854)
 *
 * Names for people are skipped, never looked into: an encoded word (RFC 2047) or a quoted string
 * may hold what looks like an address and is none. Comments, groups, obsolete routes and blanks
 * around dots are understood; what comes out is local part and domain, as path.h has them.
 *
 * What is no list by that grammar is read as people write it (BEHAVIOUR S7): `[TICKET] Support
 * <me@x>`, `Doe, John <me@x>`, `<<me@x>>`, `me@x;`. Then every <...> and every word with an @
 * counts, in quotes and comments too, so that nothing is overlooked which another program might
 * show as the author: one address that stands there twice is one, two different ones are two.
 * What is left is refused: a word with an @ that is no address, words without any <...>, a local
 * part that is an encoded word. The value must be unfolded; octets above 0x7f may stand in names
 * and comments, valid UTF-8 in addresses too.
 *
 * Owns:   nothing beside the result's own memory; the value may go.
 * Limits: MAILBOXES_MAX addresses, comments nested MAILBOX_DEPTH deep. Nothing recurses; the time
 *         is linear in the value's length.
 */
#include "wire/path.h"

enum { MAILBOXES_MAX = 64, MAILBOXES_TEXT = 8192, MAILBOX_DEPTH = 32 };

struct mailboxes {
	size_t n; /* may be 0: an empty group */
	struct path at[MAILBOXES_MAX];
	size_t used;
	char mem[MAILBOXES_TEXT]; /* what the paths point into: not to be copied */
};

/*
 * False if VALUE is not a list of addresses and groups, or too long a one; *ALL_R is then of no
 * use.
 */
bool mailboxes_parse(struct slice value, struct mailboxes *all_r) MUST_CHECK;

#endif
