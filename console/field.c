/* SPDX-License-Identifier: Apache-2.0 */
#include "console/field.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "conf/directory/admin.h"
#include "wire/host.h"
#include "wire/pin.h"

const char *
field_option(const struct column *f)
{
	enum { NAMES = 128, LONG = 32 };
	static struct {
		const struct column *of;
		char option[LONG];
	} known[NAMES];
	size_t i = 0;

	while (known[i].of && known[i].of != f)
		i++;
	if (known[i].of)
		return known[i].option;
	assert(i + 1 < NAMES && strlen(f->name) < LONG);
	known[i].of = f;
	for (size_t at = 0; f->name[at]; at++)
		known[i].option[at] = f->name[at] == '_' ? '-' : f->name[at];
	return known[i].option;
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *
not_one_of(struct cli *c, const char *text, const struct words *of)
{
	const char **words = cli_alloc(c, (of->n + 1) * sizeof(*words));
	const char *all = of->list[0].word;
	const char *meant;

	for (unsigned i = 0; i < of->n; i++) {
		words[i] = of->list[i].word;
		if (i > 0)
			all = cli_print(c, "%s, %s", all, words[i]);
	}
	meant = cli_meant(text, words);
	if (meant)
		return cli_print(c, "'%s' is not one of %s; did you mean %s?", text, all, meant);
	return cli_print(c, "'%s' is not one of %s", text, all);
}

static bool
same_word(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

static const char *
read_bool(struct cli *c, const char *text, bool *v_r)
{
	static const char *const yes[] = { "yes", "true", "on", "1", NULL };
	static const char *const no[] = { "no", "false", "off", "0", NULL };

	for (size_t i = 0; yes[i]; i++) {
		if (same_word(text, yes[i]) || same_word(text, no[i])) {
			*v_r = same_word(text, yes[i]);
			return NULL;
		}
	}
	return cli_print(c, "'%s' is neither yes nor no", text);
}

static const char *
read_number(struct cli *c, const struct column *f, const char *text, uint64_t *v_r)
{
	struct slice s = slice_trim(slice_str(text));
	uint64_t unit = 1, v;
	uint64_t max = f->max ? f->max : f->type == COLUMN_SMALL ? UINT32_MAX : INT64_MAX;

	if ((f->flags & COLUMN_UNLIMITED) && same_word(text, "unlimited")) {
		*v_r = 0;
		return NULL;
	}
	if (f->type == COLUMN_SIZE && s.n > 1) {
		char last = (char)toupper((unsigned char)s.p[s.n - 1]);

		unit = last == 'K' ? 1 << 10 : last == 'M' ? 1 << 20 : last == 'G' ? 1 << 30 : 1;
		s.n -= unit > 1;
	}
	if (!slice_to_u64(s, &v) || __builtin_mul_overflow(v, unit, &v) || v > max || v < f->min)
		return cli_print(c, "'%s' is not a number from %llu to %llu%s", text,
		    (unsigned long long)f->min, (unsigned long long)max,
		    f->type == COLUMN_SIZE ? ", with K, M or G if you like" : "");
	*v_r = v;
	return NULL;
}

static const char *
read_word(struct cli *c, const struct column *f, const char *text, void *member)
{
	unsigned word;

	if (!words_find(f->words, slice_str(text), &word))
		return not_one_of(c, text, f->words);
	memcpy(member, &word, sizeof(word));
	return NULL;
}

static const char *
read_date(struct cli *c, const char *text, int64_t *v_r)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%MZ", "%Y-%m-%d" };

	if (!*text) {
		*v_r = 0;
		return NULL;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end) {
			*v_r = timegm(&tm);
			return NULL;
		}
	}
	return cli_print(c, "'%s' is not a date like 2026-02-19 or 2026-02-19T14:30:00Z (UTC)",
	    text);
}

static const char *
read_host(struct cli *c, const char *text, const char **v_r)
{
	char mem[512];
	char host[HOST_MAX + 1] = "";
	struct text why = text_over(mem, sizeof(mem));

	/* Empty: the preset's. */
	if (*text && !host_normal(slice_str(text), host, &why))
		return cli_dup(c, text_slice(&why));
	*v_r = cli_dup(c, slice_str(host));
	return NULL;
}

static const char *
read_pin(struct cli *c, const char *text, const char **v_r)
{
	unsigned char pin[PIN_LEN];
	struct text t = text_over(cli_alloc(c, 2 * PIN_LEN + 1), 2 * PIN_LEN + 1);

	if (*text && !pin_parse(text, pin))
		return "a pin is the SHA-256 of the certificate in 64 hex digits";
	if (*text)
		text_hex(&t, slice_of((const char *)pin, PIN_LEN));
	*v_r = t.mem;
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *
read_list(struct cli *c, const char *text, const char **v_r)
{
	size_t max = strlen(text) + 1, n = 0;
	const char **names = cli_alloc(c, max * sizeof(*names));
	const char *all = "";

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ", \t");

		if (len > 0)
			names[n++] = cli_dup(c, slice_of(p, len));
		p += len + (p[len] != '\0');
	}
	qsort(names, n, sizeof(*names), compare_names);

	char *out = cli_alloc(c, max * 2 + 1);
	struct text t = text_over(out, max * 2 + 1);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && strcasecmp(names[i], names[i - 1]) == 0)
			continue;
		text_put(&t, slice_str(all));
		text_put(&t, slice_str(names[i]));
		all = ", ";
	}
	*v_r = out;
	return NULL;
}

