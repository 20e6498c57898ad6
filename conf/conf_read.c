/* SPDX-License-Identifier: Apache-2.0 */
#include <ini.h>

#include "conf/load.h"
#include "wire/crypto.h"

enum {
	LINE_MAX_OCTETS = 8000,
	INI_LINE = 8192,       /* inih's buffer: a line, its end, and the NUL */
	SECTION_TEXT_MAX = 48, /* inih cuts what is longer */
	INSTANCES_MAX = 1000,
};

/* ---- mistakes ---- */

void
load_mistake(struct load *l, struct place at, struct slice words)
{
	struct mistake *m = arena_zalloc(&l->o->mem, sizeof(*m));

	if (m)
		m->words = arena_str(&l->o->mem, words);
	if (!m || !m->words) {
		l->exhausted = true;
		return;
	}
	m->at = at;
	m->order = l->mistakes_n++;
	m->next = l->mistakes;
	l->mistakes = m;
}

static const struct conf_option *
option_of(const struct instance *in, const char *key)
{
	return key ? option_find(in->section, slice_str(key)) : NULL;
}

static const struct place *
place_of(const struct instance *in, const char *key)
{
	const struct conf_option *opt = option_of(in, key);

	return opt && in->keys[opt - conf_options].line ? &in->keys[opt - conf_options] : NULL;
}

bool
load_was_set(const struct instance *in, const char *key)
{
	return place_of(in, key) != NULL;
}

static void
write_section(const struct instance *in, struct text *t)
{
	text_fmt(t, "[%s", conf_sections[in->section].word);
	if (in->name)
		text_fmt(t, " %s", in->name);
	text_char(t, ']');
}

void
load_mistake_in(struct load *l, const struct instance *in, const char *key, struct slice words)
{
	char mem[MISTAKE_MAX + 128];
	struct text t = text_over(mem, sizeof(mem));
	const struct place *at = place_of(in, key);

	write_section(in, &t);
	if (key)
		text_fmt(&t, " %s", key);
	text_put(&t, SLICE(": "));
	text_put(&t, slice_head(words, MISTAKE_MAX));
	load_mistake(l, at ? *at : in->at, text_slice(&t));
}

void
conf_place(const struct conf *c, const char *section, const char *name, const char *key,
    struct text *out)
{
	const struct conf_owned *o = (const struct conf_owned *)c;
	const struct instance *in = o->first;

	while (in &&
	    (strcmp(conf_sections[in->section].word, section) != 0 ||
	        (name && (!in->name || strcmp(in->name, name) != 0))))
		in = in->next;
	if (!in)
		return;
	const struct place *at = place_of(in, key);

	if (!at)
		at = &in->at;
	if (at->line)
		text_fmt(out, "%s:%u: ", o->files[at->file], at->line);
	write_section(in, out);
	text_fmt(out, " %s: ", key);
}

/* ---- sections ---- */

static struct instance *
instance_add(struct load *l, enum conf_section section, void *base)
{
	struct instance *in = arena_zalloc(&l->o->mem, sizeof(*in));
	struct place *keys = arena_zalloc(&l->o->mem, conf_options_n * sizeof(*keys));

	if (!in || !keys || !section_defaults(l->o, section, base)) {
		l->exhausted = true;
		return NULL;
	}
	in->section = section;
	in->base = base;
	in->at = l->here;
	in->keys = keys;
	*l->last = in;
	l->last = &in->next;
	l->instances_n++;
	return in;
}

bool
load_begin(struct load *l)
{
	l->last = &l->first;
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		if (!conf_sections[i].named && !instance_add(l, (enum conf_section)i, &l->o->c))
			return false;
	return true;
}

static struct instance *
instance_find(struct load *l, enum conf_section section, struct slice name)
{
	for (struct instance *in = l->first; in; in = in->next)
		if (in->section == section && slice_eq(slice_str(in->name), name))
			return in;
	return NULL;
}

/* The names in struct conf_certificate and its like come first. */
_Static_assert(offsetof(struct conf_certificate, name) == 0 &&
        offsetof(struct conf_listener, name) == 0 && offsetof(struct conf_mta, name) == 0,
    "a section's name comes first");

static struct instance *
open_named(struct load *l, enum conf_section section, struct slice name)
{
	void *base = arena_zalloc(&l->o->mem, conf_sections[section].size);
	struct instance *in = base ? instance_add(l, section, base) : NULL;

	if (!in || !(in->name = arena_str(&l->o->mem, name))) {
		l->exhausted = true;
		return NULL;
	}
	memcpy(base, &in->name, sizeof(in->name));
	return in;
}

