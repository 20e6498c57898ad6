/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/state.h"

/*
 * byway suspend, resume, pause, verify, block, unblock: one state of one account, mailbox or
 * address. A change counts from the next MAIL of sessions that are open.
 */

enum subject { ACCOUNT, MAILBOX, NETWORK };

static const char *const subject_words[] = {
	[ACCOUNT] = "account",
	[MAILBOX] = "mailbox",
	[NETWORK] = "ip",
};

/* "mailbox pause" says it; "pause" goes by the name. */
static enum subject
subject_of(const struct cli *c, bool may_be_ip)
{
	const char *name = c->args[0];

	for (unsigned i = 0; i < 3; i++) {
		size_t n = strlen(subject_words[i]);

		if (strncmp(c->command->words, subject_words[i], n) == 0 &&
		    c->command->words[n] == ' ')
			return (enum subject)i;
	}
	if (strchr(name, '@'))
		return MAILBOX;
	if (may_be_ip && strspn(name, "0123456789abcdefABCDEF.:/") == strlen(name) &&
	    strpbrk(name, ".:"))
		return NETWORK;
	return ACCOUNT;
}

static int
done(struct cli *c, enum subject subject, const char *was, const char *now)
{
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "kind", slice_str(subject_words[subject]));
		json_str(&j, "name", slice_str(c->args[0]));
		json_str(&j, "was", slice_str(was));
		json_str(&j, "state", slice_str(now));
		json_close(&j, '}');
		json_end(&j);
	} else if (strcmp(was, now) == 0) {
		printf("%s %s was %s already\n", subject_words[subject], c->args[0], now);
	} else {
		printf("%s %s: %s, was %s\n", subject_words[subject], c->args[0], now, was);
	}
	return EX_OK;
}

/* ---- accounts -------------------------------------------------------------------------------- */

typedef const char *account_fn(struct cli *c, struct admin_account *a);

/* CHANGE gives what stands against it, or NULL. */
static int
change_account(struct cli *c, account_fn *change)
{
	struct store s;
	struct admin_account a = { 0 };
	const char *was = "", *now = "", *no = NULL;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_begin(s.admin);

	if (r == ADMIN_OK)
		r = admin_get(s.admin, &entity_account, c->args[0], &c->arena, &a);
	if (r == ADMIN_OK) {
		bool verified = a.owner_verified;

		was = account_state_word(a.state);
		no = change(c, &a);
		now = account_state_word(a.state);
		if (a.owner_verified != verified) {
			was = "not verified";
			now = "verified";
		}
	}
	if (r == ADMIN_OK && !no)
		r = admin_set(s.admin, &entity_account, &a);
	if (r == ADMIN_OK && !no)
		r = admin_commit(s.admin);
	status = r != ADMIN_OK ? store_fail(&s, r)
	    : no               ? cli_fail(c, EX_DATAERR, "%s", no)
	                       : done(c, ACCOUNT, was, now);
	store_close(&s);
	return status;
}

static const char *
suspend(struct cli *c, struct admin_account *a)
{
	return state_suspend(a, cli_value(c, "reason"));
}

static const char *
verify(struct cli *c, struct admin_account *a)
{
	(void)c;
	a->owner_verified = true;
	return NULL;
}

int
cmd_suspend(struct cli *c)
{
	if (!cli_value(c, "reason"))
		return cli_usage(c, "byway %s needs --reason billing, deliverability or abuse",
		    c->command->words);
	return change_account(c, suspend);
}

int
cmd_verify(struct cli *c)
{
	return change_account(c, verify);
}

/* ---- mailboxes and addresses ----------------------------------------------------------------- */

/* What *STATE becomes, or what stands against it. */
typedef const char *state_fn(struct cli *c, enum mailbox_state *state);

static enum admin_result
change_mailbox(struct store *s, state_fn *change, const char **no_r, enum mailbox_state states_r[2])
{
	struct admin_mailbox m = { 0 };
	enum admin_result r =
	    admin_get(s->admin, &entity_mailbox, s->cli->args[0], &s->cli->arena, &m);

	if (r != ADMIN_OK)
		return r;
	states_r[0] = m.state;
	*no_r = change(s->cli, &m.state);
	states_r[1] = m.state;
	return *no_r ? ADMIN_OK : admin_set(s->admin, &entity_mailbox, &m);
}

static enum admin_result
change_ip(struct store *s, state_fn *change, const char **no_r, enum mailbox_state states_r[2])
{
	struct admin_ip ip = { 0 };
	enum admin_result r = admin_get(s->admin, &entity_ip, s->cli->args[0], &s->cli->arena, &ip);

	if (r != ADMIN_OK)
		return r;
	states_r[0] = ip.state;
	*no_r = change(s->cli, &ip.state);
	states_r[1] = ip.state;
	return *no_r ? ADMIN_OK : admin_set(s->admin, &entity_ip, &ip);
}

static int
change_state(struct cli *c, enum subject subject, state_fn *change)
{
	enum mailbox_state states[2] = { MAILBOX_ACTIVE, MAILBOX_ACTIVE };
	struct store s;
	const char *no = NULL;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_begin(s.admin);

	if (r == ADMIN_OK)
		r = subject == MAILBOX ? change_mailbox(&s, change, &no, states)
		                       : change_ip(&s, change, &no, states);
	if (r == ADMIN_OK && !no)
		r = admin_commit(s.admin);
	status = r != ADMIN_OK ? store_fail(&s, r)
	    : no               ? cli_fail(c, EX_DATAERR, "%s", no)
	         : done(c, subject, mailbox_state_word(states[0]), mailbox_state_word(states[1]));
	store_close(&s);
	return status;
}

static const char *
pause_it(struct cli *c, enum mailbox_state *state)
{
	return state_pause(state, cli_value(c, "by"));
}

static const char *
resume_it(struct cli *c, enum mailbox_state *state)
{
	return state_resume(c, state, c->args[0]);
}

static const char *
block_it(struct cli *c, enum mailbox_state *state)
{
	(void)c;
	*state = MAILBOX_BLOCKED;
	return NULL;
}

static const char *
unblock_it(struct cli *c, enum mailbox_state *state)
{
	return state_unblock(c, state, c->args[0]);
}

int
cmd_pause(struct cli *c)
{
	return change_state(c, MAILBOX, pause_it);
}

int
cmd_resume(struct cli *c)
{
	return subject_of(c, false) == ACCOUNT ? change_account(c, state_resume_account)
	                                       : change_state(c, MAILBOX, resume_it);
}

static int
blocking(struct cli *c, state_fn *change)
{
	enum subject subject = subject_of(c, true);

	if (subject == ACCOUNT)
		return cli_usage(c,
		    "a mailbox or an address is blocked; an account is suspended: byway suspend %s",
		    c->args[0]);
	return change_state(c, subject, change);
}

int
cmd_block(struct cli *c)
{
	return blocking(c, block_it);
}

int
cmd_unblock(struct cli *c)
{
	return blocking(c, unblock_it);
}
