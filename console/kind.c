/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

#include <assert.h>

#include "console/file.h"
#include "console/kind_profile.h"

const struct kind kind_plan = {
	.of = &entity_plan,
	.plural = "plans",
	.key = "PLAN",
	.key_json = "name",
};

const struct kind kind_account = {
	.of = &entity_account,
	.plural = "accounts",
	.key = "ACCOUNT",
	.key_json = "name",
	.parts = "its domains, mailboxes, IP identities, profiles and senders",
};

const struct kind kind_domain = {
	.of = &entity_domain,
	.plural = "domains",
	.key = "DOMAIN",
	.key_json = "name",
	.parts = "its mailboxes",
	.of_account = true,
};

const struct kind kind_mailbox = {
	.of = &entity_mailbox,
	.plural = "mailboxes",
	.key = "ADDRESS",
	.key_json = "address",
	.password = KIND_HASHED,
	.of_account = true,
};

const struct kind kind_ip = {
	.of = &entity_ip,
	.plural = "IP identities",
	.key = "NETWORK",
	.key_json = "network",
	.of_account = true,
};

const struct kind kind_profile = {
	.of = &entity_profile,
	.plural = "profiles",
	.key = "ACCOUNT/PROFILE",
	.key_json = "name",
	.password = KIND_SEALED,
	.of_account = true,
	.settle = profile_settle,
	.doubt = profile_doubt,
	.derive = profile_derive,
};

/* Accounts before what is theirs, profiles before the domains that route to them. */
const struct kind *const kinds[] = { &kind_plan, &kind_account, &kind_profile, &kind_domain,
	&kind_mailbox, &kind_ip, NULL };

const struct column *
kind_columns(const struct kind *k)
{
	return k->of->columns + k->of->keys;
}

/* ---- rows ------------------------------------------------------------------------------------ */

const char *
kind_set_key(struct cli *c, const struct kind *k, void *row, const char *key)
{
	size_t at = strcspn(key, "/");

	if (k->of->keys == 1) {
		*column_text(&k->of->columns[0], row) = key;
		return NULL;
	}
	if (at == 0 || !key[at] || !key[at + 1])
		return cli_print(c, "a %s is named %s, acme/mailgun for instance", k->of->name,
		    k->key);
	*column_text(&k->of->columns[0], row) = cli_dup(c, slice_of(key, at));
	*column_text(&k->of->columns[1], row) = key + at + 1;
	return NULL;
}

static const char *
key_part(const struct kind *k, const void *row, size_t i)
{
	return *(const char *const *)(const void *)((const char *)row + k->of->columns[i].at);
}

const char *
kind_key_of(struct cli *c, const struct kind *k, const void *row)
{
	if (k->of->keys == 1)
		return cli_dup(c, slice_str(key_part(k, row, 0)));
	return cli_print(c, "%s/%s", key_part(k, row, 0), key_part(k, row, 1));
}

enum admin_result
kind_get(struct store *s, const struct kind *k, const char *key, void *row_r)
{
	enum admin_result r = admin_get(s->admin, k->of, key, &s->cli->arena, row_r);

	if (r == ADMIN_OK && k->derive)
		k->derive(s->cli, row_r);
	return r;
}

static enum admin_result
set_hash(struct store *s, const struct kind *k, const void *row, const struct credential *cred)
{
	if (k->password != KIND_HASHED || !cred || !cred->given)
		return ADMIN_OK;
	return admin_mailbox_set_hash(s->admin, key_part(k, row, 0), cred->hash);
}

enum admin_result
kind_add(struct store *s, const struct kind *k, const void *row, const struct credential *cred)
{
	if (k->password == KIND_SEALED)
		return admin_profile_add(s->admin, row, cred && cred->given ? &cred->plain : NULL);
	enum admin_result r = admin_add(s->admin, k->of, row);

	return r == ADMIN_OK ? set_hash(s, k, row, cred) : r;
}

enum admin_result
kind_set(struct store *s, const struct kind *k, const void *row, const struct credential *cred)
{
	if (k->password == KIND_SEALED)
		return admin_profile_set(s->admin, row, cred && cred->given ? &cred->plain : NULL);
	enum admin_result r = admin_set(s->admin, k->of, row);

	return r == ADMIN_OK ? set_hash(s, k, row, cred) : r;
}

struct visit {
	struct cli *cli;
	const struct kind *kind;
	void *row;
	admin_row_fn *fn;
	void *ctx;
};

static bool
on_row(void *ctx, const void *row)
{
	struct visit *v = ctx;

	memcpy(v->row, row, v->kind->of->size);
	if (v->kind->derive)
		v->kind->derive(v->cli, v->row);
	return v->fn(v->ctx, v->row);
}

enum admin_result
kind_each(struct store *s, const struct kind *k, const char *account, admin_row_fn *fn, void *ctx)
{
	struct visit v = { s->cli, k, cli_alloc(s->cli, k->of->size), fn, ctx };

	return admin_each(s->admin, k->of, k->of_account ? account : NULL, on_row, &v);
}

