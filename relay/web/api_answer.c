/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_answer - what a provider's HTTP answer means: status and words to a class (http_rule.def),
 * and the words that a client may see
 */
#include "relay/web/api_private.h"

#include <stdio.h>

#include "wire/json_doc.h"

enum { WORDS_MAX = 400, SAID_MAX = 4096, ERRORS_MAX = 100 };

struct http_rule {
	const char *provider; /* NULL: any */
	int status;           /* 0: any */
	const char *words;    /* NULL: any */
	enum verdict_class class;
};

static const struct http_rule rules[] = {
#define HTTP_RULE(p, s, w, c) { p, s, w, VERDICT_##c },
#define ANY                   NULL
#include "relay/web/http_rule.def"
#undef ANY
#undef HTTP_RULE
};

enum verdict_class
api_class_of(const char *provider, int status, struct slice said)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct http_rule *r = &rules[i];

		if (r->provider && strcmp(r->provider, provider) != 0)
			continue;
		if (r->status && r->status != status && r->status != status / 100)
			continue;
		if (!r->words || verdict_has_words(said, r->words))
			return r->class;
	}
	return VERDICT_INTERNAL;
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool
put_value(struct text *t, const struct json_t *doc, const char *path)
{
	char mem[WORDS_MAX + 1];
	struct text value = text_over(mem, sizeof(mem));

	if (!path || !json_doc_text(json_doc_at(doc, path), &value) || value.n == 0)
		return false;
	if (t->n)
		text_char(t, ' ');
	text_put(t, text_slice(&value));
	return true;
}

/* What an error says for people, wherever this provider puts it. BODY as DOC, if it is one. */
static void
put_error(struct text *t, struct slice body, const struct json_t *doc)
{
	static const char *const places[] = { "message", "Message", "errors.0.message", "error",
		"data.error" };
	size_t before = t->n;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (put_value(t, doc, places[i]))
			break;
	(void)put_value(t, doc, "errors.0.description");
	if (t->n == before && body.n && *body.p != '{' && *body.p != '[' && *body.p != '<')
		text_put(t, slice_head(body, WORDS_MAX));
}

/* For the rules: words as they are meant, then the whole body, without blanks that nobody means. */
static void
put_said(struct text *t, const struct http_answer *answer, const struct json_t *doc,
    struct slice words)
{
	text_put(t, slice_head(answer->kind, HTTP_WORD_MAX));
	text_char(t, ' ');
	text_put(t, words);
	text_char(t, ' ');
	if (doc != NULL)
		json_doc_compact(doc, t);
	else
		text_put(t, slice_head(answer->body, SAID_MAX / 2));
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* As an SMTP reply, which is what verdict.c reads: one line, nothing in it that ends one. */
static struct relay_verdict
say(const struct api *a, enum verdict_class class, int status, struct slice words, struct text *mem)
{
	char line[WORDS_MAX + 32];
	struct text t = text_over(line, sizeof(line));
	struct reply r = { .code = status, .lines = 1 };
	struct relay_verdict v;

	text_u64(&t, (uint64_t)status);
	text_char(&t, ' ');
	for (size_t i = 0; i < words.n && i < WORDS_MAX; i++)
		text_char(&t, (unsigned char)words.p[i] < 0x20 ? ' ' : words.p[i]);
	text_put(&t, SLICE("\r\n"));
	r.raw = text_slice(&t);
	r.text = slice_of(line + 4, t.n - 6);
	v = verdict_make(class, &r, slice_str(a->up->username), mem);
	if (class == VERDICT_RCPT) {
		v.code = 550;
		v.enhanced = (struct enhanced){ .cls = 5, .subject = 1, .detail = 3 };
	}
	return v;
}

/* SparkPost: some recipients are refused inside a good answer. */
static bool
count_refused(const struct json_t *doc, uint64_t *refused_r, uint64_t *accepted_r)
{
	return json_doc_u64(json_doc_at(doc, "results.total_rejected_recipients"), refused_r) &&
	    *refused_r > 0 &&
	    json_doc_u64(json_doc_at(doc, "results.total_accepted_recipients"), accepted_r);
}

static void
put_refused(struct text *t, const struct json_t *doc, uint64_t refused, uint64_t all)
{
	static const char *const places[] = { "results.rcpt_to_errors.0.message",
		"results.rcpt_to_errors.0.description" };

	text_fmt(t, "; %llu of %llu recipients refused:", (unsigned long long)refused,
	    (unsigned long long)all);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		(void)put_value(t, doc, places[i]);
}

static bool
is_of_address(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '_' || c == '+' || c == '@';
}

/* ADDRESS stands in WORDS, and not as a part of a longer one. */
static bool
speaks_of(struct slice words, struct slice address)
{
	for (size_t i = 0; i + address.n <= words.n; i++) {
		struct slice rest = slice_skip(words, i);
		size_t n = address.n;

		if (!slice_starts_nocase(rest, address) ||
		    (i > 0 && (is_of_address(words.p[i - 1]) || words.p[i - 1] == '.')))
			continue;
		if (n < rest.n && rest.p[n] == '.')
			n++; /* the end of a sentence, or the name goes on */
		if (n == rest.n || !is_of_address(rest.p[n]))
			return true;
	}
	return false;
}

/* Whom an error is about; NULL: it does not say. */
static const struct rcpt *
whom(const struct api *a, struct slice words)
{
	const struct rcpt *rcpt = NULL;

	while ((rcpt = api_rcpt(a, rcpt)) != NULL)
		if (speaks_of(words, api_address(rcpt)))
			return rcpt;
	return NULL;
}

/* The recipients that the errors inside a good answer name. Without memory none is. */
static void
find_left(const struct api *a, const struct json_t *doc, struct relay_verdict *v)
{
	struct arena *arena = &a->txn->arena;
	struct relay_left *left = arena_alloc(arena, ERRORS_MAX * sizeof(*left));
	size_t n = 0;

	for (unsigned i = 0; left != NULL && i < ERRORS_MAX; i++) {
		char place[48], mem[2 * WORDS_MAX + 2];
		struct text words = text_over(mem, sizeof(mem));

		(void)snprintf(place, sizeof(place), "results.rcpt_to_errors.%u.message", i);
		(void)put_value(&words, doc, place);
		(void)snprintf(place, sizeof(place), "results.rcpt_to_errors.%u.description", i);
		(void)put_value(&words, doc, place);
		if (words.n == 0)
			break;
		const struct rcpt *rcpt = whom(a, text_slice(&words));
		struct slice said = arena_dup(arena, text_slice(&words));

		if (rcpt != NULL && said.p != NULL)
			left[n++] = (struct relay_left){ .index = rcpt->index, .said = said };
	}
	v->left = left;
	v->left_n = n;
}

static struct relay_verdict
accepted(const struct api *a, const struct http_answer *answer, const struct json_t *doc,
    struct text *mem)
{
	char said[WORDS_MAX + 1];
	struct text t = text_over(said, sizeof(said));
	uint64_t refused = 0;
	uint64_t taken = 0;
	bool partial = count_refused(doc, &refused, &taken);

