/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define TEN      "aaaaaaaaaa"
#define SIXTY    TEN TEN TEN TEN TEN TEN
#define LABEL_60 SIXTY "."

/* A path with its brackets, and what path_write() makes of it; NULL where it is refused. */
static const struct {
	struct slice in;
	const char *out;
} forward[] = {
	{ SLICE("<a@b.example>"), "a@b.example" }, { SLICE("<a.b+c@d>"), "a.b+c@d" },
	{ SLICE("<!#$%&'*+-/=?^_`{|}~@x>"), "!#$%&'*+-/=?^_`{|}~@x" },
	{ SLICE("<Postmaster>"), "Postmaster" }, { SLICE("<postMASTER>"), "postMASTER" },
	{ SLICE("<postmaster@x>"), "postmaster@x" },

	/* THREATS A6 */
	{ SLICE("<@a,@b:u@d>"), "u@d" }, { SLICE("<@a.example:u@d>"), "u@d" },
	{ SLICE("<@a,:u@d>"), NULL }, { SLICE("<@:u@d>"), NULL }, { SLICE("<@a u@d>"), NULL },
	{ SLICE("<@a@b:u@d>"), NULL }, { SLICE("<@a:>"), NULL }, { SLICE("<@a:@b:u@d>"), NULL },
	{ SLICE("<a%b@c>"), "a%b@c" }, { SLICE("<a!b@c>"), "a!b@c" }, { SLICE("<u@a@b>"), NULL },
	{ SLICE("<u>"), NULL }, { SLICE("<>"), NULL }, { SLICE("<@d>"), NULL },
	{ SLICE("<u@>"), NULL }, { SLICE("<u@d.>"), NULL }, { SLICE("<u@.d>"), NULL },
	{ SLICE("<u@d..e>"), NULL }, { SLICE("<u@-d>"), NULL }, { SLICE("<u@d->"), NULL },
	{ SLICE("<u@d e>"), NULL }, { SLICE("<u v@d>"), NULL },
	{ SLICE("<u@[127.0.0.1]>"), "u@[127.0.0.1]" }, { SLICE("<u@[IPv6:::1]>"), "u@[IPv6:::1]" },
	{ SLICE("<u@[ipv6:2001:db8::1]>"), "u@[ipv6:2001:db8::1]" },
	{ SLICE("<u@[IPv6:::ffff:192.0.2.1]>"), "u@[IPv6:::ffff:192.0.2.1]" },
	{ SLICE("<u@[::1]>"), NULL }, { SLICE("<u@[127.0.0]>"), NULL },
	{ SLICE("<u@[127.0.0.256]>"), NULL }, { SLICE("<u@[127.0.0.1>"), NULL },
	{ SLICE("<u@[]>"), NULL }, { SLICE("<u@[x:y]>"), NULL },
	{ SLICE("<u@[127.0.0.1]x>"), NULL }, { SLICE("<u@127.0.0.1>"), "u@127.0.0.1" },

	/* brackets */
	{ SLICE("a@b>"), NULL }, { SLICE("<a@b"), NULL }, { SLICE("<"), NULL }, { SLICE(""), NULL },
	{ SLICE("<<a@b>"), NULL },

	/* quotes come and go */
	{ SLICE("<\"a\"@b>"), "a@b" }, { SLICE("<\"a.b\"@c>"), "a.b@c" },
	{ SLICE("<\"a b\"@c>"), "\"a b\"@c" }, { SLICE("<\"a@b\"@c>"), "\"a@b\"@c" },
	{ SLICE("<\"\\a\\b\"@c>"), "ab@c" }, { SLICE("<\"a\\ b\"@c>"), "\"a b\"@c" },
	{ SLICE("<\"a\\\"b\"@c>"), "\"a\\\"b\"@c" }, { SLICE("<\"a\\\\\"@c>"), "\"a\\\\\"@c" },
	{ SLICE("<\"a..b\"@c>"), "\"a..b\"@c" }, { SLICE("<\".a\"@c>"), "\".a\"@c" },
	{ SLICE("<\"\"@c>"), "\"\"@c" }, { SLICE("<\"a@c>"), NULL }, { SLICE("<\"a\\\"@c>"), NULL },
	{ SLICE("<a\"b\"@c>"), NULL }, { SLICE("<\"a\"b@c>"), NULL },
	{ SLICE("<\"a\".b@c>"), NULL }, { SLICE("<\"a\"\"b\"@c>"), NULL },

	/* THREATS A2: parameters smuggled through a quoted local part */
	{ SLICE("<\"foo@psres.net> ORCPT=admin@admin.com\"@test.com>"), NULL },
	{ SLICE("<\"foo\\> ORCPT=x\"@test.com>"), NULL }, { SLICE("<\"a<b\"@c>"), NULL },
	{ SLICE("<\"a\\<b\"@c>"), NULL }, { SLICE("<\"a>b\"@c>"), NULL },
	{ SLICE("<\"xclow3n@gmail.com x\"@internal.domain>"),
	    "\"xclow3n@gmail.com x\"@internal.domain" },

	/* THREATS A1 */
	{ SLICE("<\"a\r\nRCPT TO:\"@c>"), NULL }, { SLICE("<\"a\\\r\"@c>"), NULL },
	{ SLICE("<\"a\\\n\"@c>"), NULL }, { SLICE("<\"a\0\"@c>"), NULL },
	{ SLICE("<\"a\\\0\"@c>"), NULL }, { SLICE("<a\0@c>"), NULL }, { SLICE("<a@c\0>"), NULL },
	{ SLICE("<a@[127.0.0.1\0]>"), NULL }, { SLICE("<\"a\x7f\"@c>"), NULL },
	{ SLICE("<a\x1b@c>"), NULL }, { SLICE("<a\xc0\x8d@c>"), NULL },
	{ SLICE("<a@c\xc0\x8d>"), NULL }, { SLICE("<\"a\xc0\x8d\"@c>"), NULL },
	{ SLICE("<a\xff@c>"), NULL },

	/* THREATS A8: opaque */
	{ SLICE("<=?utf-8?q?evil=40a=3e=00?=foo@x>"), "=?utf-8?q?evil=40a=3e=00?=foo@x" },

	/* UTF-8 */
	{ SLICE("<j\xc3\xbcrgen@b\xc3\xbc"
	        "cher.example>"),
	    "j\xc3\xbcrgen@b\xc3\xbc"
	    "cher.example" },
	{ SLICE("<\"j\xc3\xbc r\"@x>"), "\"j\xc3\xbc r\"@x" },
	{ SLICE("<\xe7\x98\x8d\xe7\x98\x8a@x>"), "\xe7\x98\x8d\xe7\x98\x8a@x" },

	/* THREATS A5: too long is refused, never cut */
	{ SLICE("<" SIXTY "1234@x>"), SIXTY "1234@x" }, { SLICE("<" SIXTY "12345@x>"), NULL },
	{ SLICE("<\"" SIXTY "12\"@x>"), SIXTY "12@x" }, { SLICE("<\"" SIXTY "123\"@x>"), NULL },
	{ SLICE("<u@" SIXTY "123.x>"), "u@" SIXTY "123.x" }, { SLICE("<u@" SIXTY "1234.x>"), NULL },
	{ SLICE("<u@" LABEL_60 LABEL_60 LABEL_60 LABEL_60 "12345678>"),
	    "u@" LABEL_60 LABEL_60 LABEL_60 LABEL_60 "12345678" },
	{ SLICE("<u@" LABEL_60 LABEL_60 LABEL_60 LABEL_60 "123456789>"), NULL }, /* path 257 */
};

