/* SPDX-License-Identifier: Apache-2.0 */
#include "console/apply.h"
#include "console/ask.h"

const char *
apply_place(struct apply *a, const struct entry *e, unsigned line)
{
	return cli_print(a->cli, "%s:%u: [%s %s] ", e->path, line ? line : e->line,
	    e->o.kind->of->name, e->o.key);
}

static void
wrong_at(struct apply *a, const struct entry *e, unsigned line, const char *sentence)
{
	text_fmt(&a->wrong, "%s%s\n", apply_place(a, e, line), sentence);
}

/* True where KEY stands in the file or in the directory. */
static bool
will_be(struct apply *a, const struct kind *k, const char *key)
{
	void *row = cli_alloc(a->cli, k->of->size);

	return ini_find(&a->ini, k, key) || kind_get(&a->store, k, key, row) == ADMIN_OK;
}

static void
check_reference(struct apply *a, const struct entry *e, unsigned line, const struct kind *k,
    const char *key)
{
	if (!will_be(a, k, key))
		wrong_at(a, e, line,
		    cli_print(a->cli, "there is no %s %s, in this file or in the directory",
		        k->of->name, key));
}

static const char *
part_of(struct cli *c, const char *key, char before)
{
	return cli_dup(c, slice_of(key, strcspn(key, (char[]){ before, '\0' })));
}

/* What a row names must be there or come with it. */
static void
check_references(struct apply *a, const struct entry *e)
{
	const struct kind *k = e->o.kind;
	const char *at = strrchr(e->o.key, '@');
	const char *account = k == &kind_account ? e->now->key : object_text(e->now, "account");

	if (k == &kind_mailbox && at)
		check_reference(a, e, 0, &kind_domain, at + 1);
	if (k == &kind_profile)
		check_reference(a, e, 0, &kind_account, part_of(a->cli, e->o.key, '/'));
	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];
		const char *value = e->o.values[i];

		if (!value)
			continue;
		value = e->now->values[i];
		if (strcmp(f->name, "plan") == 0)
			check_reference(a, e, e->lines[i], &kind_plan, value);
		if (strcmp(f->name, "account") == 0)
			check_reference(a, e, e->lines[i], &kind_account, value);
		if ((f->type == COLUMN_ROUTE || f->type == COLUMN_FALLBACK) && *account &&
		    strcmp(value, "native") != 0 && strcmp(value, "inherit") != 0 &&
		    strcmp(value, "none") != 0)
			check_reference(a, e, e->lines[i], &kind_profile,
			    cli_print(a->cli, "%s/%s", account, value));
	}
}

/* Each text on its own, so that each mistake has its own line. */
static bool
read_values(struct apply *a, struct entry *e)
{
	bool good = true;

	for (size_t i = 0; kind_columns(e->o.kind)[i].name; i++) {
		const struct column *f = &kind_columns(e->o.kind)[i];
		const char *why =
		    e->o.values[i] ? field_read(a->cli, f, e->o.values[i], e->row) : NULL;

		if (why)
			wrong_at(a, e, e->lines[i], cli_print(a->cli, "%s: %s", f->name, why));
		good = good && !why;
	}
	return good;
}

static bool
compare_known(struct apply *a, struct entry *e)
{
	bool good;

	e->was = object_of(a->cli, e->o.kind, e->row);
	good = read_values(a, e);
	e->now = object_of(a->cli, e->o.kind, e->row);
	/* The name as the directory writes it. */
	e->o.key = e->now->key = e->was->key;
	ini_index(a->cli, &a->ini, e);
	for (size_t i = 0; kind_columns(e->o.kind)[i].name && good; i++) {
		const struct column *f = &kind_columns(e->o.kind)[i];

		if ((f->flags & COLUMN_FIXED) &&
		    !field_same(f, e->was->values[i], e->now->values[i]))
			wrong_at(a, e, e->lines[i],
			    cli_print(a->cli,
			        "%s: it is %s and cannot change; remove the %s and add it anew",
			        f->name, e->was->values[i], e->o.kind->of->name));
	}
	return good;
}

static bool
compare_new(struct apply *a, struct entry *e)
{
	const struct kind *k = e->o.kind;
	const char *why;
	struct object empty = { .kind = k, .key = e->o.key };
	struct text none = text_over(cli_alloc(a->cli, 1), 1);
	bool good = true;

	memset(e->row, 0, k->of->size);
	why = kind_set_key(a->cli, k, e->row, e->o.key);
	if (why)
		wrong_at(a, e, 0, why);
	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];

		if ((f->flags & COLUMN_OUT) || f->preset || e->o.values[i])
			continue;
		wrong_at(a, e, 0, cli_print(a->cli, "%s: a new %s needs it", f->name, k->of->name));
		good = false;
	}
	/* Presets; what is missing was said above. */
	(void)!object_fresh(a->cli, &empty, e->row, "", &none);
	good = read_values(a, e) && good && !why;
	if (good && k->settle) {
		enum { WRONG_MAX = 1024 };
		struct text wrong = text_over(cli_alloc(a->cli, WRONG_MAX), WRONG_MAX);

		/* From the start, so that it sees what was said and what was not. */
		good = object_fresh(a->cli, &e->o, e->row, "", &wrong);
		if (!good)
			wrong_at(a, e, 0, cli_dup(a->cli, slice_trim(text_slice(&wrong))));
	}
	const char *doubt = good && k->doubt ? k->doubt(a->cli, e->row) : NULL;

	if (doubt)
		cli_note(a->cli, "%s %s: %s", k->of->name, e->o.key, doubt);
	e->now = object_of(a->cli, k, e->row);
	e->now->key = e->o.key;
	return good;
}

