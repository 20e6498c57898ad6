/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/verdict/verdict.h"

#include "relay/verdict/speech.h"

struct row {
	const char *word;
	int code;
	const char *enhanced;
	enum verdict_trouble trouble;
	const char *words;
	const char *todo;
};

static const struct row rows[VERDICT_CLASS_COUNT] = {
#define VERDICT_CLASS(name, w, c, e, whose, t, d) \
	[VERDICT_##name] = { .word = w,           \
		.code = c,                        \
		.enhanced = e,                    \
		.trouble = TROUBLE_##whose,       \
		.words = t,                       \
		.todo = d },
#include "relay/verdict/class.def"
#undef VERDICT_CLASS
};

/* ---- classing: words ------------------------------------------------------------------------- */

struct rule {
	const char *provider; /* NULL: any */
	unsigned phases;
	int code;
	const char *words;
	enum verdict_class class;
	bool final; /* permanent, whatever class its code has */
};

enum {
	EHLO = PHASE_EHLO,
	AUTH = PHASE_AUTH,
	MAIL = PHASE_MAIL,
	RCPT = PHASE_RCPT,
	DATA = PHASE_DATA,
	DOT = PHASE_DOT,
	ANY = PHASE_ANY,
};

static const struct rule rules[] = {
#define PROVIDER_RULE(p, at, c, w, cl)  { p, (at), c, w, VERDICT_##cl, false },
#define PROVIDER_FINAL(p, at, c, w, cl) { p, (at), c, w, VERDICT_##cl, true },
#define RULE(at, c, w, cl)              { NULL, (at), c, w, VERDICT_##cl, false },
#include "relay/verdict/rule.def"
#undef RULE
#undef PROVIDER_FINAL
#undef PROVIDER_RULE
};

bool
verdict_has_words(struct slice s, const char *words)
{
	struct slice rest = slice_str(words);

	while (rest.n) {
		struct slice piece = slice_trim(slice_cut(&rest, '*'));
		size_t at = 0;

		while (at + piece.n <= s.n && strncasecmp(s.p + at, piece.p, piece.n) != 0)
			at++;
		if (at + piece.n > s.n)
			return false;
		s = slice_skip(s, at + piece.n);
	}
	return true;
}

static const struct rule *
find_rule(const char *provider, enum phase phase, int code, struct slice said)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (!(rule->phases & phase) || (rule->code && rule->code != code))
			continue;
		if (rule->provider && (!provider || strcmp(rule->provider, provider) != 0))
			continue;
		if (verdict_has_words(said, rule->words))
			return rule;
	}
	return NULL;
}

/* ---- classing: enhanced code, then reply code ------------------------------------------------ */

enum { SOME = 0xffff };

struct code_rule {
	unsigned phases;
	int code; /* 0: any; 4 or 5: the class */
	uint16_t subject;
	uint16_t detail;
	enum verdict_class class;
};

/* RFC 3463, 5248. CODE is the reply's class here. */
static const struct code_rule by_enhanced[] = {
	{ AUTH, 5, 7, 8, VERDICT_AUTH },
	{ MAIL | DATA | DOT, 5, 2, 3, VERDICT_SIZE },
	{ MAIL | RCPT | DATA | DOT, 5, 3, 4, VERDICT_SIZE },
	{ RCPT, 0, 5, 3, VERDICT_TOO_MANY_RCPT },
	{ DATA | DOT, 0, 5, 3, VERDICT_TOO_MANY_RCPT },
	{ MAIL | RCPT, 5, 6, 7, VERDICT_NO_SMTPUTF8 },
	{ DATA | DOT, 5, 6, SOME, VERDICT_MALFORMED },
	{ MAIL, 5, 1, SOME, VERDICT_SENDER },
	{ RCPT, 5, 1, 7, VERDICT_SENDER },
	{ RCPT, 5, 1, 8, VERDICT_SENDER },
};

