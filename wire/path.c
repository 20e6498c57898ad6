/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/path.h"

#include <arpa/inet.h>

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, PATH_MAX_OCTETS = 256, LABEL_MAX = 63 };

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_high(char c)
{
	return (uint8_t)c >= 0x80;
}

/* RFC 5321 atext; RFC 6531, 3.3 adds UTF-8. */
static bool
is_atext(char c)
{
	return is_alnum(c) || is_high(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool
has_high(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_high(s.p[i]))
			return true;
	return false;
}

/* ---- domains --------------------------------------------------------------------------------- */

/* sub-domain = Let-dig [Ldh-str] / U-label */
static bool
label_is_valid(struct slice label, bool utf8)
{
	bool high = false;

	if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		if (is_high(label.p[i]) && utf8)
			high = true;
		else if (!is_alnum(label.p[i]) && label.p[i] != '-')
			return false;
	}
	/* The limit is one of the ASCII form; how long a UTF-8 label's is only IDNA knows. */
	return high || label.n <= LABEL_MAX;
}

bool
domain_is_valid(struct slice domain, bool utf8)
{
	struct slice rest = domain;

	if (domain.n == 0 || domain.n > DOMAIN_MAX || domain.p[domain.n - 1] == '.')
		return false;
	while (rest.n > 0)
		if (!label_is_valid(slice_cut(&rest, '.'), utf8))
			return false;
	return slice_is_text(domain);
}

/* RFC 5321, 4.1.3; general literals are of no use to anybody. */
bool
address_literal_is_valid(struct slice literal)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t addr[16];
	int family = AF_INET;

	if (literal.n < 2 || literal.p[0] != '[' || literal.p[literal.n - 1] != ']')
		return false;

	struct slice inside = slice_of(literal.p + 1, literal.n - 2);

	if (slice_starts_nocase(inside, SLICE("IPv6:"))) {
		inside = slice_skip(inside, 5);
		family = AF_INET6;
	}
	if (inside.n == 0 || inside.n >= sizeof(z) || !slice_is_ascii(inside))
		return false;
	memcpy(z, inside.p, inside.n);
	z[inside.n] = '\0';
	return inet_pton(family, z, addr) == 1;
}

/* ---- local parts ----------------------------------------------------------------------------- */

/* Dot-string = Atom *("." Atom): how many octets of it S starts with, 0 for none. */
static size_t
dot_string(struct slice s)
{
	size_t i = 0;

	for (;;) {
		size_t atom = i;

		while (i < s.n && is_atext(s.p[i]))
			i++;
		if (i == atom)
			return 0;
		if (i == s.n || s.p[i] != '.')
			return i;
		i++;
	}
}

/*
 * Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE: its length with the quotes, 0 for
 * none. We differ from RFC 5321, 4.1.2: < and > are refused, since servers exist that look for the
 * end of a path without regard to quotes (THREATS A2).
 */
static size_t
quoted_string(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"')
			return i + 1;
		if (c == '\\' && ++i < s.n) {
			c = s.p[i];
			if (is_high(c))
				return 0;
		}
		if (c == '<' || c == '>' || c == 0x7f || (uint8_t)c < 0x20)
			return 0;
	}
	return 0;
}

static bool
take_local(struct slice *rest, struct path *path)
{
	path->quoted = rest->n > 0 && rest->p[0] == '"';

	size_t n = path->quoted ? quoted_string(*rest) : dot_string(*rest);

	if (n == 0 || n > LOCAL_MAX)
		return false;
	path->local = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	if (path->quoted)
		path->local = slice_of(path->local.p + 1, n - 2);
	return slice_is_text(path->local);
}

/* S is all that should be a domain. */
static bool
set_domain(struct slice s, struct path *path)
{
	path->domain = s;
	if (s.n > 0 && s.p[0] == '[')
		return address_literal_is_valid(s);
	return domain_is_valid(s, true);
}

/* Mailbox = Local-part "@" ( Domain / address-literal ), all of S; S is cut at the '>' already,
 * which no domain and no local part of ours holds. */
static bool
mailbox(struct slice s, struct path *path)
{
	if (!take_local(&s, path))
		return false;
	if (s.n == 0 || s.p[0] != '@')
		return false;
	if (!set_domain(slice_skip(s, 1), path))
		return false;
	path->utf8 = has_high(path->local) || has_high(path->domain);
	return path->local.n + path->domain.n + (path->quoted ? 2 : 0) + sizeof("<@>") - 1 <=
	    PATH_MAX_OCTETS;
}

/* A-d-l = At-domain *( "," At-domain ) ":": checked and dropped, as RFC 5321, 4.1.1.3 and appendix
 * C ask. */
static bool
skip_route(struct slice *s)
{
	if (s->n == 0 || s->p[0] != '@')
		return true;
	if (slice_find(*s, ':') == s->n)
		return false;

	struct slice route = slice_cut(s, ':');

	if (route.p[route.n - 1] == ',')
		return false;
	while (route.n > 0) {
		struct slice hop = slice_cut(&route, ',');

		if (!slice_starts(hop, SLICE("@")) || !domain_is_valid(slice_skip(hop, 1), true))
			return false;
	}
	return true;
}

bool
path_parse(struct slice *rest, enum path_use use, struct path *path_r)
{
	struct path path = { .local = SLICE(""), .domain = SLICE("") };
	size_t close = slice_find(*rest, '>');

	if (!slice_starts(*rest, SLICE("<")) || close == rest->n)
		return false;

	struct slice inside = slice_of(rest->p + 1, close - 1);

	if (inside.n == 0 && use == PATH_REVERSE) {
		path.null = true;
	} else if (use == PATH_FORWARD && slice_eq_nocase(inside, SLICE("Postmaster"))) {
		path.local = inside;
	} else if (!skip_route(&inside) || !mailbox(inside, &path)) {
		return false;
	}
	*rest = slice_skip(*rest, close + 1);
	*path_r = path;
	return true;
}

bool
path_parse_bare(struct slice addr, struct path *path_r)
{
	struct path path = { .local = SLICE(""), .domain = SLICE("") };

	if (!mailbox(addr, &path))
		return false;
	*path_r = path;
	return true;
}

/* ---- written anew ---------------------------------------------------------------------------- */

/* The octet that a quoted string's I holds; steps over a backslash. */
static char
unquoted(struct slice s, size_t *i)
{
	if (s.p[*i] == '\\' && *i + 1 < s.n)
		++*i;
	return s.p[*i];
}

static bool
needs_quotes(struct slice local)
{
	char plain[LOCAL_MAX];
	size_t n = 0;

	for (size_t i = 0; i < local.n && n < sizeof(plain); i++)
		plain[n++] = unquoted(local, &i);
	return n == 0 || dot_string(slice_of(plain, n)) != n;
}

static void
write_quoted(struct text *t, struct slice local)
{
	bool quotes = needs_quotes(local);

	if (quotes)
		text_char(t, '"');
	for (size_t i = 0; i < local.n; i++) {
		char c = unquoted(local, &i);

		if (c == '"' || c == '\\')
			text_char(t, '\\');
		text_char(t, c);
	}
	if (quotes)
		text_char(t, '"');
}

void
path_write(struct text *t, const struct path *path)
{
	if (path->null)
		return;
	if (path->quoted)
		write_quoted(t, path->local);
	else
		text_put(t, path->local);
	if (path->domain.n > 0) {
		text_char(t, '@');
		text_put(t, path->domain);
	}
}
