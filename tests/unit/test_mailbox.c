/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

/* A value, and the addresses in it with blanks between; NULL where it is refused. */
static const struct {
	struct slice in;
	const char *out;
} cases[] = {
	{ SLICE("a@b.example"), "a@b.example" },
	{ SLICE(" a@b.example "), "a@b.example" },
	{ SLICE("<a@b.example>"), "a@b.example" },
	{ SLICE("A B <a@b.example>"), "a@b.example" },
	{ SLICE("\tA\tB\t<a@b.example>\t"), "a@b.example" },
	{ SLICE("\"A, B\" <a@b.example>"), "a@b.example" },
	{ SLICE("John Q. Public <a@b.example>"), "a@b.example" },
	{ SLICE("a@b.example, c@d.example"), "a@b.example c@d.example" },
	{ SLICE("A <a@b.example>,C<c@d.example>"), "a@b.example c@d.example" },
	{ SLICE("A@B.Example"), "A@B.Example" },

	/* names are not looked into */
	{ SLICE("\"boss@bank.example\" <a@b.example>"), "a@b.example" },
	{ SLICE("\"<boss@bank.example>\" <a@b.example>"), "a@b.example" },
	{ SLICE("\"x\\\" <boss@bank.example>\" <a@b.example>"), "a@b.example" },
	{ SLICE("=?utf-8?Q?boss=40bank.example?= <a@b.example>"), "a@b.example" },
	{ SLICE("=?utf-8?B?Ym9zc0BiYW5rLmV4YW1wbGU=?= <a@b.example>"), "a@b.example" },
	{ SLICE("\"=?utf-8?Q?=22_=3Cboss=40bank.example=3E?=\" <a@b.example>"), "a@b.example" },
	{ SLICE("\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd <a@b.example>"), "a@b.example" },
	{ SLICE("J\xf6rg <a@b.example>"), "a@b.example" },

	/* as people write it (BEHAVIOUR S7) */
	{ SLICE("[TICKET] Support <me@x.example>"), "me@x.example" },
	{ SLICE("Doe, John <me@x.example>"), "me@x.example" },
	{ SLICE("Doe, John (Sales), Dept. 7; <me@x.example>;"), "me@x.example" },
	{ SLICE("Support: EU <me@x.example>"), "me@x.example" },
	{ SLICE("G: H: <me@x.example>;;"), "me@x.example" },
	{ SLICE("Me :-( <me@x.example>"), "me@x.example" },
	{ SLICE("Me\\, Too <me@x.example>"), "me@x.example" },
	{ SLICE("J\xf6rg [IT] <me@x.example>"), "me@x.example" },
	{ SLICE("<me@x.example> (Me"), "me@x.example" },
	{ SLICE("<<<me@x.example>>>"), "me@x.example" },
	{ SLICE("Me << me@x.example >>"), "me@x.example" },
	{ SLICE("<me@x.example>;"), "me@x.example" },
	{ SLICE("[X] <\"a b\"@x.example>"), "\"a b\"@x.example" },
	{ SLICE("Me <ilo.@x.example>"), "\"ilo.\"@x.example" },
	/* the same address twice is one */
	{ SLICE("me@x.example <me@x.example>"), "me@x.example" },
	{ SLICE("me@x.example <me@X.Example>"), "me@x.example" },
	{ SLICE("'me@x.example' <me@x.example>"), "me@x.example" },
	{ SLICE("mailto:me@x.example <me@x.example>"), "me@x.example" },
	{ SLICE("[T] \"me@x.example\" <me@x.example>"), "me@x.example" },
	/* two different ones are two, wherever they stand */
	{ SLICE("Me@x.example <me@x.example>"), "Me@x.example me@x.example" },
	{ SLICE("[T] \"boss@bank.example\" <me@x.example>"), "boss@bank.example me@x.example" },
	{ SLICE("[T] (boss@bank.example) <me@x.example>"), "boss@bank.example me@x.example" },
	{ SLICE("[T] \"<boss@bank.example>\" <me@x.example>"), "boss@bank.example me@x.example" },
	{ SLICE("\"boss@bank.example\", <me@x.example>"), "boss@bank.example me@x.example" },
	{ SLICE("Doe, boss@bank.example <me@x.example>"), "boss@bank.example me@x.example" },
	{ SLICE("[T] <me@x.example> \"boss@bank.example"), "me@x.example boss@bank.example" },
	/* what could be one is not passed over */
	{ SLICE("Boss @ bank.example <me@x.example>"), NULL },
	{ SLICE("Boss @bank.example <me@x.example>"), NULL },
	{ SLICE("Boss@ bank.example <me@x.example>"), NULL },
	{ SLICE("[boss@bank.example] <me@x.example>"), NULL },
	{ SLICE("boss\\@bank.example <me@x.example>"), NULL },
	{ SLICE("[T] \"boss\"@bank.example <me@x.example>"), NULL },
	{ SLICE("[T] boss(x)@bank.example <me@x.example>"), NULL },
	{ SLICE("[T] <boss@bank.example, <me@x.example>"), NULL },
	{ SLICE("[T] <me@x.example"), NULL },
	{ SLICE("[T] <<me@x.example>"), NULL },
	{ SLICE("[T] <me@x.example>>"), NULL },
	{ SLICE("[T] <> <me@x.example>"), NULL },
	{ SLICE("[T] <=?utf-8?Q?boss=40bank.example=3E?=@x.example>"), NULL },
	{ SLICE("[T] me@x.example"), NULL },
	{ SLICE("Doe, John me@x.example"), NULL },
	{ SLICE("Doe, John"), NULL },
	{ SLICE("Doe, \xfc@x.example <me@x.example>"), NULL },

	/* what could be read in two ways is refused */
	{ SLICE("boss@bank.example <a@b.example>"), "boss@bank.example a@b.example" },
	{ SLICE("<boss@bank.example> <a@b.example>"), "boss@bank.example a@b.example" },
	{ SLICE("<a@b.example> boss@bank.example"), "a@b.example boss@bank.example" },
	{ SLICE("a@b.example c@d.example"), "a@b.example c@d.example" },
	{ SLICE("<a@b.example>, boss"), "a@b.example" },
	{ SLICE("=?utf-8?Q?Doe,_J?= <a@b.example>"), "a@b.example" },
	{ SLICE("=?utf-8?Q?boss@bank.example?= <a@b.example>"), NULL },
	{ SLICE("=?utf-8?Q?boss=40bank.example=3E?=@b.example"), NULL },
	{ SLICE("<=?utf-8?Q?boss=40bank.example=3E?=@b.example>"), NULL },
	{ SLICE("\"=?utf-8?Q?boss=40bank.example=3E?=\"@b.example"), NULL },
	{ SLICE("<a@b.example"), NULL },
	{ SLICE("a@b.example>"), NULL },
	{ SLICE("<<a@b.example>>"), "a@b.example" },
	{ SLICE("<a@b.example><c@d.example>"), "a@b.example c@d.example" },
	{ SLICE("<>"), NULL },
	{ SLICE("A <>"), NULL },
	{ SLICE("< >"), NULL },
	{ SLICE("boss"), NULL },
	{ SLICE("boss@"), NULL },
	{ SLICE("@b.example"), NULL },
	{ SLICE("a@@b.example"), NULL },
	{ SLICE("a@b@c.example"), NULL },
	{ SLICE("a b@c.example"), NULL },
	{ SLICE("a..b@c.example"), "\"a..b\"@c.example" },
	{ SLICE(".a@c.example"), "\".a\"@c.example" },
	{ SLICE("a.@c.example"), "\"a.\"@c.example" },
	{ SLICE("a@b..example"), NULL },
	{ SLICE("a@b.example."), NULL },
	{ SLICE("a@-b"), NULL },
	{ SLICE("a@b_c.example"), "a@b_c.example" },
	{ SLICE(". <a@b.example>"), "a@b.example" },
	{ SLICE("a@b.example;"), "a@b.example" },
	{ SLICE("a@b.example;c@d.example"), "a@b.example c@d.example" },
	{ SLICE("\"A <a@b.example>"), "a@b.example" },
	{ SLICE("\"A\\"), NULL },
	{ SLICE("a\0@b.example"), NULL },
	{ SLICE("a@b.example\0"), NULL },
	{ SLICE("a@b.example\r\n c@d.example"), NULL },
	{ SLICE("A\x7f <a@b.example>"), NULL },
	{ SLICE("a@b.example, \x01"), NULL },

	/* nothing there */
	{ SLICE(""), "" },
	{ SLICE("  "), "" },
	{ SLICE(" , ,"), "" },
	{ SLICE("(nobody)"), "" },

	/* comments */
	{ SLICE("a@b.example (A)"), "a@b.example" },
	{ SLICE("(x)a(y)@(z)b.example(w)"), "a@b.example" },
	{ SLICE("A (x) B <a@b.example>(y)"), "a@b.example" },
	{ SLICE("a@b.example (nested (and (more)) \\) \\( here)"), "a@b.example" },
	{ SLICE("a@b.example (<boss@bank.example>)"), "a@b.example" },
	{ SLICE("a@b.example (open"), NULL },
	{ SLICE("a@b.example (open\\"), NULL },
	{ SLICE("a@b.example)"), NULL },
	{ SLICE("a@b.example ((one)"), NULL },
	{ SLICE("a(, c@d.example,)@b.example"), "a@b.example" },

	/* groups, RFC 6854 */
	{ SLICE("G:;"), "" },
	{ SLICE("Undisclosed senders: ;"), "" },
	{ SLICE("G: a@b.example, C <c@d.example>;"), "a@b.example c@d.example" },
	{ SLICE("G: a@b.example;, e@f.example"), "a@b.example e@f.example" },
	{ SLICE("\"G\" (x): (y) a@b.example ; (z)"), "a@b.example" },
	{ SLICE("G: a@b.example"), NULL },
	{ SLICE("G: H: a@b.example;;"), NULL },
	{ SLICE(": a@b.example;"), NULL },
	{ SLICE("G: a@b.example; e@f.example"), NULL },
	{ SLICE("G: boss;"), NULL },
	{ SLICE("a@b.example: c@d.example;"), NULL },

	/* obsolete forms */
	{ SLICE("<@x.example,@y.example:a@b.example>"), "a@b.example" },
	{ SLICE("<,@x.example ,, @y.example : a@b.example>"), "a@b.example" },
	{ SLICE("A <@[192.0.2.1]:a@b.example>"), "a@b.example" },
	{ SLICE("<@x.example:>"), NULL },
	{ SLICE("<@x.example a@b.example>"), NULL },
	{ SLICE("<,:a@b.example>"), NULL },
	{ SLICE("<@:a@b.example>"), NULL },
	{ SLICE("@x.example:a@b.example"), NULL },
	{ SLICE("a . b @ c . example"), "a.b@c.example" },
	{ SLICE("a (x) . (y) b@c.example"), "a.b@c.example" },
	{ SLICE(",, a@b.example ,,c@d.example,"), "a@b.example c@d.example" },
	{ SLICE("\"a\".b@c.example"), "a.b@c.example" },
	{ SLICE("a.\"b c\"@d.example"), "\"a.b c\"@d.example" },

	/* local parts and domains */
	{ SLICE("\"a b\"@c.example"), "\"a b\"@c.example" },
	{ SLICE("\"a@bank.example\"@c.example"), "\"a@bank.example\"@c.example" },
	{ SLICE("<\"a>b\"@c.example>"), NULL },
	{ SLICE("\"\"@c.example"), "\"\"@c.example" },
	{ SLICE("a@[192.0.2.1]"), "a@[192.0.2.1]" },
	{ SLICE("a@[IPv6:2001:db8::1]"), "a@[IPv6:2001:db8::1]" },
	{ SLICE("a@[192.0.2.1"), NULL },
	{ SLICE("a@[bank.example]"), NULL },
	{ SLICE("\xc3\xbc@b\xc3\xbc.example"), "\xc3\xbc@b\xc3\xbc.example" },
	{ SLICE("\xfc@b.example"), NULL },
	{ SLICE("a@\xfc.example"), NULL },
};

