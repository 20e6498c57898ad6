/* SPDX-License-Identifier: Apache-2.0 */
#include "console/out.h"

#include <assert.h>
#include <stdlib.h>
#include <wchar.h>

/* ---- people ---------------------------------------------------------------------------------- */

void
out_plain(FILE *f, struct slice s)
{
	while (s.n > 0) {
		uint8_t c = (uint8_t)s.p[0];
		size_t n = c < 0x80 ? 1 : slice_utf8(s);

		if (n == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)s.p[1] < 0xa0)) {
			fputc('?', f);
			n = n ? n : 1;
		} else {
			fwrite(s.p, 1, n, f);
		}
		s = slice_skip(s, n);
	}
}

/* Columns that S takes on a terminal. */
static size_t
width(struct slice s)
{
	size_t sum = 0;

	while (s.n > 0) {
		size_t n = slice_utf8(s);
		wchar_t wide = L'?';
		mbstate_t state = { 0 };

		if (n > 1 && mbrtowc(&wide, s.p, n, &state) != n)
			wide = L'?';
		int columns = wcwidth(wide);

		sum += columns < 0 ? 1 : (size_t)columns;
		s = slice_skip(s, n ? n : 1);
	}
	return sum;
}

static void
pad(size_t n)
{
	while (n-- > 0)
		fputc(' ', stdout);
}

void
out_paint(const struct cli *c, char colour)
{
	const char *code = colour == 'g' ? "\033[32m"
	    : colour == 'r'              ? "\033[31m"
	    : colour == 'y'              ? "\033[33m"
	    : colour == 'b'              ? "\033[1m"
	                                 : "\033[0m";

	if (c->colour)
		fputs(code, stdout);
}

struct table
table_begin(struct cli *c, const char *const *titles)
{
	struct table t = { .cli = c, .titles = titles };

	while (titles[t.columns])
		t.columns++;
	assert(t.columns <= TABLE_COLUMNS_MAX);
	return t;
}

void
table_row(struct table *t, const char *const *cells)
{
	/* Room is counted in rows. */
	t->cells = cli_room(t->cli, t->cells, t->rows, &t->cap, t->columns * sizeof(*cells));
	memcpy(t->cells + t->rows * t->columns, cells, t->columns * sizeof(*cells));
	t->rows++;
}

static void
print_row(const struct table *t, const char *const *cells, const size_t *widths)
{
	for (size_t i = 0; i < t->columns; i++) {
		struct slice s = slice_str(cells[i]);

		out_plain(stdout, s);
		if (i + 1 < t->columns)
			pad(widths[i] - width(s) + 2);
	}
}

void
table_end(struct table *t)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };

	if (t->rows == 0)
		return;
	for (size_t i = 0; i < t->columns; i++)
		widths[i] = width(slice_str(t->titles[i]));
	for (size_t r = 0; r < t->rows; r++) {
		for (size_t i = 0; i < t->columns; i++) {
			size_t w = width(slice_str(t->cells[r * t->columns + i]));

			if (w > widths[i])
				widths[i] = w;
		}
	}
	out_paint(t->cli, 'b');
	print_row(t, t->titles, widths);
	out_paint(t->cli, '\0');
	fputc('\n', stdout);
	for (size_t r = 0; r < t->rows; r++) {
		print_row(t, t->cells + r * t->columns, widths);
		fputc('\n', stdout);
	}
}

void
out_pair(struct cli *c, int wide, const char *name, const char *value)
{
	size_t w = width(slice_str(name));

	(void)c;
	fputs(name, stdout);
	fputc(':', stdout);
	pad(wide > 0 && (size_t)wide > w ? (size_t)wide - w + 1 : 1);
	out_plain(stdout, slice_str(value));
	fputc('\n', stdout);
}

/* ---- programs -------------------------------------------------------------------------------- */

struct json
json_begin(void)
{
	return (struct json){ .f = stdout };
}

static void
put_string(struct json *j, struct slice s)
{
	char part[6 * 64 + 1];

	fputc('"', j->f);
	while (s.n > 0) {
		struct text t = text_over(part, sizeof(part));
		size_t n = s.n < 61 ? s.n : 61;

		/* Not through the middle of a character. */
		while (n < s.n && n < 64 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
			n++;
		text_json(&t, slice_head(s, n));
		fwrite(t.mem, 1, t.n, j->f);
		s = slice_skip(s, n);
	}
	fputc('"', j->f);
}

static void
lead(struct json *j, const char *key)
{
	if (j->used >> j->depth & 1)
		fputs(", ", j->f);
	j->used |= UINT64_C(1) << j->depth;
	if (key) {
		put_string(j, slice_str(key));
		fputs(": ", j->f);
	}
}

void
json_open(struct json *j, const char *key, char bracket)
{
	lead(j, key);
	fputc(bracket, j->f);
	assert(j->depth < 63);
	j->depth++;
	j->used &= ~(UINT64_C(1) << j->depth);
}

void
json_close(struct json *j, char bracket)
{
	assert(j->depth > 0);
	j->depth--;
	fputc(bracket, j->f);
}

void
json_str(struct json *j, const char *key, struct slice value)
{
	lead(j, key);
	put_string(j, value);
}

void
json_u64(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->f, "%llu", (unsigned long long)value);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->f);
}

void
json_none(struct json *j, const char *key)
{
	lead(j, key);
	fputs("null", j->f);
}

void
json_raw(struct json *j, const char *key, struct slice value)
{
	lead(j, key);
	if (value.n > 0)
		fwrite(value.p, 1, value.n, j->f);
}

void
json_end(struct json *j)
{
	assert(j->depth == 0);
	fputc('\n', j->f);
}
