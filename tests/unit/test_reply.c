/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static const struct {
	struct slice in;
	enum reply_got got;
	int code;
	const char *enhanced; /* NULL: none */
	const char *text;
	unsigned lines;
	size_t left;
} cases[] = {
	{ SLICE("220 mx.example ESMTP\r\n"), REPLY_WHOLE, 220, NULL, "mx.example ESMTP", 1, 0 },
	{ SLICE("250 2.1.0 Ok\r\n"), REPLY_WHOLE, 250, "2.1.0", "Ok", 1, 0 },
	{ SLICE("250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n"), REPLY_WHOLE, 250, NULL, "mx", 3,
	    0 },
	{ SLICE("550-5.1.1 no\r\n550 5.1.1 such user\r\n"), REPLY_WHOLE, 550, "5.1.1", "no", 2, 0 },
	{ SLICE("250\r\n"), REPLY_WHOLE, 250, NULL, "", 1, 0 },
	{ SLICE("250 \r\n"), REPLY_WHOLE, 250, NULL, "", 1, 0 },
	{ SLICE("250 2.0.0\r\n"), REPLY_WHOLE, 250, "2.0.0", "", 1, 0 },
	{ SLICE("250-\r\n250\r\n"), REPLY_WHOLE, 250, NULL, "", 2, 0 },
	{ SLICE("250 ok\n"), REPLY_WHOLE, 250, NULL, "ok", 1, 0 },
	{ SLICE("250-a\n250 b\r\n"), REPLY_WHOLE, 250, NULL, "a", 2, 0 },
	{ SLICE("354 go ahead\r\n"), REPLY_WHOLE, 354, NULL, "go ahead", 1, 0 },
	{ SLICE("250 one\r\n250 two\r\n"), REPLY_WHOLE, 250, NULL, "one", 1, 9 },
	{ SLICE("250 tab\there\r\n"), REPLY_WHOLE, 250, NULL, "tab\there", 1, 0 },
	{ SLICE("550 gr\xc3\xbc\xc3\x9f \xe4\r\n"), REPLY_WHOLE, 550, NULL,
	    "gr\xc3\xbc\xc3\x9f \xe4", 1, 0 },

	/* an enhanced code of another class, or none at all */
	{ SLICE("250 5.1.1 odd\r\n"), REPLY_WHOLE, 250, NULL, "5.1.1 odd", 1, 0 },
	{ SLICE("550 5.1 odd\r\n"), REPLY_WHOLE, 550, NULL, "5.1 odd", 1, 0 },
	{ SLICE("550 5.1.1.1 odd\r\n"), REPLY_WHOLE, 550, NULL, "5.1.1.1 odd", 1, 0 },
	{ SLICE("550 5.1.1odd\r\n"), REPLY_WHOLE, 550, NULL, "5.1.1odd", 1, 0 },
	{ SLICE("550 5.1234.1 odd\r\n"), REPLY_WHOLE, 550, NULL, "5.1234.1 odd", 1, 0 },
	{ SLICE("550 5.7.999 ok\r\n"), REPLY_WHOLE, 550, "5.7.999", "ok", 1, 0 },
	{ SLICE("550 192.0.2.1 blocked\r\n"), REPLY_WHOLE, 550, NULL, "192.0.2.1 blocked", 1, 0 },

	/* not whole */
	{ SLICE(""), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("2"), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("250"), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 ok"), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 ok\r"), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n"), REPLY_MORE, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n25"), REPLY_MORE, 0, NULL, NULL, 0, 0 },

	/* THREATS U4 */
	{ SLICE("25 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("2500 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("150 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("650 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("2x0 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250_ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("25\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE(" 250 ok\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n550 no\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n5"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250-ok\r\n*"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 a\0b\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 a\x1b[1m\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 a\rb\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 a\r\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("250 a\x7f\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("HTTP/1.1 400 Bad Request\r\n"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
	{ SLICE("\x15\x03\x01"), REPLY_FAULT, 0, NULL, NULL, 0, 0 },
};

static void
reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply r;
		size_t used = 0;
		char mem[32];
		struct text t = text_over(mem, sizeof(mem));
		enum reply_got got = reply_parse(&(struct reply_scan){ 0 }, cases[i].in, &r, &used);

		if (got != cases[i].got)
			fail_msg("case %zu: %.*s", i, SLICE_FMT(cases[i].in));
		if (got != REPLY_WHOLE)
			continue;
		assert_int_equal(r.code, cases[i].code);
		assert_int_equal(r.lines, cases[i].lines);
		assert_int_equal(cases[i].in.n - used, cases[i].left);
		assert_true(slice_eq(r.raw, slice_head(cases[i].in, used)));
		assert_true(slice_eq(r.text, slice_str(cases[i].text)));
		if (r.enhanced.cls)
			enhanced_write(&t, r.enhanced);
		assert_string_equal(mem, cases[i].enhanced ? cases[i].enhanced : "");
	}
}

/* A reply is asked about at each octet: never whole before its end, and never a fault on the
 * way. */
static void
waits_for_the_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].got != REPLY_WHOLE)
			continue;
		for (size_t n = 0; n < cases[i].in.n - cases[i].left; n++) {
			struct reply r;
			size_t used;
			char *copy = malloc(n + 1);

			memcpy(copy, cases[i].in.p, n);
			assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(copy, n),
			                     &r, &used),
			    REPLY_MORE);
			free(copy);
		}
	}
}