static void
write_all(const struct mailboxes *all, struct text *t)
{
	for (size_t i = 0; i < all->n; i++) {
		if (i > 0)
			text_char(t, ' ');
		path_write(t, &all->at[i]);
	}
}

static void
reads_lists(void **state)
{
	static struct mailboxes all;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[512] = "";
		struct text t = text_over(mem, sizeof(mem));
		/* A copy of its own, so that a look beyond its end is seen. */
		char *copy = malloc(cases[i].in.n + (cases[i].in.n == 0));

		assert_non_null(copy);
		memcpy(copy, cases[i].in.p, cases[i].in.n);
		bool good = mailboxes_parse(slice_of(copy, cases[i].in.n), &all);

		free(copy);
		if (good != (cases[i].out != NULL))
			fail_msg("%s: %d", cases[i].in.p, good);
		if (!good)
			continue;
		write_all(&all, &t);
		if (!slice_eq(text_slice(&t), slice_str(cases[i].out)))
			fail_msg("%s: %.*s, not %s", cases[i].in.p, SLICE_FMT(text_slice(&t)),
			    cases[i].out);
	}
}

static bool
parse_many(const char *piece, size_t times, const char *end)
{
	static char mem[65536];
	static struct mailboxes all;
	struct text t = text_over(mem, sizeof(mem));

	for (size_t i = 0; i < times; i++)
		text_put(&t, slice_str(piece));
	text_put(&t, slice_str(end));
	assert_false(t.overflow);
	return mailboxes_parse(text_slice(&t), &all);
}

