/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <assert.h>
#include <stdio.h>

#include "console/ask.h"

/*
 * byway KIND add, list, show, set, remove: the same five for all that a struct kind tells of
 */

enum { WRONG_MAX = 16 * 1024 };

static int
wrong_values(struct cli *c, const struct text *wrong)
{
	struct slice rest = text_slice(wrong);
	struct slice first = slice_cut(&rest, '\n');

	if (rest.n == 0)
		return cli_usage(c, "%.*s", SLICE_FMT(first));
	return cli_fail_lines(c, EX_USAGE, text_slice(wrong),
	    "nothing was done (see byway %s --help)", c->command->words);
}

static void
print_object(struct cli *c, const struct object *o)
{
	const struct kind *k = o->kind;
	int wide = (int)strlen(k->key_json);

	for (const struct column *f = kind_columns(k); f->name; f++)
		if ((int)strlen(f->name) > wide)
			wide = (int)strlen(f->name);
	out_pair(c, wide, k->key_json, o->key);
	for (size_t i = 0; kind_columns(k)[i].name; i++)
		out_pair(c, wide, kind_columns(k)[i].name,
		    field_brief(c, &kind_columns(k)[i], o->values[i]));
}

/* Admin's sentence, behind what it is about where it does not say that itself. */
static int
fail_for(struct store *s, const struct kind *k, const char *key, enum admin_result r)
{
	const char *why = admin_why(s->admin);

	if (strcasestr(why, key))
		return store_fail(s, r);
	return cli_fail(s->cli, store_status(r), "%s %s: %s", k->of->name, key, why);
}

/* The row of KEY as the directory now has it. */
static int
read_back(struct store *s, const struct kind *k, const char *key, struct object **o_r)
{
	void *row = cli_alloc(s->cli, k->of->size);
	enum admin_result r = kind_get(s, k, key, row);

	if (r != ADMIN_OK)
		return fail_for(s, k, key, r);
	*o_r = object_of(s->cli, k, row);
	return EX_OK;
}

/* ---- add ------------------------------------------------------------------------------------- */

/* One transaction around a row and its password. */
static enum admin_result
add_row(struct store *s, const struct kind *k, const void *row, const struct credential *cred)
{
	enum admin_result r = admin_begin(s->admin);

	if (r == ADMIN_OK)
		r = kind_add(s, k, row, cred);
	return r == ADMIN_OK ? admin_commit(s->admin) : r;
}

/* O's texts, which are right, over the row as it is now: nobody can write between. */
static enum admin_result
change_row(struct store *s, const struct object *o, const struct credential *cred)
{
	char mem[1024];
	struct text wrong = text_over(mem, sizeof(mem));
	void *row = cli_alloc(s->cli, o->kind->of->size);
	enum admin_result r = admin_begin(s->admin);

	if (r == ADMIN_OK)
		r = kind_get(s, o->kind, o->key, row);
	if (r == ADMIN_OK && !object_read(s->cli, o, row, "", &wrong))
		r = ADMIN_INVALID;
	if (r == ADMIN_OK)
		r = kind_set(s, o->kind, row, cred);
	return r == ADMIN_OK ? admin_commit(s->admin) : r;
}

static int
say_written(struct store *s, const struct kind *k, const char *key, const char *done,
    const struct credential *cred)
{
	struct cli *c = s->cli;
	struct object *o = NULL;
	int status = read_back(s, k, key, &o);

	if (status != EX_OK)
		return status;
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "done", slice_str(done));
		object_json(&j, k->of->name, o);
		if (cred->machine)
			json_str(&j, "password", secret_peek(&cred->plain));
		json_close(&j, '}');
		json_end(&j);
		return EX_OK;
	}
	printf("%s %s %s\n", k->of->name, o->key, done);
	if (cred->machine)
		printf("password: %.*s (shown this once)\n", SLICE_FMT(secret_peek(&cred->plain)));
	return EX_OK;
}

/* A profile's password may have to be sealed anew with any change; machine-made ones are hashed
 * with a key where we may read it. */
static unsigned
vault_for(const struct kind *k, const struct credential *cred)
{
	if (cred->given && k->password == KIND_SEALED)
		return STORE_VAULT;
	return k->password == KIND_SEALED || cred->machine ? STORE_VAULT_MAYBE : 0;
}

static int
open_for(struct cli *c, const struct kind *k, struct credential *cred, struct store *s)
{
	int status = store_open(c, STORE_DIRECTORY | vault_for(k, cred), s);

	if (status == EX_OK && cred->given && k->password == KIND_HASHED)
		status = ask_hash(s, cred);
	if (status != EX_OK)
		store_close(s);
	return status;
}

