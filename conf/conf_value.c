/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "conf/option.h"
#include "wire/host.h"
#include "wire/path.h"

/* ---- numbers ---- */

static void
refuse(struct text *why, struct slice text, const char *what)
{
	text_char(why, '"');
	text_escaped(why, text, 80);
	text_fmt(why, "\" %s", what);
}

static void
expect(const struct conf_option *opt, struct text *why)
{
	text_put(why, SLICE(" (expected "));
	value_expected(opt, why);
	text_char(why, ')');
}

static bool
number_parse(struct slice text, const struct unit *u, uint64_t *v_r)
{
	size_t digits = 0;
	struct slice word;
	uint64_t v;

	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	if (!slice_to_u64(slice_head(text, digits), &v))
		return false;
	word = slice_skip(text, digits);
	for (; u->word; u++)
		if (slice_eq_nocase(slice_str(u->word), word))
			return !__builtin_mul_overflow(v, u->factor, v_r);
	return false;
}

static bool
set_number(const struct conf_option *opt, void *field, struct slice text, struct text *why)
{
	uint64_t v;

	if (!number_parse(text, value_units(opt->type), &v)) {
		refuse(why, text, "is not a number");
		expect(opt, why);
		return false;
	}
	if (v < opt->min || v > opt->max) {
		refuse(why, text, v < opt->min ? "is too small" : "is too large");
		expect(opt, why);
		return false;
	}
	if (opt->type == OPTION_SIZE)
		*(uint64_t *)field = v;
	else if (opt->type == OPTION_MEMORY)
		*(size_t *)field = (size_t)v;
	else
		*(unsigned *)field = (unsigned)v;
	return true;
}

/* ---- words ---- */

static bool
set_bool(const struct conf_option *opt, void *field, struct slice text, struct text *why)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		bool is_yes = slice_eq_nocase(slice_str(yes[i]), text);

		if (is_yes || slice_eq_nocase(slice_str(no[i]), text)) {
			*(bool *)field = is_yes;
			return true;
		}
	}
	refuse(why, text, "is neither yes nor no");
	expect(opt, why);
	return false;
}

static bool
set_choice(const struct conf_option *opt, void *field, struct slice text, struct text *why)
{
	struct guess g = { .word = text };

	for (unsigned i = 0; opt->words[i]; i++) {
		if (slice_eq(slice_str(opt->words[i]), text)) {
			/* An enum without negative values is an unsigned (conf_option.c asserts its
			 * size). */
			memcpy(field, &i, sizeof(i));
			return true;
		}
		guess_try(&g, opt->words[i]);
	}
	refuse(why, text, "is not one of the words here");
	expect(opt, why);
	if (g.best)
		text_fmt(why, "; did you mean \"%s\"?", g.best);
	return false;
}

/* RFC 5321 4.1.3: [192.0.2.1], [IPv6:2001:db8::1] */
static bool
is_literal(struct slice text)
{
	if (text.n < 3 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return false;
	text = slice_of(text.p + 1, text.n - 2);
	if (slice_starts_nocase(text, SLICE("IPv6:")))
		return host_is_address(slice_skip(text, 5), AF_INET6);
	return host_is_address(text, AF_INET);
}

/* What we say to others in EHLO: letters, digits and - alone (RFC 5321 2.3.5), and no address. */
static bool
is_own_name(struct slice text)
{
	return domain_is_valid(text, false) && host_is_normal(text) &&
	    !host_is_address(text, AF_INET);
}

static bool
fits_text(const struct conf_option *opt, struct slice text)
{
	if (opt->type == OPTION_DOMAIN)
		return is_own_name(text) || is_literal(text);
	return text.n >= opt->min && text.n <= opt->max;
}

static bool
out_of_memory(struct text *why)
{
	text_put(why, SLICE("out of memory"));
	return false;
}

static bool
set_text(struct conf_owned *o, const struct conf_option *opt, const char **field, struct slice text,
    struct text *why)
{
	if (!fits_text(opt, text)) {
		refuse(why, text, "cannot be");
		expect(opt, why);
		return false;
	}
	*field = arena_str(&o->mem, text);
	return *field || out_of_memory(why);
}

static bool
set_host(struct conf_owned *o, const char **field, struct slice text, struct text *why)
{
	char normal[HOST_MAX + 1];

	text_char(why, '"');
	text_escaped(why, text, HOST_MAX);
	text_put(why, SLICE("\": "));
	if (!host_normal(text, normal, why))
		return false;
	*field = arena_str(&o->mem, slice_str(normal));
	return *field || out_of_memory(why);
}

/* 64 hex digits; colons between are what openssl x509 -fingerprint prints. */
static bool
set_pin(struct conf_owned *o, const struct conf_option *opt, const char **field, struct slice text,
    struct text *why)
{
	char *pin = arena_zalloc(&o->mem, 65);
	size_t n = 0;

	if (!pin)
		return out_of_memory(why);
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == ':')
			continue;
		if (c >= 'A' && c <= 'F')
			c = (char)(c + ('a' - 'A'));
		if (n == 64 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
			n = 0;
			break;
		}
		pin[n++] = c;
	}
	if (n != 64) {
		refuse(why, text, "is not the SHA-256 of a certificate");
		expect(opt, why);
		return false;
	}
	*field = pin;
	return true;
}

