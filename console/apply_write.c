/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "console/apply.h"
#include "console/ask.h"
#include "wire/crypto.h"

/* Slow, and so before the transaction. */
static int
make_hashes(struct apply *a)
{
	int status = EX_OK;

	for (size_t i = 0; i < a->ini.n && status == EX_OK; i++) {
		struct entry *e = a->ini.entries[i];

		if (e->cred.machine && !secret_generate(&e->cred.plain, ASK_GENERATED_OCTETS))
			return cli_fail(a->cli, EX_OSERR, "no random numbers for a password");
		if (e->cred.given && e->o.kind->password == KIND_HASHED && !e->cred.hash)
			status = ask_hash(&a->store, &e->cred);
	}
	return status;
}

/* Before the transaction: a password that is in no file is lost. */
static int
save_passwords(struct apply *a)
{
	char *mem = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&mem, &n);
	int status = EX_OK;

	if (!f)
		return cli_fail(a->cli, EX_OSERR, "out of memory");
	for (size_t i = 0; i < a->ini.n; i++)
		if (a->ini.entries[i]->cred.machine)
			fprintf(f, "%s,%.*s\n", a->ini.entries[i]->o.key,
			    SLICE_FMT(secret_peek(&a->ini.entries[i]->cred.plain)));
	if (fclose(f) != 0)
		status = cli_fail(a->cli, EX_OSERR, "out of memory");
	else if (!file_create(a->passwords_to, slice_of(mem, n), 0600))
		status = cli_fail(a->cli, EX_CANTCREAT, "cannot make %s: %s; nothing was changed",
		    a->passwords_to, strerror(errno));
	crypto_wipe(mem, n);
	free(mem);
	return status;
}

/* An account as it can be written before its profiles are: with the route that it has. */
static enum admin_result
write_account(struct apply *a, struct entry *e)
{
	struct object before = *e->now;
	void *row = cli_alloc(a->cli, kind_account.of->size);
	struct text none = text_over(cli_alloc(a->cli, 1), 1);

	for (size_t i = 0; kind_columns(&kind_account)[i].name; i++) {
		const struct column *f = &kind_columns(&kind_account)[i];

		if (f->type == COLUMN_ROUTE || f->type == COLUMN_FALLBACK)
			before.values[i] = e->was     ? e->was->values[i]
			    : f->type == COLUMN_ROUTE ? "inherit"
			                              : "none";
	}
	(void)!kind_set_key(a->cli, &kind_account, row, e->o.key);
	if (!object_read(a->cli, &before, row, "", &none))
		return ADMIN_INVALID;
	return e->was ? kind_set(&a->store, &kind_account, row, NULL)
	              : kind_add(&a->store, &kind_account, row, NULL);
}

static enum admin_result
write_entry(struct apply *a, struct entry *e)
{
	const struct kind *k = e->o.kind;

	if (k == &kind_account)
		return write_account(a, e);
	return e->was ? kind_set(&a->store, k, e->row, &e->cred)
	              : kind_add(&a->store, k, e->row, &e->cred);
}

static int
write_failed(struct apply *a, const struct entry *e, enum admin_result r)
{
	return cli_fail(a->cli, store_status(r), "%s%s; nothing was changed", apply_place(a, e, 0),
	    admin_why(a->store.admin));
}

static int
write_rows(struct apply *a)
{
	for (size_t k = 0; kinds[k]; k++) {
		for (size_t i = 0; i < a->ini.n; i++) {
			struct entry *e = a->ini.entries[i];
			enum admin_result r;

			if (e->o.kind != kinds[k] || (e->was && !apply_is_changed(e)))
				continue;
			r = write_entry(a, e);
			if (r != ADMIN_OK)
				return write_failed(a, e, r);
		}
	}
	for (size_t i = 0; i < a->ini.n; i++) {
		struct entry *e = a->ini.entries[i];
		enum admin_result r;

		if (e->o.kind != &kind_account || (e->was && !apply_is_changed(e)))
			continue;
		r = admin_route_set(a->store.admin, e->o.key, NULL, &(struct admin_route){ 0 });
		if (r == ADMIN_OK)
			r = kind_set(&a->store, &kind_account, e->row, NULL);
		if (r != ADMIN_OK)
			return write_failed(a, e, r);
	}
	return EX_OK;
}

static int
write_removals(struct apply *a)
{
	enum admin_result r = ADMIN_OK;
	size_t i;

	/* Nothing that goes may hold what goes with it. */
	for (i = 0; i < a->removals_n && r == ADMIN_OK; i++)
		if (a->removals[i].kind == &kind_account)
			r = admin_route_set(a->store.admin, a->removals[i].key, NULL,
			    &(struct admin_route){ 0 });
	for (i = 0; i < a->removals_n && r == ADMIN_OK; i++)
		r = admin_remove(a->store.admin, a->removals[i].kind->of, a->removals[i].key,
		    a->removals[i].kind == &kind_account);
	if (r == ADMIN_OK)
		return EX_OK;
	return cli_fail(a->cli, store_status(r), "%s: %s; nothing was changed",
	    i > 0 ? cli_print(a->cli, "%s %s", a->removals[i - 1].kind->of->name,
	                a->removals[i - 1].key)
	          : "removal",
	    admin_why(a->store.admin));
}

int
apply_write(struct apply *a)
{
	uint64_t revision = 0;
	enum admin_result r;
	int status = make_hashes(a);

	if (status == EX_OK && a->passwords_to)
		status = save_passwords(a);
	if (status != EX_OK)
		return status;
	r = admin_begin(a->store.admin);
	if (r == ADMIN_OK)
		r = admin_revision(a->store.admin, &revision);
	if (r != ADMIN_OK)
		return store_fail(&a->store, r);
	if (revision != a->revision)
		return cli_fail(a->cli, EX_TEMPFAIL,
		    "somebody else changed the directory meanwhile; nothing was changed, run apply again");
	status = write_rows(a);
	if (status == EX_OK)
		status = write_removals(a);
	if (status != EX_OK)
		return status;
	r = admin_commit(a->store.admin);
	return r == ADMIN_OK ? EX_OK : store_fail(&a->store, r);
}
