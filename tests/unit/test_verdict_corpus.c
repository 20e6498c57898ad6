/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers say, by the hundred (tests/data/replies.tsv): each line gets the class that an
 * operator expects, from a host that is no preset.
 *
 * VERDICT_CORPUS=report prints figures by class and what was missed, in place of failing at the
 * first.
 */
#include "relay/verdict/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LINE_SIZE = 2048, FIELDS = 5, LEAST = 300 };

static enum phase
phase_of(const char *name)
{
	static const struct {
		const char *name;
		enum phase phase;
	} names[] = { { "GREETING", PHASE_GREETING }, { "AUTH", PHASE_AUTH },
		{ "MAIL", PHASE_MAIL }, { "RCPT", PHASE_RCPT }, { "DATA", PHASE_DATA },
		{ "DOT", PHASE_DOT } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].phase;
	fail_msg("%s: no phase", name);
	return PHASE_ANY;
}

/* "one\ntwo" as it stands in the table. */
static struct reply
reply_of(const char *said, char *wire)
{
	struct text t = text_over(wire, LINE_SIZE);
	struct reply r;
	size_t used;

	for (; *said; said++) {
		if (said[0] == '\\' && said[1] == 'n') {
			text_put(&t, SLICE("\r\n"));
			said++;
		} else {
			text_char(&t, *said);
		}
	}
	text_put(&t, SLICE("\r\n"));
	assert_false(t.overflow);
	if (reply_parse(&(struct reply_scan){ 0 }, text_slice(&t), &r, &used) != REPLY_WHOLE)
		fail_msg("%s: no reply", wire);
	return r;
}

struct row {
	char *phase, *classes, *held, *said, *source;
};

static bool
read_row(FILE *f, char *line, struct row *row_r)
{
	char *field[FIELDS];

	do {
		if (!fgets(line, LINE_SIZE, f))
			return false;
	} while (*line == '#');
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < FIELDS; i++) {
		field[i] = line;
		line = strchr(line, '\t');
		if (line)
			*line++ = '\0';
		else if (i + 1 < FIELDS)
			fail_msg("%s: too few fields", field[0]);
	}
	*row_r = (struct row){ field[0], field[1], field[2], field[3], field[4] };
	return true;
}

/* WORD is one of "a|b|c". */
static bool
is_one_of(const char *word, struct slice list)
{
	while (list.n)
		if (slice_eq(slice_cut(&list, '|'), slice_str(word)))
			return true;
	return false;
}

struct figures {
	unsigned rows, right, held, held_right;
};

static void
print_figures(const char *word, const struct figures *f)
{
	if (f->rows)
		print_message("%-14s %3u of %3u, held out %3u of %3u\n", word, f->right, f->rows,
		    f->held_right, f->held);
}

static void
count(struct figures *f, bool right, bool held)
{
	f->rows++;
	f->right += right;
	f->held += held;
	f->held_right += held && right;
}

static void
test_corpus(void **state)
{
	struct figures by_class[VERDICT_CLASS_COUNT] = { 0 };
	struct figures all = { 0 };
	bool report = getenv("VERDICT_CORPUS") != NULL;
	FILE *f = fopen("tests/data/replies.tsv", "re");
	char line[LINE_SIZE];
	char wire[LINE_SIZE];
	struct row row;

	(void)state;
	assert_non_null(f);
	while (read_row(f, line, &row)) {
		struct reply r = reply_of(row.said, wire);
		enum verdict_class class = verdict_class_of("custom", phase_of(row.phase), &r);
		struct slice wanted = slice_str(row.classes);
		struct slice first = slice_cut(&wanted, '|');
		bool right = is_one_of(verdict_word(class), slice_str(row.classes));

		for (unsigned i = 0; i < VERDICT_CLASS_COUNT; i++)
			if (slice_eq(first, slice_str(verdict_word(i))))
				count(&by_class[i], right, *row.held == 'h');
		count(&all, right, *row.held == 'h');
		if (!right)
			print_message("%s %s %s: %s: %s\n", row.held, row.phase, row.classes,
			    verdict_word(class), row.said);
	}
	(void)fclose(f);
	if (report)
		for (unsigned i = 0; i < VERDICT_CLASS_COUNT; i++)
			print_figures(verdict_word(i), &by_class[i]);
	if (report)
		print_figures("all", &all);
	assert_true(all.rows >= LEAST);
	if (!report)
		assert_int_equal(all.right, all.rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
