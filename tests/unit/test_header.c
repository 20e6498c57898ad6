/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define FIRST   "Received: by us\r\n\tfor you\r\n"
#define DATE    "Date: now\r\n"
#define ID      "Message-ID: <ours>\r\n"
#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

enum { MEM = 8192 };

struct sink {
	size_t n;
	size_t pieces;
	char mem[MEM];
};

static void
gather(void *ctx, struct slice piece)
{
	struct sink *s = ctx;

	assert_true(piece.n > 0 && s->n + piece.n <= MEM);
	memcpy(s->mem + s->n, piece.p, piece.n);
	s->n += piece.n;
	s->pieces++;
}

static const struct slice drop[] = { SLICE("Bcc"), SLICE("X-SMTPAPI"), SLICE("X-Mailgun-*") };

static const struct header_options usual = {
	.drop = drop,
	.drop_n = sizeof(drop) / sizeof(drop[0]),
	.token = { "aabaac", 6 },
	.first = { FIRST, sizeof(FIRST) - 1 },
	.date = { DATE, sizeof(DATE) - 1 },
	.message_id = { ID, sizeof(ID) - 1 },
};

/* In pieces of 1..PIECE octets, each in memory of its own. */
static void
run(struct header *h, const struct header_options *o, struct slice in, size_t piece,
    struct sink *out)
{
	out->n = 0;
	out->pieces = 0;
	header_init(h, o);
	while (in.n > 0) {
		size_t n = piece > 1 ? (size_t)rand() % piece + 1 : 1;

		n = n < in.n ? n : in.n;

		char *copy = malloc(n);

		memcpy(copy, in.p, n);
		header_feed(h, slice_of(copy, n), gather, out);
		free(copy);
		in = slice_skip(in, n);
	}
	header_finish(h, gather, out);
}

