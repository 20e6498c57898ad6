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

/* sub-domain = Let-dig [Ldh-str] / U-label; EXTRA: octets that are let pass too. */
static bool
label_is_valid(struct slice label, bool utf8, struct slice extra)
{
	bool high = false;

	if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		char c = label.p[i];

		if (is_high(c) && utf8)
			high = true;
		else if (!is_alnum(c) && c != '-' && slice_find(extra, c) == extra.n)
			return false;
	}
	/* The limit is one of the ASCII form; how long a UTF-8 label's is only IDNA knows. */
	return high || label.n <= LABEL_MAX;
}

static bool
labels_are_valid(struct slice domain, bool utf8, struct slice extra)
{
	struct slice rest = domain;

	if (domain.n == 0 || domain.n > DOMAIN_MAX || domain.p[domain.n - 1] == '.')
		return false;
	while (rest.n > 0)
		if (!label_is_valid(slice_cut(&rest, '.'), utf8, extra))
			return false;
	return slice_is_text(domain);
}

bool
domain_is_valid(struct slice domain, bool utf8)
{
	return labels_are_valid(domain, utf8, SLICE(""));
}

/* A mail domain as people have it: names in the DNS hold _, and mail is sent to them. */
static bool
is_mail_domain(struct slice domain, bool *loose)
{
	if (domain_is_valid(domain, true))
		return true;
	*loose = true;
	return labels_are_valid(domain, true, SLICE("_"));
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

/*
 * Atoms with dots anywhere: how many octets of it S starts with. HP's iLO sends from <ilo.@x>, and
 * Japanese carriers gave out a..b@. Dots alone are nobody.
 */
static size_t
loose_string(struct slice s)
{
	size_t atext = 0;
	size_t i = 0;

	for (; i < s.n && (is_atext(s.p[i]) || s.p[i] == '.'); i++)
		atext += s.p[i] != '.';
	return atext > 0 ? i : 0;
}

static bool
take_quoted(struct slice *rest, struct path *path)
{
	size_t n = quoted_string(*rest);

	if (n == 0 || n > LOCAL_MAX)
		return false;
	path->quoted = true;
	path->local = slice_of(rest->p + 1, n - 2);
	*rest = slice_skip(*rest, n);
	return true;
}

static bool
take_local(struct slice *rest, struct path *path)
{
	if (rest->n > 0 && rest->p[0] == '"')
		return take_quoted(rest, path) && slice_is_text(path->local);
	size_t n = loose_string(*rest);

	/* What is no dot-string is one between quotes; atoms and dots need no backslash there. */
	path->quoted = dot_string(*rest) != n;
	path->loose |= path->quoted;
	if (n == 0 || n > LOCAL_MAX - (path->quoted ? 2u : 0u))
		return false;
	path->local = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return slice_is_text(path->local);
}

/* S is all that should be a domain. */
static bool
set_domain(struct slice s, struct path *path)
{
	path->domain = s;
	if (s.n > 0 && s.p[0] == '[')
		return address_literal_is_valid(s);
	return is_mail_domain(s, &path->loose);
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

/* INSIDE is all that stands between < and >. */
static bool
read_inside(struct slice inside, enum path_use use, struct path *path)
{
	struct slice s = slice_trim(inside);

	path->loose = s.n != inside.n;
	if (s.n == 0) {
		path->null = true;
		return use == PATH_REVERSE;
	}
	if (use == PATH_FORWARD && slice_eq_nocase(s, SLICE("Postmaster"))) {
		path->local = s;
		return true;
	}
	return skip_route(&s) && mailbox(s, path);
}

/* Octets of the address without < > that S starts with: up to a blank that no quotes hold. */
static size_t
bare_length(struct slice s)
{
	size_t local = s.n > 0 && s.p[0] == '"' ? quoted_string(s) : 0;

	return local + slice_find(slice_skip(s, local), ' ');
}

bool
path_parse(struct slice *rest, enum path_use use, struct path *path_r)
{
	struct path path = { .local = SLICE(""), .domain = SLICE("") };
	bool angle = slice_starts(*rest, SLICE("<"));
	size_t n = angle ? slice_find(*rest, '>') : bare_length(*rest);

	/* Nothing at all is not the null path. */
	if (n == 0 || (angle && n == rest->n))
		return false;
	if (!read_inside(angle ? slice_of(rest->p + 1, n - 1) : slice_head(*rest, n), use, &path))
		return false;
	path.loose |= !angle;
	*rest = slice_skip(*rest, angle ? n + 1 : n);
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
