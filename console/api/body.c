/* SPDX-License-Identifier: Apache-2.0 */
#include "console/api/body.h"

#include "console/ask.h"

enum { DEPTH_MAX = 16 };

/* Jansson's own bound is 2048. */
static bool
is_shallow(struct slice s)
{
	bool inside = false;
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (inside && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			inside = !inside;
		else if (!inside && (s.p[i] == '{' || s.p[i] == '['))
			depth++;
		else if (!inside && depth > 0 && (s.p[i] == '}' || s.p[i] == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

static bool
is_json(const struct httpd_request *r)
{
	const char *type = httpd_header(r, "Content-Type");
	struct slice rest = slice_str(type ? type : "");

	return slice_eq_nocase(slice_trim(slice_cut(&rest, ';')), SLICE("application/json"));
}

bool
body_open(struct call *c, bool empty, struct body *b_r)
{
	struct slice text = c->request->body;
	json_error_t wrong;

	*b_r = (struct body){ 0 };
	if (text.n == 0 && empty)
		return true;
	if (!is_json(c->request)) {
		call_problem(c, 415, "not-json", NULL, "the body is to be application/json");
		return false;
	}
	if (!is_shallow(text)) {
		call_problem(c, 400, "malformed", NULL, "the body is nested deeper than %d",
		    DEPTH_MAX);
		return false;
	}
	b_r->top = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &wrong);
	if (json_is_object(b_r->top))
		return true;
	if (b_r->top)
		call_problem(c, 400, "malformed", NULL, "the body is to be one JSON object");
	else
		/* Not jansson's words: they repeat what stands there. */
		call_problem(c, 400, "malformed", NULL, "the body is not JSON: line %d, column %d",
		    wrong.line, wrong.column);
	body_close(b_r);
	return false;
}

void
body_close(struct body *b)
{
	json_decref(b->top);
	b->top = NULL;
}

bool
body_check(struct call *c, const struct body *b, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach(b->top, key, value)
	{
		if (!cli_is_one_of(slice_str(key), names)) {
			call_unknown(c, cli_dup(&c->cli, slice_str(key)), names);
			return false;
		}
	}
	return true;
}

bool
body_text(struct call *c, const struct body *b, const char *name, const char **text_r)
{
	json_t *value = json_object_get(b->top, name);

	*text_r = NULL;
	if (!value)
		return true;
	if (!json_is_string(value)) {
		call_problem(c, 422, "invalid", name, "%s: a string is wanted", name);
		return false;
	}
	*text_r = cli_dup(&c->cli, slice_of(json_string_value(value), json_string_length(value)));
	return true;
}

bool
body_password(struct call *c, const struct body *b, struct credential *cred)
{
	json_t *value = json_object_get(b->top, "password");

	if (!value)
		return true;
	if (!json_is_string(value) || json_string_length(value) > ASK_PASSWORD_MAX ||
	    strlen(json_string_value(value)) != json_string_length(value)) {
		call_problem(c, 422, "invalid", "password",
		    "password: a string of at most %d octets is wanted", ASK_PASSWORD_MAX);
		return false;
	}
	cred->given = secret_init(&cred->plain,
	    slice_of(json_string_value(value), json_string_length(value)));
	if (!cred->given)
		call_problem(c, 503, "busy", NULL, "no memory");
	return cred->given;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static const char *
list_text(struct cli *c, const json_t *list)
{
	const char *all = "";
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (!json_is_string(one) || strpbrk(json_string_value(one), ", \t"))
			return NULL;
		all = cli_print(c, "%s%s%s", all, i ? ", " : "", json_string_value(one));
	}
	return all;
}

/* VALUE as the field's text; what is wanted instead in *WANTED_R. */
static const char *
field_text(struct cli *c, const struct column *f, const json_t *value, const char **wanted_r)
{
	bool number = f->type == COLUMN_NUMBER || f->type == COLUMN_SMALL || f->type == COLUMN_SIZE;

	if (f->type == COLUMN_BOOL) {
		*wanted_r = "true or false is wanted";
		return json_is_boolean(value) ? json_is_true(value) ? "yes" : "no" : NULL;
	}
	if (number) {
		*wanted_r = "a whole number is wanted";
		if (json_is_integer(value) && json_integer_value(value) >= 0)
			return cli_print(c, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return NULL;
	}
	if (f->type == COLUMN_LIST) {
		*wanted_r = "a list of names is wanted";
		return json_is_array(value) ? list_text(c, value) : NULL;
	}
	*wanted_r = "a string without NUL is wanted";
	if (f->type == COLUMN_DATE && json_is_null(value))
		return "";
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return NULL;
	return cli_dup(c, slice_str(json_string_value(value)));
}

static const char *const *
members(struct cli *c, const struct kind *k)
{
	const char **names = cli_alloc(c, (KIND_FIELDS_MAX + 3) * sizeof(*names));
	size_t n = 0;

	for (const struct column *f = kind_columns(k); f->name; f++)
		if (!(f->flags & COLUMN_OUT))
			names[n++] = f->name;
	names[n++] = k->key_json;
	if (k->password != KIND_NO_PASSWORD)
		names[n++] = "password";
	return names;
}

/* What is shown and cannot be written may come back as it was shown: it is left out. */
static bool
is_shown(const struct kind *k, const char *name)
{
	for (const struct column *f = kind_columns(k); f->name; f++)
		if (strcmp(f->name, name) == 0)
			return (f->flags & COLUMN_OUT) != 0;
	return false;
}

static bool
check_members(struct call *c, const struct body *b, const struct kind *k)
{
	const char *const *names = members(&c->cli, k);
	const char *key;
	json_t *value;

	json_object_foreach(b->top, key, value)
	{
		if (cli_is_one_of(slice_str(key), names))
			continue;
		if (is_shown(k, key))
			call_problem(c, 422, "read-only", key, "%s: it is shown, not set", key);
		else
			call_unknown(c, cli_dup(&c->cli, slice_str(key)), names);
		return false;
	}
	return true;
}

bool
body_object(struct call *c, const struct body *b, const struct kind *k, const char *key,
    struct object **o_r)
{
	struct object *o = cli_alloc(&c->cli, sizeof(*o));
	const char *said = NULL;

	if (!check_members(c, b, k) || !body_text(c, b, k->key_json, &said))
		return false;
	if (said && strcasecmp(said, key) != 0) {
		call_problem(c, 422, "invalid", k->key_json, "%s: the path names another",
		    k->key_json);
		return false;
	}
	o->kind = k;
	o->key = key;
	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];
		const json_t *value = json_object_get(b->top, f->name);
		const char *wanted = "";

		if (!value)
			continue;
		o->values[i] = field_text(&c->cli, f, value, &wanted);
		if (!o->values[i]) {
			call_problem(c, 422, "invalid", f->name, "%s: %s", f->name, wanted);
			return false;
		}
	}
	*o_r = o;
	return true;
}