/* Each case octet by octet, and what was seen is spoilt behind the parser's back: it must not look
 * at it again, and comes to the same end. */
static void
looks_at_each_octet_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply_scan scan = { 0 };
		struct reply r;
		enum reply_got got = REPLY_MORE;
		char mem[64];
		size_t used = 0;

		assert_true(cases[i].in.n < sizeof(mem));
		for (size_t n = 1; n <= cases[i].in.n && got == REPLY_MORE; n++) {
			mem[n - 1] = cases[i].in.p[n - 1];
			got = reply_parse(&scan, slice_of(mem, n), &r, &used);
			/* The code is needed for each line; CR is looked at with what follows. */
			if (got == REPLY_MORE && n > 4 && mem[n - 1] != '\r' && scan.seen == n &&
			    n > scan.line + 4)
				mem[n - 1] = '\0';
		}
		if (got != cases[i].got)
			fail_msg("case %zu: %.*s", i, SLICE_FMT(cases[i].in));
		if (got == REPLY_WHOLE) {
			assert_int_equal(r.code, cases[i].code);
			assert_int_equal(r.lines, cases[i].lines);
			assert_int_equal(scan.seen, 0);
		}
	}
}

static void
is_bounded(void **state)
{
	(void)state;
	static char mem[REPLY_OCTETS_MAX + 8192];
	struct reply r;
	size_t used, n = 0;

	/* a line of 2 KiB, and one octet more */
	memset(mem, 'x', sizeof(mem));
	memcpy(mem, "250 ", 4);
	memcpy(mem + REPLY_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, REPLY_LINE_MAX), &r,
	                     &used),
	    REPLY_WHOLE);
	memcpy(mem + REPLY_LINE_MAX - 2, "x\r\n", 3);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, REPLY_LINE_MAX + 1),
	                     &r, &used),
	    REPLY_FAULT);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, REPLY_LINE_MAX - 1),
	                     &r, &used),
	    REPLY_MORE);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, REPLY_LINE_MAX), &r,
	                     &used),
	    REPLY_FAULT);

	/* 100 lines, and one more */
	for (int i = 0; i < REPLY_LINES_MAX; i++, n += 7)
		memcpy(mem + n, "250-x\r\n", 7);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, n), &r, &used),
	    REPLY_MORE);
	memcpy(mem + n - 7, "250 x\r\n", 7);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, n), &r, &used),
	    REPLY_WHOLE);
	assert_int_equal(r.lines, REPLY_LINES_MAX);
	memcpy(mem + n - 7, "250-x\r\n250 x\r\n", 14);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, n + 7), &r, &used),
	    REPLY_FAULT);

	/* 64 KiB in long lines */
	for (n = 0; n < REPLY_OCTETS_MAX; n += 2000) {
		memset(mem + n, 'x', 2000);
		memcpy(mem + n, "250-", 4);
		memcpy(mem + n + 1998, "\r\n", 2);
	}
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, n - 2000), &r, &used),
	    REPLY_MORE);
	assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, slice_of(mem, n), &r, &used),
	    REPLY_FAULT);
}

static void
goes_through_lines(void **state)
{
	(void)state;
	struct reply r;
	struct slice rest, text;
	size_t used;
	char mem[100];
	struct text t = text_over(mem, sizeof(mem));

	assert_int_equal(
	    reply_parse(&(struct reply_scan){ 0 },
	        SLICE("550-5.7.1 Not \xc3\xa4 allowed \r\n550-\r\n550-see\thttps://x\r\n"
	              "550 5.7.1 q1-20\r\n"),
	        &r, &used),
	    REPLY_WHOLE);
	rest = r.raw;
	assert_true(reply_next_line(&rest, &text));
	assert_true(slice_eq(text, SLICE("5.7.1 Not \xc3\xa4 allowed")));
	assert_true(reply_next_line(&rest, &text));
	assert_int_equal(text.n, 0);
	assert_true(reply_next_line(&rest, &text));
	assert_true(slice_eq(text, SLICE("see\thttps://x")));
	assert_true(reply_next_line(&rest, &text));
	assert_true(slice_eq(text, SLICE("5.7.1 q1-20")));
	assert_false(reply_next_line(&rest, &text));

	reply_flatten(&t, &r, 99);
	assert_string_equal(mem, "Not ?? allowed see?https://x q1-20");
	for (size_t max = 0; max < 40; max++) {
		char cut[100];
		struct text c = text_over(cut, sizeof(cut));

		reply_flatten(&c, &r, max);
		assert_true(c.n <= max && slice_starts(text_slice(&t), text_slice(&c)));
	}
}

