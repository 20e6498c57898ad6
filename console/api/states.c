/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States and passwords: what is one word in the tool is one POST here, and the same rules
 * (console/state.h). A change counts from the next MAIL of sessions that are open.
 */
#include "console/api/body.h"
#include "console/ask.h"
#include "console/state.h"

static const char *const none[] = { NULL };

/* The one text that such a call may bring; a problem was said where false. */
static bool
take_word(struct call *c, const char *name, const char **word_r)
{
	const char *const names[] = { name, NULL };
	struct body b;
	bool good = call_check_query(c, none) && body_open(c, true, &b);

	if (!good)
		return false;
	good = body_check(c, &b, names) && body_text(c, &b, name, word_r);
	body_close(&b);
	return good;
}

static void
done(struct call *c, const char *name, const char *was, const char *now)
{
	call_begin(c);
	json_str(&c->out, "kind", slice_str(c->op->kind->of->name));
	json_str(&c->out, "name", slice_str(name));
	json_str(&c->out, "was", slice_str(was));
	json_str(&c->out, "state", slice_str(now));
	call_end(c, 200);
}

/* R is a failure, or NO stands against it. */
static void
say_no(struct call *c, enum admin_result r, const char *no)
{
	if (no)
		call_problem(c, 409, "state", NULL, "%s", no);
	else
		call_failed(c, r == ADMIN_INVALID ? ADMIN_MISSING : r);
}

/* ---- accounts -------------------------------------------------------------------------------- */

enum change { SUSPEND, RESUME, VERIFY };

static void
change_account(struct call *c, enum change what, const char *reason)
{
	struct admin_account a = { 0 };
	const char *was = "", *now = "", *no = NULL;
	enum admin_result r = admin_begin(c->store->admin);

	if (r == ADMIN_OK)
		r = admin_get(c->store->admin, &entity_account, c->names[0], &c->cli.arena, &a);
	if (r == ADMIN_OK) {
		was = what == VERIFY ? a.owner_verified ? "verified" : "not verified"
		                     : account_state_word(a.state);
		if (what == VERIFY)
			a.owner_verified = true;
		else
			no = what == SUSPEND ? state_suspend(&a, reason)
			                     : state_resume_account(&c->cli, &a);
		now = what == VERIFY ? "verified" : account_state_word(a.state);
	}
	if (r == ADMIN_OK && !no)
		r = admin_set(c->store->admin, &entity_account, &a);
	if (r == ADMIN_OK && !no)
		r = admin_commit(c->store->admin);
	if (r != ADMIN_OK || no)
		say_no(c, r, no);
	else
		done(c, a.name, was, now);
}

void
call_suspend(struct call *c)
{
	const char *reason = NULL;

	if (take_word(c, "reason", &reason))
		change_account(c, SUSPEND, reason);
}

void
call_resume_account(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change_account(c, RESUME, NULL);
}

void
call_verify_owner(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change_account(c, VERIFY, NULL);
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

bool
call_find_mailbox(struct call *c, struct admin_mailbox *m_r)
{
	enum admin_result r =
	    admin_get(c->store->admin, &entity_mailbox, c->names[1], &c->cli.arena, m_r);

	if (r == ADMIN_OK && strcasecmp(m_r->account, c->names[0]) == 0)
		return true;
	if (r == ADMIN_OK || r == ADMIN_MISSING || r == ADMIN_INVALID)
		call_problem(c, 404, "missing", NULL, "there is no mailbox %s of account %s",
		    c->names[1], c->names[0]);
	else
		call_failed(c, r);
	return false;
}

/* The same inside a transaction. */
static bool
begin_with_mailbox(struct call *c, struct admin_mailbox *m_r)
{
	enum admin_result r = admin_begin(c->store->admin);

	if (r == ADMIN_OK)
		return call_find_mailbox(c, m_r);
	call_failed(c, r);
	return false;
}

typedef const char *mailbox_fn(struct call *c, enum mailbox_state *state, const char *by);

static void
change_mailbox(struct call *c, mailbox_fn *change, const char *by)
{
	struct admin_mailbox m = { 0 };

	if (!begin_with_mailbox(c, &m))
		return;
	enum mailbox_state was = m.state;
	const char *no = change(c, &m.state, by);
	enum admin_result r = no ? ADMIN_OK : admin_set(c->store->admin, &entity_mailbox, &m);

	if (r == ADMIN_OK && !no)
		r = admin_commit(c->store->admin);
	if (r != ADMIN_OK || no)
		say_no(c, r, no);
	else
		done(c, m.address, mailbox_state_word(was), mailbox_state_word(m.state));
}

static const char *
pause_it(struct call *c, enum mailbox_state *state, const char *by)
{
	(void)c;
	return state_pause(state, by);
}

static const char *
resume_it(struct call *c, enum mailbox_state *state, const char *by)
{
	(void)by;
	return state_resume(&c->cli, state, c->names[1]);
}

static const char *
block_it(struct call *c, enum mailbox_state *state, const char *by)
{
	(void)c;
	(void)by;
	*state = MAILBOX_BLOCKED;
	return NULL;
}

static const char *
unblock_it(struct call *c, enum mailbox_state *state, const char *by)
{
	(void)by;
	return state_unblock(&c->cli, state, c->names[1]);
}

void
call_pause(struct call *c)
{
	const char *by = NULL;

	if (take_word(c, "by", &by))
		change_mailbox(c, pause_it, by);
}

void
call_resume(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change_mailbox(c, resume_it, NULL);
}

void
call_block(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change_mailbox(c, block_it, NULL);
}

void
call_unblock(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change_mailbox(c, unblock_it, NULL);
}

/* ---- passwords ------------------------------------------------------------------------------- */

static bool
take_password(struct call *c, struct credential *cred)
{
	static const char *const names[] = { "password", NULL };
	struct body b;
	bool good = call_check_query(c, none) && body_open(c, true, &b);

	if (!good)
		return false;
	good = body_check(c, &b, names) && body_password(c, &b, cred);
	body_close(&b);
	if (good && cred->given && cred->plain.n == 0) {
		call_problem(c, 422, "invalid", "password", "password: it is empty");
		good = false;
	}
	if (good && !cred->given) {
		good = secret_generate(&cred->plain, ASK_GENERATED_OCTETS);
		cred->given = cred->machine = good;
		if (!good)
			call_problem(c, 500, "failed", NULL, "no random numbers for a password");
	}
	if (good && ask_hash(c->store, cred) != EX_OK) {
		call_problem(c, 500, "failed", NULL, "the password could not be hashed");
		good = false;
	}
	return good;
}

static void
set_password(struct call *c, const struct credential *cred)
{
	struct admin_mailbox m = { 0 };

	if (!begin_with_mailbox(c, &m))
		return;
	enum admin_result r = admin_mailbox_set_hash(c->store->admin, m.address, cred->hash);

	if (r == ADMIN_OK)
		r = admin_commit(c->store->admin);
	if (r != ADMIN_OK) {
		call_failed(c, r);
		return;
	}
	call_begin(c);
	json_str(&c->out, "address", slice_str(m.address));
	if (cred->machine)
		json_str(&c->out, "password", secret_peek(&cred->plain));
	call_end(c, 200);
}

void
call_password(struct call *c)
{
	struct admin_mailbox m = { 0 };
	struct credential cred = { 0 };

	/* A hash costs; nobody makes one for what is not there. */
	if (call_find_mailbox(c, &m) && take_password(c, &cred))
		set_password(c, &cred);
	credential_fini(&cred);
}
