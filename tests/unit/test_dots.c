/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

enum { MEM = 4096 };

/* What decoding gave, gathered. */
struct got {
	struct dots_decoder d;
	enum dots_got last;
	size_t n;
	char mem[MEM];
	size_t left; /* octets of the input behind the end */
};

static size_t
max_piece(size_t n)
{
	return n == 0 ? 1 : (size_t)rand() % n + 1;
}

/* Decodes IN in pieces of 1..PIECE octets; each piece lies in memory of its own, so that a read
 * beyond it is seen. */
static void
decode(struct got *g, struct slice in, enum dots_policy policy, bool chunked, size_t piece)
{
	struct slice span;

	memset(g, 0, sizeof(*g));
	dots_decode_init(&g->d, policy, chunked);
	g->last = DOTS_MORE;
	while (in.n > 0 && g->last != DOTS_END) {
		size_t n = max_piece(piece);

		n = n < in.n ? n : in.n;

		char *copy = malloc(n);
		struct slice part = slice_of(copy, n);

		assert_non_null(copy);
		memcpy(copy, in.p, n);
		while ((g->last = dots_decode(&g->d, &part, &span)) == DOTS_SPAN) {
			assert_true(span.n > 0 && g->n + span.n <= MEM);
			memcpy(g->mem + g->n, span.p, span.n);
			g->n += span.n;
		}
		in = slice_skip(in, n - part.n);
		free(copy);
	}
	g->left = in.n;
	if (chunked) {
		dots_decode_finish(&g->d, &span);
		assert_true(g->n + span.n <= MEM);
		memcpy(g->mem + g->n, span.p, span.n);
		g->n += span.n;
	}
}

static bool
is_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool cr_before = i > 0 && s.p[i - 1] == '\r';

		if (s.p[i] == '\0' || (s.p[i] == '\n') != cr_before)
			return false;
	}
	return s.n == 0 || s.p[s.n - 1] != '\r';
}

static bool
has(struct slice s, struct slice needle)
{
	return memmem(s.p, s.n, needle.p, needle.n) != NULL;
}

/*
 * An input, what is content in it by REPAIR, and the first fault. The end CRLF.CRLF is part of the
 * input; octets behind it are "Q".
 */