static const struct {
	struct slice in;
	struct slice out;
} cases[] = {
	/* nothing missing */
	{ SLICE("Date: x\r\nMessage-ID: <y>\r\n\r\nbody\r\n"),
	    SLICE(FIRST "Date: x\r\nMessage-ID: <y>\r\n\r\nbody\r\n") },
	/* something missing: before the empty line */
	{ SLICE("From: a\r\n\r\nb\r\n"), SLICE(FIRST "From: a\r\n" DATE ID "\r\nb\r\n") },
	{ SLICE("date: x\r\n\r\n"), SLICE(FIRST "date: x\r\n" ID "\r\n") },
	{ SLICE("MESSAGE-ID:\r\n <y>\r\n\r\n"),
	    SLICE(FIRST "MESSAGE-ID:\r\n <y>\r\n" DATE "\r\n") },
	{ SLICE("Date : x\r\nMessage-ID\t: <y>\r\n\r\n"),
	    SLICE(FIRST "Date : x\r\nMessage-ID\t: <y>\r\n\r\n") },
	/* a field's text in the body, or in a value, is none */
	{ SLICE("From: a\r\n Date: x\r\n\r\nDate: x\r\nBcc: y\r\n"),
	    SLICE(FIRST "From: a\r\n Date: x\r\n" DATE ID "\r\nDate: x\r\nBcc: y\r\n") },
	{ SLICE("X-Date: x\r\nDates: x\r\nDat: x\r\n\r\n"),
	    SLICE(FIRST "X-Date: x\r\nDates: x\r\nDat: x\r\n" DATE ID "\r\n") },

	/* dropped, with folded lines */
	{ SLICE("Date: x\r\nBcc: a,\r\n b\r\n\tc\r\nMessage-ID: y\r\nbcc: d\r\n\r\nBcc: e\r\n"),
	    SLICE(FIRST "Date: x\r\nMessage-ID: y\r\n\r\nBcc: e\r\n") },
	{ SLICE(
	      "Bcc : a\r\nX-Mailgun-Tag: b\r\nx-mailgun-: c\r\nX-Mailgun: d\r\nX-SMTPAPI:\r\n {}\r\n\r\n"),
	    SLICE(FIRST "X-Mailgun: d\r\n" DATE ID "\r\n") },
	{ SLICE("Bcc: a\r\n"), SLICE(FIRST DATE ID) },
	{ SLICE("Bcc: a"), SLICE(FIRST DATE ID) },
	{ SLICE("X-Mailgun-" HUNDRED ": x\r\n y\r\nA: b\r\n\r\n"),
	    SLICE(FIRST "A: b\r\n" DATE ID "\r\n") },
	{ SLICE("X-Other-" HUNDRED ": x\r\n y\r\nBcc: b\r\n\r\n"),
	    SLICE(FIRST "X-Other-" HUNDRED ": x\r\n y\r\n" DATE ID "\r\n") },

	/* no header at all */
	{ SLICE(""), SLICE(FIRST DATE ID) },
	{ SLICE("\r\n"), SLICE(FIRST DATE ID "\r\n") },
	{ SLICE("\r\nbody\r\n"), SLICE(FIRST DATE ID "\r\nbody\r\n") },
	{ SLICE("Hello you\r\nBcc: x\r\n"), SLICE(FIRST DATE ID "\r\nHello you\r\nBcc: x\r\n") },
	{ SLICE("Hello"), SLICE(FIRST DATE ID "\r\nHello") },

	/* a mailbox file's line, as the very first */
	{ SLICE("From 0a0ae3e9 Mon Sep 17 00:00:00 2001\r\nFrom: me\r\nDate: x\r\n\r\nb"),
	    SLICE(FIRST "From: me\r\nDate: x\r\n" ID "\r\nb") },
	{ SLICE("From a@b Sat Nov 21\r\nDate: x\r\n\r\nb"), SLICE(FIRST "Date: x\r\n" ID "\r\nb") },
	{ SLICE("From MAILER-DAEMON\r\nBcc: x\r\nA: b\r\n\r\nb"),
	    SLICE(FIRST "A: b\r\n" DATE ID "\r\nb") },
	{ SLICE("From - Sat Jan  3 01:05:34 1996\r\n\r\nFrom a 00:00\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom a 00:00\r\n") },
	{ SLICE("From  a@b 01:05\r\nplain text\r\n"), SLICE(FIRST DATE ID "\r\nplain text\r\n") },
	{ SLICE("From a 01:05\r\n"), SLICE(FIRST DATE ID) },
	{ SLICE("From a 01:05\r\nFrom b 01:05\r\nA: b\r\n\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom b 01:05\r\nA: b\r\n\r\n") },
	{ SLICE("From a 01:05\r\n A: b\r\n\r\n"), SLICE(FIRST DATE ID "\r\n A: b\r\n\r\n") },
	{ SLICE("A: b\r\nFrom a 01:05\r\nBcc: d\r\n\r\n"),
	    SLICE(FIRST "A: b\r\n" DATE ID "\r\nFrom a 01:05\r\nBcc: d\r\n\r\n") },
	{ SLICE("\r\nFrom a 01:05\r\nA: b\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom a 01:05\r\nA: b\r\n") },
	/* and what only begins like one */
	{ SLICE("From now on\r\nall is text\r\nBcc: x\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom now on\r\nall is text\r\nBcc: x\r\n") },
	{ SLICE("From now on\r\n\r\nall is text\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom now on\r\n\r\nall is text\r\n") },
	{ SLICE("From now on\r\n"), SLICE(FIRST DATE ID "\r\nFrom now on\r\n") },
	{ SLICE("From now on"), SLICE(FIRST DATE ID "\r\nFrom now on") },
	{ SLICE("From "), SLICE(FIRST DATE ID "\r\nFrom ") },
	{ SLICE("From \r\nA: b\r\n\r\n"), SLICE(FIRST "A: b\r\n" DATE ID "\r\n") },
	{ SLICE("From : me\r\nDate: x\r\n\r\n"),
	    SLICE(FIRST "From : me\r\nDate: x\r\n" ID "\r\n") },
	{ SLICE("From: me\r\nDate: x\r\n\r\n"), SLICE(FIRST "From: me\r\nDate: x\r\n" ID "\r\n") },
	{ SLICE("FROM a 01:05\r\nA: b\r\n"), SLICE(FIRST DATE ID "\r\nFROM a 01:05\r\nA: b\r\n") },
	{ SLICE("From 01:05 " HUNDRED HUNDRED HUNDRED "\r\nA: b\r\n\r\n"),
	    SLICE(FIRST DATE ID "\r\nFrom 01:05 " HUNDRED HUNDRED HUNDRED "\r\nA: b\r\n\r\n") },
	{ SLICE(" Date: x\r\nFrom: y\r\n\r\n"),
	    SLICE(FIRST DATE ID "\r\n Date: x\r\nFrom: y\r\n\r\n") },
	{ SLICE(": x\r\n"), SLICE(FIRST DATE ID "\r\n: x\r\n") },
	{ SLICE("\xc3\xa4: x\r\n"), SLICE(FIRST DATE ID "\r\n\xc3\xa4: x\r\n") },
	{ SLICE("Bcc" HUNDRED), SLICE(FIRST "Bcc" HUNDRED "\r\n" DATE ID) },

	/* a header section that breaks off */
	{ SLICE("A: b\r\nnot a field\r\nBcc: x\r\n\r\n"),
	    SLICE(FIRST "A: b\r\n" DATE ID "\r\nnot a field\r\nBcc: x\r\n\r\n") },
	{ SLICE("A: b\r\nX-SMTPAPI\r\n: {}\r\n\r\n"),
	    SLICE(FIRST "A: b\r\n" DATE ID "\r\nX-SMTPAPI\r\n: {}\r\n\r\n") },
	{ SLICE("A: b\r\n"), SLICE(FIRST "A: b\r\n" DATE ID) },
	{ SLICE("A: b"), SLICE(FIRST "A: b\r\n" DATE ID) },
	{ SLICE("Date: b\r\nMessage-ID: c"), SLICE(FIRST "Date: b\r\nMessage-ID: c") },
};

