/* SPDX-License-Identifier: Apache-2.0 */
#include "console/field.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "conf/directory/admin.h"
#include "wire/pin.h"

/* ---- reading --------------------------------------------------------------------------------- */

static const char *
not_one_of(struct cli *c, const char *text, const char *const *words)
{
	const char *meant = cli_meant(text, words);
	const char *all = words[0];

	for (size_t i = 1; words[i]; i++)
		all = cli_print(c, "%s, %s", all, words[i]);
	if (meant)
		return cli_print(c, "'%s' is not one of %s; did you mean %s?", text, all, meant);
	return cli_print(c, "'%s' is not one of %s", text, all);
}

/* paused-owner is paused_owner. */
static bool
same_word(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (tolower((unsigned char)*a) != *b && !(*a == '-' && *b == '_'))
			return false;
	return *a == *b;
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
read_number(struct cli *c, const struct field *f, const char *text, uint64_t *v_r)
{
	struct slice s = slice_trim(slice_str(text));
	uint64_t unit = 1, v;
	uint64_t max = f->max ? f->max : f->type == FIELD_SMALL ? UINT32_MAX : INT64_MAX;

	if ((f->flags & FIELD_UNLIMITED) && same_word(text, "unlimited")) {
		*v_r = 0;
		return NULL;
	}
	if (f->type == FIELD_SIZE && s.n > 1) {
		char last = (char)toupper((unsigned char)s.p[s.n - 1]);

		unit = last == 'K' ? 1 << 10 : last == 'M' ? 1 << 20 : last == 'G' ? 1 << 30 : 1;
		s.n -= unit > 1;
	}
	if (!slice_to_u64(s, &v) || __builtin_mul_overflow(v, unit, &v) || v > max || v < f->min)
		return cli_print(c, "'%s' is not a number from %llu to %llu%s", text,
		    (unsigned long long)f->min, (unsigned long long)max,
		    f->type == FIELD_SIZE ? ", with K, M or G if you like" : "");
	*v_r = v;
	return NULL;
}

static const char *
read_word(struct cli *c, const struct field *f, const char *text, void *member)
{
	for (unsigned i = 0; f->words[i]; i++) {
		if (same_word(text, f->words[i])) {
			memcpy(member, &i, sizeof(i));
			return NULL;
		}
	}
	return not_one_of(c, text, f->words);
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
set_number(struct cli *c, const struct field *f, const char *text, void *member)
{
	uint64_t v = 0;
	const char *why = read_number(c, f, text, &v);

	if (f->type == FIELD_SMALL)
		*(unsigned *)member = (unsigned)v;
	else
		*(uint64_t *)member = v;
	return why;
}

const char *
field_read(struct cli *c, const struct field *f, const char *text, void *row)
{
	void *member = (char *)row + f->offset;
	struct admin_route *route = member;

	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_NAME:
		if (!slice_is_text(slice_str(text)))
			return "it holds octets that are not printable UTF-8";
		*(const char **)member = cli_dup(c, slice_trim(slice_str(text)));
		return NULL;
	case FIELD_BOOL:
		return read_bool(c, text, member);
	case FIELD_NUMBER:
	case FIELD_SMALL:
	case FIELD_SIZE:
		return set_number(c, f, text, member);
	case FIELD_WORD:
		return read_word(c, f, text, member);
	case FIELD_DATE:
		return read_date(c, text, member);
	case FIELD_PEM:
		if (*text && !strstr(text, "-----BEGIN CERTIFICATE-----"))
			return "it is no certificate in PEM form";
		*(const char **)member = cli_dup(c, slice_str(text));
		return NULL;
	case FIELD_PIN:
		return read_pin(c, text, member);
	case FIELD_LIST:
		return read_list(c, text, member);
	case FIELD_ROUTE:
		return read_route(text, &route->kind, &route->profile, false);
	case FIELD_FALLBACK:
		return read_route(text, &route->fallback, &route->fallback_profile, true);
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
field_write(struct cli *c, const struct field *f, const void *row)
{
	const void *member = (const char *)row + f->offset;
	const struct admin_route *route = member;
	unsigned word;

	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_NAME:
	case FIELD_PEM:
	case FIELD_PIN:
	case FIELD_LIST:
		return cli_dup(c, slice_str(*(const char *const *)member));
	case FIELD_BOOL:
		return *(const bool *)member ? "yes" : "no";
	case FIELD_NUMBER:
	case FIELD_SIZE:
		return cli_print(c, "%llu", (unsigned long long)*(const uint64_t *)member);
	case FIELD_SMALL:
		return cli_print(c, "%u", *(const unsigned *)member);
	case FIELD_WORD:
		memcpy(&word, member, sizeof(word));
		return f->words[word];
	case FIELD_DATE:
		return write_date(c, *(const int64_t *)member);
	case FIELD_ROUTE:
		return write_route(c, route->kind, route->profile, "inherit");
	case FIELD_FALLBACK:
		return write_route(c, route->fallback, route->fallback_profile, "none");
	}
	return "";
}

bool
field_same(const struct field *f, const char *a, const char *b)
{
	bool nocase = f->type == FIELD_NAME || f->type == FIELD_LIST || f->type == FIELD_ROUTE ||
	    f->type == FIELD_FALLBACK;

	return nocase ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

static void
list_json(struct json *j, const struct field *f, const char *text)
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
field_json(struct json *j, const struct field *f, const char *text)
{
	if (f->type == FIELD_BOOL)
		json_bool(j, f->name, strcmp(text, "yes") == 0);
	else if (f->type == FIELD_NUMBER || f->type == FIELD_SMALL || f->type == FIELD_SIZE)
		json_raw(j, f->name, slice_str(text));
	else if (f->type == FIELD_LIST)
		list_json(j, f, text);
	else if (f->type == FIELD_DATE && !*text)
		json_null(j, f->name);
	else
		json_str(j, f->name, slice_str(text));
}

const char *
field_brief(struct cli *c, const struct field *f, const char *text)
{
	unsigned certificates = 0;

	if ((f->flags & FIELD_UNLIMITED) && strcmp(text, "0") == 0)
		return "unlimited";
	if (f->type != FIELD_PEM || !*text)
		return text;
	for (const char *p = text; (p = strstr(p, "-----BEGIN CERTIFICATE-----")) != NULL; p++)
		certificates++;
	return cli_print(c, "%u certificate%s", certificates, certificates == 1 ? "" : "s");
}
