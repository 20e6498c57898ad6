/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reply.h"

#include <assert.h>

enum { WRITTEN_LINE_MAX = 512, CODE_LEN = 3 };

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- enhanced status codes ------------------------------------------------------------------- */

/* 1 to 3 digits off REST. */
static bool
take_number(struct slice *rest, uint16_t *v_r)
{
	unsigned v = 0;
	size_t n = 0;

	while (n < rest->n && n < 3 && is_digit(rest->p[n]))
		v = v * 10 + (unsigned)(rest->p[n++] - '0');
	*rest = slice_skip(*rest, n);
	*v_r = (uint16_t)v;
	return n > 0;
}

static bool
take_char(struct slice *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

/* status-code = class "." subject "." detail, RFC 3463, 2; a blank or the end must follow. REST is
 * untouched on false. */
bool
enhanced_parse(struct slice *rest, struct enhanced *e_r)
{
	struct slice s = *rest;
	struct enhanced e = { 0 };

	if (s.n == 0 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
		return false;
	e.cls = (uint8_t)(s.p[0] - '0');
	s = slice_skip(s, 1);
	if (!take_char(&s, '.') || !take_number(&s, &e.subject))
		return false;
	if (!take_char(&s, '.') || !take_number(&s, &e.detail))
		return false;
	if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t')
		return false;
	*rest = slice_trim(s);
	*e_r = e;
	return true;
}

void
enhanced_write(struct text *t, struct enhanced e)
{
	text_u64(t, e.cls);
	text_char(t, '.');
	text_u64(t, e.subject);
	text_char(t, '.');
	text_u64(t, e.detail);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What there is of LINE, perhaps not all of it, can be the start of a reply line whose code, if
 * known, is CODE. The first FROM octets were good before. */
static bool
line_is_plausible(struct slice line, size_t from, struct slice code)
{
	for (size_t i = from; i < line.n; i++) {
		char c = line.p[i];
		bool ok = c == '\t' || ((uint8_t)c >= 0x20 && c != 0x7f);

		if (i == 0)
			ok = c >= '2' && c <= '5';
		else if (i < CODE_LEN)
			ok = is_digit(c);
		else if (i == CODE_LEN)
			ok = c == ' ' || c == '-';
		if (!ok || (i < code.n && c != code.p[i]))
			return false;
	}
	return true;
}

/* S up to the line's end, without CRLF or LF. */
static struct slice
without_end(struct slice s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

static struct slice
line_text(struct slice line)
{
	return slice_skip(line, CODE_LEN + 1);
}

/* RAW is a whole reply of LINES lines. */
static void
set_reply(struct reply *r, struct slice raw, unsigned lines)
{
	struct slice first = without_end(slice_head(raw, slice_find(raw, '\n') + 1));
	struct slice text = line_text(first);
	struct slice behind = text;
	struct enhanced e = { 0 };

	*r = (struct reply){
		.code = (raw.p[0] - '0') * 100 + (raw.p[1] - '0') * 10 + (raw.p[2] - '0'),
		.lines = lines,
		.raw = raw,
		.text = slice_trim(text),
	};
	if (enhanced_parse(&behind, &e) && e.cls == r->code / 100) {
		r->enhanced = e;
		r->text = behind;
	}
}

/* The next line behind what SCAN has; *LAST_R: it is the reply's last. */
static enum reply_got
scan_line(struct reply_scan *scan, struct slice data, bool *last_r)
{
	struct slice rest = slice_skip(data, scan->line);
	size_t from = scan->seen - scan->line;
	size_t end = from + slice_find(slice_skip(rest, from), '\n');
	struct slice line = without_end(slice_head(rest, end + 1));

	if (end >= REPLY_LINE_MAX || scan->line + end >= REPLY_OCTETS_MAX ||
	    !line_is_plausible(line, from, slice_head(data, scan->line ? CODE_LEN : 0)))
		return REPLY_FAULT;
	/* A CR at the end may be half of the line's end, or a bare one: it is looked at again. */
	scan->seen = scan->line + line.n;
	if (end == rest.n)
		return REPLY_MORE;
	if (line.n < CODE_LEN || ++scan->lines > REPLY_LINES_MAX)
		return REPLY_FAULT;
	scan->line += end + 1;
	scan->seen = scan->line;
	*last_r = line.n == CODE_LEN || line.p[CODE_LEN] == ' ';
	return REPLY_WHOLE;
}

enum reply_got
reply_parse(struct reply_scan *scan, struct slice data, struct reply *reply_r, size_t *used_r)
{
	bool last = false;

	assert(scan->seen <= data.n);
	while (!last) {
		enum reply_got got = scan_line(scan, data, &last);

		if (got != REPLY_WHOLE)
			return got;
	}
	*used_r = scan->line;
	set_reply(reply_r, slice_head(data, *used_r), scan->lines);
	*scan = (struct reply_scan){ 0 };
	return REPLY_WHOLE;
}

bool
reply_next_line(struct slice *rest, struct slice *text_r)
{
	if (rest->n == 0)
		return false;

	struct slice line = slice_head(*rest, slice_find(*rest, '\n') + 1);

	*rest = slice_skip(*rest, line.n);
	*text_r = slice_trim(line_text(without_end(line)));
	return true;
}

static void
put_clean(struct text *t, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		text_char(t, s.p[i] >= 0x20 && s.p[i] <= 0x7e ? s.p[i] : '?');
}

void
reply_flatten(struct text *t, const struct reply *r, size_t max)
{
	struct slice rest = r->raw;
	struct slice text;
	bool first = true;

	while (max > 0 && reply_next_line(&rest, &text)) {
		struct enhanced e;

		enhanced_parse(&text, &e);
		if (text.n == 0)
			continue;
		if (!first) {
			text_char(t, ' ');
			max--;
		}
		text = slice_head(text, max);
		put_clean(t, text);
		max -= text.n;
		first = false;
	}
}

/* ---- writing --------------------------------------------------------------------------------- */

/* One line's words off REST: up to a line break, or what ROOM holds, broken at a blank if there is
 * one. */
static struct slice
take_line(struct slice *rest, size_t room)
{
	size_t end = slice_find(*rest, '\n');

	if (end <= room)
		return slice_cut(rest, '\n');

	size_t at = room;

	while (at > 0 && rest->p[at] != ' ')
		at--;
	if (at == 0)
		at = room;

	struct slice line = slice_head(*rest, at);

	*rest = slice_skip(*rest, at);
	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = slice_skip(*rest, 1);
	return line;
}

void
reply_write(struct text *t, int code, struct enhanced e, struct slice words)
{
	char mem[32];
	struct text prefix = text_over(mem, sizeof(mem));

	assert(code >= 200 && code <= 599);
	if (e.cls != 0) {
		enhanced_write(&prefix, e);
		text_char(&prefix, ' ');
	}
	do {
		size_t head = CODE_LEN + 1 + prefix.n;
		struct slice line = take_line(&words, WRITTEN_LINE_MAX - 2 - head);

		text_u64(t, (uint64_t)code);
		text_char(t, words.n > 0 ? '-' : ' ');
		text_put(t, text_slice(&prefix));
		put_clean(t, slice_trim(line));
		text_put(t, SLICE("\r\n"));
	} while (words.n > 0);
}
