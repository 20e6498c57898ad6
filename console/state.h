/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_STATE_H
#define CONSOLE_STATE_H

/*
 * state - which state of an account, a mailbox or a network may follow which; for the tool and the
 * HTTP API
 *
 * Each changes what it is given, or gives what stands against it (the cli's memory) and changes
 * nothing.
 */
#include "conf/directory/admin.h"
#include "console/cli.h"

/* REASON: billing, deliverability or abuse; NULL is none of them. */
const char *state_suspend(struct admin_account *a, const char *reason) MUST_CHECK;
const char *state_resume_account(struct cli *c, struct admin_account *a) MUST_CHECK;
/* BY: owner, admin or abuse; NULL: admin. */
const char *state_pause(enum mailbox_state *state, const char *by) MUST_CHECK;
/* NAME stands in the sentence. */
const char *state_resume(struct cli *c, enum mailbox_state *state, const char *name) MUST_CHECK;
const char *state_unblock(struct cli *c, enum mailbox_state *state, const char *name) MUST_CHECK;

#endif
