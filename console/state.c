/* SPDX-License-Identifier: Apache-2.0 */
#include "console/state.h"

const char *
state_suspend(struct admin_account *a, const char *reason)
{
	enum account_state state = ACCOUNT_CLOSED;

	if (a->state == ACCOUNT_CLOSED)
		return "the account is closed";
	if (!reason || !account_state_find(slice_str(reason), &state) || state == ACCOUNT_ACTIVE ||
	    state == ACCOUNT_CLOSED)
		return "the reason is billing, deliverability or abuse";
	a->state = state;
	return NULL;
}

const char *
state_resume_account(struct cli *c, struct admin_account *a)
{
	if (a->state == ACCOUNT_CLOSED)
		return cli_print(c,
		    "the account is closed: byway account set %s --state active opens it", a->name);
	a->state = ACCOUNT_ACTIVE;
	return NULL;
}

const char *
state_pause(enum mailbox_state *state, const char *by)
{
	static const struct {
		const char *by;
		enum mailbox_state state;
	} pauses[] = {
		{ "owner", MAILBOX_PAUSED_OWNER },
		{ "admin", MAILBOX_PAUSED_ADMIN },
		{ "abuse", MAILBOX_PAUSED_ABUSE },
	};

	if (*state == MAILBOX_BLOCKED)
		return "the mailbox is blocked, which is more than paused: byway unblock comes first";
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++)
		if (strcmp(by ? by : "admin", pauses[i].by) == 0) {
			*state = pauses[i].state;
			return NULL;
		}
	return "it is paused by owner, admin or abuse";
}

const char *
state_resume(struct cli *c, enum mailbox_state *state, const char *name)
{
	if (*state == MAILBOX_BLOCKED)
		return cli_print(c, "%s is blocked, not paused: byway unblock %s", name, name);
	*state = MAILBOX_ACTIVE;
	return NULL;
}

const char *
state_unblock(struct cli *c, enum mailbox_state *state, const char *name)
{
	if (*state != MAILBOX_BLOCKED && *state != MAILBOX_ACTIVE)
		return cli_print(c, "%s is paused, not blocked: byway resume %s", name, name);
	*state = MAILBOX_ACTIVE;
	return NULL;
}