/* BEHAVIOUR P7: forms of devices. What is left of the input, and what is written; NULL: refused. */
static const struct {
	struct slice in;
	const char *rest;
	const char *out;
} loose[] = {
	/* dots; HP iLO, docomo */
	{ SLICE("<ilo.@x>"), "", "\"ilo.\"@x" },
	{ SLICE("<.a@x>"), "", "\".a\"@x" },
	{ SLICE("<a..b@x>"), "", "\"a..b\"@x" },
	{ SLICE("<..a...b..@x>"), "", "\"..a...b..\"@x" },
	{ SLICE("<j\xc3\xbc.@x>"), "", "\"j\xc3\xbc.\"@x" },
	{ SLICE("<" SIXTY "1.@x>"), "", "\"" SIXTY "1.\"@x" },
	{ SLICE("<" SIXTY "12.@x>"), NULL, NULL }, /* 65 octets with its quotes */
	{ SLICE("<.@x>"), NULL, NULL },
	{ SLICE("<..@x>"), NULL, NULL },
	{ SLICE("<a..\"b\"@x>"), NULL, NULL },
	{ SLICE("<a.@x.>"), NULL, NULL },
	{ SLICE("<a@b..c>"), NULL, NULL },
	{ SLICE("<a.@>"), NULL, NULL },

	/* _ in domains */
	{ SLICE("<u@d_e>"), "", "u@d_e" },
	{ SLICE("<u@under_score.example>"), "", "u@under_score.example" },
	{ SLICE("<u@_x>"), "", "u@_x" },
	{ SLICE("<u@x_.y>"), "", "u@x_.y" },
	{ SLICE("<u@-_x>"), NULL, NULL },
	{ SLICE("<u@x_/y>"), NULL, NULL },

	/* blanks inside the brackets */
	{ SLICE("< u@d>"), "", "u@d" },
	{ SLICE("<u@d >"), "", "u@d" },
	{ SLICE("<  u@d  > X"), " X", "u@d" },
	{ SLICE("< \"u v\"@d >"), "", "\"u v\"@d" },
	{ SLICE("< Postmaster >"), "", "Postmaster" },
	{ SLICE("<u @d>"), NULL, NULL },
	{ SLICE("<u@ d>"), NULL, NULL },
	{ SLICE("< u v@d>"), NULL, NULL },
	{ SLICE("< u@d x@y >"), NULL, NULL },

	/* no brackets */
	{ SLICE("u@d"), "", "u@d" },
	{ SLICE("u@d SIZE=1"), " SIZE=1", "u@d" },
	{ SLICE("\"u v\"@d SIZE=1"), " SIZE=1", "\"u v\"@d" },
	{ SLICE("u.@d_e NOTIFY=NEVER"), " NOTIFY=NEVER", "\"u.\"@d_e" },
	{ SLICE("Postmaster"), "", "Postmaster" },
	{ SLICE("@a:u@d"), "", "u@d" },
	{ SLICE("u@[192.0.2.1]"), "", "u@[192.0.2.1]" },
	{ SLICE("u"), NULL, NULL },
	{ SLICE(" u@d"), NULL, NULL },
	{ SLICE("u@d,v@e"), NULL, NULL },
	{ SLICE("u@d;"), NULL, NULL },
	{ SLICE("u@d>"), NULL, NULL },
	{ SLICE("u@d<v@e>"), NULL, NULL },
	{ SLICE("\"u v@d"), NULL, NULL },
	{ SLICE("u@d\rRCPT"), NULL, NULL },
	{ SLICE("u@d\tx"), NULL, NULL },
	{ SLICE("u@d\0"), NULL, NULL },
	{ SLICE("mailto:u@d"), NULL, NULL },
};

