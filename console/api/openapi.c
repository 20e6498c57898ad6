/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's own description (OpenAPI 3.1), out of operations[] and the entities' columns.
 */
#include "console/api/call.h"

static void
string_schema(struct json *j, const char *key)
{
	json_open(j, key, '{');
	json_str(j, "type", SLICE("string"));
	json_close(j, '}');
}

/* ---- schemas --------------------------------------------------------------------------------- */

static void
words_schema(struct json *j, const struct words *w)
{
	json_str(j, "type", SLICE("string"));
	json_open(j, "enum", '[');
	for (unsigned i = 0; i < w->n; i++)
		json_str(j, NULL, slice_str(w->list[i].word));
	json_close(j, ']');
}

static void
number_schema(struct json *j, const struct column *f)
{
	json_str(j, "type", SLICE("integer"));
	json_u64(j, "minimum", f->min);
	if (f->max)
		json_u64(j, "maximum", f->max);
}

static void
column_schema(struct json *j, const struct column *f, bool writes)
{
	json_open(j, f->name, '{');
	if (f->type == COLUMN_BOOL) {
		json_str(j, "type", SLICE("boolean"));
	} else if (f->type == COLUMN_NUMBER || f->type == COLUMN_SMALL || f->type == COLUMN_SIZE) {
		number_schema(j, f);
	} else if (f->type == COLUMN_LIST) {
		json_str(j, "type", SLICE("array"));
		string_schema(j, "items");
	} else if (f->type == COLUMN_WORD) {
		words_schema(j, f->words);
	} else if (f->type == COLUMN_DATE) {
		json_open(j, "type", '[');
		json_str(j, NULL, SLICE("string"));
		json_str(j, NULL, SLICE("null"));
		json_close(j, ']');
	} else {
		json_str(j, "type", SLICE("string"));
	}
	json_str(j, "description", slice_str(f->help));
	if (!writes && (f->flags & COLUMN_OUT))
		json_bool(j, "readOnly", true);
	json_close(j, '}');
}

static void
kind_schema(struct call *c, const struct kind *k, bool writes)
{
	struct json *j = &c->out;

	json_open(j, cli_print(&c->cli, "%s%s", k->of->name, writes ? "-write" : ""), '{');
	json_str(j, "type", SLICE("object"));
	json_bool(j, "additionalProperties", false);
	json_open(j, "properties", '{');
	string_schema(j, k->key_json);
	for (const struct column *f = kind_columns(k); f->name; f++)
		if (!writes || !(f->flags & COLUMN_OUT))
			column_schema(j, f, writes);
	if (k->password != KIND_NO_PASSWORD && writes) {
		json_open(j, "password", '{');
		json_str(j, "type", SLICE("string"));
		json_bool(j, "writeOnly", true);
		json_close(j, '}');
	}
	json_close(j, '}');
	json_close(j, '}');
}

/* {"type": "object"} of MEMBERS (ends with NULL), all strings. */
static void
words_object(struct json *j, const char *name, const char *const *members, bool closed)
{
	json_open(j, name, '{');
	json_str(j, "type", SLICE("object"));
	json_bool(j, "additionalProperties", !closed);
	json_open(j, "properties", '{');
	for (; *members; members++)
		string_schema(j, *members);
	json_close(j, '}');
	json_close(j, '}');
}

static void
schemas(struct call *c)
{
	struct json *j = &c->out;

	json_open(j, "schemas", '{');
	for (size_t i = 0; kinds[i]; i++) {
		kind_schema(c, kinds[i], false);
		kind_schema(c, kinds[i], true);
	}
	words_object(j, "reason", (const char *const[]){ "reason", NULL }, true);
	words_object(j, "by", (const char *const[]){ "by", NULL }, true);
	words_object(j, "secret", (const char *const[]){ "password", NULL }, true);
	words_object(j, "state", (const char *const[]){ "kind", "name", "was", "state", NULL },
	    true);
	words_object(j, "made", (const char *const[]){ "address", "password", NULL }, true);
	words_object(j, "route", (const char *const[]){ "route", "fallback", NULL }, true);
	words_object(j, "document", (const char *const[]){ NULL }, false);
	words_object(j, "problem",
	    (const char *const[]){ "type", "title", "detail", "field", "did_you_mean", NULL },
	    false);
	json_close(j, '}');
}

/* ---- operations ------------------------------------------------------------------------------ */

static const char *
shape_name(struct call *c, enum shape shape, const struct kind *k, bool writes)
{
	switch (shape) {
	case SHAPE_OBJECT:
		return cli_print(&c->cli, "%s%s", k->of->name, writes ? "-write" : "");
	case SHAPE_LIST:
		return k->of->name;
	case SHAPE_REASON:
		return "reason";
	case SHAPE_BY:
		return "by";
	case SHAPE_SECRET:
		return "secret";
	case SHAPE_STATE:
		return "state";
	case SHAPE_MADE:
		return "made";
	case SHAPE_ROUTE:
		return "route";
	case SHAPE_NONE:
	case SHAPE_DOCUMENT:
		break;
	}
	return "document";
}

static void
reference(struct call *c, const char *key, const char *name)
{
	json_open(&c->out, key, '{');
	json_str(&c->out, "$ref", slice_str(cli_print(&c->cli, "#/components/schemas/%s", name)));
	json_close(&c->out, '}');
}

