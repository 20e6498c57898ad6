/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/verdict/speech.h"

#include "relay/verdict/retry_after.h"

enum { WORD_MAX = 24 };

/* ---- the tables ------------------------------------------------------------------------------ */

enum shift {
#define PART(name) SHIFT_##name,
#include "relay/verdict/speech.def"
#undef PART
	SHIFT_COUNT,
};

_Static_assert(SHIFT_COUNT <= 64, "a part is a bit");

#define P(name) (UINT64_C(1) << SHIFT_##name)

static const struct vocable {
	const char *word;
	uint64_t parts;
} words[] = {
#define WORD(w, p) { w, p },
#include "relay/verdict/speech.def"
#undef WORD
};

static const struct pair {
	const char *first, *second;
	uint64_t parts;
} pairs[] = {
#define PAIR(f, s, p) { f, s, p },
#include "relay/verdict/speech.def"
#undef PAIR
};

enum {
	AUTH = PHASE_AUTH,
	MAIL = PHASE_MAIL,
	RCPT = PHASE_RCPT,
	DATA = PHASE_DATA,
	DOT = PHASE_DOT,
	ANY = PHASE_ANY,
};

static const struct sentence {
	unsigned phases;
	int code;
	uint64_t all, any, none;
	enum verdict_class class;
} sentences[] = {
#define SPEECH(at, c, all, any, none, cl) { at, c, all, any, none, VERDICT_##cl },
#include "relay/verdict/speech.def"
#undef SPEECH
};

/* ---- words ----------------------------------------------------------------------------------- */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* WORD is in lower case. */
static bool
is_word(struct slice word, const char *pattern)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return word.n >= n - 1 && memcmp(word.p, pattern, n - 1) == 0;
	return slice_eq(word, slice_str(pattern));
}

/* Words come in turn; LAST is the one before. */
struct reader {
	char mem[2][WORD_MAX];
	struct slice word, last;
	uint64_t parts;
};

static void
take_word(struct reader *r, struct slice word)
{
	char *mem = r->last.p == r->mem[0] ? r->mem[1] : r->mem[0];
	size_t n = 0;

	/* "don't", "recipient's": the apostrophe is no letter of it. */
	for (size_t i = 0; i < word.n && n < WORD_MAX; i++)
		if (word.p[i] != '\'')
			mem[n++] =
			    (char)(is_upper(word.p[i]) ? word.p[i] + ('a' - 'A') : word.p[i]);
	r->word = slice_of(mem, n);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (is_word(r->word, words[i].word))
			r->parts |= words[i].parts;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (is_word(r->word, pairs[i].second) && is_word(r->last, pairs[i].first))
			r->parts |= pairs[i].parts;
	r->last = r->word;
}

/* "SubmissionQuotaExceeded", "out_ratelimit", "24-hour". */
static void
take_words(struct reader *r, struct slice s)
{
	while (s.n) {
		size_t n = 1;

		if (!is_letter(*s.p)) {
			s = slice_skip(s, 1);
			continue;
		}
		while (n < s.n && (is_letter(s.p[n]) || s.p[n] == '\'') &&
		    !(is_upper(s.p[n]) && !is_upper(s.p[n - 1])))
			n++;
		take_word(r, slice_head(s, n));
		s = slice_skip(s, n);
	}
}

/* ---- what is not words ----------------------------------------------------------------------- */

static bool
is_in(struct slice s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* An IPv4 address, in brackets or not. */
static bool
is_address(struct slice s)
{
	size_t dots = 0;
	size_t digits = 0;

	for (size_t i = 0; i < s.n && !is_letter(s.p[i]); i++) {
		digits += is_digit(s.p[i]);
		dots += s.p[i] == '.' && i > 0 && is_digit(s.p[i - 1]) && i + 1 < s.n &&
		    is_digit(s.p[i + 1]);
	}
	return dots == 3 && digits >= 4;
}

/* "zen.spamhaus.org": lower case with dots within. */
static bool
is_host(struct slice s)
{
	bool dotted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (is_upper(s.p[i]))
			return false;
		dotted = dotted ||
		    (s.p[i] == '.' && i > 0 && i + 1 < s.n && is_letter(s.p[i + 1]) &&
		        (is_letter(s.p[i - 1]) || is_digit(s.p[i - 1])));
	}
	return dotted;
}