static void
writes(void **state)
{
	(void)state;
	static const struct {
		int code;
		struct enhanced e;
		struct slice words;
		const char *out;
	} rows[] = {
		{ 250, { 2, 0, 0 }, SLICE("Ok"), "250 2.0.0 Ok\r\n" },
		{ 354, { 0, 0, 0 }, SLICE("Go ahead"), "354 Go ahead\r\n" },
		{ 250, { 2, 0, 0 }, SLICE(""), "250 2.0.0 \r\n" },
		{ 250, { 0, 0, 0 }, SLICE("a\nb\nc"), "250-a\r\n250-b\r\n250 c\r\n" },
		{ 550, { 5, 7, 1 }, SLICE("a\nb"), "550-5.7.1 a\r\n550 5.7.1 b\r\n" },
		{ 550, { 5, 7, 1 }, SLICE("a\n"), "550 5.7.1 a\r\n" },
		{ 550, { 5, 7, 1 }, SLICE("a\r\nb"), "550-5.7.1 a?\r\n550 5.7.1 b\r\n" },
		{ 550, { 5, 7, 1 }, SLICE("x\x1b\0\xc3\xa4\ty"), "550 5.7.1 x?????y\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char mem[200];
		struct text t = text_over(mem, sizeof(mem));

		reply_write(&t, rows[i].code, rows[i].e, rows[i].words);
		assert_string_equal(mem, rows[i].out);
	}
}

/* One blank between words, none at the ends; the new length. */
static size_t
squeeze(char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' || (out > 0 && p[out - 1] != ' '))
			p[out++] = p[i];
	return out > 0 && p[out - 1] == ' ' ? out - 1 : out;
}

/* Any words: lines keep to 512 octets, read back as one reply, and no word is lost. */
static void
breaks_long_texts(void **state)
{
	(void)state;
	static char words[4000], mem[16000], flat[8000];
	struct reply r;
	size_t used;

	srand(1);
	for (int i = 0; i < 500; i++) {
		size_t n = (size_t)rand() % sizeof(words);
		int every = i % 3 == 0 ? 2000 : i % 3 == 1 ? 8 : 100;
		struct text t = text_over(mem, sizeof(mem));
		struct text f = text_over(flat, sizeof(flat));
		struct enhanced e = { (uint8_t)(i % 2 ? 5 : 0), 7, 1 };
		size_t letters = 0, got = 0;

		for (size_t k = 0; k < n; k++) {
			words[k] = rand() % every ? 'w' : ' ';
			letters += words[k] == 'w';
		}
		reply_write(&t, 550, e, slice_of(words, n));
		assert_false(t.overflow);
		assert_int_equal(reply_parse(&(struct reply_scan){ 0 }, text_slice(&t), &r, &used),
		    REPLY_WHOLE);
		assert_int_equal(used, t.n);

		for (struct slice rest = text_slice(&t); rest.n > 0;) {
			size_t line = slice_find(rest, '\n') + 1;

			assert_true(line <= 512);
			assert_true(e.cls == 0 ||
			    slice_starts(slice_skip(rest, 4), SLICE("5.7.1 ")));
			rest = slice_skip(rest, line);
		}
		reply_flatten(&f, &r, sizeof(flat));
		for (size_t k = 0; k < f.n; k++)
			got += flat[k] == 'w';
		assert_int_equal(got, letters);
		if (every == 8) { /* broken at blanks alone: the same words */
			size_t same = squeeze(flat, f.n);

			assert_int_equal(squeeze(words, n), same);
			assert_memory_equal(flat, words, same);
		}
	}
}

static void
overflow_is_seen(void **state)
{
	(void)state;
	char mem[12];
	struct text t = text_over(mem, sizeof(mem));

	reply_write(&t, 250, (struct enhanced){ 2, 0, 0 }, SLICE("too long"));
	assert_true(t.overflow);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(waits_for_the_end),
		cmocka_unit_test(looks_at_each_octet_once),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(goes_through_lines),
		cmocka_unit_test(writes),
		cmocka_unit_test(breaks_long_texts),
		cmocka_unit_test(overflow_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