static const char *
read_route(const char *text, enum route_kind *kind_r, const char **profile_r, bool fallback)
{
	if (!*text)
		return fallback ? "it must be none, native or the name of a profile"
		                : "it must be inherit, native or the name of a profile";
	*profile_r = "";
	if (same_word(text, fallback ? "none" : "inherit"))
		*kind_r = ROUTE_INHERIT;
	else if (same_word(text, "native"))
		*kind_r = ROUTE_NATIVE;
	else {
		*kind_r = ROUTE_PROFILE;
		*profile_r = text;
	}
	return NULL;
}

static const char *
set_number(struct cli *c, const struct column *f, const char *text, void *member)
{
	uint64_t v = 0;
	const char *why = read_number(c, f, text, &v);

	if (f->type == COLUMN_SMALL)
		*(unsigned *)member = (unsigned)v;
	else
		*(uint64_t *)member = v;
	return why;
}

const char *
field_read(struct cli *c, const struct column *f, const char *text, void *row)
{
	void *member = (char *)row + f->at;
	struct admin_route *route = member;

	switch (f->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
		if (!slice_is_text(slice_str(text)))
			return "it holds octets that are not printable UTF-8";
		*(const char **)member = cli_dup(c, slice_trim(slice_str(text)));
		return NULL;
	case COLUMN_BOOL:
		return read_bool(c, text, member);
	case COLUMN_NUMBER:
	case COLUMN_SMALL:
	case COLUMN_SIZE:
		return set_number(c, f, text, member);
	case COLUMN_WORD:
		return read_word(c, f, text, member);
	case COLUMN_DATE:
		return read_date(c, text, member);
	case COLUMN_PEM:
		if (*text && !strstr(text, "-----BEGIN CERTIFICATE-----"))
			return "it is no certificate in PEM form";
		*(const char **)member = cli_dup(c, slice_str(text));
		return NULL;
	case COLUMN_HOST:
		return read_host(c, text, member);
	case COLUMN_PIN:
		return read_pin(c, text, member);
	case COLUMN_LIST:
		return read_list(c, text, member);
	case COLUMN_ROUTE:
		return read_route(text, &route->kind, &route->profile, false);
	case COLUMN_FALLBACK:
		return read_route(text, &route->fallback, &route->fallback_profile, true);
	case COLUMN_ROUTE_IDS:
		break;
	}
	return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static const char *
write_date(struct cli *c, int64_t v)
{
	char text[32];
	struct tm tm;
	time_t t = (time_t)v;

	if (v == 0 || !gmtime_r(&t, &tm))
		return "";
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return cli_dup(c, slice_str(text));
}

static const char *
write_route(struct cli *c, enum route_kind kind, const char *profile, const char *otherwise)
{
	if (kind == ROUTE_NATIVE)
		return "native";
	return kind == ROUTE_PROFILE ? cli_dup(c, slice_str(profile)) : otherwise;
}

const char *
field_write(struct cli *c, const struct column *f, const void *row)
{
	const void *member = (const char *)row + f->at;
	const struct admin_route *route = member;
	unsigned word;

	switch (f->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_PEM:
	case COLUMN_HOST:
	case COLUMN_PIN:
	case COLUMN_LIST:
		return cli_dup(c, slice_str(*(const char *const *)member));
	case COLUMN_BOOL:
		return *(const bool *)member ? "yes" : "no";
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		return cli_print(c, "%llu", (unsigned long long)*(const uint64_t *)member);
	case COLUMN_SMALL:
		return cli_print(c, "%u", *(const unsigned *)member);
	case COLUMN_WORD:
		memcpy(&word, member, sizeof(word));
		return word < f->words->n ? f->words->list[word].word : "";
	case COLUMN_DATE:
		return write_date(c, *(const int64_t *)member);
	case COLUMN_ROUTE:
		return write_route(c, route->kind, route->profile, "inherit");
	case COLUMN_FALLBACK:
		return write_route(c, route->fallback, route->fallback_profile, "none");
	case COLUMN_ROUTE_IDS:
		break;
	}
	return "";
}

bool
field_same(const struct column *f, const char *a, const char *b)
{
	bool nocase = f->type == COLUMN_NAME || f->type == COLUMN_LIST || f->type == COLUMN_ROUTE ||
	    f->type == COLUMN_FALLBACK;

	return nocase ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

static void
list_json(struct json *j, const struct column *f, const char *text)
{
	struct slice rest = slice_str(text);

	json_open(j, f->name, '[');
	while (rest.n > 0) {
		struct slice name = slice_trim(slice_cut(&rest, ','));

		if (name.n > 0)
			json_str(j, NULL, name);
	}
	json_close(j, ']');
}

void
field_json(struct json *j, const struct column *f, const char *text)
{
	if (f->type == COLUMN_BOOL)
		json_bool(j, f->name, strcmp(text, "yes") == 0);
	else if (f->type == COLUMN_NUMBER || f->type == COLUMN_SMALL || f->type == COLUMN_SIZE)
		json_raw(j, f->name, slice_str(text));
	else if (f->type == COLUMN_LIST)
		list_json(j, f, text);
	else if (f->type == COLUMN_DATE && !*text)
		json_none(j, f->name);
	else
		json_str(j, f->name, slice_str(text));
}

const char *
field_brief(struct cli *c, const struct column *f, const char *text)
{
	unsigned certificates = 0;

	if ((f->flags & COLUMN_UNLIMITED) && strcmp(text, "0") == 0)
		return "unlimited";
	if (f->type != COLUMN_PEM || !*text)
		return text;
	for (const char *p = text; (p = strstr(p, "-----BEGIN CERTIFICATE-----")) != NULL; p++)
		certificates++;
	return cli_print(c, "%u certificate%s", certificates, certificates == 1 ? "" : "s");
}