static bool
is_section_name(struct slice s)
{
	if (s.n == 0 || s.n > SECTION_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

static void
unknown_section(struct slice word, struct text *why)
{
	struct guess g = { .word = word };

	for (size_t i = 0; i < SECTION_COUNT; i++)
		guess_try(&g, conf_sections[i].word);
	text_put(why, SLICE("unknown section ["));
	text_escaped(why, word, 48);
	text_char(why, ']');
	if (g.best)
		text_fmt(why, "; did you mean [%s]?", g.best);
}

/* The instance for [WORD NAME], or NULL with words about what is wrong. */
static struct instance *
open_section(struct load *l, struct slice word, struct slice name, struct text *why)
{
	enum conf_section s;
	struct instance *in;

	if (!section_find(word, &s)) {
		unknown_section(word, why);
		return NULL;
	}
	if (!conf_sections[s].named && name.n) {
		text_fmt(why, "[%s] takes no name", conf_sections[s].word);
		return NULL;
	}
	if (conf_sections[s].named && !is_section_name(name)) {
		text_fmt(why,
		    "[%s NAME]: a name is needed (expected up to %d letters, digits, \".\", \"-\", \"_\")",
		    conf_sections[s].word, SECTION_NAME_MAX);
		return NULL;
	}
	in = instance_find(l, s, name);
	if (in && (conf_sections[s].named || (in->at.line && in->at.file == l->here.file))) {
		write_section(in, why);
		text_fmt(why, " stands twice; first at %s:%u", l->files[in->at.file], in->at.line);
		return NULL;
	}
	if (in) {
		in->at = l->here;
		return in;
	}
	if (l->instances_n >= INSTANCES_MAX) {
		text_fmt(why, "more than %d sections", INSTANCES_MAX);
		return NULL;
	}
	return open_named(l, s, name);
}

/* LINE begins with "[". */
static bool
enter_section(struct load *l, struct slice line)
{
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct slice inside = slice_skip(slice_trim(line), 1), word;

	l->in = NULL;
	l->began = true;
	if (inside.n == 0 || slice_find(inside, ']') != inside.n - 1) {
		text_put(&why, SLICE("a section header must end with its only \"]\""));
	} else {
		inside = slice_trim(slice_head(inside, inside.n - 1));
		if (inside.n == 0 || inside.n > SECTION_TEXT_MAX) {
			text_fmt(&why, "%s (expected 1 to %d characters between [ and ])",
			    inside.n ? "a section's name is too long" : "a section without a name",
			    SECTION_TEXT_MAX);
		} else {
			size_t n = 0;

			while (n < inside.n && inside.p[n] != ' ' && inside.p[n] != '\t')
				n++;
			word = slice_head(inside, n);
			l->in = open_section(l, word, slice_trim(slice_skip(inside, n)), &why);
		}
	}
	if (!l->in && !l->exhausted)
		load_mistake(l, l->here, text_slice(&why));
	return l->in != NULL;
}

/* ---- keys ---- */

static void
unknown_key(struct load *l, const char *key)
{
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct guess g = { .word = slice_str(key) };
	const struct conf_option *other = NULL;
	struct instance here;

	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *opt = &conf_options[i];

		if (opt->section == l->in->section)
			guess_try(&g, opt->key);
		else if (!other && slice_eq(slice_str(opt->key), g.word))
			other = opt;
	}
	text_put(&why, SLICE("unknown key \""));
	text_escaped(&why, g.word, 64);
	text_char(&why, '"');
	if (g.best)
		text_fmt(&why, "; did you mean \"%s\"?", g.best);
	else if (other)
		text_fmt(&why, "; it belongs to [%s%s]", conf_sections[other->section].word,
		    conf_sections[other->section].named ? " NAME" : "");
	here = *l->in;
	here.at = l->here;
	load_mistake_in(l, &here, NULL, text_slice(&why));
}

/* What looks like a comment or quotes would silently become part of the value. */
static bool
is_plain(const struct conf_option *opt, struct slice value, struct text *why)
{
	if (value_is_secret(opt))
		return true;
	for (size_t i = 1; i < value.n; i++)
		if ((value.p[i] == ';' || value.p[i] == '#') &&
		    (value.p[i - 1] == ' ' || value.p[i - 1] == '\t')) {
			text_put(why, SLICE("a comment must stand on a line of its own"));
			return false;
		}
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"') {
		text_put(why, SLICE("quotes would be part of the value: leave them out"));
		return false;
	}
	return true;
}