static uint64_t
parts_of_host(struct slice s)
{
	static const struct {
		const char *name;
		uint64_t parts;
	} lists[] = { { "uribl", P(POLICY) }, { "surbl", P(POLICY) }, { "spamhaus", P(BLOCK) },
		{ "bl.", P(BLOCK) }, { "sorbs", P(BLOCK) }, { "drbl", P(BLOCK) },
		{ "blocklist", P(BLOCK) }, { "blacklist", P(BLOCK) } };
	uint64_t parts = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (is_in(s, lists[i].name))
			parts |= lists[i].parts;
	return parts;
}

/* "1h", "1d", as in "210.0 / 1h". */
static uint64_t
parts_of_span(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	if (n == 0 || n + 1 != s.n)
		return 0;
	if (s.p[n] == 'h' || s.p[n] == 'd')
		return P(HOUR) | P(PER);
	return s.p[n] == 'm' || s.p[n] == 's' ? P(MINUTE) | P(PER) : 0;
}

/* What stands between blanks. */
static void
take_token(struct reader *r, struct slice s)
{
	if (is_in(s, "://") || is_in(s, "@"))
		return;
	r->parts |= parts_of_span(s);
	if (is_address(s) || is_address(slice_skip(s, slice_find(s, '['))))
		r->parts |= P(CLIENT);
	if (is_host(s))
		r->parts |= parts_of_host(s);
	else
		take_words(r, s);
}

static uint64_t
parts_of(struct slice said)
{
	struct reader r = { .last = SLICE("") };

	while (said.n) {
		size_t n = 0;

		if (*said.p == '<') {
			n = slice_find(said, '>');
			if (is_in(slice_head(said, n), "@"))
				r.parts |= P(ADDRESS);
			said = slice_skip(said, n < said.n ? n + 1 : n);
			continue;
		}
		while (n < said.n && said.p[n] != ' ' && said.p[n] != '<')
			n++;
		take_token(&r, slice_head(said, n));
		said = slice_skip(said, n < said.n && said.p[n] == ' ' ? n + 1 : n);
	}
	return r.parts;
}

bool
speech_has_mechanism(struct slice said)
{
	return parts_of(said) & P(MECHANISM);
}

/* ---- sentences ------------------------------------------------------------------------------- */

/* The recipient's mailbox, or its address, and nothing of the account that sends. */
static bool
is_own(enum phase phase, const struct reply *r, uint64_t parts)
{
	if (parts & P(RECEIVE) && !(parts & P(OUT)))
		return true;
	if (phase != PHASE_RCPT)
		return false;
	if (r->enhanced.subject == 1 || r->enhanced.subject == 2)
		return true;
	if (parts & P(BOX))
		return !(parts & P(OUT));
	return parts & P(ADDRESS) && !(parts & (P(OUT) | P(YOU) | P(SENDER)));
}

bool
speech_class(enum phase phase, const struct reply *r, struct slice said,
    enum verdict_class *class_r)
{
	uint64_t parts = parts_of(said);
	uint64_t seconds;

	if (hold_named(said, 0, &seconds))
		parts |= P(LATER);
	if (is_own(phase, r, parts))
		parts |= P(OWN);
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		const struct sentence *s = &sentences[i];

		if (!(s->phases & phase) ||
		    (s->code && s->code != r->code && s->code != r->code / 100))
			continue;
		if ((parts & s->all) != s->all || (s->any && !(parts & s->any)) || parts & s->none)
			continue;
		*class_r = s->class;
		return true;
	}
	return false;
}
