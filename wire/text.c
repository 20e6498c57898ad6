/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <stdarg.h>
#include <stdio.h>

static const char hex_digits[] = "0123456789abcdef";

struct text
text_over(char *mem, size_t cap)
{
	struct text t = { .mem = mem, .cap = cap };

	text_reset(&t);
	return t;
}

void
text_reset(struct text *t)
{
	t->n = 0;
	t->overflow = t->cap == 0;
	if (t->cap > 0)
		t->mem[0] = '\0';
}

/* N octets at the end, or NULL: what does not fit as a whole is not begun. */
static char *
grow(struct text *t, size_t n)
{
	if (t->overflow || n > t->cap - t->n - 1) {
		t->overflow = true;
		return NULL;
	}

	char *p = t->mem + t->n;

	t->n += n;
	t->mem[t->n] = '\0';
	return p;
}

void
text_put(struct text *t, struct slice s)
{
	char *p = grow(t, s.n);

	if (p && s.n > 0)
		memcpy(p, s.p, s.n);
}

void
text_char(struct text *t, char c)
{
	char *p = grow(t, 1);

	if (p)
		*p = c;
}

void
text_u64(struct text *t, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	text_put(t, slice_of(digits + at, sizeof(digits) - at));
}

void
text_hex(struct text *t, struct slice s)
{
	size_t n;
	char *p = __builtin_mul_overflow(s.n, (size_t)2, &n) ? NULL : grow(t, n);

	if (!p) {
		t->overflow = true;
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		*p++ = hex_digits[c >> 4];
		*p++ = hex_digits[c & 15];
	}
}

void
text_percent(struct text *t, struct slice s)
{
	static const char upper[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		    (c && strchr("-._~", c))) {
			text_char(t, (char)c);
			continue;
		}
		text_char(t, '%');
		text_char(t, upper[c >> 4]);
		text_char(t, upper[c & 15]);
	}
}

void
text_fmt(struct text *t, const char *fmt, ...)
{
	va_list args;

	if (t->overflow)
		return;

	size_t left = t->cap - t->n;

	va_start(args, fmt);
	int n = vsnprintf(t->mem + t->n, left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= left) {
		t->mem[t->n] = '\0';
		t->overflow = true;
		return;
	}
	t->n += (size_t)n;
}

/* How many octets at the start of S are printable ASCII. */
static size_t
printable(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7f)
		n++;
	return n;
}

void
text_escaped(struct text *t, struct slice s, size_t max)
{
	while (s.n > 0 && max > 0) {
		size_t n = printable(slice_head(s, max));

		text_put(t, slice_head(s, n));
		s = slice_skip(s, n);
		max -= n;
		if (s.n == 0 || max < 4)
			return;

		uint8_t c = (uint8_t)s.p[0];
		char hex[4] = { '\\', 'x', hex_digits[c >> 4], hex_digits[c & 15] };

		text_put(t, slice_of(hex, sizeof(hex)));
		s = slice_skip(s, 1);
		max -= sizeof(hex);
	}
}

/* How many octets at the start of S stand in a JSON string as they are. */
static size_t
json_plain(struct slice s)
{
	size_t i = 0;

	while (i < s.n) {
		uint8_t c = (uint8_t)s.p[i];
		size_t n = c < 0x80 ? 1 : slice_utf8(slice_skip(s, i));

		if (n == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\')
			break;
		i += n;
	}
	return i;
}

static void
json_escape(struct text *t, uint8_t c)
{
	char hex[6] = { '\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15] };

	if (c == '"')
		text_put(t, SLICE("\\\""));
	else if (c == '\\')
		text_put(t, SLICE("\\\\"));
	else if (c == '\n')
		text_put(t, SLICE("\\n"));
	else if (c == '\r')
		text_put(t, SLICE("\\r"));
	else if (c == '\t')
		text_put(t, SLICE("\\t"));
	else if (c < 0x80)
		text_put(t, slice_of(hex, sizeof(hex)));
	else
		text_put(t, SLICE("\xef\xbf\xbd"));
}

void
text_json(struct text *t, struct slice s)
{
	while (s.n > 0 && !t->overflow) {
		size_t n = json_plain(s);

		if (n > 0) {
			text_put(t, slice_head(s, n));
			s = slice_skip(s, n);
			continue;
		}
		json_escape(t, (uint8_t)s.p[0]);
		s = slice_skip(s, 1);
	}
}

void
text_json_member(struct text *t, const char *key, const char *value)
{
	text_fmt(t, "\"%s\":\"", key);
	text_json(t, slice_str(value));
	text_put(t, SLICE("\","));
}
