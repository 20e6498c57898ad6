/* SPDX-License-Identifier: Apache-2.0 */
#include "console/apply.h"

#include <stdio.h>

static const char *
or_nothing(const char *text)
{
	return *text ? text : "(none)";
}

/* What differs from the row, or from a new one. */
static void
show_fields(struct apply *a, const struct entry *e)
{
	const struct kind *k = e->o.kind;

	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];
		const char *now = field_brief(a->cli, f, e->now->values[i]);

		if (f->flags & COLUMN_OUT)
			continue;
		if (!e->was) {
			if (!e->o.values[i])
				continue;
			printf("    %s = ", f->name);
		} else {
			const char *was = field_brief(a->cli, f, e->was->values[i]);

			if (field_same(f, e->was->values[i], e->now->values[i]))
				continue;
			printf("    %s: ", f->name);
			out_plain(stdout, slice_str(or_nothing(was)));
			printf(" -> ");
		}
		out_plain(stdout, slice_str(or_nothing(now)));
		fputc('\n', stdout);
	}
	if (e->cred.given)
		printf("    password: %s\n",
		    e->cred.machine ? "will be made"
		        : e->was    ? "set anew"
		                    : "set");
}

static void
show_line(struct apply *a, char sign, char colour, const char *kind, const char *key)
{
	out_paint(a->cli, colour);
	printf("%c %s ", sign, kind);
	out_plain(stdout, slice_str(key));
	out_paint(a->cli, '\0');
	fputc('\n', stdout);
}

void
apply_show(struct apply *a)
{
	for (size_t i = 0; i < a->ini.n; i++) {
		struct entry *e = a->ini.entries[i];

		if (e->was && !apply_is_changed(e))
			continue;
		show_line(a, e->was ? '~' : '+', e->was ? 'y' : 'g', e->o.kind->of->name, e->o.key);
		show_fields(a, e);
	}
	for (size_t i = 0; i < a->removals_n; i++)
		show_line(a, '-', 'r', a->removals[i].kind->of->name, a->removals[i].key);
	if (a->kept > 0)
		cli_note(a->cli,
		    "%zu password%s in the file left alone, for %s set already; --passwords sets them anew.",
		    a->kept, a->kept == 1 ? "" : "s", a->kept == 1 ? "it is" : "they are");
}

static void
json_change(struct json *j, const struct entry *e)
{
	json_open(j, NULL, '{');
	json_str(j, "change", e->was ? SLICE("changed") : SLICE("added"));
	json_str(j, "kind", slice_str(e->o.kind->of->name));
	json_str(j, "name", slice_str(e->o.key));
	json_open(j, "fields", '{');
	for (size_t i = 0; kind_columns(e->o.kind)[i].name; i++) {
		const struct column *f = &kind_columns(e->o.kind)[i];
		struct column from = *f, to = *f;

		if ((f->flags & COLUMN_OUT) ||
		    (e->was && field_same(f, e->was->values[i], e->now->values[i])))
			continue;
		from.name = "from";
		to.name = "to";
		json_open(j, f->name, '{');
		if (e->was)
			field_json(j, &from, e->was->values[i]);
		field_json(j, &to, e->now->values[i]);
		json_close(j, '}');
	}
	json_close(j, '}');
	if (e->cred.given)
		json_bool(j, "password_changes", true);
	json_close(j, '}');
}

void
apply_show_json(struct apply *a, bool applied)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_bool(&j, "applied", applied);
	json_u64(&j, "added", a->added);
	json_u64(&j, "changed", a->changed);
	json_u64(&j, "removed", a->removals_n);
	json_u64(&j, "passwords_left_alone", a->kept);
	json_open(&j, "changes", '[');
	for (size_t i = 0; i < a->ini.n; i++)
		if (!a->ini.entries[i]->was || apply_is_changed(a->ini.entries[i]))
			json_change(&j, a->ini.entries[i]);
	for (size_t i = 0; i < a->removals_n; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "change", SLICE("removed"));
		json_str(&j, "kind", slice_str(a->removals[i].kind->of->name));
		json_str(&j, "name", slice_str(a->removals[i].key));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "passwords", '{');
	for (size_t i = 0; i < a->ini.n && applied; i++) {
		const struct entry *e = a->ini.entries[i];

		if (e->cred.machine)
			json_str(&j, e->o.key, secret_peek(&e->cred.plain));
	}
	json_close(&j, '}');
	json_close(&j, '}');
	json_end(&j);
}

void
apply_show_passwords(struct apply *a)
{
	for (size_t i = 0; i < a->ini.n; i++) {
		const struct entry *e = a->ini.entries[i];

		if (e->cred.machine && !a->passwords_to)
			printf("password of %s: %.*s (shown this once)\n", e->o.key,
			    SLICE_FMT(secret_peek(&e->cred.plain)));
	}
}
