/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_args - what stands behind MAIL, RCPT and BDAT
 */
#include "wire/command.h"

enum { SIZE_DIGITS_MAX = 20, ENVID_MAX = 100, ORCPT_MAX = 500 };

/* ---- pieces of the grammar ------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_upper_hex(char c)
{
	return is_digit(c) || (c >= 'A' && c <= 'F');
}

/*
 * xtext = *( xchar / hexchar ), RFC 3461, 4: printable but + and =; hexchar = "+" two upper-case
 * hex digits. What it stands for must be printable too (RFC 3461, 4.2 and 4.4): a server behind
 * us may write it into the lines of a report.
 */
static bool
is_printable_xtext(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c < '!' || c > '~' || c == '=')
			return false;
		if (c != '+')
			continue;
		if (s.n - i < 3 || !is_upper_hex(s.p[i + 1]) || !is_upper_hex(s.p[i + 2]))
			return false;

		int octet = hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]);

		if (octet < ' ' || octet > '~')
			return false;
		i += 2;
	}
	return true;
}

/* No control character (C0, DEL, C1), no surrogate, nothing beyond Unicode. */
static bool
is_printable_char(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && !(c >= 0xd800 && c <= 0xdfff) &&
	    c <= 0x10ffff;
}

/*
 * EmbeddedUnicodeChar = "\x{" 2 to 6 upper-case hex digits "}", RFC 6533, 3: its length, 0 for
 * none. Control characters are refused here as in xtext.
 */
static size_t
embedded_char(struct slice s)
{
	if (!slice_starts(s, SLICE("\\x{")))
		return 0;

	size_t close = slice_find(s, '}');

	if (close == s.n || close < 3 + 2 || close > 3 + 6)
		return 0;
	uint32_t c = 0;

	for (size_t i = 3; i < close; i++) {
		if (!is_upper_hex(s.p[i]))
			return 0;
		c = c << 4 | (uint32_t)hex_digit(s.p[i]);
	}
	return is_printable_char(c) ? close + 1 : 0;
}

/*
 * utf-8-addr-xtext, RFC 6533, 3: ASCII but + = and backslash, others embedded. Its form with bare
 * UTF-8 is refused: we could not tell at RCPT whether the upstream may have it.
 */
static bool
is_utf8_addr_xtext(struct slice s)
{
	while (s.n > 0) {
		char c = s.p[0];
		size_t n = c == '\\' ? embedded_char(s) : 1;

		if (n == 0 || c < '!' || c > '~' || c == '=' || c == '+')
			return false;
		s = slice_skip(s, n);
	}
	return true;
}

/*
 * original-recipient-address = addr-type ";" xtext, RFC 3461, 4.2. The type is any word of letters,
 * digits and hyphens, as all registered ones are.
 */
