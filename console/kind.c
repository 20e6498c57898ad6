/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

#include <assert.h>

#include "console/file.h"

/* Accounts before what is theirs, profiles before the domains that route to them. */
const struct kind *const kinds[] = { &kind_plan, &kind_account, &kind_profile, &kind_domain,
	&kind_mailbox, &kind_ip, NULL };

size_t
kind_fields(const struct kind *k)
{
	size_t n = 0;

	while (k->fields[n].name)
		n++;
	assert(n <= KIND_FIELDS_MAX);
	return n;
}

const struct kind *
kind_find(struct slice name)
{
	for (size_t i = 0; kinds[i]; i++)
		if (slice_eq(name, slice_str(kinds[i]->name)))
			return kinds[i];
	return NULL;
}

size_t
kind_options(const struct kind *k, bool adds, struct cli_option *options_r, size_t max)
{
	size_t n = 0;

	for (const struct field *f = k->fields; f->name; f++) {
		if ((f->flags & FIELD_OUT) || (!adds && (f->flags & FIELD_FIXED)))
			continue;
		assert(n < max);
		options_r[n++] = (struct cli_option){ f->option, f->arg, f->help };
	}
	return n;
}

struct object *
object_of(struct cli *c, const struct kind *k, const void *row)
{
	struct object *o = cli_alloc(c, sizeof(*o));

	o->kind = k;
	o->key = k->key_of(c, row);
	for (size_t i = 0; k->fields[i].name; i++)
		o->values[i] = field_write(c, &k->fields[i], row);
	return o;
}

struct object *
object_said(struct cli *c, const struct kind *k, const char *key)
{
	struct object *o = cli_alloc(c, sizeof(*o));

	o->kind = k;
	o->key = key;
	for (size_t i = 0; k->fields[i].name; i++)
		if (k->fields[i].option)
			o->values[i] = cli_value(c, k->fields[i].option);
	return o;
}

int
object_read_files(struct cli *c, struct object *o)
{
	for (size_t i = 0; o->kind->fields[i].name; i++) {
		const char *why = NULL;

		if (o->kind->fields[i].type != FIELD_PEM || !o->values[i] || !*o->values[i])
			continue;
		o->values[i] = file_read(c, o->values[i], &why);
		if (why)
			return cli_fail(c, EX_NOINPUT, "--%s: %s", o->kind->fields[i].option, why);
	}
	return EX_OK;
}

const char *
object_text(const struct object *o, const char *name)
{
	for (size_t i = 0; o->kind->fields[i].name; i++)
		if (strcmp(o->kind->fields[i].name, name) == 0)
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
	static const char *const bound[] = { "host", "port", "tls" };

	for (size_t i = 0; i < sizeof(bound) / sizeof(*bound); i++)
		if (was->kind->password == KIND_SEALED &&
		    strcasecmp(object_text(was, bound[i]), object_text(now, bound[i])) != 0)
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

	for (size_t i = 0; o->kind->fields[i].name; i++) {
		const struct field *f = &o->kind->fields[i];
		const char *why = o->values[i] ? field_read(c, f, o->values[i], row) : NULL;

		if (why)
			complain(wrong, prefix, options ? f->option : f->name, why);
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

	for (size_t i = 0; k->fields[i].name; i++) {
		const struct field *f = &k->fields[i];

		if (f->flags & FIELD_OUT)
			continue;
		if (f->preset) {
			const char *why = field_read(c, f, f->preset, row);

			assert(!why);
		} else if (!o->values[i]) {
			complain(wrong, prefix, options ? f->option : f->name,
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
	for (size_t i = 0; o->kind->fields[i].name; i++)
		if (o->values[i])
			field_json(j, &o->kind->fields[i], o->values[i]);
	json_close(j, '}');
}

void
credential_fini(struct credential *cred)
{
	secret_fini(&cred->plain);
	cred->given = false;
}
