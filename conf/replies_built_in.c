/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/replies.h"

/* dist/replies/smtp2go.ini, octet for octet (test_replies.c compares). */
static const char smtp2go[] =
    "; The reply profile smtp2go: refusals in the words of that service. It is built into Byway: [server] replies = smtp2go\n"
    "; What is not said here stays as the catalogue has it; `byway replies print smtp2go` shows all of it.\n"
    "[replies]\n"
    "auth_failed = 535 5.7.8 Incorrect authentication data\n"
    "relay_denied = 550 5.7.1 Relay access denied - please authenticate\n"
    "user_blocked = 550 5.7.1 That smtp username is not allowed to send\n"
    "address_blocked = 550 5.7.1 That IP address is not allowed to send\n";

const char *const replies_built_in[] = { "trekmail", "smtp2go", NULL };

struct slice
replies_of(struct slice name)
{
	if (slice_eq(name, SLICE("trekmail")))
		return SLICE("[replies]\n"); /* the catalogue itself */
	if (slice_eq(name, SLICE("smtp2go")))
		return slice_str(smtp2go);
	return slice_of(NULL, 0);
}