static const struct {
	struct slice in;
	struct slice out;
	enum dots_fault fault;
} cases[] = {
	/* RFC 5321, 4.5.2 and THREATS C5 */
	{ SLICE(".\r\n"), SLICE(""), DOTS_NO_FAULT },
	{ SLICE("\r\n.\r\n"), SLICE("\r\n"), DOTS_NO_FAULT },
	{ SLICE("a\r\n.\r\nQ"), SLICE("a\r\n"), DOTS_NO_FAULT },
	{ SLICE("..\r\n.\r\n"), SLICE(".\r\n"), DOTS_NO_FAULT },
	{ SLICE("a\r\n..b\r\n.\r\n"), SLICE("a\r\n.b\r\n"), DOTS_NO_FAULT },
	{ SLICE("a\r\n...\r\n.\r\n"), SLICE("a\r\n..\r\n"), DOTS_NO_FAULT },
	{ SLICE(".x\r\n.\r\n"), SLICE("x\r\n"), DOTS_NO_FAULT },
	{ SLICE("a.\r\nb.c\r\n.\r\n"), SLICE("a.\r\nb.c\r\n"), DOTS_NO_FAULT },
	{ SLICE("\x80\xff\r\n.\r\n"), SLICE("\x80\xff\r\n"), DOTS_NO_FAULT },

	/* THREATS C1: ends that are none */
	{ SLICE("a\n.\nMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("a\n.\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("a\r\n.\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("a\n.\rMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("a\r.\nMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r.\rMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r.\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\n.\rMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\n\0.\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n.\r\nMAIL\r\n"), DOTS_NUL },
	{ SLICE("a\r\n.\0\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\nMAIL\r\n"), DOTS_NUL },
	{ SLICE("a\r\0\n.\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\n.\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\n.\r\0\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\n\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\0\r\n.\r\nQ"), SLICE("a\r\n"), DOTS_NUL },

	/* THREATS C2 */
	{ SLICE("a\r\n.\r\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\r\n.\r\r\nMAIL\r\n.\r\nQ"), SLICE("a\r\n\r\nMAIL\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\r\n.\r\nQ"), SLICE("a\r\n"), DOTS_BARE_CR },

	/* THREATS C3: a dot behind a repaired line end is content (and comes out stuffed) */
	{ SLICE("x\n.\nMAIL\r\n.\r\n"), SLICE("x\r\n.\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("\n.x\r\n.\r\n"), SLICE("\r\n.x\r\n"), DOTS_BARE_LF },

	/* BEHAVIOUR L8: two dots behind a repaired line end are a stuffed one */
	{ SLICE("x\n..\n\r\n.\r\n"), SLICE("x\r\n.\r\n\r\n"), DOTS_BARE_LF },
	{ SLICE("x\n..y\n...z\r\n.\r\n"), SLICE("x\r\n.y\r\n..z\r\n"), DOTS_BARE_LF },
	{ SLICE("x\r..y\r\n.\r\n"), SLICE("x\r\n.y\r\n"), DOTS_BARE_CR },
	{ SLICE("x\r\r..y\r\n.\r\n"), SLICE("x\r\n\r\n.y\r\n"), DOTS_BARE_CR },
	{ SLICE("x\n..\r\nMAIL\r\n.\r\nQ"), SLICE("x\r\n.\r\nMAIL\r\n"), DOTS_BARE_LF },
	{ SLICE("x\n.\0.\r\n.\r\n"), SLICE("x\r\n..\r\n"), DOTS_BARE_LF },
	{ SLICE("x\n\0..\r\n.\r\n"), SLICE("x\r\n..\r\n"), DOTS_BARE_LF },
	{ SLICE("x\n.\r.\r\n.\r\n"), SLICE("x\r\n.\r\n.\r\n"), DOTS_BARE_LF },
	{ SLICE("a\nb\n\nc\n\r\n.\r\nQ"), SLICE("a\r\nb\r\n\r\nc\r\n\r\n"), DOTS_BARE_LF },
	{ SLICE("a\nb\r\n.\r\nQ"), SLICE("a\r\nb\r\n"), DOTS_BARE_LF },
	{ SLICE("\n.\n\r\n.\r\n"), SLICE("\r\n.\r\n\r\n"), DOTS_BARE_LF },
	{ SLICE("\r.\n\r\n.\r\n"), SLICE("\r\n.\r\n\r\n"), DOTS_BARE_CR },

	/* THREATS C4 and runs of CR */
	{ SLICE("line\r\r\nnext\r\r\n\r\n.\r\n"), SLICE("line\r\nnext\r\n\r\n"), DOTS_BARE_CR },
	{ SLICE("\r\r\r\n.\r\n"), SLICE("\r\n\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\rb\r\n.\r\n"), SLICE("a\r\n\r\nb\r\n"), DOTS_BARE_CR },
	{ SLICE("a\r\r\rb\r\n.\r\n"), SLICE("a\r\n\r\n\r\nb\r\n"), DOTS_BARE_CR },
	{ SLICE("a\n\n\r\n.\r\n"), SLICE("a\r\n\r\n\r\n"), DOTS_BARE_LF },
	{ SLICE("a\n\r\n.\r\n"), SLICE("a\r\n\r\n"), DOTS_BARE_LF },
};

static void
try_case(size_t i, size_t piece)
{
	struct got g;
	size_t behind = cases[i].in.p[cases[i].in.n - 1] == 'Q';

	decode(&g, cases[i].in, DOTS_REPAIR, false, piece);
	if (!slice_eq(slice_of(g.mem, g.n), cases[i].out) || g.d.fault != cases[i].fault)
		fail_msg("case %zu in pieces of %zu, repaired: %zu octets, fault %d", i, piece, g.n,
		    g.d.fault);
	assert_int_equal(g.last, DOTS_END);
	assert_int_equal(g.left, behind);

	decode(&g, cases[i].in, DOTS_REFUSE, false, piece);
	assert_int_equal(g.last, DOTS_END);
	assert_int_equal(g.left, behind);
	assert_int_equal(g.d.fault, cases[i].fault);
	assert_true(is_clean(slice_of(g.mem, g.n)) || g.mem[g.n - 1] != '\r');
	if (g.d.fault == DOTS_NO_FAULT)
		assert_true(slice_eq(slice_of(g.mem, g.n), cases[i].out));
	assert_false(has(slice_of(g.mem, g.n), SLICE("MAIL")));
}

static void
decodes_the_table(void **state)
{
	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		try_case(i, 1);
		try_case(i, MEM);
		for (int k = 0; k < 50; k++)
			try_case(i, 4);
	}
}

/* Each smuggled end at each place of a block of 64. */
static void
decodes_the_table_at_any_offset(void **state)
{
	(void)state;
	char mem[512];
	struct got g;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t pad = 0; pad < 130; pad++) {
			struct slice in = slice_of(mem, pad + 2 + cases[i].in.n);

			memset(mem, 'p', pad);
			memcpy(mem + pad, "\r\n", 2);
			memcpy(mem + pad + 2, cases[i].in.p, cases[i].in.n);
			decode(&g, in, DOTS_REPAIR, false, MEM);
			assert_int_equal(g.last, DOTS_END);
			assert_int_equal(g.d.fault, cases[i].fault);
			assert_int_equal(g.n, pad + 2 + cases[i].out.n);
			assert_memory_equal(g.mem, mem, pad + 2);
			assert_memory_equal(g.mem + pad + 2, cases[i].out.p, cases[i].out.n);
		}
	}
}

/*
 * A second way to decode, by whole lines: what ends in CRLF is a line, a line "." is the end.
 */
struct reference {
	char mem[MEM];
	size_t n;
	enum dots_fault fault;
	size_t left;
};

static void
line_end(struct reference *r, size_t times)
{
	for (; times > 0; times--) {
		memcpy(r->mem + r->n, "\r\n", 2);
		r->n += 2;
	}
}

static void
reference_line(struct reference *r, struct slice line)
{
	bool soft = false; /* behind a repaired line end */

	for (size_t i = 0; i < line.n;) {
		enum dots_fault fault = DOTS_NO_FAULT;
		size_t crs = 0;

		while (i + crs < line.n && line.p[i + crs] == '\r')
			crs++;
		if (crs > 0) {
			fault = DOTS_BARE_CR;
			i += crs;
			line_end(r, i == line.n ? crs - 1 : crs);
			soft = true;
		} else if (line.p[i] == '\n') {
			fault = DOTS_BARE_LF;
			line_end(r, 1);
			i++;
			soft = true;
		} else if (line.p[i] == '\0') {
			fault = DOTS_NUL;
			i++;
			soft = false;
		} else {
			if (soft && i + 1 < line.n && line.p[i] == '.' && line.p[i + 1] == '.')
				i++;
			r->mem[r->n++] = line.p[i++];
			soft = false;
		}
		if (r->fault == DOTS_NO_FAULT)
			r->fault = fault;
	}
	line_end(r, 1);
}

static void
reference_decode(struct reference *r, struct slice in)
{
	memset(r, 0, sizeof(*r));
	for (;;) {
		const char *end = memmem(in.p, in.n, "\r\n", 2);

		assert_non_null(end);

		struct slice line = slice_head(in, (size_t)(end - in.p));

		in = slice_skip(in, line.n + 2);
		if (slice_eq(line, SLICE("."))) {
			r->left = in.n;
			return;
		}
		reference_line(r, slice_starts(line, SLICE(".")) ? slice_skip(line, 1) : line);
	}
}

/* Octets that matter, often; some long runs, so that whole blocks are met too. */
static size_t
noise(char *mem, size_t max)
{
	static const char *const bits[] = { "\r\n", "\r\n", "\r\n.", ".", "..", "x", "\r", "\n",
		"\0" };
	size_t kinds = (size_t)rand() % 3 == 0 ? 9 : 6;
	size_t n = 0;

	while (n + 200 < max) {
		size_t k = (size_t)rand() % (kinds + 1);
		size_t run = (size_t)rand() % (rand() % 8 ? 10 : 150);

		if (rand() % 40 == 0)
			break;
		if (k < kinds) {
			size_t len = k == 8 ? 1 : strlen(bits[k]);

			memcpy(mem + n, bits[k], len);
			n += len;
		} else {
			memset(mem + n, 'y', run);
			n += run;
		}
	}
	return n;
}

static void
encode(struct slice in, char *out, size_t *n_r)
{
	struct dots_encoder e;
	size_t n = 0;

	dots_encode_init(&e);
	while (in.n > 0) {
		size_t part = max_piece(in.n);
		char *room = malloc(2 * part);
		size_t got = dots_encode(&e, slice_head(in, part), room);

		assert_true(got >= part && got <= 2 * part);
		memcpy(out + n, room, got);
		free(room);
		n += got;
		in = slice_skip(in, part);
	}
	*n_r = n + dots_encode_finish(&e, out + n);
}

/* No bare CR or LF, and the end at the end only. */
static void
check_encoded(struct slice wire)
{
	assert_true(is_clean(wire));
	assert_true(slice_eq(wire, SLICE(".\r\n")) ||
	    slice_eq(slice_skip(wire, wire.n - 5), SLICE("\r\n.\r\n")));
	assert_false(has(slice_head(wire, wire.n - 1), SLICE("\r\n.\r\n")));
	if (wire.n > 3)
		assert_false(slice_starts(wire, SLICE(".\r\n")));
}

static void
agrees_with_the_reference(void **state)
{
	(void)state;
	static char mem[1200], wire[2 * MEM + 5];
	static struct reference r;
	static struct got g, again;

	srand(2);
	for (int i = 0; i < 30000; i++) {
		size_t n = noise(mem, 1000);
		size_t piece = rand() % 2 ? MEM : (size_t)rand() % 80 + 1;

		memcpy(mem + n, "\r\n.\r\nMAIL", 9);

		struct slice in = slice_of(mem, n + 9);

		reference_decode(&r, in);
		decode(&g, in, DOTS_REPAIR, false, piece);
		assert_int_equal(g.last, DOTS_END);
		assert_int_equal(g.left, r.left);
		assert_int_equal(g.d.fault, r.fault);
		assert_int_equal(g.n, r.n);
		assert_memory_equal(g.mem, r.mem, r.n);
		assert_true(is_clean(slice_of(g.mem, g.n)));

		encode(slice_of(g.mem, g.n), wire, &n);
		check_encoded(slice_of(wire, n));
		decode(&again, slice_of(wire, n), DOTS_REFUSE, false, piece);
		assert_int_equal(again.d.fault, DOTS_NO_FAULT);
		assert_int_equal(again.left, 0);
		assert_int_equal(again.n, g.n);
		assert_memory_equal(again.mem, g.mem, g.n);

		decode(&g, in, DOTS_REFUSE, false, piece);
		assert_int_equal(g.last, DOTS_END);
		assert_int_equal(g.left, r.left);
		assert_int_equal(g.d.fault, r.fault);
		if (r.fault == DOTS_NO_FAULT)
			assert_int_equal(g.n, r.n);
		assert_true(g.n <= r.n);
		assert_memory_equal(g.mem, r.mem, g.n);
	}
}

/* The encoder alone, given anything at all: still no end within, and CRLF.CRLF at its end. */
static void
encoder_hides_every_dot(void **state)
{
	(void)state;
	static char mem[1200], wire[2 * MEM + 5];

	srand(3);
	for (int i = 0; i < 5000; i++) {
		size_t n = noise(mem, 1000);

		encode(slice_of(mem, n), wire, &n);

		struct slice s = slice_of(wire, n);

		assert_true(slice_eq(s, SLICE(".\r\n")) ||
		    slice_eq(slice_skip(s, n - 5), SLICE("\r\n.\r\n")));
		s = slice_head(s, n - 3);
		for (size_t k = 0; k + 1 < s.n; k++)
			if ((k == 0 || s.p[k - 1] == '\n' || s.p[k - 1] == '\r') && s.p[k] == '.')
				assert_int_equal(s.p[k + 1], '.');
	}
}

static void
chunks_have_no_dots_and_no_end(void **state)
{
	(void)state;
	static const struct {
		struct slice in;
		struct slice out;
		enum dots_fault fault;
	} chunks[] = {
		{ SLICE(""), SLICE(""), DOTS_NO_FAULT },
		{ SLICE(".\r\n"), SLICE(".\r\n"), DOTS_NO_FAULT },
		{ SLICE("a\r\n.\r\n..b"), SLICE("a\r\n.\r\n..b"), DOTS_NO_FAULT },
		{ SLICE("a\n.\n"), SLICE("a\r\n.\r\n"), DOTS_BARE_LF },
		{ SLICE("a\n..\n"), SLICE("a\r\n..\r\n"), DOTS_BARE_LF },
		{ SLICE("a\r.."), SLICE("a\r\n.."), DOTS_BARE_CR },
		{ SLICE("a\r"), SLICE("a\r\n"), DOTS_BARE_CR },
		{ SLICE("a\r\r"), SLICE("a\r\n\r\n"), DOTS_BARE_CR },
		{ SLICE("a\r\r\n"), SLICE("a\r\n"), DOTS_BARE_CR },
		{ SLICE("a\0b"), SLICE("ab"), DOTS_NUL },
	};
	struct got g;

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		for (size_t piece = 1; piece < 5; piece++) {
			decode(&g, chunks[i].in, DOTS_REPAIR, true, piece);
			assert_int_equal(g.last, DOTS_MORE);
			assert_int_equal(g.d.fault, chunks[i].fault);
			if (!slice_eq(slice_of(g.mem, g.n), chunks[i].out))
				fail_msg("chunk %zu", i);
			decode(&g, chunks[i].in, DOTS_REFUSE, true, piece);
			assert_int_equal(g.d.fault, chunks[i].fault);
			if (!g.d.fault)
				assert_true(slice_eq(slice_of(g.mem, g.n), chunks[i].out));
		}
	}
}

