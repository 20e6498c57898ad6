/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/vault/password.h"
#include "console/file.h"
#include "wire/crypto.h"

/*
 * byway export [FILE]: the directory as the file that byway apply reads
 *
 * Plans, then account by account with what is its own. Credentials stay in the database: what has
 * one is marked by a comment.
 */

struct export
{
	struct store *store;
	struct cli *cli;
	FILE *f;
	struct json json;
	bool brief;
	bool hashes;
	bool as_json;             /* to a file goes INI always */
	const struct kind *kind;  /* of the rows that come */
	enum admin_result failed; /* of the row that ended it */
	const char **accounts;
	size_t accounts_n, accounts_cap;
};

static void
note_password(struct export *x, const struct object *o)
{
	const char *when = object_text(o, "password_set");

	if (object_has_password(o))
		fprintf(x->f, "# its password is set%s%s and not exported\n", *when ? ", on " : "",
		    when);
}

/* A mailbox that nobody can log in to is locked where it is applied. */
static bool
write_hash(struct export *x, const struct object *o)
{
	char mem[PASSWORD_HASH_MAX];
	struct text hash = text_over(mem, sizeof(mem));

	x->failed = admin_mailbox_hash(x->store->admin, o->key, &hash);
	if (x->failed == ADMIN_OK)
		fprintf(x->f, "password_hash = %s\n", hash.n ? mem : "*");
	crypto_wipe(mem, sizeof(mem));
	return x->failed == ADMIN_OK;
}

/* One row, and the memory that it took given back: a directory may have millions. */
static bool
on_row(void *ctx, const void *row)
{
	struct export *x = ctx;
	struct arena_mark before = arena_mark(&x->cli->arena);
	struct object *o = object_of(x->cli, x->kind, row);
	bool goes_on = true;

	if (x->as_json) {
		object_json(&x->json, NULL, o);
	} else {
		ini_write(x->f, x->cli, o, x->brief);
		if (x->hashes && x->kind->password == KIND_HASHED)
			goes_on = write_hash(x, o);
		else if (x->kind->password != KIND_NO_PASSWORD)
			note_password(x, o);
	}
	arena_reset(&x->cli->arena, before);
	return goes_on;
}

/* The kinds, with the members of the JSON object. */
static const struct {
	const struct kind *kind;
	const char *member;
} all[] = {
	{ &kind_plan, "plans" },
	{ &kind_account, "accounts" },
	{ &kind_profile, "profiles" },
	{ &kind_domain, "domains" },
	{ &kind_mailbox, "mailboxes" },
	{ &kind_ip, "ips" },
};
enum { ALL = sizeof(all) / sizeof(*all), OF_ACCOUNTS = 2 };

static enum admin_result
write_kind(struct export *x, const struct kind *k, const char *account)
{
	x->kind = k;
	enum admin_result r = kind_each(x->store, k, account, on_row, x);

	return r == ADMIN_OK ? x->failed : r;
}

static enum admin_result
write_json(struct export *x)
{
	enum admin_result r = ADMIN_OK;

	x->json = json_begin();
	x->json.f = x->f;
	json_open(&x->json, NULL, '{');
	for (size_t i = 0; i < ALL && r == ADMIN_OK; i++) {
		json_open(&x->json, all[i].member, '[');
		r = write_kind(x, all[i].kind, NULL);
		json_close(&x->json, ']');
	}
	json_close(&x->json, '}');
	json_end(&x->json);
	return r;
}

static bool
on_account_row(void *ctx, const void *row)
{
	struct export *x = ctx;

	x->accounts =
	    cli_room(x->cli, x->accounts, x->accounts_n, &x->accounts_cap, sizeof(*x->accounts));
	x->accounts[x->accounts_n++] = kind_key_of(x->cli, &kind_account, row);
	return true;
}

static enum admin_result
write_ini(struct export *x)
{
	enum admin_result r;

	fprintf(x->f,
	    "# The directory of Byway, as `byway export` writes it and `byway apply` reads it.\n"
	    "# Passwords are not in it; %sa new mailbox or profile may say password_file = PATH.\n",
	    x->hashes ? "hashes are, so keep it closed; " : "");
	r = write_kind(x, &kind_plan, NULL);
	if (r == ADMIN_OK)
		r = kind_each(x->store, &kind_account, NULL, on_account_row, x);
	for (size_t i = 0; i < x->accounts_n && r == ADMIN_OK; i++) {
		struct arena_mark before = arena_mark(&x->cli->arena);
		void *row = cli_alloc(x->cli, kind_account.of->size);

		r = kind_get(x->store, &kind_account, x->accounts[i], row);
		x->kind = &kind_account;
		if (r == ADMIN_OK)
			on_row(x, row);
		for (size_t k = OF_ACCOUNTS; k < ALL && r == ADMIN_OK; k++)
			r = write_kind(x, all[k].kind, x->accounts[i]);
		arena_reset(&x->cli->arena, before);
	}
	return r;
}

static int
put_out(struct cli *c, const char *path, struct slice content, unsigned mode)
{
	if (content.n >= FILE_OCTETS_MAX)
		return cli_fail(c, EX_UNAVAILABLE,
		    "the directory is longer than the %d octets that byway apply reads: export with --json",
		    FILE_OCTETS_MAX);
	if (!path) {
		fwrite(content.p, 1, content.n, stdout);
		return EX_OK;
	}
	if (!file_replace(c, path, content, mode))
		return cli_fail(c, EX_CANTCREAT, "cannot write %s: %s", path, strerror(errno));
	if (c->json)
		printf("{\"done\": \"exported\"}\n");
	else
		printf("exported to %s\n", path);
	return EX_OK;
}

int
cmd_export(struct cli *c)
{
	const char *path = c->args_n > 0 && strcmp(c->args[0], "-") != 0 ? c->args[0] : NULL;
	struct export x = { .cli = c,
		.brief = cli_has(c, "brief"),
		.hashes = cli_has(c, "hashes"),
		.as_json = c->json && !path };
	struct store s;
	char *mem = NULL;
	size_t n = 0;

	if (x.hashes && !path)
		return cli_usage(c, "--hashes needs a FILE, which is closed to others");
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	x.store = &s;
	x.f = open_memstream(&mem, &n);
	if (!x.f) {
		store_close(&s);
		return cli_fail(c, EX_OSERR, "out of memory");
	}

	/* One moment for all of it. */
	enum admin_result r = admin_begin_reading(s.admin);

	if (r == ADMIN_OK)
		r = x.as_json ? write_json(&x) : write_ini(&x);
	status = r == ADMIN_OK ? EX_OK : store_fail(&s, r);
	if (fclose(x.f) != 0 && status == EX_OK)
		status = cli_fail(c, EX_OSERR, "out of memory");
	if (status == EX_OK)
		status = put_out(c, path, slice_of(mem, n), x.hashes ? 0600 : 0640);
	if (mem)
		crypto_wipe(mem, n);
	free(mem);
	store_close(&s);
	return status;
}