static int
on_key(void *ctx, const char *section, const char *key, const char *value)
{
	struct load *l = ctx;
	const struct conf_option *opt;
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct place *at;

	(void)section; /* cut at 49 octets: l->in is ours */
	if (!l->in) {
		if (!l->began)
			load_mistake(l, l->here, SLICE("a key before the first [section]"));
		return 1;
	}
	opt = option_find(l->in->section, slice_str(key));
	if (!opt) {
		unknown_key(l, key);
		return 1;
	}
	at = &l->in->keys[opt - conf_options];
	if (at->line) {
		struct place first = *at;

		*at = l->here;
		text_fmt(&why, "set twice; first at %s:%u", l->files[first.file], first.line);
		load_mistake_in(l, l->in, key, text_slice(&why));
		*at = first;
		return 1;
	}
	*at = l->here;
	if (!is_plain(opt, slice_str(value), &why) ||
	    !value_set(l->o, opt, l->in->base, slice_str(value), &why))
		load_mistake_in(l, l->in, key, text_slice(&why));
	return 1;
}

/* ---- lines ---- */

static bool
is_clean(struct slice line)
{
	while (line.n) {
		struct slice piece = slice_cut(&line, '\t');

		if (!slice_is_text(piece))
			return false;
	}
	return true;
}

/* False: the line must not reach inih, which would guess. Never shows it: it may hold a
 * password. */
static bool
line_is_sound(struct load *l, struct slice line)
{
	struct slice body;
	size_t n = 0;

	if (line.n > LINE_MAX_OCTETS) {
		char mem[128];
		struct text why = text_over(mem, sizeof(mem));

		text_fmt(&why, "a line of %zu octets (expected %d at most)", line.n,
		    LINE_MAX_OCTETS);
		load_mistake(l, l->here, text_slice(&why));
		return false;
	}
	if (!is_clean(line)) {
		load_mistake(l, l->here, SLICE("a control character, or not UTF-8"));
		return false;
	}
	body = slice_trim(line);
	if (body.n == 0 || body.p[0] == ';' || body.p[0] == '#')
		return true;
	if (body.p[0] == '[')
		return enter_section(l, body);
	while (n < body.n && body.p[n] != '=' && body.p[n] != ':')
		n++;
	if (n == body.n || body.p[n] == ':')
		load_mistake(l, l->here, SLICE("no \"=\" behind the key (expected: key = value)"));
	else if (n == 0)
		load_mistake(l, l->here, SLICE("no key before \"=\" (expected: key = value)"));
	else
		return true;
	return false;
}

/* inih's fgets: whole lines out of memory, counted, unsound ones emptied. */
static char *
on_line(char *str, int num, void *ctx)
{
	struct load *l = ctx;
	struct slice line;

	if (l->rest.n == 0 || num < INI_LINE) {
		/* Passwords may have passed through here. */
		if (num > 0)
			crypto_wipe(str, (size_t)num);
		return NULL;
	}
	line = slice_cut(&l->rest, '\n');
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	l->here.line++;
	if (l->here.line == 1 && slice_starts(line, SLICE("\xef\xbb\xbf")))
		line = slice_skip(line, 3);
	if (!line_is_sound(l, line))
		line.n = 0;
	if (line.n)
		memcpy(str, line.p, line.n);
	str[line.n] = '\n';
	str[line.n + 1] = '\0';
	return str;
}

/* Debian's inih has these as variables; elsewhere they are compile-time macros, with other
 * defaults. */
static void
set_up_inih(void)
{
	ini_use_stack = false;
	ini_max_line = INI_LINE;
	ini_initial_alloc = INI_LINE;
	ini_allow_realloc = false;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_no_value = false;
	ini_allow_bom = true;
	ini_stop_on_first_error = false;
}

void
load_lines(struct load *l, struct slice ini)
{
	int rc;

	l->rest = ini;
	l->in = NULL;
	l->began = false;
	set_up_inih();
	rc = ini_parse_stream(on_line, l, on_key, l);
	if (rc == -2)
		l->exhausted = true;
	else if (rc != 0 || l->rest.n)
		load_mistake(l,
		    (struct place){ .file = l->here.file, .line = rc > 0 ? (unsigned)rc : 0 },
		    SLICE("not understood (expected: key = value)"));
}