static bool
said_file(const struct entry *e)
{
	return e->password_file || e->password_hash || e->password_read;
}

static void
read_password(struct apply *a, struct entry *e)
{
	char why[512] = "";

	if (e->password_read) {
		e->cred.given = true;
		return;
	}
	if (e->password_hash) {
		e->cred.hash = e->password_hash;
		e->cred.given = true;
		return;
	}
	if (!secret_read_file(&e->cred.plain, e->password_file, false, why, sizeof(why))) {
		wrong_at(a, e, e->password_line, cli_print(a->cli, "password_file: %s", why));
		return;
	}
	e->cred.given = true;
	ask_warn_of(a->cli, cli_print(a->cli, "%s: the password", e->password_file),
	    secret_peek(&e->cred.plain));
	if (e->cred.plain.n == 0)
		wrong_at(a, e, e->password_line,
		    cli_print(a->cli, "password_file: %s is empty", e->password_file));
}

static void
compare_password(struct apply *a, struct entry *e)
{
	const struct kind *k = e->o.kind;
	bool needed = !e->was && k->password == KIND_HASHED;
	bool has = e->was && object_has_password(e->was);

	if (k->password == KIND_SEALED && !e->was)
		needed = *object_text(e->now, "username") != '\0';
	if (has && object_moves(e->was, e->now))
		needed = true;
	if (said_file(e)) {
		if (needed || !has || a->passwords)
			read_password(a, e);
		else
			a->kept++;
	} else if (needed && k->password == KIND_HASHED && a->generate) {
		e->cred.given = e->cred.machine = true;
	} else if (needed && has) {
		wrong_at(a, e, 0,
		    "its password is bound to where and how it is used, and that changes: say password_file");
	} else if (needed && k->password == KIND_SEALED && a->later) {
		cli_note(a->cli, "profile %s has no password yet: byway profile set gives it one.",
		    e->o.key);
	} else if (needed) {
		wrong_at(a, e, 0,
		    k->password == KIND_HASHED
		        ? "a new mailbox needs password_file or password_hash, or run apply with --generate"
		        : "a new profile with a username needs password_file");
	}
}

static bool
compare_entry(struct apply *a, struct entry *e)
{
	const struct kind *k = e->o.kind;
	enum admin_result r;
	bool good;

	e->row = cli_alloc(a->cli, k->of->size);
	r = kind_get(&a->store, k, e->o.key, e->row);
	if (r != ADMIN_OK && r != ADMIN_MISSING && r != ADMIN_INVALID) {
		wrong_at(a, e, 0, admin_why(a->store.admin));
		return false;
	}
	good = r == ADMIN_OK ? compare_known(a, e) : compare_new(a, e);
	if (good) {
		check_references(a, e);
		if (k->password != KIND_NO_PASSWORD)
			compare_password(a, e);
	}
	return true;
}

static bool
on_row_there(void *ctx, const void *row)
{
	struct apply *a = ctx;
	const char *key = kind_key_of(a->cli, a->kind, row);

	if (ini_find(&a->ini, a->kind, key))
		return true;
	a->removals =
	    cli_room(a->cli, a->removals, a->removals_n, &a->removals_cap, sizeof(*a->removals));
	a->removals[a->removals_n++] = (struct removal){ a->kind, key };
	return true;
}

static bool
has_kind(const struct apply *a, const struct kind *k)
{
	for (size_t i = 0; i < a->ini.n; i++)
		if (a->ini.entries[i]->o.kind == k)
			return true;
	return false;
}

/* From the leaves up. Plans stay where the file names none. */
static enum admin_result
find_removals(struct apply *a)
{
	enum admin_result r = ADMIN_OK;
	size_t n = 0;

	while (kinds[n])
		n++;
	while (n-- > 0 && r == ADMIN_OK) {
		a->kind = kinds[n];
		if (a->kind != &kind_plan || has_kind(a, a->kind))
			r = kind_each(&a->store, a->kind, NULL, on_row_there, a);
	}
	return r;
}

bool
apply_is_changed(const struct entry *e)
{
	for (size_t i = 0; e->was && kind_columns(e->o.kind)[i].name; i++)
		if (!field_same(&kind_columns(e->o.kind)[i], e->was->values[i], e->now->values[i]))
			return true;
	return e->was && e->cred.given;
}

int
apply_compare(struct apply *a)
{
	enum admin_result r = admin_revision(a->store.admin, &a->revision);

	if (r != ADMIN_OK)
		return store_fail(&a->store, r);
	for (size_t i = 0; i < a->ini.n; i++)
		if (!compare_entry(a, a->ini.entries[i]))
			break;
	if (a->wrong.n > 0 || a->wrong.overflow)
		return cli_fail_lines(a->cli, EX_DATAERR, text_slice(&a->wrong),
		    "%s in %s%s; nothing was changed", cli_mistakes(a->cli, text_slice(&a->wrong)),
		    a->ini.path, a->wrong.overflow ? " (and more)" : "");
	if (cli_has(a->cli, "prune")) {
		r = find_removals(a);
		if (r != ADMIN_OK)
			return store_fail(&a->store, r);
	}
	for (size_t i = 0; i < a->ini.n; i++) {
		a->added += !a->ini.entries[i]->was;
		a->changed += apply_is_changed(a->ini.entries[i]);
	}
	return EX_OK;
}
