/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mailbox.h"

/* The value that is being read, and where its addresses go. */
struct reader {
	struct slice rest;
	struct mailboxes *all;
};

/* Words with dots between, gathered before it is known whether they are a name or a local part. */
struct words {
	size_t start; /* in the result's memory: the words without quotes, the dots among them */
	unsigned n;
	bool quoted; /* one of them was */
	bool dotted; /* a dot stands between any two: word *("." word) */
	bool dot;    /* the last thing was a dot */
};

static char
peek(const struct reader *r)
{
	return r->rest.n > 0 ? r->rest.p[0] : '\0';
}

static void
step(struct reader *r)
{
	r->rest = slice_skip(r->rest, 1);
}

static bool
keep(struct reader *r, char c)
{
	if (r->all->used == sizeof(r->all->mem))
		return false;
	r->all->mem[r->all->used++] = c;
	return true;
}

/* atext, RFC 5322 3.2.3, and UTF-8, RFC 6532 3.2 */
static bool
is_atext(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (uint8_t)c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* comment = "(" *([FWS] ccontent) [FWS] ")", nested */
static bool
skip_comment(struct reader *r)
{
	unsigned depth = 0;

	do {
		char c = peek(r);

		if (r->rest.n == 0)
			return false;
		step(r);
		if (c == '\\' && r->rest.n == 0)
			return false;
		if (c == '\\')
			step(r);
		else if (c == '(' && ++depth > MAILBOX_DEPTH)
			return false;
		else if (c == ')')
			depth--;
	} while (depth > 0);
	return true;
}

static bool
skip_cfws(struct reader *r)
{
	for (;;) {
		if (peek(r) == ' ' || peek(r) == '\t')
			step(r);
		else if (peek(r) != '(')
			return true;
		else if (!skip_comment(r))
			return false;
	}
}

/* The inside of a quoted string is kept as it is, backslashes too. */
static bool
take_quoted(struct reader *r)
{
	step(r);
	while (r->rest.n > 0) {
		char c = peek(r);

		step(r);
		if (c == '"')
			return true;
		if (!keep(r, c))
			return false;
		if (c == '\\') {
			if (r->rest.n == 0 || !keep(r, peek(r)))
				return false;
			step(r);
		}
	}
	return false;
}

static bool
take_atom(struct reader *r)
{
	while (is_atext(peek(r))) {
		if (!keep(r, peek(r)))
			return false;
		step(r);
	}
	return true;
}

/* phrase, obs-phrase, local-part and obs-local-part: all the words and dots that stand here. */
static bool
take_words(struct reader *r, struct words *w)
{
	*w = (struct words){ .start = r->all->used, .dotted = true };
	for (;;) {
		if (!skip_cfws(r))
			return false;

		char c = peek(r);

		if (c == '.') {
			if (w->n == 0 || w->dot)
				w->dotted = false;
			w->dot = true;
			step(r);
			if (!keep(r, c))
				return false;
			continue;
		}
		if (c != '"' && !is_atext(c))
			return true;
		if (w->n > 0 && !w->dot)
			w->dotted = false;
		if (!(c == '"' ? take_quoted(r) : take_atom(r)))
			return false;
		w->quoted |= c == '"';
		w->dot = false;
		w->n++;
	}
}

/*
 * Some programs decode even where nothing may be encoded, and then find another address (RFC 2047
 * 5).
 */
static bool
is_encoded_word(struct slice s)
{
	return s.n >= 4 && slice_starts(s, SLICE("=?")) &&
	    slice_eq(slice_skip(s, s.n - 2), SLICE("?="));
}

/* The words from START on become a local part, in quotes if one of them was. */
static bool
close_local(struct reader *r, const struct words *w)
{
	struct mailboxes *all = r->all;
	size_t n = all->used - w->start;

	if (w->n == 0 || !w->dotted || w->dot || is_encoded_word(slice_of(all->mem + w->start, n)))
		return false;
	if (!w->quoted)
		return true;
	if (sizeof(all->mem) - all->used < 2)
		return false;
	memmove(all->mem + w->start + 1, all->mem + w->start, n);
	all->mem[w->start] = '"';
	all->mem[w->start + 1 + n] = '"';
	all->used += 2;
	return true;
}

static bool
take_literal(struct reader *r)
{
	size_t end = slice_find(r->rest, ']');

	if (end == r->rest.n)
		return false;
	for (size_t i = 0; i <= end; i++)
		if (!keep(r, r->rest.p[i]))
			return false;
	r->rest = slice_skip(r->rest, end + 1);
	return true;
}

/*
 * domain = dot-atom / domain-literal / obs-domain, with blanks and comments where they may be;
 * path.h judges what came of it.
 */
static bool
take_domain(struct reader *r)
{
	if (!skip_cfws(r))
		return false;
	if (peek(r) == '[')
		return take_literal(r) && skip_cfws(r);
	for (;;) {
		if (!is_atext(peek(r)) || !take_atom(r) || !skip_cfws(r))
			return false;
		if (peek(r) != '.')
			return true;
		step(r);
		if (!keep(r, '.') || !skip_cfws(r))
			return false;
	}
}

/* The rest of an addr-spec, from the '@' on. */
static bool
finish_address(struct reader *r, const struct words *w)
{
	struct mailboxes *all = r->all;

	if (all->n == MAILBOXES_MAX || peek(r) != '@' || !close_local(r, w))
		return false;
	step(r);
	if (!keep(r, '@') || !take_domain(r))
		return false;
	if (!path_parse_bare(slice_of(all->mem + w->start, all->used - w->start), &all->at[all->n]))
		return false;
	all->n++;
	return true;
}

/* obs-route = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain]) ":": read and dropped. */
static bool
skip_route(struct reader *r)
{
	size_t start = r->all->used;
	bool any = false;

	for (;;) {
		if (!skip_cfws(r))
			return false;
		if (peek(r) == ',') {
			step(r);
		} else if (peek(r) == '@') {
			step(r);
			if (!take_domain(r) || (peek(r) != ',' && peek(r) != ':'))
				return false;
			any = true;
		} else if (peek(r) == ':' && any) {
			step(r);
			break;
		} else {
			return false;
		}
	}
	r->all->used = start;
	return true;
}

/* angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS] */
static bool
take_angle(struct reader *r)
{
	struct words w;

	step(r);
	if (!skip_cfws(r))
		return false;
	if ((peek(r) == '@' || peek(r) == ',') && !skip_route(r))
		return false;
	if (!take_words(r, &w) || !finish_address(r, &w) || peek(r) != '>')
		return false;
	step(r);
	return skip_cfws(r);
}

/* One address; or the start of a group, which then is OPEN: none inside another. */
static bool
take_address(struct reader *r, bool *open)
{
	struct words w;

	if (!take_words(r, &w))
		return false;
	if (peek(r) == '@')
		return finish_address(r, &w);
	r->all->used = w.start; /* a name; phrases begin with a word */
	if (w.n == 0 && w.dot)
		return false;
	if (peek(r) == '<')
		return take_angle(r);
	if (peek(r) != ':' || w.n == 0 || *open)
		return false;
	step(r);
	*open = true;
	return true;
}

/*
 * Addresses and groups (display-name ":" [group-list] ";") with commas between, all of the value.
 * Empty ones count for nothing (obs-addr-list). The one level of a group is a flag: nothing
 * recurses.
 */
static bool
take_list(struct reader *r)
{
	bool open = false;
	bool parted = true; /* an address may come */

	for (;;) {
		if (!skip_cfws(r))
			return false;
		if (r->rest.n == 0)
			return !open;
		if (peek(r) == ',') {
			parted = true;
		} else if (peek(r) == ';' && open) {
			open = false;
			parted = false;
		} else {
			bool was = open;

			if (!parted || !take_address(r, &open))
				return false;
			parted = open && !was;
			continue;
		}
		step(r);
	}
}

/* ---- as people write it ---------------------------------------------------------------------- */

/* S becomes one more address, unless it is there already. */
static bool
add(struct mailboxes *all, struct slice s)
{
	struct path p;

	if (s.n > sizeof(all->mem) - all->used)
		return false;
	char *mem = all->mem + all->used;

	memcpy(mem, s.p, s.n);
	if (!path_parse_bare(slice_of(mem, s.n), &p) || is_encoded_word(p.local))
		return false;
	for (size_t i = 0; i < all->n; i++)
		if (slice_eq(all->at[i].local, p.local) && all->at[i].quoted == p.quoted &&
		    slice_eq_nocase(all->at[i].domain, p.domain))
			return true;
	if (all->n == MAILBOXES_MAX)
		return false;
	all->at[all->n++] = p;
	all->used += s.n;
	return true;
}

/* <address>, or <<address>> with as many brackets behind it as before. */
static bool
add_angle(struct reader *r)
{
	size_t brackets = 0;

	for (; peek(r) == '<'; step(r))
		brackets++;
	size_t n = slice_find(r->rest, '>');
	struct slice inside = slice_trim(slice_head(r->rest, n));

	for (r->rest = slice_skip(r->rest, n); brackets > 0 && peek(r) == '>'; step(r))
		brackets--;
	return brackets == 0 && add(r->all, inside);
}

/* Up to what parts words. */
static struct slice
take_word(struct reader *r)
{
	size_t n = 0;

	while (n < r->rest.n && !slice_has(SLICE(" \t,;:<>()\""), r->rest.p[n]))
		n++;

	struct slice word = slice_head(r->rest, n);

	r->rest = slice_skip(r->rest, n);
	if (word.n > 1 && word.p[0] == '\'' && word.p[word.n - 1] == '\'')
		word = slice_of(word.p + 1, word.n - 2);
	return word;
}

/*
 * What is no list of addresses by the grammar, but has them plainly (BEHAVIOUR S7): each <...>
 * and each word with an @ must be one, wherever it stands, and together they are all that any
 * program could take for the author. With a <...> the other words are a name for people; without
 * one there may be none.
 */
static bool
take_plain(struct reader *r)
{
	bool angle = false, words = false;

	while (r->rest.n > 0) {
		char c = peek(r);

		if (c == '<') {
			angle = true;
			if (!add_angle(r))
				return false;
		} else if (c == '>') {
			return false;
		} else if (slice_has(SLICE(" \t,;:()\""), c)) {
			words |= slice_has(SLICE(":()\""), c);
			step(r);
		} else {
			struct slice word = take_word(r);
			bool plain = slice_find(word, '@') == word.n;

			words |= plain;
			if (!plain && !add(r->all, word))
				return false;
		}
	}
	return r->all->n > 0 && (angle || !words);
}

static bool
read_by(struct slice value, struct mailboxes *all, bool (*take)(struct reader *r))
{
	struct reader r = { .rest = value, .all = all };

	all->n = 0;
	all->used = 0;
	return take(&r);
}

bool
mailboxes_parse(struct slice value, struct mailboxes *all_r)
{
	for (size_t i = 0; i < value.n; i++)
		if (((uint8_t)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	return read_by(value, all_r, take_list) || read_by(value, all_r, take_plain);
}
