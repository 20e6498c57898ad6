/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/replies.h"

#include <assert.h>
#include <string.h>

#include "conf/option.h"

static const char *const enhanced_texts[] = {
#define REPLY(id, code, enhanced, bad, ref, text, todo) [SAY_##id] = (enhanced),
#include "conf/reply.def"
#undef REPLY
};

_Static_assert(SAY_BAD_SEQUENCE == 0, "a blank cell of the session's table must refuse");

/* ---- the catalogue ---- */

static void
lower(char *to, const char *from)
{
	size_t n = strlen(from);

	assert(n <= REPLY_NAME_MAX);
	for (size_t i = 0; i <= n; i++)
		to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] | 0x20) : from[i];
}

const struct reply_row *
replies_catalogue(void)
{
	static struct reply_row rows[] = {
#define REPLY(id, code_, enhanced_, bad_, ref_, text_, todo_) \
	[SAY_##id] = { .name = #id,                           \
		.code = (code_),                              \
		.bad = (bad_),                                \
		.ref = (ref_),                                \
		.text = (text_),                              \
		.todo = (todo_) },
#include "conf/reply.def"
#undef REPLY
	};
	static char names[SAY_COUNT][REPLY_NAME_MAX + 1];

	if (names[0][0] != '\0')
		return rows;
	for (size_t i = 0; i < SAY_COUNT; i++) {
		struct slice e = slice_str(enhanced_texts[i]);

		if (e.n > 0 && !enhanced_parse(&e, &rows[i].enhanced))
			assert(!"an enhanced code of reply.def");
		lower(names[i], rows[i].name);
		rows[i].name = names[i];
	}
	return rows;
}

bool
reply_find(struct slice name, enum reply_id *id_r)
{
	const struct reply_row *rows = replies_catalogue();

	for (size_t i = 0; i < SAY_COUNT; i++)
		if (slice_eq(slice_str(rows[i].name), name)) {
			*id_r = (enum reply_id)i;
			return true;
		}
	return false;
}

/* ---- one line of a profile ---- */

/* Where there is no enhanced code, the next word is text that begins with a digit, at worst: a
 * mistake, not a guess. */
static bool
take_codes(struct slice *value, int *code_r, struct enhanced *e_r)
{
	struct slice word = slice_cut(value, ' ');
	uint64_t code;

	*e_r = (struct enhanced){ 0 };
	if (word.n != 3 || !slice_to_u64(word, &code))
		return false;
	*code_r = (int)code;
	*value = slice_trim(*value);
	if (value->n > 1 && value->p[0] >= '0' && value->p[0] <= '9' && value->p[1] == '.') {
		if (!enhanced_parse(value, e_r))
			return false;
		*value = slice_trim(*value);
	}
	return true;
}

/* What clients take for the fault of their own password. */
static bool
is_about_login(int code)
{
	return code == 432 || code == 454 || code == 530 || code == 534 || code == 535 ||
	    code == 538;
}

static bool
codes_are_fit(const struct reply_row *was, int code, struct enhanced e, struct text *why)
{
	if (code / 100 != was->code / 100)
		text_fmt(why, "%d is of another class than %d (expected %dxx)", code, was->code,
		    was->code / 100);
	else if (was->code < 400 && code != was->code)
		text_fmt(why, "%d must stay: clients go by it", was->code);
	else if ((code == 421) != (was->code == 421))
		text_fmt(why,
		    code == 421 ? "421 would mean that we close, and we do not (it is %d)"
		                : "%d must stay: we close then",
		    was->code);
	else if (is_about_login(code) != is_about_login(was->code))
		text_fmt(why,
		    is_about_login(code) ? "%d would make clients ask for a password"
		                         : "%d is not what tells clients that the login failed",
		    code);
	else if (was->enhanced.cls != 0 && e.cls == 0)
		text_put(why, SLICE("no enhanced code (expected CODE X.Y.Z TEXT)"));
	else if (was->enhanced.cls == 0 && e.cls != 0)
		text_put(why, SLICE("this one has no enhanced code (expected CODE TEXT)"));
	else if (e.cls != 0 && e.cls != code / 100)
		text_fmt(why, "code %d and enhanced code %u.x.x are of different classes", code,
		    e.cls);
	else
		return true;
	return false;
}

static bool
text_is_fit(struct slice words, struct text *why)
{
	if (words.n == 0)
		text_put(why, SLICE("no text"));
	else if (!slice_is_ascii(words))
		text_put(why, SLICE("the text must be printable ASCII"));
	else if (words.n > REPLY_TEXT_MAX)
		text_fmt(why, "a text of %zu characters (expected %d at most)", words.n,
		    REPLY_TEXT_MAX);
	else
		return true;
	return false;
}

