/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_read.h"

enum { DEPTH_MAX = 32 };

static struct slice
skip_blanks(struct slice s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t' || *s.p == '\r' || *s.p == '\n'))
		s = slice_skip(s, 1);
	return s;
}

static bool
take_char(struct slice *s, char c)
{
	*s = skip_blanks(*s);
	if (s->n == 0 || *s->p != c)
		return false;
	*s = slice_skip(*s, 1);
	return true;
}

/* S stands behind the opening quote; RAW_R is what stands before the closing one. */
static bool
take_string(struct slice *s, struct slice *raw_r)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '"') {
			*raw_r = slice_head(*s, i);
			*s = slice_skip(*s, i + 1);
			return true;
		}
		if ((unsigned char)s->p[i] < 0x20)
			return false;
		if (s->p[i] == '\\')
			i++;
	}
	return false;
}

static bool
is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    c == '+' || c == '-' || c == '.';
}

static bool
take_word(struct slice *s, struct json_value *v)
{
	size_t n = 0;

	while (n < s->n && is_word_char(s->p[n]))
		n++;
	v->raw = slice_head(*s, n);
	*s = slice_skip(*s, n);
	if (slice_eq(v->raw, SLICE("null")))
		v->kind = JSON_NULL;
	else if (slice_eq(v->raw, SLICE("true")) || slice_eq(v->raw, SLICE("false")))
		v->kind = JSON_BOOL;
	else if (n && (v->raw.p[0] == '-' || (v->raw.p[0] >= '0' && v->raw.p[0] <= '9')))
		v->kind = JSON_NUMBER;
	else
		return false;
	return true;
}

/* Brackets are counted, strings passed over: enough to find the end of a value that nobody asked
 * for. */
static bool
take_nested(struct slice *s, struct slice *raw_r)
{
	char open[DEPTH_MAX];
	unsigned depth = 0;
	struct slice from = *s;
	struct slice inside;

	while (s->n) {
		char c = *s->p;

		*s = slice_skip(*s, 1);
		if (c == '"' && !take_string(s, &inside))
			return false;
		if (c == '{' || c == '[') {
			if (depth == DEPTH_MAX)
				return false;
			open[depth++] = c;
		}
		if (c == '}' || c == ']') {
			if (depth == 0 || open[--depth] != (c == '}' ? '{' : '['))
				return false;
			if (depth == 0) {
				*raw_r = slice_head(from, from.n - s->n);
				return true;
			}
		}
	}
	return false;
}

static bool
take_value(struct slice *s, struct json_value *v)
{
	*s = skip_blanks(*s);
	if (s->n == 0)
		return false;
	switch (*s->p) {
	case '"':
		v->kind = JSON_STRING;
		*s = slice_skip(*s, 1);
		return take_string(s, &v->raw);
	case '{':
		v->kind = JSON_OBJECT;
		return take_nested(s, &v->raw);
	case '[':
		v->kind = JSON_ARRAY;
		return take_nested(s, &v->raw);
	default:
		return take_word(s, v);
	}
}

/* The value of KEY in the object or array V. */
static bool
member(const struct json_value *v, struct slice key, struct json_value *value_r)
{
	struct slice s = slice_skip(v->raw, 1);
	bool object = v->kind == JSON_OBJECT;
	uint64_t index = 0;
	uint64_t wanted = 0;

	if (!object && (v->kind != JSON_ARRAY || !slice_to_u64(key, &wanted)))
		return false;
	for (;; index++) {
		struct slice name = { "", 0 };

		if (object &&
		    (!take_char(&s, '"') || !take_string(&s, &name) || !take_char(&s, ':')))
			return false;
		if (!take_value(&s, value_r))
			return false;
		if (object ? slice_eq(name, key) : index == wanted)
			return true;
		if (!take_char(&s, ','))
			return false;
	}
}

bool
json_find(struct slice doc, const char *path, struct json_value *value_r)
{
	struct slice rest = slice_str(path);
	struct json_value v;

	if (!take_value(&doc, &v))
		return false;
	while (rest.n) {
		struct json_value inner;

		if (!member(&v, slice_cut(&rest, '.'), &inner))
			return false;
		v = inner;
	}
	*value_r = v;
	return true;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool
take_hex(struct slice s, uint32_t *unit_r)
{
	uint32_t unit = 0;

	if (s.n < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		char c = s.p[i];
		uint32_t digit = c >= '0' && c <= '9'        ? (uint32_t)(c - '0')
		    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint32_t)((c | 0x20) - 'a') + 10
		                                             : 16;

		if (digit == 16)
			return false;
		unit = unit << 4 | digit;
	}
	*unit_r = unit;
	return true;
}

static void
put_utf8(struct text *to, uint32_t c)
{
	if (c < 0x80) {
		text_char(to, (char)c);
	} else if (c < 0x800) {
		text_char(to, (char)(0xc0 | c >> 6));
		text_char(to, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		text_char(to, (char)(0xe0 | c >> 12));
		text_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
		text_char(to, (char)(0x80 | (c & 0x3f)));
	} else {
		text_char(to, (char)(0xf0 | c >> 18));
		text_char(to, (char)(0x80 | (c >> 12 & 0x3f)));
		text_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
		text_char(to, (char)(0x80 | (c & 0x3f)));
	}
}

/* S stands behind "\u". */
static bool
put_unit(struct slice *s, struct text *to)
{
	uint32_t high;
	uint32_t low;

	if (!take_hex(*s, &high))
		return false;
	*s = slice_skip(*s, 4);
	if (high >= 0xd800 && high < 0xdc00 && slice_starts(*s, SLICE("\\u")) &&
	    take_hex(slice_skip(*s, 2), &low) && low >= 0xdc00 && low < 0xe000) {
		*s = slice_skip(*s, 6);
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(to, high >= 0xd800 && high < 0xe000 ? 0xfffd : high);
	return true;
}

static bool
put_escape(struct slice *s, struct text *to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	char c = s->n ? *s->p : '\0';
	const char *at = c ? strchr(from, c) : NULL;

	if (s->n)
		*s = slice_skip(*s, 1);
	if (c == 'u')
		return put_unit(s, to);
	if (!at)
		return false;
	text_char(to, into[at - from]);
	return true;
}

bool
json_to_text(const struct json_value *value, struct text *to)
{
	struct slice s = value->raw;

	if (value->kind == JSON_NUMBER || value->kind == JSON_BOOL) {
		text_put(to, s);
		return true;
	}
	if (value->kind != JSON_STRING)
		return false;
	while (s.n) {
		size_t plain = slice_find(s, '\\');

		text_put(to, slice_head(s, plain));
		s = slice_skip(s, plain);
		if (s.n == 0)
			break;
		s = slice_skip(s, 1);
		if (!put_escape(&s, to))
			return false;
	}
	return true;
}

bool
json_to_u64(const struct json_value *value, uint64_t *n_r)
{
	return value->kind == JSON_NUMBER && slice_to_u64(value->raw, n_r);
}

void
json_compact(struct slice doc, struct text *to)
{
	while (doc.n) {
		char c = *doc.p;
		struct slice inside;

		doc = slice_skip(doc, 1);
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		text_char(to, c);
		if (c != '"')
			continue;
		if (!take_string(&doc, &inside))
			return;
		text_put(to, inside);
		text_char(to, '"');
	}
}