/*
 * Text of ours: no < > and nothing below a blank; a blank and what else needs it between quotes
 * only.
 */
static void
check_strict(struct slice s)
{
	bool quotes = false;

	assert_true(slice_is_text(s));
	for (size_t i = 0; i < s.n; i++) {
		if (quotes && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quotes = !quotes;
		else if (!quotes)
			assert_false(memchr(" ,;()\\", s.p[i], 6) ||
			    (s.p[i] == '.' && (i == 0 || i + 1 == s.n || s.p[i + 1] == '.')));
		assert_false(s.p[i] == '<' || s.p[i] == '>');
	}
	assert_false(quotes);
}

/* What was written reads back as the same. */
static void
check_fixpoint(struct slice written)
{
	struct path again;
	char second[300];
	struct text u = text_over(second, sizeof(second));

	assert_true(path_parse_bare(written, &again));
	path_write(&u, &again);
	assert_true(slice_eq(text_slice(&u), written));
}

static void
parses_and_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forward) / sizeof(forward[0]); i++) {
		struct slice rest = forward[i].in;
		struct path path;
		char mem[300];
		struct text t = text_over(mem, sizeof(mem));
		bool ok = path_parse(&rest, PATH_FORWARD, &path);

		if (ok != (forward[i].out != NULL))
			fail_msg("case %zu: %.*s", i, SLICE_FMT(forward[i].in));
		if (!ok) {
			assert_ptr_equal(rest.p, forward[i].in.p);
			continue;
		}
		assert_int_equal(rest.n, 0);
		path_write(&t, &path);
		assert_string_equal(mem, forward[i].out);
		assert_false(path.loose);
		assert_true(path.utf8 || slice_is_ascii(text_slice(&t)));
		assert_false(path.utf8 && slice_is_ascii(text_slice(&t)));
		check_strict(text_slice(&t));
		if (path.domain.n > 0)
			check_fixpoint(text_slice(&t));
	}
}

static void
reads_what_devices_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
		struct slice rest = loose[i].in;
		struct path path;
		char mem[300];
		struct text t = text_over(mem, sizeof(mem));

		if (path_parse(&rest, PATH_FORWARD, &path) != (loose[i].out != NULL))
			fail_msg("case %zu: %.*s", i, SLICE_FMT(loose[i].in));
		if (loose[i].out == NULL) {
			assert_ptr_equal(rest.p, loose[i].in.p);
			continue;
		}
		assert_true(slice_eq(rest, slice_str(loose[i].rest)));
		assert_true(path.loose);
		path_write(&t, &path);
		assert_string_equal(mem, loose[i].out);
		check_strict(text_slice(&t));
		if (path.domain.n > 0)
			check_fixpoint(text_slice(&t));
	}
}