/* ---- paths and secrets ---- */

/* Relative to the folder of the file that says it; $CREDENTIALS_DIRECTORY is systemd's. */
static bool
set_path(struct conf_owned *o, const struct conf_option *opt, const char **field, struct slice text,
    struct text *why)
{
	const struct slice variable = SLICE("$CREDENTIALS_DIRECTORY/");
	struct slice dir = o->dir;
	bool absolute = text.p[0] == '/' || slice_eq(text, SLICE("-")) || dir.n == 0;
	struct text path;
	char *mem;
	size_t cap;

	if (slice_starts(text, variable)) {
		dir = slice_str(getenv("CREDENTIALS_DIRECTORY"));
		if (dir.n == 0) {
			refuse(why, text,
			    "cannot be: CREDENTIALS_DIRECTORY is not in the environment");
			return false;
		}
		text = slice_skip(text, variable.n);
		absolute = false;
	} else if (text.p[0] == '$') {
		refuse(why, text, "begins with a variable: only $CREDENTIALS_DIRECTORY/ is known");
		return false;
	}
	cap = dir.n + 1 + text.n + 1;
	mem = arena_alloc(&o->mem, cap);
	if (!mem)
		return out_of_memory(why);
	path = text_over(mem, cap);
	if (!absolute) {
		text_put(&path, dir);
		if (dir.p[dir.n - 1] != '/')
			text_char(&path, '/');
	}
	text_put(&path, text);
	if (path.n > opt->max) {
		refuse(why, text, "is too long");
		text_fmt(why, " (expected a path of at most %u octets)", (unsigned)opt->max);
		return false;
	}
	*field = mem;
	return true;
}

/* FIELD points into the secret from now on. */
static bool
hold(struct conf_owned *o, const struct conf_option *opt, const char **field, struct secret *s,
    struct text *why)
{
	struct conf_held *h = arena_zalloc(&o->mem, sizeof(*h));

	if (!h) {
		secret_fini(s);
		return out_of_memory(why);
	}
	h->secret = *s;
	h->next = o->held;
	o->held = h;
	if (s->n < opt->min || s->n > opt->max || !slice_is_text(secret_peek(s))) {
		text_fmt(why, "not a line of text of 1 to %u octets", (unsigned)opt->max);
		return false;
	}
	*field = s->p;
	return true;
}

static bool
set_secret(struct conf_owned *o, const struct conf_option *opt, const char **field,
    struct slice text, struct text *why)
{
	struct secret s;

	if (!secret_init(&s, text))
		return out_of_memory(why);
	return hold(o, opt, field, &s, why);
}

/* password_file: the path into its own field, the content into password's. */
static bool
set_secret_file(struct conf_owned *o, const struct conf_option *opt, void *base, struct slice text,
    struct text *why)
{
	struct slice twin = slice_head(slice_str(opt->key), strlen(opt->key) - strlen("_file"));
	const struct conf_option *of = option_find(opt->section, twin);
	const char **path = (const char **)((char *)base + opt->at);
	struct secret s;
	char words[512];

	if (!set_path(o, opt, path, text, why))
		return false;
	if (!secret_read_file(&s, *path, false, words, sizeof(words))) {
		text_put(why, slice_str(words));
		return false;
	}
	if (hold(o, of, (const char **)((char *)base + of->at), &s, why))
		return true;
	text_fmt(why, " in %s", *path);
	return false;
}

/* ---- lists ---- */

/* Takes the next word of a list (blanks or commas between). */
static bool
word_next(struct slice *rest, struct slice *word_r)
{
	size_t n = 0;

	while (rest->n && strchr(" \t,", rest->p[0]))
		*rest = slice_skip(*rest, 1);
	while (n < rest->n && !strchr(" \t,", rest->p[n]))
		n++;
	*word_r = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return n > 0;
}

static bool
address_parse(struct slice text, struct conf_address *a_r)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a_r->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a_r->addr;
	char host[INET6_ADDRSTRLEN];
	struct slice port;
	size_t colon = text.n;
	uint64_t n;

	while (colon > 0 && text.p[colon - 1] != ':')
		colon--;
	if (colon < 2)
		return false;
	port = slice_skip(text, colon);
	text = slice_head(text, colon - 1);
	if (port.n > 5 || !slice_to_u64(port, &n) || n == 0 || n > 65535)
		return false;
	if (text.p[0] == '[' && text.p[text.n - 1] == ']' && text.n > 2) {
		text = slice_of(text.p + 1, text.n - 2);
		a_r->len = sizeof(*v6);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)n);
	} else {
		a_r->len = sizeof(*v4);
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)n);
	}
	if (text.n >= sizeof(host) || memchr(text.p, '\0', text.n))
		return false;
	memcpy(host, text.p, text.n);
	host[text.n] = '\0';
	if (a_r->len == sizeof(*v6))
		return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