static void
mends_the_table(void **state)
{
	(void)state;
	struct header h;
	struct sink out;

	srand(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 300; piece = piece < 12 ? piece + 1 : piece * 3) {
			for (int k = 0; k < 5; k++) {
				run(&h, &usual, cases[i].in, piece, &out);
				if (!slice_eq(slice_of(out.mem, out.n), cases[i].out))
					fail_msg("case %zu in pieces of %zu:\n%.*s", i, piece,
					    (int)out.n, out.mem);
				assert_true(h.over);
			}
		}
	}
}

/* A message of random fields and lines; all of it valid. */
static size_t
message(char *mem, bool with_both)
{
	static const char *const names[] = { "A", "From", "Received", "X-SMTPAPI", "Bcc",
		"Subject " };
	static const char given[] = "DATE: x\r\nMessage-Id: <y@z>\r\n";
	size_t n = 0;
	int fields = rand() % 20;
	int both = with_both ? rand() % (fields + 1) : -1;

	for (int i = 0; i <= fields; i++) {
		const char *name = names[rand() % 6];

		if (i == both) {
			memcpy(mem + n, given, sizeof(given) - 1);
			n += sizeof(given) - 1;
		}
		memcpy(mem + n, name, strlen(name));
		n += strlen(name);
		mem[n++] = ':';
		for (int k = rand() % 60; k > 0; k--) {
			memcpy(mem + n, "\r\n ", 3);
			if (rand() % 12 == 0)
				n += 3;
			else
				mem[n++] = "aabc: .\xe4"[rand() % 8];
		}
		mem[n++] = '\r';
		mem[n++] = '\n';
	}
	mem[n++] = '\r';
	mem[n++] = '\n';
	for (int k = rand() % 200; k > 0; k--)
		mem[n++] = "ab:\r\n\t ."[rand() % 8];
	return n;
}

/* With nothing to drop and nothing missing, what comes out is what came in, octet for octet. */
static void
changes_nothing_needlessly(void **state)
{
	(void)state;
	static char mem[MEM];
	struct header_options o = usual;
	struct header h;
	struct sink out;

	srand(2);
	o.drop_n = 0;
	for (int i = 0; i < 3000; i++) {
		size_t n = message(mem, true);
		size_t piece = i % 3 == 0 ? MEM : (size_t)rand() % 40 + 1;

		run(&h, &o, slice_of(mem, n), piece, &out);
		assert_int_equal(out.n, n + o.first.n);
		assert_memory_equal(out.mem, FIRST, o.first.n);
		assert_memory_equal(out.mem + o.first.n, mem, n);
		assert_int_equal(h.dropped, 0);
		assert_true(h.has_date && h.has_message_id);
		assert_true(slice_eq(slice_of(h.message_id, h.message_id_n), SLICE("<y@z>")));
	}
}