/* ---- fields ---------------------------------------------------------------------------------- */

const struct kind *
kind_find(struct slice name)
{
	for (size_t i = 0; kinds[i]; i++)
		if (slice_eq(name, slice_str(kinds[i]->of->name)))
			return kinds[i];
	return NULL;
}

size_t
kind_options(const struct kind *k, bool adds, struct cli_option *options_r, size_t max)
{
	size_t n = 0;

	for (const struct column *f = kind_columns(k); f->name; f++) {
		if ((f->flags & COLUMN_OUT) || (!adds && (f->flags & COLUMN_FIXED)))
			continue;
		assert(n < max);
		options_r[n++] = (struct cli_option){ field_option(f), f->arg, f->help };
	}
	return n;
}

const struct words *
kind_words(const struct kind *k, const char *option)
{
	for (const struct column *f = kind_columns(k); f->name; f++)
		if (strcmp(field_option(f), option) == 0)
			return f->words;
	return NULL;
}

struct object *
object_of(struct cli *c, const struct kind *k, const void *row)
{
	struct object *o = cli_alloc(c, sizeof(*o));

	o->kind = k;
	o->key = kind_key_of(c, k, row);
	for (size_t i = 0; kind_columns(k)[i].name; i++)
		o->values[i] = field_write(c, &kind_columns(k)[i], row);
	return o;
}

struct object *
object_said(struct cli *c, const struct kind *k, const char *key)
{
	struct object *o = cli_alloc(c, sizeof(*o));

	o->kind = k;
	o->key = key;
	for (size_t i = 0; kind_columns(k)[i].name; i++)
		if (!(kind_columns(k)[i].flags & COLUMN_OUT))
			o->values[i] = cli_value(c, field_option(&kind_columns(k)[i]));
	return o;
}

int
object_read_files(struct cli *c, struct object *o)
{
	for (size_t i = 0; kind_columns(o->kind)[i].name; i++) {
		const char *why = NULL;

		if (kind_columns(o->kind)[i].type != COLUMN_PEM || !o->values[i] || !*o->values[i])
			continue;
		o->values[i] = file_read(c, o->values[i], &why);
		if (why)
			return cli_fail(c, EX_NOINPUT, "--%s: %s",
			    field_option(&kind_columns(o->kind)[i]), why);
	}
	return EX_OK;
}

const char *
object_text(const struct object *o, const char *name)
{
	for (size_t i = 0; kind_columns(o->kind)[i].name; i++)
		if (strcmp(kind_columns(o->kind)[i].name, name) == 0)
			return o->values[i];
	return "";
}

bool
object_has_password(const struct object *o)
{
	return strcmp(object_text(o, "has_password"), "yes") == 0;
}

bool
object_moves(const struct object *was, const struct object *now)
{
	const struct column *f = kind_columns(was->kind);

	for (size_t i = 0; f[i].name; i++)
		if ((f[i].flags & COLUMN_BOUND) &&
		    !field_same(&f[i], was->values[i], now->values[i]))
			return true;
	return false;
}

static void
complain(struct text *wrong, const char *prefix, const char *name, const char *why)
{
	text_fmt(wrong, "%s%s: %s\n", prefix, name, why);
}

bool
object_read(struct cli *c, const struct object *o, void *row, const char *prefix,
    struct text *wrong)
{
	bool good = true;
	bool options = strcmp(prefix, "--") == 0;

	for (size_t i = 0; kind_columns(o->kind)[i].name; i++) {
		const struct column *f = &kind_columns(o->kind)[i];
		const char *why = o->values[i] ? field_read(c, f, o->values[i], row) : NULL;

		if (why)
			complain(wrong, prefix, options ? field_option(f) : f->name, why);
		good = good && !why;
	}
	return good;
}

bool
object_fresh(struct cli *c, const struct object *o, void *row, const char *prefix,
    struct text *wrong)
{
	const struct kind *k = o->kind;
	bool good = true;
	bool options = strcmp(prefix, "--") == 0;

	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];

		if (f->flags & COLUMN_OUT)
			continue;
		if (f->preset) {
			const char *why = field_read(c, f, f->preset, row);

			assert(!why);
		} else if (!o->values[i]) {
			complain(wrong, prefix, options ? field_option(f) : f->name,
			    "a new one needs it");
			good = false;
		}
	}
	good = object_read(c, o, row, prefix, wrong) && good;
	const char *why = good && k->settle ? k->settle(c, row, o->values) : NULL;

	if (why)
		text_fmt(wrong, "%s%s\n", prefix, why);
	return good && !why;
}

void
object_json(struct json *j, const char *key, const struct object *o)
{
	json_open(j, key, '{');
	json_str(j, o->kind->key_json, slice_str(o->key));
	for (size_t i = 0; kind_columns(o->kind)[i].name; i++)
		if (o->values[i])
			field_json(j, &kind_columns(o->kind)[i], o->values[i]);
	json_close(j, '}');
}

void
credential_fini(struct credential *cred)
{
	secret_fini(&cred->plain);
	cred->given = false;
}
