/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "conf/load.h"

/* ---- mistakes, in order of reading ---- */

static int
by_place(const void *a, const void *b)
{
	const struct mistake *x = *(const struct mistake *const *)a,
	                     *y = *(const struct mistake *const *)b;
	/* What belongs to no line comes behind those that do. */
	unsigned xl = x->at.line - 1, yl = y->at.line - 1;

	if (x->at.file != y->at.file)
		return x->at.file < y->at.file ? -1 : 1;
	if (xl != yl)
		return xl < yl ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
write_mistakes(struct load *l, struct text *out)
{
	const struct mistake **all = arena_alloc(&l->o->mem, (l->mistakes_n + 1) * sizeof(*all));
	size_t n = 0;

	if (all) {
		for (const struct mistake *m = l->mistakes; m; m = m->next)
			all[n++] = m;
		qsort(all, n, sizeof(*all), by_place);
	} else {
		l->exhausted = true;
	}
	for (size_t i = 0; i < n; i++) {
		text_put(out, slice_str(l->files_n ? l->files[all[i]->at.file] : ""));
		if (all[i]->at.line)
			text_fmt(out, ":%u", all[i]->at.line);
		text_put(out, SLICE(": "));
		text_put(out, slice_str(all[i]->words));
		text_char(out, '\n');
	}
	if (l->exhausted)
		text_put(out, SLICE("out of memory while reading the configuration\n"));
}

/* ---- instances become arrays ---- */

static size_t
count(const struct load *l, enum conf_section section)
{
	size_t n = 0;

	for (const struct instance *in = l->first; in; in = in->next)
		n += in->section == section;
	return n;
}

static void *
gather(struct load *l, enum conf_section section, size_t *n_r)
{
	size_t size = conf_sections[section].size, n = count(l, section), i = 0;
	char *all = arena_zalloc(&l->o->mem, (n ? n : 1) * size);

	*n_r = 0;
	if (!all) {
		l->exhausted = true;
		return NULL;
	}
	for (struct instance *in = l->first; in; in = in->next)
		if (in->section == section) {
			memcpy(all + i * size, in->base, size);
			in->base = all + i++ * size;
		}
	*n_r = n;
	return all;
}

static struct conf *
finish(struct load *l, struct text *mistakes)
{
	static _Atomic uint64_t loads;
	struct conf *c = &l->o->c;

	c->certificates = gather(l, SECTION_CERTIFICATE, &c->certificates_n);
	c->listeners = gather(l, SECTION_LISTENER, &c->listeners_n);
	c->mtas = gather(l, SECTION_MTA, &c->mtas_n);
	if (!l->exhausted && !l->unread)
		load_check(l);
	if (!l->exhausted)
		load_replies(l);
	if (!l->exhausted)
		l->exhausted = !conf_settle(l->o);
	if (l->deep && !l->exhausted && !l->unread)
		load_check_deep(l);
	l->o->dir = slice_of("", 0);
	l->o->first = l->first;
	l->o->files = l->files;
	if (!l->mistakes && !l->exhausted) {
		c->revision = ++loads;
		return c;
	}
	write_mistakes(l, mistakes);
	conf_owned_close(l->o);
	return NULL;
}

static bool
begin(struct load *l, bool deep, struct text *mistakes)
{
	*l = (struct load){ .o = conf_owned_open(), .deep = deep };
	if (l->o && load_begin(l))
		return true;
	if (l->o)
		conf_owned_close(l->o);
	text_put(mistakes, SLICE("out of memory while reading the configuration\n"));
	return false;
}

struct conf *
conf_load(const char *path, bool deep, struct text *mistakes)
{
	struct load l;

	if (!begin(&l, deep, mistakes))
		return NULL;
	load_file(&l, path);
	load_folder(&l, path);
	return finish(&l, mistakes);
}

struct conf *
conf_parse(const char *path, struct slice ini, bool deep, struct text *mistakes)
{
	struct load l;

	if (!begin(&l, deep, mistakes))
		return NULL;
	load_text(&l, path, ini);
	return finish(&l, mistakes);
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf *c)
{
	if (c && --c->refs == 0)
		conf_owned_close((struct conf_owned *)c);
}

/* ---- what a reload cannot do ---- */

static void
compare(const struct conf_option *opt, const char *name, const void *was, const void *now,
    struct text *out)
{
	char a[16384], b[16384];
	struct text was_t = text_over(a, sizeof(a)), now_t = text_over(b, sizeof(b));

	value_write(opt, was, &was_t);
	value_write(opt, now, &now_t);
	if (slice_eq(text_slice(&was_t), text_slice(&now_t)) && !was_t.overflow)
		return;
	text_fmt(out, "[%s%s%s] %s: was ", conf_sections[opt->section].word, name ? " " : "",
	    name ? name : "", opt->key);
	text_put(out, was_t.n ? text_slice(&was_t) : SLICE("none"));
	text_put(out, SLICE(", is "));
	text_put(out, now_t.n ? text_slice(&now_t) : SLICE("none"));
	text_char(out, '\n');
}

static const void *
same_name(const struct conf *c, enum conf_section section, const char *name)
{
	const char *other;
	const void *base;

	for (size_t i = 0; (base = section_at(c, section, i, &other)) != NULL; i++)
		if (!name || slice_eq(slice_str(name), slice_str(other)))
			return base;
	return NULL;
}

static bool
is_bound_to_start(enum conf_section section)
{
	for (size_t i = 0; i < conf_options_n; i++)
		if (conf_options[i].section == section && !conf_options[i].reload)
			return true;
	return false;
}

/* Sections of A that B has not. */
static void
only_in(const struct conf *a, const struct conf *b, enum conf_section section, const char *what,
    struct text *out)
{
	const char *name;

	for (size_t i = 0; section_at(a, section, i, &name); i++)
		if (!same_name(b, section, name))
			text_fmt(out, "[%s %s]: %s\n", conf_sections[section].word, name, what);
}

void
conf_needs_restart(const struct conf *was, const struct conf *now, struct text *out)
{
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		enum conf_section section = (enum conf_section)s;
		const void *base, *old;
		const char *name;

		if (!is_bound_to_start(section))
			continue;
		for (size_t i = 0; (base = section_at(now, section, i, &name)) != NULL; i++) {
			old = same_name(was, section, name);
			for (size_t k = 0; old && k < conf_options_n; k++)
				if (conf_options[k].section == section && !conf_options[k].reload)
					compare(&conf_options[k], name, old, base, out);
		}
		if (!conf_sections[s].named)
			continue;
		only_in(now, was, section, "is new", out);
		only_in(was, now, section, "is gone", out);
	}
}