/* The same result for any split, with all that we do switched on. */
static void
does_not_see_splits(void **state)
{
	(void)state;
	static char mem[MEM];
	static struct sink whole, split;
	struct header a, b;

	srand(3);
	for (int i = 0; i < 3000; i++) {
		size_t n = message(mem, rand() % 2);

		for (int k = rand() % 4; k > 0; k--)
			mem[(size_t)rand() % n] = "\r\n :x"[rand() % 5];
		header_init(&a, &usual);
		whole.n = 0;
		header_feed(&a, slice_of(mem, n), gather, &whole);
		header_finish(&a, gather, &whole);
		run(&b, &usual, slice_of(mem, n), (size_t)rand() % 10 + 1, &split);
		assert_int_equal(whole.n, split.n);
		assert_memory_equal(whole.mem, split.mem, whole.n);
		assert_int_equal(a.loop, b.loop);
		assert_int_equal(a.received, b.received);
		assert_int_equal(a.dropped, b.dropped);
		assert_int_equal(a.eight_bit, b.eight_bit);
		assert_int_equal(a.has_from, b.has_from);
		assert_int_equal(a.message_id_n, b.message_id_n);
	}
}

static void
sees_loops(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		bool loop;
		unsigned received;
	} rows[] = {
		{ SLICE("Received: x aabaac y\r\n\r\n"), true, 1 },
		{ SLICE("Received: aabaabaac\r\n\r\n"), true,
		    1 }, /* the second start overlaps the first */
		{ SLICE("Received: aaabaac\r\n\r\n"), true, 1 },
		{ SLICE("Received: x\r\n\taabaac\r\n\r\n"), true, 1 },
		{ SLICE("received : aabaac"), true, 1 },
		{ SLICE("Received: aaba\r\n ac\r\n\r\n"), false, 1 },
		{ SLICE("Received: aaba\r\nReceived: ac\r\nReceived:x\r\n\r\n"), false, 3 },
		{ SLICE("Subject: aabaac\r\n\r\nReceived: aabaac\r\n"), false, 0 },
		{ SLICE("Received: AABAAC\r\n\r\n"), false, 1 },
		{ SLICE("Bcc: aabaac\r\n\r\n"), false, 0 },
	};
	struct header_options none = usual;
	struct header h;
	struct sink out;

	none.token = SLICE("");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			run(&h, &usual, rows[i].in, piece, &out);
			if (h.loop != rows[i].loop || h.received != rows[i].received)
				fail_msg("row %zu", i);
			run(&h, &none, rows[i].in, piece, &out);
			assert_false(h.loop);
		}
	}
}

static void
tells_what_it_saw(void **state)
{
	(void)state;
	struct header h;
	struct sink out;

	run(&h, &usual,
	    SLICE("From: a\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\nBcc: \xe4\r\n\r\n\xe4"), 5,
	    &out);
	assert_true(h.has_from && h.has_message_id && !h.has_date);
	assert_false(h.eight_bit); /* not in what goes out as header */
	assert_int_equal(h.dropped, 1);
	assert_true(slice_eq(slice_of(h.message_id, h.message_id_n), SLICE("<1@x>")));
	run(&h, &usual, SLICE("Subject: \xc3\xa4\r\n\r\n"), 5, &out);
	assert_true(h.eight_bit);
	assert_false(h.has_from);
	run(&h, &usual, SLICE("Message-ID:\r\n\t<" HUNDRED HUNDRED ">\r\n\r\n"), 5, &out);
	assert_int_equal(h.message_id_n, sizeof(h.message_id));
}

/* N times PIECE as a header section, and what header.h says of it. */
static bool
is_too_large(struct slice piece, size_t n, struct slice end)
{
	struct header h;
	static struct sink out;

	header_init(&h, &usual);
	for (size_t i = 0; i < n; i++) {
		out.n = 0;
		header_feed(&h, piece, gather, &out);
	}
	out.n = 0;
	header_feed(&h, end, gather, &out);
	header_finish(&h, gather, &out);
	return h.too_large;
}