static size_t
element_size(enum option_type type)
{
	if (type == OPTION_NETWORKS)
		return sizeof(struct net);
	if (type == OPTION_ADDRESSES)
		return sizeof(struct conf_address);
	return type == OPTION_PORTS ? sizeof(unsigned) : sizeof(const char *);
}

static bool
set_element(struct conf_owned *o, const struct conf_option *opt, void *list, size_t i,
    struct slice word, struct text *why)
{
	uint64_t port;

	if (opt->type == OPTION_NETWORKS) {
		if (net_parse(word, &((struct net *)list)[i]))
			return true;
		refuse(why, word, "is not a network, or has bits behind its prefix");
	} else if (opt->type == OPTION_PORTS) {
		if (slice_to_u64(word, &port) && port >= 1 && port <= 65535) {
			((unsigned *)list)[i] = (unsigned)port;
			return true;
		}
		refuse(why, word, "is not a port");
	} else if (opt->type == OPTION_ADDRESSES) {
		struct conf_address *a = &((struct conf_address *)list)[i];

		a->text = arena_str(&o->mem, word);
		if (!a->text)
			return out_of_memory(why);
		if (address_parse(word, a))
			return true;
		refuse(why, word, "is not a numeric address with a port");
	} else {
		((const char **)list)[i] = arena_str(&o->mem, word);
		return ((const char **)list)[i] || out_of_memory(why);
	}
	expect(opt, why);
	return false;
}

static bool
set_list(struct conf_owned *o, const struct conf_option *opt, void *base, struct slice text,
    struct text *why)
{
	struct slice rest = text, word;
	size_t n = 0;
	void *list;

	while (word_next(&rest, &word))
		n++;
	if (n < opt->min || n > opt->max) {
		text_fmt(why, "%zu in the list", n);
		text_fmt(why, " (expected %u to %u: ", (unsigned)opt->min, (unsigned)opt->max);
		value_expected(opt, why);
		text_char(why, ')');
		return false;
	}
	list = arena_zalloc(&o->mem, (n ? n : 1) * element_size(opt->type));
	if (!list)
		return out_of_memory(why);
	rest = text;
	for (size_t i = 0; word_next(&rest, &word); i++)
		if (!set_element(o, opt, list, i, word, why))
			return false;
	memcpy((char *)base + opt->at, &list, sizeof(list));
	*(size_t *)((char *)base + opt->count_at) = n;
	return true;
}

/* ---- in and out ---- */

/* Nothing behind the sign: none, where none is possible. */
static bool
set_none(const struct conf_option *opt, void *base, struct text *why)
{
	if (!opt->fallback || *opt->fallback) {
		text_put(why, SLICE("empty"));
		expect(opt, why);
		return false;
	}
	if (value_is_list(opt->type))
		*(size_t *)((char *)base + opt->count_at) = 0;
	else
		*(const char **)((char *)base + opt->at) = NULL;
	return true;
}

bool
value_set(struct conf_owned *o, const struct conf_option *opt, void *base, struct slice text,
    struct text *why)
{
	char *field = (char *)base + opt->at;

	if (text.n == 0)
		return set_none(opt, base, why);
	switch (opt->type) {
	case OPTION_BOOL:
		return set_bool(opt, field, text, why);
	case OPTION_UNSIGNED:
	case OPTION_SIZE:
	case OPTION_MEMORY:
	case OPTION_SECONDS:
	case OPTION_MILLIS:
		return set_number(opt, field, text, why);
	case OPTION_CHOICE:
		return set_choice(opt, field, text, why);
	case OPTION_STRING:
	case OPTION_DOMAIN:
		return set_text(o, opt, (const char **)field, text, why);
	case OPTION_HOST:
		return set_host(o, (const char **)field, text, why);
	case OPTION_PATH:
		return set_path(o, opt, (const char **)field, text, why);
	case OPTION_PIN:
		return set_pin(o, opt, (const char **)field, text, why);
	case OPTION_SECRET:
		return set_secret(o, opt, (const char **)field, text, why);
	case OPTION_SECRET_FILE:
		return set_secret_file(o, opt, base, text, why);
	case OPTION_NETWORKS:
	case OPTION_PORTS:
	case OPTION_WORDS:
	case OPTION_ADDRESSES:
		return set_list(o, opt, base, text, why);
	}
	return false;
}