/* THREATS C6, C12: a line without an end goes through in long spans; a fault in it silences the
 * rest up to the true end. */
static void
streams_endless_lines(void **state)
{
	(void)state;
	static char mem[1000000];
	struct dots_decoder d;
	struct slice in, span;
	size_t spans = 0, octets = 0;

	memset(mem, '.', sizeof(mem));
	mem[0] = 'a';
	dots_decode_init(&d, DOTS_REFUSE, false);
	in = slice_of(mem, sizeof(mem));
	while (dots_decode(&d, &in, &span) == DOTS_SPAN) {
		spans++;
		octets += span.n;
	}
	assert_int_equal(spans, 1);
	assert_int_equal(octets, sizeof(mem));

	in = SLICE("\n.\r\nMAIL FROM:<a@b>\r\n");
	assert_int_equal(dots_decode(&d, &in, &span), DOTS_MORE);
	in = slice_of(mem, sizeof(mem));
	assert_int_equal(dots_decode(&d, &in, &span), DOTS_MORE);
	in = SLICE("\r\n.\r\nQUIT");
	assert_int_equal(dots_decode(&d, &in, &span), DOTS_END);
	assert_true(slice_eq(in, SLICE("QUIT")));
	assert_int_equal(d.fault, DOTS_BARE_LF);
	assert_int_equal(dots_decode(&d, &in, &span), DOTS_END);
	assert_int_equal(in.n, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_the_table),
		cmocka_unit_test(decodes_the_table_at_any_offset),
		cmocka_unit_test(agrees_with_the_reference),
		cmocka_unit_test(encoder_hides_every_dot),
		cmocka_unit_test(chunks_have_no_dots_and_no_end),
		cmocka_unit_test(streams_endless_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