static void
bounds_the_section(void **state)
{
	(void)state;
	struct slice field = SLICE("A: b\r\n");
	struct slice folded = SLICE(" " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "123456789\r\n");
	struct slice half = SLICE(" 0123456789abcd\r");
	char start[514];

	assert_int_equal(folded.n, 512);
	memset(start, 'x', sizeof(start));
	memcpy(start, "A:", 2);
	memcpy(start + 510, "\r\n", 2);
	assert_false(is_too_large(field, HEADER_FIELDS_MAX, SLICE("\r\nb: c\r\n")));
	assert_true(is_too_large(field, HEADER_FIELDS_MAX + 1, SLICE("\r\n")));
	assert_true(is_too_large(SLICE("Bcc: b\r\n"), HEADER_FIELDS_MAX + 1, SLICE("\r\n")));
	/* the body counts for nothing */
	assert_false(is_too_large(SLICE("\r\nA: b\r\n"), HEADER_FIELDS_MAX * 2, SLICE("")));
	assert_false(is_too_large(folded, 1000, SLICE("\r\n"))); /* not folded: text */
	/* dropped fields are octets too, and folded lines no fields */
	for (int dropped = 0; dropped < 2; dropped++) {
		struct header h;
		static struct sink out;

		if (dropped)
			memcpy(start, "Bcc:", 4);
		for (size_t more = 0; more < 2; more++) {
			header_init(&h, &usual);
			out.n = 0;
			header_feed(&h, slice_of(start, 512), gather, &out);
			for (size_t i = 1; i < HEADER_OCTETS_MAX / 512; i++) {
				out.n = 0;
				header_feed(&h, folded, gather, &out);
			}
			assert_false(h.too_large);
			assert_int_equal(h.octets, HEADER_OCTETS_MAX);
			out.n = 0;
			header_feed(&h, more ? half : SLICE("\r\nbody"), gather, &out);
			assert_int_equal(h.too_large, more);
		}
	}
}

static void
keeps_from(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		const char *from;
		unsigned froms;
		bool cut;
	} rows[] = {
		{ SLICE("From: a@b\r\n\r\n"), " a@b", 1, false },
		{ SLICE("FROM :a@b\r\n\r\n"), "a@b", 1, false },
		{ SLICE("From:\r\n a\r\n\t<a@b>\r\nTo: c\r\n d\r\n\r\n"), " a\t<a@b>", 1, false },
		{ SLICE("From: a@b"), " a@b", 1, false },
		{ SLICE("From: a\r\nTo: b\r\nfrom: c\r\n d\r\n\r\n"), " a, c d", 2, false },
		{ SLICE("Resent-From: a\r\nFromm: b\r\nX-From: c\r\n\r\nFrom: d\r\n"), "", 0,
		    false },
		{ SLICE("From a@b\r\nFrom: c\r\n\r\n"), " c", 1, false },
		{ SLICE("From: 0123456789\r\n 0123456789\r\n\r\n"), " 0123456789 01234567", 1,
		    true },
		{ SLICE("From:\r\n\r\n"), "", 1, false },
		{ SLICE("\r\nFrom: a\r\n"), "", 0, false },
	};
	struct header_options o = usual;
	struct header h;
	struct sink out;
	char from[20];

	o.from = from;
	o.from_max = sizeof(from);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			run(&h, &o, rows[i].in, piece, &out);
			if (!slice_eq(slice_of(from, h.from_n), slice_str(rows[i].from)) ||
			    h.froms != rows[i].froms || h.from_cut != rows[i].cut)
				fail_msg("row %zu", i);
			run(&h, &usual, rows[i].in, piece, &out);
			assert_int_equal(h.froms, rows[i].froms);
			assert_int_equal(h.from_n, 0);
		}
	}
}

/* A header in one span goes out in few pieces: nothing is copied line by line. */
static void
emits_long_pieces(void **state)
{
	(void)state;
	struct header h;
	struct sink out = { 0 };

	header_init(&h, &usual);
	header_feed(&h,
	    SLICE("A: b\r\nC: d\r\n e\r\nDate: x\r\nMessage-ID: y\r\n\r\nbody\r\nmore\r\n"), gather,
	    &out);
	assert_int_equal(out.pieces, 2);
	header_feed(&h, SLICE("rest"), gather, &out);
	assert_int_equal(out.pieces, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mends_the_table),
		cmocka_unit_test(changes_nothing_needlessly),
		cmocka_unit_test(does_not_see_splits),
		cmocka_unit_test(sees_loops),
		cmocka_unit_test(tells_what_it_saw),
		cmocka_unit_test(bounds_the_section),
		cmocka_unit_test(keeps_from),
		cmocka_unit_test(emits_long_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