/*
 * Any order of the octets that matter: what is accepted is written strictly and reads back as
 * itself.
 */
static void
writes_only_what_it_would_read(void **state)
{
	(void)state;
	static const char octets[] = "aaab..__-@@<>\"\"\\ ,;:=()[]\t\r\n\x7f\xc3\xbc\xff";
	unsigned taken = 0;

	srand(7);
	for (int i = 0; i < 200000; i++) {
		char in[32], mem[300];
		size_t n = (size_t)rand() % 12 + 1;
		struct text t = text_over(mem, sizeof(mem));
		struct path path;

		for (size_t k = 0; k < n; k++)
			in[k] = octets[(size_t)rand() %
			    (i % 2 ? sizeof(octets) : 16)]; /* its NUL too */
		if (i % 4 > 0) {                            /* near to an address */
			memcpy(in + n, "@d_e>", 5);
			n += i % 4 == 1 ? 5 : 4;
			in[0] = i % 4 == 1 ? '<' : in[0];
		}

		struct slice rest = slice_of(in, n);

		if (!path_parse(&rest, i % 3 ? PATH_REVERSE : PATH_FORWARD, &path))
			continue;
		taken++;
		path_write(&t, &path);
		check_strict(text_slice(&t));
		if (path.domain.n > 0)
			check_fixpoint(text_slice(&t));
	}
	assert_true(taken > 1000);
}

static void
stops_behind_the_path(void **state)
{
	(void)state;
	struct slice rest = SLICE("<a@b> SIZE=1>");
	struct path path;

	assert_true(path_parse(&rest, PATH_REVERSE, &path));
	assert_true(slice_eq(rest, SLICE(" SIZE=1>")));
	assert_true(slice_eq(path.local, SLICE("a")));
	assert_true(slice_eq(path.domain, SLICE("b")));
	assert_false(path.null || path.quoted || path.utf8);
}

static void
null_and_postmaster_have_their_places(void **state)
{
	(void)state;
	struct slice rest = SLICE("<>");
	struct path path;
	char mem[10];
	struct text t = text_over(mem, sizeof(mem));

	assert_true(path_parse(&rest, PATH_REVERSE, &path));
	assert_true(path.null);
	path_write(&t, &path);
	assert_string_equal(mem, "");
	rest = SLICE("<Postmaster>");
	assert_false(path_parse(&rest, PATH_REVERSE, &path));
	assert_false(path_parse_bare(SLICE(""), &path));
	assert_false(path_parse_bare(SLICE("Postmaster"), &path));
	assert_false(path_parse_bare(SLICE("<a@b>"), &path));
	assert_false(path_parse_bare(SLICE("a@b "), &path));
	assert_false(path_parse_bare(SLICE("@a:u@d"), &path));
	assert_true(path_parse_bare(SLICE("a@b"), &path));
}

static void
knows_domains(void **state)
{
	(void)state;
	assert_true(domain_is_valid(SLICE("mx-1.example.com"), false));
	assert_true(domain_is_valid(SLICE("localhost"), false));
	assert_true(domain_is_valid(SLICE("xn--bcher-kva.example"), false));
	assert_false(domain_is_valid(SLICE(""), false));
	assert_false(domain_is_valid(SLICE("."), false));
	assert_false(domain_is_valid(SLICE("a(b"), false));
	assert_false(domain_is_valid(SLICE("b\xc3\xbc"), false));
	assert_true(domain_is_valid(SLICE("b\xc3\xbc"), true));
	assert_false(domain_is_valid(SLICE("b\xc3"), true));
	assert_true(address_literal_is_valid(SLICE("[192.0.2.1]")));
	assert_false(address_literal_is_valid(SLICE("192.0.2.1")));
	assert_false(address_literal_is_valid(SLICE("[")));
	assert_false(address_literal_is_valid(SLICE("[192.0.2.1")));
	assert_false(address_literal_is_valid(SLICE("[IPv6:]")));
	assert_false(address_literal_is_valid(SLICE("[IPv6:192.0.2.1]")));
	assert_false(address_literal_is_valid(SLICE("[fe80::1%eth0]")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_writes),
		cmocka_unit_test(reads_what_devices_write),
		cmocka_unit_test(writes_only_what_it_would_read),
		cmocka_unit_test(stops_behind_the_path),
		cmocka_unit_test(null_and_postmaster_have_their_places),
		cmocka_unit_test(knows_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