static bool
set_row(struct reply_row *rows, enum reply_id id, struct slice value, struct arena *mem,
    struct text *why)
{
	const struct reply_row *was = &replies_catalogue()[id];
	struct enhanced e;
	int code = 0;

	if (!take_codes(&value, &code, &e)) {
		text_put(why,
		    SLICE("not a reply (expected CODE X.Y.Z TEXT, as it goes over the wire)"));
		return false;
	}
	if (!codes_are_fit(was, code, e, why) || !text_is_fit(value, why))
		return false;
	rows[id].code = code;
	rows[id].enhanced = e;
	rows[id].text = arena_str(mem, value);
	if (rows[id].text != NULL)
		return true;
	rows[id].text = was->text;
	text_put(why, SLICE("out of memory"));
	return false;
}

static void
unknown_row(struct slice name, struct text *why)
{
	const struct reply_row *rows = replies_catalogue();
	struct guess g = { .word = name };

	for (size_t i = 0; i < SAY_COUNT; i++)
		guess_try(&g, rows[i].name);
	text_put(why, SLICE("there is no reply \""));
	text_escaped(why, name, REPLY_NAME_MAX);
	text_char(why, '"');
	if (g.best)
		text_fmt(why, "; did you mean \"%s\"?", g.best);
	else
		text_put(why, SLICE(" (byway replies print shows all)"));
}

/* ---- a profile ---- */

struct reading {
	struct reply_row *rows;
	struct arena *mem;
	unsigned line;
	unsigned set[SAY_COUNT]; /* the line that says it; 0: none */
	bool inside;             /* behind [replies] */
	bool good;
	replies_wrong_fn *wrong;
	void *ctx;
};

static void
complain(struct reading *r, struct slice words)
{
	r->good = false;
	r->wrong(r->ctx, r->line, words);
}

static void
read_row(struct reading *r, struct slice line)
{
	char mem[1024];
	struct text why = text_over(mem, sizeof(mem));
	struct slice name = slice_trim(slice_cut(&line, '='));
	enum reply_id id;

	if (!r->inside) {
		complain(r, SLICE("a row before [replies]"));
		return;
	}
	if (!reply_find(name, &id)) {
		unknown_row(name, &why);
	} else if (r->set[id]) {
		text_fmt(&why, "%s stands twice; first in line %u", replies_catalogue()[id].name,
		    r->set[id]);
	} else {
		r->set[id] = r->line;
		text_fmt(&why, "%s: ", replies_catalogue()[id].name);
		if (set_row(r->rows, id, slice_trim(line), r->mem, &why))
			return;
	}
	complain(r, text_slice(&why));
}

static void
read_line(struct reading *r, struct slice line)
{
	if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#')
		return;
	if (line.p[0] == '[') {
		r->inside = slice_eq(line, SLICE("[replies]"));
		if (!r->inside)
			complain(r, SLICE("unknown section (expected [replies])"));
	} else if (slice_find(line, '=') == line.n) {
		complain(r, SLICE("no \"=\" behind the id (expected: id = CODE X.Y.Z TEXT)"));
	} else {
		read_row(r, line);
	}
}

bool
replies_read(struct reply_row rows[SAY_COUNT], struct slice ini, struct arena *mem,
    replies_wrong_fn *wrong, void *ctx)
{
	struct reading r = { .rows = rows, .mem = mem, .good = true, .wrong = wrong, .ctx = ctx };

	while (ini.n > 0) {
		struct slice line = slice_cut(&ini, '\n');

		r.line++;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		read_line(&r, slice_trim(line));
	}
	return r.good;
}

/* ---- out ---- */

static void
print_json(const struct reply_row *row, bool first, struct text *out)
{
	text_fmt(out, "%s\n  {\"id\": \"%s\", \"code\": %d, \"enhanced\": \"", first ? "" : ",",
	    row->name, row->code);
	if (row->enhanced.cls != 0)
		enhanced_write(out, row->enhanced);
	text_put(out, SLICE("\", \"text\": \""));
	text_json(out, slice_str(row->text));
	text_put(out, SLICE("\"}"));
}

void
replies_print(const struct reply_row rows[SAY_COUNT], bool json, struct text *out)
{
	text_put(out, json ? SLICE("[") : SLICE("[replies]\n"));
	for (size_t i = 0; i < SAY_COUNT; i++) {
		if (json) {
			print_json(&rows[i], i == 0, out);
			continue;
		}
		text_fmt(out, "%s = %d ", rows[i].name, rows[i].code);
		if (rows[i].enhanced.cls != 0) {
			enhanced_write(out, rows[i].enhanced);
			text_char(out, ' ');
		}
		text_fmt(out, "%s\n", rows[i].text);
	}
	if (json)
		text_put(out, SLICE("\n]\n"));
}