/* A new mailbox needs a password; a profile where there is a user name. */
static bool
needs_password(const struct kind *k, const void *row)
{
	const struct admin_profile *p = row;

	if (k->password == KIND_SEALED)
		return p->username && *p->username && p->auth == PROFILE_PASSWORD;
	return k->password == KIND_HASHED;
}

/* WAS: what spoke against it before, or NULL. What was doubtful may stay so. */
static int
check_doubt(struct cli *c, const struct kind *k, const void *row, const char *was)
{
	const char *why = k->doubt && !cli_has(c, "force") ? k->doubt(c, row) : NULL;

	if (!why || was)
		return EX_OK;
	return cli_usage(c, "%s; --force takes it as it is", why);
}

int
cmd_add(struct cli *c)
{
	const struct kind *k = c->command->kind;
	struct object *o = object_said(c, k, c->args[0]);
	struct text wrong = text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX);
	struct credential cred = { 0 };
	struct store s = { 0 };
	void *row = cli_alloc(c, k->of->size);
	const char *why = kind_set_key(c, k, row, o->key);
	int status = object_read_files(c, o);

	if (status != EX_OK)
		return status;
	if (why)
		text_fmt(&wrong, "%s\n", why);
	if (!object_fresh(c, o, row, "--", &wrong) || why)
		return wrong_values(c, &wrong);
	status = check_doubt(c, k, row, NULL);
	if (status != EX_OK)
		return status;
	status = ask_password(c, needs_password(k, row), o->key, &cred);
	if (status == EX_OK)
		status = open_for(c, k, &cred, &s);
	if (status == EX_OK) {
		enum admin_result r = add_row(&s, k, row, &cred);

		status = r == ADMIN_OK ? say_written(&s, k, o->key, "added", &cred)
		                       : fail_for(&s, k, o->key, r);
		store_close(&s);
	}
	credential_fini(&cred);
	return status;
}

/* ---- set ------------------------------------------------------------------------------------- */

static bool
says_nothing(const struct object *o)
{
	for (size_t i = 0; kind_columns(o->kind)[i].name; i++)
		if (o->values[i])
			return false;
	return true;
}

static int
set_row(struct store *s, const struct object *o, struct credential *cred)
{
	struct cli *c = s->cli;
	struct text wrong = text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX);
	void *row = cli_alloc(c, o->kind->of->size);
	enum admin_result r = kind_get(s, o->kind, o->key, row);
	const struct object *was;
	const char *doubt;
	int status;

	if (r != ADMIN_OK)
		return fail_for(s, o->kind, o->key, r);
	was = object_of(c, o->kind, row);
	doubt = o->kind->doubt ? o->kind->doubt(c, row) : NULL;
	if (!object_read(c, o, row, "--", &wrong))
		return wrong_values(c, &wrong);
	status = check_doubt(c, o->kind, row, doubt);
	if (status != EX_OK)
		return status;
	if (!cred->given && object_has_password(was) &&
	    object_moves(was, object_of(c, o->kind, row))) {
		cli_note(c,
		    "The stored password is bound to the server: it is needed again for the new one.");
		status = ask_password(c, true, o->key, cred);
	}
	if (status != EX_OK)
		return status;
	r = change_row(s, o, cred);
	return r == ADMIN_OK ? say_written(s, o->kind, o->key, "changed", cred)
	                     : fail_for(s, o->kind, o->key, r);
}

int
cmd_set(struct cli *c)
{
	const struct kind *k = c->command->kind;
	struct object *o = object_said(c, k, c->args[0]);
	struct credential cred = { 0 };
	struct store s = { 0 };
	int status = object_read_files(c, o);

	if (status != EX_OK)
		return status;
	if (says_nothing(o) && !ask_has_password(c))
		return cli_usage(c, "nothing was said that is to change");
	status = ask_password(c, false, o->key, &cred);
	if (status == EX_OK)
		status = open_for(c, k, &cred, &s);
	if (status == EX_OK) {
		status = set_row(&s, o, &cred);
		store_close(&s);
	}
	credential_fini(&cred);
	return status;
}

int
cmd_passwd(struct cli *c)
{
	const struct kind *k = c->command->kind;
	const struct object o = { .kind = k, .key = c->args[0] };
	struct credential cred = { 0 };
	struct store s = { 0 };
	int status = ask_password(c, true, o.key, &cred);

	if (status == EX_OK)
		status = open_for(c, k, &cred, &s);
	if (status == EX_OK) {
		enum admin_result r = change_row(&s, &o, &cred);

		status = r == ADMIN_OK ? say_written(&s, k, o.key, "has a new password", &cred)
		                       : fail_for(&s, k, o.key, r);
		store_close(&s);
	}
	credential_fini(&cred);
	return status;
}

