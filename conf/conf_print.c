/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/load.h"

/* Longer than any value that a line can hold. */
enum { VALUE_MAX = 16384 };

/* password says nothing where password_file says it. */
static bool
is_told_by_twin(const struct conf_option *opt, const void *base)
{
	char mem[64];
	struct text key = text_over(mem, sizeof(mem));
	const struct conf_option *twin;

	if (!value_is_secret(opt))
		return false;
	text_fmt(&key, "%s_file", opt->key);
	twin = option_find(opt->section, text_slice(&key));
	return twin && value_str(twin, base);
}

static bool
is_default(const struct conf_option *opt, const void *base, const void *fallback)
{
	char a[VALUE_MAX], b[VALUE_MAX];
	struct text is = text_over(a, sizeof(a)), was = text_over(b, sizeof(b));

	value_write(opt, base, &is);
	value_write(opt, fallback, &was);
	return !is.overflow && slice_eq(text_slice(&is), text_slice(&was));
}

struct printer {
	const struct conf *defaults; /* NULL: all is told */
	bool json;
	const struct conf_owned *origins; /* NULL: they are not told */
	struct text *out;
};

/* Where the option of the section at BASE was set; NULL: nowhere. */
static const struct place *
origin_of(const struct printer *p, const struct conf_option *opt, const void *base)
{
	const struct instance *in = p->origins ? p->origins->first : NULL;

	while (in && (in->section != opt->section || in->base != base))
		in = in->next;
	return in && in->keys[opt - conf_options].line ? &in->keys[opt - conf_options] : NULL;
}

static void
print_origin(const struct printer *p, const struct place *at)
{
	if (at)
		text_fmt(p->out, "; %s:%u\n", p->origins->files[at->file], at->line);
	else
		text_put(p->out, SLICE("; default\n"));
}

static void
print_origins_json(const struct printer *p, enum conf_section section, const void *base, bool first)
{
	bool none = true;

	text_put(p->out, first ? SLICE("\"origins\":{") : SLICE(",\"origins\":{"));
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct place *at = conf_options[i].section == section
		    ? origin_of(p, &conf_options[i], base)
		    : NULL;

		if (!at)
			continue;
		text_fmt(p->out, "%s\"%s\":\"", none ? "" : ",", conf_options[i].key);
		text_json(p->out, slice_str(p->origins->files[at->file]));
		text_fmt(p->out, ":%u\"", at->line);
		none = false;
	}
	text_char(p->out, '}');
}

static void
print_option(const struct printer *p, const struct conf_option *opt, const void *base, bool *first)
{
	struct text *out = p->out;

	if (p->json) {
		text_fmt(out, "%s\"%s\":", *first ? "" : ",", opt->key);
		value_json(opt, base, out);
	} else {
		if (p->origins)
			print_origin(p, origin_of(p, opt, base));
		text_fmt(out, "%s =", opt->key);

		size_t n = out->n;

		text_char(out, ' ');
		value_write(opt, base, out);
		/* Nothing behind the sign: no blank either. */
		if (!out->overflow && out->n == n + 1) {
			out->n = n;
			out->mem[n] = '\0';
		}
		text_char(out, '\n');
	}
	*first = false;
}

/* One section's keys; true if anything was told. */
static bool
print_keys(const struct printer *p, enum conf_section section, const void *base, bool first)
{
	const char *name;
	const void *fallback = p->defaults ? section_at(p->defaults, section, 0, &name) : NULL;
	bool told = false;

	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *opt = &conf_options[i];

		if (opt->section != section || is_told_by_twin(opt, base))
			continue;
		if (fallback && is_default(opt, base, fallback))
			continue;
		print_option(p, opt, base, &first);
		told = true;
	}
	return told;
}

static bool
has_news(const struct printer *p, enum conf_section section, const void *base)
{
	const char *name;
	const void *fallback = p->defaults ? section_at(p->defaults, section, 0, &name) : NULL;

	for (size_t i = 0; i < conf_options_n; i++)
		if (conf_options[i].section == section &&
		    (!fallback || !is_default(&conf_options[i], base, fallback)))
			return true;
	return false;
}

static void
print_ini(const struct printer *p, const struct conf *c)
{
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		enum conf_section section = (enum conf_section)s;
		const char *name;
		const void *base;

		for (size_t i = 0; (base = section_at(c, section, i, &name)) != NULL; i++) {
			if (!name && !has_news(p, section, base))
				continue;
			text_fmt(p->out, "%s[%s%s%s]\n", p->out->n ? "\n" : "",
			    conf_sections[s].word, name ? " " : "", name ? name : "");
			(void)print_keys(p, section, base, true);
		}
	}
}

static void
print_json(const struct printer *p, const struct conf *c)
{
	text_char(p->out, '{');
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		enum conf_section section = (enum conf_section)s;
		bool named = conf_sections[s].named;
		const char *name;
		const void *base;

		text_fmt(p->out, "%s\"%s\":%s", s ? "," : "", conf_sections[s].word,
		    named ? "[" : "");
		for (size_t i = 0; (base = section_at(c, section, i, &name)) != NULL; i++) {
			text_put(p->out, i ? SLICE(",{") : SLICE("{"));
			if (name)
				text_fmt(p->out, "\"name\":\"%s\"", name);
			bool told = print_keys(p, section, base, !name);

			if (p->origins)
				print_origins_json(p, section, base, !told && !name);
			text_char(p->out, '}');
		}
		text_put(p->out, named ? SLICE("]") : SLICE(""));
	}
	text_put(p->out, SLICE("}\n"));
}

static void
print(const struct conf *c, bool changed, struct printer p)
{
	struct conf_owned *defaults = changed ? conf_defaults() : NULL;

	p.defaults = defaults ? &defaults->c : NULL;
	if (defaults) {
		/* What follows another option has not changed by following it. */
		defaults->c.server.instance = c->server.name;
		defaults->c.mtas[0].max_connections = c->upstream.max_connections;
		defaults->c.mtas[0].messages_per_connection = c->upstream.messages_per_connection;
	}
	if (p.json)
		print_json(&p, c);
	else
		print_ini(&p, c);
	if (defaults)
		conf_owned_close(defaults);
}

void
conf_print(const struct conf *c, bool changed, bool json, struct text *out)
{
	print(c, changed, (struct printer){ .json = json, .out = out });
}

void
conf_print_origins(const struct conf *c, bool changed, bool json, struct text *out)
{
	print(c, changed,
	    (struct printer){ .json = json, .origins = (const struct conf_owned *)c, .out = out });
}