/* SUBJECT and DETAIL are not looked at. */
static const struct code_rule by_code[] = {
	{ PHASE_GREETING | PHASE_CONNECT, 4, 0, 0, VERDICT_CONNECT },
	{ PHASE_GREETING | PHASE_CONNECT, 5, 0, 0, VERDICT_GREETING },
	{ PHASE_EHLO, 4, 0, 0, VERDICT_INTERNAL },
	{ PHASE_EHLO, 5, 0, 0, VERDICT_CONFIG },
	{ PHASE_STARTTLS, 0, 0, 0, VERDICT_TLS },
	{ AUTH, 4, 0, 0, VERDICT_AUTH_TEMP },
	{ AUTH, 500, 0, 0, VERDICT_CONFIG },
	{ AUTH, 502, 0, 0, VERDICT_CONFIG },
	{ AUTH, 503, 0, 0, VERDICT_CONFIG },
	{ AUTH, 504, 0, 0, VERDICT_CONFIG },
	{ AUTH, 5, 0, 0, VERDICT_AUTH },
	{ MAIL | RCPT | DATA, 530, 0, 0, VERDICT_AUTH },
	{ MAIL | RCPT | DATA, 535, 0, 0, VERDICT_AUTH },
	{ MAIL | RCPT | DATA | DOT, 500, 0, 0, VERDICT_INTERNAL },
	{ MAIL | RCPT | DATA | DOT, 502, 0, 0, VERDICT_INTERNAL },
	{ MAIL | RCPT | DATA | DOT, 503, 0, 0, VERDICT_INTERNAL },
	{ RCPT, 0, 0, 0, VERDICT_RCPT },
	{ MAIL | DATA | DOT, 4, 0, 0, VERDICT_DEFERRED },
	{ MAIL, 5, 0, 0, VERDICT_SENDER },
	{ DATA | DOT, 5, 0, 0, VERDICT_CONTENT },
};

static bool
code_fits(int rule, int code)
{
	return rule == 0 || rule == code || rule == code / 100;
}

static bool
find_enhanced(enum phase phase, const struct reply *r, enum verdict_class *class_r)
{
	if (r->enhanced.cls == 0)
		return false;
	for (size_t i = 0; i < sizeof(by_enhanced) / sizeof(by_enhanced[0]); i++) {
		const struct code_rule *c = &by_enhanced[i];

		if (!(c->phases & phase) || !code_fits(c->code, r->code) ||
		    c->subject != r->enhanced.subject ||
		    (c->detail != SOME && c->detail != r->enhanced.detail))
			continue;
		*class_r = c->class;
		return true;
	}
	return false;
}

static enum verdict_class
class_of_code(enum phase phase, int code)
{
	for (size_t i = 0; i < sizeof(by_code) / sizeof(by_code[0]); i++)
		if (by_code[i].phases & phase && code_fits(by_code[i].code, code))
			return by_code[i].class;
	return VERDICT_INTERNAL;
}

/* True where the client would hear a 5xx. */
static bool
is_worse(enum phase phase, enum verdict_class class)
{
	if (class == VERDICT_TOO_MANY_RCPT)
		return phase & (PHASE_DATA | PHASE_DOT);
	return rows[class].code >= 500;
}

/* What a 4xx is at least, whatever its words: it never gets worse (BEHAVIOUR 7). */
static enum verdict_class
temporary(enum phase phase)
{
	switch (phase) {
	case PHASE_CONNECT:
	case PHASE_GREETING:
		return VERDICT_CONNECT;
	case PHASE_AUTH:
		return VERDICT_AUTH_TEMP;
	case PHASE_RCPT:
		return VERDICT_RCPT;
	case PHASE_MAIL:
	case PHASE_DATA:
	case PHASE_DOT:
		return VERDICT_DEFERRED;
	case PHASE_EHLO:
	case PHASE_STARTTLS:
	case PHASE_ANY:
		break;
	}
	return VERDICT_INTERNAL;
}