static bool
is_orcpt(struct slice s)
{
	if (s.n > ORCPT_MAX || slice_find(s, ';') == s.n)
		return false;

	struct slice type = slice_cut(&s, ';');

	if (type.n == 0 || s.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	return slice_eq_nocase(type, SLICE("utf-8")) ? is_utf8_addr_xtext(s)
	                                             : is_printable_xtext(s);
}

/*
 * esmtp-param = esmtp-keyword ["=" esmtp-value], RFC 5321, 4.1.2; keyword = (ALPHA / DIGIT)
 * *(ALPHA / DIGIT / "-"). Takes one off *REST. What a value may be, empty or not, is its row's
 * matter.
 */
struct param {
	struct slice key;
	struct slice value;
	bool has_value;
};

static bool
take_param(struct slice *rest, struct param *param_r)
{
	struct slice word = slice_cut(rest, ' ');
	size_t eq = slice_find(word, '=');
	struct param p = {
		.key = slice_head(word, eq),
		.value = slice_skip(word, eq + 1),
		.has_value = eq < word.n,
	};

	*rest = slice_trim(*rest);
	if (p.key.n == 0 || p.key.p[0] == '-')
		return false;
	for (size_t i = 0; i < p.key.n; i++)
		if (!is_alnum(p.key.p[i]) && p.key.p[i] != '-')
			return false;
	*param_r = p;
	return true;
}

/* ---- MAIL ------------------------------------------------------------------------------------ */

typedef enum args_fault param_fn(const struct param *p, void *out);

struct param_row {
	struct slice key;
	param_fn *take;
};

/* RFC 1870, 4: size-value = 1*20DIGIT */
static enum args_fault
take_size(const struct param *p, void *out)
{
	struct mail_args *m = out;

	if (p->value.n == 0 || p->value.n > SIZE_DIGITS_MAX)
		return ARGS_PARAM_BAD;
	for (size_t i = 0; i < p->value.n; i++)
		if (!is_digit(p->value.p[i]))
			return ARGS_PARAM_BAD;
	m->has_size = true;
	if (!slice_to_u64(p->value, &m->size))
		m->size = UINT64_MAX; /* digits they are: larger than any limit */
	return ARGS_OK;
}

static enum args_fault
take_body(const struct param *p, void *out)
{
	struct mail_args *m = out;

	m->has_body = true;
	if (slice_eq_nocase(p->value, SLICE("7BIT")))
		m->body = BODY_7BIT;
	else if (slice_eq_nocase(p->value, SLICE("8BITMIME")))
		m->body = BODY_8BITMIME;
	else if (slice_eq_nocase(p->value, SLICE("BINARYMIME")))
		m->body = BODY_BINARYMIME;
	else
		return ARGS_PARAM_BAD;
	return ARGS_OK;
}

static enum args_fault
take_smtputf8(const struct param *p, void *out)
{
	struct mail_args *m = out;

	m->smtputf8 = true;
	return p->has_value ? ARGS_PARAM_BAD : ARGS_OK;
}

static enum args_fault
take_ret(const struct param *p, void *out)
{
	struct mail_args *m = out;

	if (slice_eq_nocase(p->value, SLICE("FULL")))
		m->ret = RET_FULL;
	else if (slice_eq_nocase(p->value, SLICE("HDRS")))
		m->ret = RET_HDRS;
	else
		return ARGS_PARAM_BAD;
	return ARGS_OK;
}

static enum args_fault
take_envid(const struct param *p, void *out)
{
	struct mail_args *m = out;

	if (p->value.n == 0 || p->value.n > ENVID_MAX || !is_printable_xtext(p->value))
		return ARGS_PARAM_BAD;
	m->envid = p->value;
	return ARGS_OK;
}

/*
 * RFC 4954, 5: who submitted it first. We know that better: forgotten, whatever it is (programs
 * write me+tag@x there without coding it).
 */
static enum args_fault
take_auth(const struct param *p, void *out)
{
	(void)out;
	return p->has_value ? ARGS_OK : ARGS_PARAM_BAD;
}

/* ---- RCPT ------------------------------------------------------------------------------------ */

/* RFC 3461, 4.1: NEVER stands alone. */
static enum args_fault
take_notify(const struct param *p, void *out)
{
	struct rcpt_args *r = out;
	struct slice rest = p->value;

	if (rest.n == 0 || rest.p[rest.n - 1] == ',')
		return ARGS_PARAM_BAD;
	while (rest.n > 0) {
		struct slice word = slice_cut(&rest, ',');

		if (slice_eq_nocase(word, SLICE("NEVER")))
			r->notify |= NOTIFY_NEVER;
		else if (slice_eq_nocase(word, SLICE("SUCCESS")))
			r->notify |= NOTIFY_SUCCESS;
		else if (slice_eq_nocase(word, SLICE("FAILURE")))
			r->notify |= NOTIFY_FAILURE;
		else if (slice_eq_nocase(word, SLICE("DELAY")))
			r->notify |= NOTIFY_DELAY;
		else
			return ARGS_PARAM_BAD;
	}
	if ((r->notify & NOTIFY_NEVER) && r->notify != NOTIFY_NEVER)
		return ARGS_PARAM_BAD;
	return ARGS_OK;
}

static enum args_fault
take_orcpt(const struct param *p, void *out)
{
	struct rcpt_args *r = out;

	if (!is_orcpt(p->value))
		return ARGS_PARAM_BAD;
	r->orcpt = p->value;
	return ARGS_OK;
}

/* ---- both ------------------------------------------------------------------------------------ */

static const struct param_row mail_params[] = {
	{ { "SIZE", 4 }, take_size },
	{ { "BODY", 4 }, take_body },
	{ { "SMTPUTF8", 8 }, take_smtputf8 },
	{ { "RET", 3 }, take_ret },
	{ { "ENVID", 5 }, take_envid },
	{ { "AUTH", 4 }, take_auth },
};

static const struct param_row rcpt_params[] = {
	{ { "NOTIFY", 6 }, take_notify },
	{ { "ORCPT", 5 }, take_orcpt },
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static enum args_fault
take_params(struct slice rest, const struct param_row *rows, size_t n, void *out)
{
	unsigned seen = 0;

	while (rest.n > 0) {
		struct param p;
		size_t row = 0;

		if (!take_param(&rest, &p))
			return ARGS_SYNTAX;
		while (row < n && !slice_eq_nocase(p.key, rows[row].key))
			row++;
		if (row == n)
			return ARGS_PARAM_UNKNOWN;
		if (seen & 1u << row)
			return ARGS_PARAM_BAD;
		seen |= 1u << row;

		enum args_fault fault = rows[row].take(&p, out);

		if (fault != ARGS_OK)
			return fault;
	}
	return ARGS_OK;
}

/* What one of the two commands looks like. */
struct grammar {
	struct slice keyword;
	enum path_use use;
	const struct param_row *params;
	size_t params_n;
};

static const struct grammar mail_grammar = {
	{ "FROM", 4 },
	PATH_REVERSE,
	mail_params,
	ROWS(mail_params),
};

static const struct grammar rcpt_grammar = {
	{ "TO", 2 },
	PATH_FORWARD,
	rcpt_params,
	ROWS(rcpt_params),
};

/* "FROM:" or "TO:" and the blanks around the colon. */
static bool
skip_keyword(struct slice *args, struct slice keyword, bool *loose)
{
	if (!slice_starts_nocase(*args, keyword))
		return false;
	*args = slice_skip(*args, keyword.n);

	struct slice rest = slice_trim(*args);

	*loose = rest.p != args->p;
	if (!slice_starts(rest, SLICE(":")))
		return false;
	/*
	 * RFC 5321, 3.3 forbids blanks behind it, many programs write them, nearly all servers
	 * take them.
	 */
	*args = slice_trim(slice_skip(rest, 1));
	return true;
}

/*
 * A name for people in front of the path: `Me <me@x>`. It is skipped where nothing in it can be an
 * address, a route, a list, a parameter or the start of a path: all else is a guess.
 */
static bool
skip_name(struct slice *args)
{
	struct slice name = slice_head(*args, slice_find(*args, '<'));
	size_t quotes = 0;

	if (name.n == 0 || name.n == args->n)
		return true;
	for (size_t i = 0; i < name.n; i++) {
		if (strchr("@>,;:=\\()[]", name.p[i]))
			return false;
		quotes += name.p[i] == '"';
	}
	*args = slice_skip(*args, name.n);
	return quotes % 2 == 0;
}

/*
 * A word that would be a parameter of ours is no address without < >, though AUTH=a@b could be
 * one.
 */
static bool
is_param(struct slice args, const struct grammar *g)
{
	struct slice key = slice_head(args, slice_find(args, '='));

	if (key.n == args.n)
		return false;
	for (size_t i = 0; i < g->params_n; i++)
		if (slice_eq_nocase(key, g->params[i].key))
			return true;
	return false;
}

static enum args_fault
take_path(struct slice *args, const struct grammar *g, struct path *path_r)
{
	bool loose;

	if (!skip_keyword(args, g->keyword, &loose) || args->n == 0)
		return ARGS_SYNTAX;

	const char *start = args->p;

	if (is_param(*args, g))
		return ARGS_PATH;
	/* Without < there can be no name, and no path in < > behind it. */
	if (slice_find(*args, '<') < slice_find(*args, '@') && !skip_name(args))
		return ARGS_PATH;
	loose |= args->p != start;
	if (!path_parse(args, g->use, path_r))
		return ARGS_PATH;
	if (args->n > 0 && args->p[0] != ' ')
		return ARGS_SYNTAX;
	path_r->loose |= loose;
	*args = slice_trim(*args);
	return ARGS_OK;
}

static enum args_fault
parse(struct slice args, const struct grammar *g, struct path *path_r, void *out)
{
	enum args_fault fault = take_path(&args, g, path_r);

	return fault ? fault : take_params(args, g->params, g->params_n, out);
}

enum args_fault
mail_parse(struct slice args, struct mail_args *out_r)
{
	*out_r = (struct mail_args){ .envid = SLICE("") };
	return parse(args, &mail_grammar, &out_r->path, out_r);
}

enum args_fault
rcpt_parse(struct slice args, struct rcpt_args *out_r)
{
	*out_r = (struct rcpt_args){ .orcpt = SLICE("") };
	return parse(args, &rcpt_grammar, &out_r->path, out_r);
}

bool
bdat_parse(struct slice args, uint64_t *size_r, bool *last_r)
{
	struct slice rest = slice_trim(args);
	struct slice digits = slice_cut(&rest, ' ');
	uint64_t size;

	rest = slice_trim(rest);

	bool last = slice_eq_nocase(rest, SLICE("LAST"));

	if ((rest.n > 0 && !last) || digits.n > SIZE_DIGITS_MAX || !slice_to_u64(digits, &size))
		return false;
	*size_r = size;
	*last_r = last;
	return true;
}