static void
content(struct call *c, const char *type, enum shape shape, const char *name)
{
	struct json *j = &c->out;

	json_open(j, "content", '{');
	json_open(j, type, '{');
	if (shape != SHAPE_LIST) {
		reference(c, "schema", name);
	} else {
		json_open(j, "schema", '{');
		json_str(j, "type", SLICE("object"));
		json_open(j, "properties", '{');
		json_open(j, "items", '{');
		json_str(j, "type", SLICE("array"));
		reference(c, "items", name);
		json_close(j, '}');
		json_open(j, "next", '{');
		json_open(j, "type", '[');
		json_str(j, NULL, SLICE("string"));
		json_str(j, NULL, SLICE("null"));
		json_close(j, ']');
		json_close(j, '}');
		json_close(j, '}');
		json_close(j, '}');
	}
	json_close(j, '}');
	json_close(j, '}');
}

static void
parameter(struct json *j, struct slice name, const char *in)
{
	bool needed = name.p[name.n - 1] == '!';

	json_open(j, NULL, '{');
	json_str(j, "name", slice_head(name, name.n - needed));
	json_str(j, "in", slice_str(in));
	json_bool(j, "required", needed || strcmp(in, "path") == 0);
	string_schema(j, "schema");
	json_close(j, '}');
}

/* What may stand behind '?', blank-separated; with ! what must. */
static const struct {
	call_fn *run;
	const char *names;
} queries[] = {
	{ call_list, "limit after" },
	{ call_put, "force" },
	{ call_patch, "force" },
	{ call_delete, "whole" },
	{ call_explain, "to" },
	{ call_explain_account, "mailbox! to" },
	{ call_records, "format" },
	{ call_config, "changed" },
	{ call_trace, "id!" },
};

static struct slice
query_of(const struct operation *op)
{
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
		if (queries[i].run == op->run)
			return slice_str(queries[i].names);
	return slice_str("");
}

static void
parameters(struct json *j, const struct operation *op)
{
	struct slice rest = slice_str(op->path), query = query_of(op);
	bool guards = op->run == call_put || op->run == call_patch || op->run == call_delete;

	json_open(j, "parameters", '[');
	while (rest.n > 0) {
		struct slice part = slice_cut(&rest, '/');

		if (part.n > 2 && part.p[0] == '{')
			parameter(j, slice_of(part.p + 1, part.n - 2), "path");
	}
	while (query.n > 0)
		parameter(j, slice_cut(&query, ' '), "query");
	if (guards)
		parameter(j, SLICE("If-Match"), "header");
	json_close(j, ']');
}

static void
answer(struct call *c, const char *status, const char *words, const char *type, enum shape shape,
    const char *name)
{
	json_open(&c->out, status, '{');
	json_str(&c->out, "description", slice_str(words));
	content(c, type, shape, name);
	json_close(&c->out, '}');
}

static void
operation(struct call *c, const struct operation *op)
{
	static const char *const scopes[] = {
		[SCOPE_READ] = "read",
		[SCOPE_MAILBOXES] = "mailboxes",
		[SCOPE_PROFILES] = "profiles",
		[SCOPE_ACCOUNTS] = "accounts",
		[SCOPE_OPERATOR] = "operator",
	};
	const char *name = shape_name(c, op->gives, op->kind, false);
	struct json *j = &c->out;
	struct text method = text_over(cli_alloc(&c->cli, 8), 8);

	for (const char *p = op->method; *p; p++)
		text_char(&method, (char)(*p | 0x20));
	json_open(j, method.mem, '{');
	json_str(j, "operationId", slice_str(op->id));
	json_str(j, "summary", slice_str(op->summary));
	json_str(j, "x-scope", slice_str(scopes[op->scope]));
	parameters(j, op);
	if (op->takes != SHAPE_NONE) {
		json_open(j, "requestBody", '{');
		json_bool(j, "required", op->takes == SHAPE_OBJECT || op->takes == SHAPE_REASON);
		content(c, "application/json", op->takes, shape_name(c, op->takes, op->kind, true));
		json_close(j, '}');
	}
	json_open(j, "responses", '{');
	answer(c, "200", "done", "application/json", op->gives, name);
	if (op->run == call_put)
		answer(c, "201", "made", "application/json", op->gives, name);
	answer(c, "default", "what stands against it", "application/problem+json", SHAPE_DOCUMENT,
	    "problem");
	json_close(j, '}');
	json_close(j, '}');
}

/* Operations of one path stand together, where the first of them is. */
static bool
is_first(const struct operation *op)
{
	for (const struct operation *o = operations; o < op; o++)
		if (strcmp(o->path, op->path) == 0)
			return false;
	return true;
}

static void
paths(struct call *c)
{
	json_open(&c->out, "paths", '{');
	for (const struct operation *op = operations; op->id; op++) {
		if (!is_first(op))
			continue;
		json_open(&c->out, op->path, '{');
		for (const struct operation *o = op; o->id; o++)
			if (strcmp(o->path, op->path) == 0)
				operation(c, o);
		json_close(&c->out, '}');
	}
	json_close(&c->out, '}');
}

void
call_openapi(struct call *c)
{
	struct json *j = &c->out;

	call_begin(c);
	json_str(j, "openapi", SLICE("3.1.0"));
	json_open(j, "info", '{');
	json_str(j, "title", SLICE("Byway"));
	json_str(j, "version", SLICE("1"));
	json_close(j, '}');
	paths(c);
	json_open(j, "components", '{');
	schemas(c);
	json_close(j, '}');
	call_end(c, 200);
}