enum verdict_class
verdict_class_of(const char *provider, enum phase phase, const struct reply *r)
{
	const struct rule *rule;
	enum verdict_class class;
	char mem[VERDICT_TEXT_MAX];
	struct text said = text_over(mem, sizeof(mem));

	if (r->code < 400)
		return r->code < 300 ? VERDICT_OK : VERDICT_PROTOCOL;
	/* An enhanced code counts as a word. */
	if (r->enhanced.cls) {
		enhanced_write(&said, r->enhanced);
		text_char(&said, ' ');
	}
	reply_flatten(&said, r, sizeof(mem) - 1 - said.n);
	rule = find_rule(provider, phase, r->code, text_slice(&said));
	if (rule && rule->final)
		return rule->class;
	if (rule)
		class = rule->class;
	else if (!speech_class(phase, r, text_slice(&said), &class) &&
	    !find_enhanced(phase, r, &class))
		class = class_of_code(phase, r->code);
	return r->code < 500 && is_worse(phase, class) ? temporary(phase) : class;
}

bool
verdict_is_about_mechanism(const struct reply *r)
{
	char mem[VERDICT_TEXT_MAX];
	struct text said = text_over(mem, sizeof(mem));

	if (r->code == 504)
		return true;
	reply_flatten(&said, r, sizeof(mem) - 1);
	return r->code >= 500 && speech_has_mechanism(text_slice(&said));
}

const char *verdict_word(enum verdict_class class)
{
	return rows[class].word;
}

enum verdict_class
verdict_of_word(struct slice word)
{
	int class = 0;

	while (class < VERDICT_CLASS_COUNT && !slice_eq(word, slice_str(rows[class].word)))
		class ++;
	return (enum verdict_class) class;
}

void
verdict_advise(enum verdict_class class, struct slice profile, struct text *out)
{
	struct slice all = slice_str(rows[class].todo);
	size_t at = slice_find(all, '$');

	if (at == all.n) {
		text_put(out, all);
		return;
	}
	/* One that has no name yet: the command stands without it, and without the blank before. */
	text_put(out, slice_head(all, profile.n ? at : at - 1));
	text_put(out, profile);
	text_put(out, slice_skip(all, at + 2));
}

bool verdict_is_route_trouble(enum verdict_class class)
{
	return rows[class].trouble == TROUBLE_ROUTE || rows[class].trouble == TROUBLE_PASSING;
}

bool verdict_is_lasting(enum verdict_class class)
{
	return rows[class].trouble == TROUBLE_ROUTE || rows[class].trouble == TROUBLE_NOTED;
}

bool verdict_is_goodbye(enum verdict_class class)
{
	return class == VERDICT_RECONNECT || class == VERDICT_DEFERRED || class == VERDICT_RCPT ||
	    class == VERDICT_INTERNAL || class == VERDICT_CONNECT || class == VERDICT_LOST;
}

/* ---- what may be seen ------------------------------------------------------------------------ */

static bool
is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    c == '_' || c == '-' || c == '.' || c == '/' || c == '+' || c == '=' || c == ':' ||
	    c == '*';
}

/* How much of the start of S looks like a credential; 0 for none. */
static size_t
secret_len(struct slice s)
{
	static const char *const starts[] = { "arn:", "AKIA", "ASIA", "SG.", "key-", "xkeysib-",
		"xsmtpsib-", "re_", "Bearer " };
	static const size_t shortest = 12; /* "key-words" and "SG." alone are nobody's secret */

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t n = strlen(starts[i]);

		if (!slice_starts(s, slice_str(starts[i])))
			continue;
		while (n < s.n && is_word_char(s.p[n]))
			n++;
		if (n >= shortest)
			return n;
	}
	return 0;
}

void
verdict_clean(struct text *t, struct slice s, struct slice hide, size_t max)
{
	static const size_t hide_min = 4; /* a shorter name would tear holes into ordinary words */
	char last = ' ';
	size_t from = t->n;

	while (s.n && t->n - from < max) {
		bool at_word = !is_word_char(last);
		size_t n = at_word ? secret_len(s) : 0;

		if (!n && at_word && hide.n >= hide_min && slice_starts_nocase(s, hide) &&
		    (s.n == hide.n || !is_word_char(s.p[hide.n]) || s.p[hide.n] == '.' ||
		        s.p[hide.n] == ':'))
			n = hide.n;
		last = s.p[0];
		if (n) {
			text_put(t, SLICE("***"));
			last = s.p[n - 1];
		} else {
			n = 1;
			text_char(t, last >= 0x20 && last < 0x7f ? last : '?');
		}
		s = slice_skip(s, n);
	}
}

