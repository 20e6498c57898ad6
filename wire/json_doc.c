/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_doc.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---------------------------------------------------------------------------------- */

static void
wipe_and_free(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/* What jansson took before goes back the same way: it is malloc()'s, too. */
static void
wipe_what_is_freed(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* jansson recurses once for each level, up to 2,048: more stack than a thread of ours has. */
static bool
is_shallow(struct slice text)
{
	size_t depth = 0;
	bool inside = false; /* a string */

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (inside && c == '\\')
			i++;
		else if (c == '"')
			inside = !inside;
		else if (!inside && (c == '{' || c == '[') && ++depth > JSON_DOC_DEPTH)
			return false;
		else if (!inside && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return true;
}

struct json_t *
json_doc_read(struct slice text)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (!is_shallow(text) || pthread_once(&once, wipe_what_is_freed) != 0)
		return NULL;
	return json_loadb(text.n > 0 ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

void
json_doc_free(struct json_t *doc)
{
	json_decref(doc);
}

static const struct json_t *
member(const struct json_t *in, struct slice name)
{
	uint64_t index;

	if (json_is_object(in))
		return json_object_getn(in, name.p, name.n);
	if (json_is_array(in) && slice_to_u64(name, &index))
		return json_array_get(in, (size_t)index);
	return NULL;
}

const struct json_t *
json_doc_at(const struct json_t *doc, const char *path)
{
	struct slice rest = slice_str(path);

	while (doc != NULL && rest.n > 0)
		doc = member(doc, slice_cut(&rest, '.'));
	return doc;
}

/* ---- what it says ---------------------------------------------------------------------------- */

bool
json_doc_text(const struct json_t *value, struct text *to)
{
	char mem[40];
	size_t n;

	if (json_is_string(value)) {
		struct slice s = slice_of(json_string_value(value), json_string_length(value));

		text_put(to, s);
		return s.n > 0;
	}
	if (!json_is_number(value) && !json_is_boolean(value))
		return false;
	n = json_dumpb(value, mem, sizeof(mem), JSON_ENCODE_ANY);
	if (n == 0 || n > sizeof(mem))
		return false;
	text_put(to, slice_of(mem, n));
	return true;
}

bool
json_doc_u64(const struct json_t *value, uint64_t *n_r)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*n_r = (uint64_t)json_integer_value(value);
	return true;
}

static int
put_piece(const char *p, size_t n, void *to)
{
	text_put(to, slice_of(p, n));
	return 0;
}

void
json_doc_compact(const struct json_t *doc, struct text *to)
{
	(void)json_dump_callback(doc, put_piece, to, JSON_COMPACT | JSON_ENCODE_ANY);
}