	(void)put_value(&t, doc, a->kind->words);
	if (!put_value(&t, doc, a->kind->id) && answer->id.n) {
		if (t.n)
			text_char(&t, ' ');
		text_put(&t, slice_head(answer->id, HTTP_WORD_MAX));
	}
	if (partial)
		put_refused(&t, doc, refused, refused + taken);
	if (t.n == 0)
		text_put(&t, SLICE("Accepted"));
	struct relay_verdict v = say(a, partial && taken == 0 ? VERDICT_RCPT : VERDICT_OK,
	    answer->status, text_slice(&t), mem);

	v.left_out = partial ? refused : 0;
	if (partial)
		find_left(a, doc, &v);
	return v;
}

static struct relay_verdict
refused(const struct api *a, const struct http_answer *answer, const struct json_t *doc,
    struct text *mem)
{
	char words_mem[2 * WORDS_MAX + 2];
	char said_mem[SAID_MAX];
	struct text words = text_over(words_mem, sizeof(words_mem));
	struct text said = text_over(said_mem, sizeof(said_mem));
	enum verdict_class class;

	put_error(&words, answer->body, doc);
	put_said(&said, answer, doc, text_slice(&words));
	class = api_class_of(a->up->provider, answer->status, text_slice(&said));
	return say(a, class, answer->status, text_slice(&words), mem);
}

struct relay_verdict
api_verdict(const struct api *a, const struct http_answer *answer, struct text *mem)
{
	static const enum verdict_class classes[] = {
		[HTTP_DNS_NONE] = VERDICT_DNS_NONE,
		[HTTP_DNS_TEMP] = VERDICT_DNS_TEMP,
		[HTTP_DENIED] = VERDICT_DENIED,
		[HTTP_CONNECT] = VERDICT_CONNECT,
		[HTTP_TLS] = VERDICT_TLS,
		[HTTP_LOST] = VERDICT_LOST,
		[HTTP_UNKNOWN] = VERDICT_UNKNOWN,
		[HTTP_NO_MEMORY] = VERDICT_NO_MEMORY,
	};

	if (answer->end != HTTP_ANSWERED)
		return transaction_verdict(classes[answer->end]);
	struct json_t *doc = json_doc_read(answer->body);
	struct relay_verdict v =
	    answer->status < 300 ? accepted(a, answer, doc, mem) : refused(a, answer, doc, mem);

	json_doc_free(doc);
	return v;
}