/* ---- saying it ------------------------------------------------------------------------------- */

/* RFC 5321, 4.3.2, has these for a transaction; others are about a client's password or its
 * connection, or nobody knows them. */
static int
safe_code(int code)
{
	static const int known[] = { 450, 451, 452, 455, 550, 551, 552, 553, 554, 555 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (code == known[i])
			return code;
	if (code >= 200 && code < 300)
		return 250;
	return code >= 500 && code <= 599 ? 554 : 451;
}

static struct enhanced
fit_enhanced(struct enhanced e, int code)
{
	if (e.cls == code / 100)
		return e;
	return (struct enhanced){ .cls = (uint8_t)(code / 100) };
}

static struct enhanced
enhanced_of(const char *s)
{
	struct enhanced e = { 0 };
	struct slice rest = slice_str(s);

	if (!enhanced_parse(&rest, &e))
		e = (struct enhanced){ 0 };
	return e;
}

void
verdict_said(struct text *t, const struct reply *r, struct slice hide)
{
	char flat[VERDICT_WORDS_MAX + 1];
	struct text words = text_over(flat, sizeof(flat));

	reply_flatten(&words, r, VERDICT_WORDS_MAX);
	text_u64(t, (uint64_t)r->code);
	text_char(t, ' ');
	if (r->enhanced.cls) {
		enhanced_write(t, r->enhanced);
		text_char(t, ' ');
	}
	verdict_clean(t, text_slice(&words), hide, VERDICT_WORDS_MAX);
}

static struct slice
put_upstream(struct text *mem, const struct reply *r, struct slice hide)
{
	size_t from = mem->n;

	if (!r)
		return SLICE("");
	verdict_said(mem, r, hide);
	return slice_of(mem->mem + from, mem->n - from);
}

/* The words of what put_upstream() wrote: without codes. */
static struct slice
words_of(struct slice upstream)
{
	struct slice rest = slice_skip(upstream, 4);
	struct slice after = rest;
	struct enhanced e;

	if (enhanced_parse(&after, &e))
		rest = after;
	return slice_trim(rest);
}

/* For what the upstream did not say, or said without words. */
static struct slice
own_words(enum verdict_class class, int code)
{
	if (class == VERDICT_RATE)
		return SLICE("The provider takes no more at this rate, try again later");
	if (class == VERDICT_SIZE)
		return SLICE("Message too large for the provider");
	if (class == VERDICT_TOO_MANY_RCPT)
		return SLICE("Too many recipients for the provider");
	return code < 400 ? SLICE("Ok") : SLICE("Refused by the upstream");
}

struct relay_verdict
verdict_make(enum verdict_class class, const struct reply *r, struct slice hide, struct text *mem)
{
	const struct row *row = &rows[class];
	struct relay_verdict v = {
		.class = class,
		.code = row->code,
		.enhanced = enhanced_of(row->enhanced),
		.upstream = put_upstream(mem, r, hide),
		.unknown = class == VERDICT_UNKNOWN,
	};

	if (v.code == 0) {
		v.code = safe_code(r ? r->code : class == VERDICT_OK ? 250 : 451);
		v.enhanced = fit_enhanced(r ? r->enhanced : v.enhanced, v.code);
	}
	v.text = row->words ? slice_str(row->words) : words_of(v.upstream);
	if (v.text.n == 0)
		v.text = own_words(class, v.code);
	return v;
}

struct relay_verdict
verdict_refuse_quota(struct relay_verdict v)
{
	if (v.class == VERDICT_QUOTA) {
		v.code = 554;
		v.enhanced = (struct enhanced){ .cls = 5, .subject = 7 };
	}
	return v;
}

struct relay_verdict
verdict_at_rcpt(struct relay_verdict v)
{
	if (v.code == 554)
		v.code = 550;
	return v;
}

struct relay_verdict
verdict_at_end(struct relay_verdict v)
{
	if (v.class == VERDICT_TOO_MANY_RCPT) {
		v.code = 554;
		v.enhanced = (struct enhanced){ .cls = 5, .subject = 5, .detail = 3 };
	}
	return v;
}