/* ---- show, list ------------------------------------------------------------------------------ */

int
cmd_show(struct cli *c)
{
	struct object *o = NULL;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	status = read_back(&s, c->command->kind, c->args[0], &o);
	if (status == EX_OK && c->json) {
		struct json j = json_begin();

		object_json(&j, NULL, o);
		json_end(&j);
	} else if (status == EX_OK) {
		print_object(c, o);
	}
	store_close(&s);
	return status;
}

struct listing {
	struct cli *cli;
	const struct kind *kind;
	struct json json;
	struct table table;
};

/* Only what the table shows is kept until it is printed; of JSON nothing is. */
static bool
on_listed(void *ctx, const void *row)
{
	struct listing *l = ctx;
	struct cli *c = l->cli;
	const char *cells[TABLE_COLUMNS_MAX] = { NULL };
	size_t n = 1;

	if (c->json) {
		struct arena_mark before = arena_mark(&c->arena);

		object_json(&l->json, NULL, object_of(c, l->kind, row));
		arena_reset(&c->arena, before);
		return true;
	}
	cells[0] = kind_key_of(c, l->kind, row);
	for (const struct column *f = kind_columns(l->kind); f->name; f++)
		if (f->flags & COLUMN_LISTED)
			cells[n++] = field_brief(c, f, field_write(c, f, row));
	table_row(&l->table, cells);
	return true;
}

static const char *const *
listed_titles(struct cli *c, const struct kind *k)
{
	const char **titles = cli_alloc(c, (TABLE_COLUMNS_MAX + 1) * sizeof(*titles));
	size_t n = 0;

	titles[n++] = k->key_json;
	for (const struct column *f = kind_columns(k); f->name; f++)
		if (f->flags & COLUMN_LISTED)
			titles[n++] = f->name;
	assert(n <= TABLE_COLUMNS_MAX);
	return titles;
}

int
cmd_list(struct cli *c)
{
	const struct kind *k = c->command->kind;
	struct listing l = { .cli = c, .kind = k, .json = json_begin() };
	const char *account = k->of_account ? cli_value(c, "account") : NULL;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);
	enum admin_result r = ADMIN_OK;

	if (status != EX_OK)
		return status;
	if (account) {
		void *row = cli_alloc(c, kind_account.of->size);

		r = kind_get(&s, &kind_account, account, row);
	}
	if (r != ADMIN_OK) {
		status = store_fail(&s, r);
		store_close(&s);
		return status;
	}
	l.table = table_begin(c, listed_titles(c, k));
	if (c->json)
		json_open(&l.json, NULL, '[');
	r = kind_each(&s, k, account, on_listed, &l);
	if (c->json) {
		json_close(&l.json, ']');
		json_end(&l.json);
	}
	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	else if (!c->json && l.table.rows == 0)
		cli_note(c, "There are no %s%s%s.", k->plural, account ? " of account " : " yet",
		    account ? account : "");
	else
		table_end(&l.table);
	store_close(&s);
	return status;
}

/* ---- remove ---------------------------------------------------------------------------------- */

int
cmd_remove(struct cli *c)
{
	const struct kind *k = c->command->kind;
	bool whole = cli_has(c, "whole");
	struct object *o = NULL;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	status = read_back(&s, k, c->args[0], &o);
	if (status == EX_OK && !cli_has(c, "yes") && ask_can(c) &&
	    !ask_yes(c,
	        cli_print(c, "Remove %s %s%s%s?", k->of->name, o->key, whole ? " with " : "",
	            whole ? k->parts : "")))
		status = cli_fail(c, EX_UNAVAILABLE, "nothing was removed");
	if (status == EX_OK) {
		enum admin_result r = admin_remove(s.admin, k->of, o->key, whole);

		if (r == ADMIN_IN_USE && k->parts && !whole)
			status =
			    cli_fail(c, store_status(r), "%s %s: %s; --whole removes it with %s",
			        k->of->name, o->key, admin_why(s.admin), k->parts);
		else if (r != ADMIN_OK)
			status = fail_for(&s, k, o->key, r);
		else if (c->json)
			printf("{\"done\": \"removed\", \"kind\": \"%s\"}\n", k->of->name);
		else
			printf("%s %s removed\n", k->of->name, o->key);
	}
	store_close(&s);
	return status;
}