static void
is_bounded(void **state)
{
	static char mem[1024];
	struct text t = text_over(mem, sizeof(mem));
	static struct mailboxes all;

	(void)state;
	assert_true(parse_many("a@b,", MAILBOXES_MAX, ""));
	for (int i = 0; i <= MAILBOXES_MAX; i++) {
		assert_true(i == 0 || mailboxes_parse(text_slice(&t), &all));
		text_fmt(&t, "a%d@b,", i);
	}
	assert_false(mailboxes_parse(text_slice(&t), &all));
	assert_false(parse_many("(", 60000, ""));
	assert_true(parse_many("()", 30000, "a@b"));
	assert_false(parse_many("\"", 60001, ""));
	assert_false(parse_many("\\", 60000, ""));
	assert_true(parse_many("x ", 30000, "<a@b>"));
	assert_false(parse_many("a:", 30000, ""));
	assert_false(parse_many("<@a:", 10000, ""));
	assert_true(parse_many(",", 60000, ""));
	assert_false(parse_many("a.", 4000, "b@c"));
	assert_false(parse_many("@a,", 10000, ":a@b>"));
}

static double
time_of(const char *piece, size_t n)
{
	static char mem[1 << 20];
	static struct mailboxes all;
	size_t len = strlen(piece);
	struct timespec a, b;
	volatile bool got;

	assert_true(n <= sizeof(mem));
	for (size_t i = 0; i < n; i++)
		mem[i] = piece[i % len];
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	got = mailboxes_parse(slice_of(mem, n), &all);
	(void)got;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
}

/*
 * Whatever is repeated, sixteen times the octets take some sixteen times the time, not 256 times;
 * and no stack.
 */
static void
takes_linear_time(void **state)
{
	static const char *const pieces[] = { "(", "()", ")", "\"", "\\", "\\\"", "\"\\", "<", ">",
		"<>", "<@a:", "a:", "a:;", "a@b ", "<a@b>", "a@b,", "@", "a ", "a.", "'", "[", ",",
		";", "=?", "(\\", "\"(", "(\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		double small = time_of(pieces[i], 1 << 16);
		double large = time_of(pieces[i], 1 << 20);

		/*
		 * What is refused at the first octets takes no time at all: the floor is 1 ns an
		 * octet.
		 */
		small = small > 1 << 16 ? small : 1 << 16;
		if (large > 100 * small)
			fail_msg("%s: %.0f ns, then %.0f ns", pieces[i], small, large);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lists),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(takes_linear_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
