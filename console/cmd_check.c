/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/check/inspect.h"
#include "console/out.h"

/*
 * byway check: what bywayd -t and a start look at, told in full
 */

struct tally {
	unsigned warnings;
	unsigned crosses;
};

static void
count(struct tally *t, enum inspect_grade grade)
{
	t->warnings += grade == INSPECT_WARNING;
	t->crosses += grade == INSPECT_CROSS;
}

static const char *
grade_word(enum inspect_grade grade)
{
	return grade == INSPECT_GOOD ? "good" : grade == INSPECT_WARNING ? "warning" : "cross";
}

/* What is well or may wait goes to standard output, what keeps from starting to standard error. */
static void
print_finding(struct cli *c, const struct inspect_finding *f)
{
	bool good = f->grade == INSPECT_GOOD;
	bool cross = f->grade == INSPECT_CROSS;
	FILE *to = cross ? stderr : stdout;

	if (!cross)
		out_paint(c, good ? 'g' : 'y');
	fputs(good ? "\xe2\x9c\x93" : cross ? "\xe2\x9c\x97" : "!", to);
	if (!cross)
		out_paint(c, '\0');
	fprintf(to, " %-13.*s  ", SLICE_FMT(f->topic));
	out_plain(to, f->words);
	fputc('\n', to);
	fflush(to);
}

static int
print(struct cli *c, struct slice said, int status)
{
	struct tally t = { 0 };
	struct inspect_finding f;

	while (inspect_next(&said, &f)) {
		count(&t, f.grade);
		print_finding(c, &f);
	}
	if (status != EX_OK)
		return cli_fail(c, status, "%s",
		    t.crosses > 1 ? cli_print(c, "%u mistakes: bywayd would not start", t.crosses)
		                  : "one mistake: bywayd would not start");
	printf("All is good%s.\n", t.warnings ? " for a start, but see the warnings" : "");
	return EX_OK;
}

static int
print_json(struct cli *c, struct slice said, int status)
{
	struct tally t = { 0 };
	struct inspect_finding f;
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_bool(&j, "ok", status == EX_OK);
	json_str(&j, "config", slice_str(c->config));
	json_open(&j, "findings", '[');
	while (inspect_next(&said, &f)) {
		count(&t, f.grade);
		json_open(&j, NULL, '{');
		json_str(&j, "grade", slice_str(grade_word(f.grade)));
		json_str(&j, "topic", f.topic);
		json_str(&j, "words", f.words);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_u64(&j, "warnings", t.warnings);
	json_u64(&j, "crosses", t.crosses);
	if (status != EX_OK)
		json_str(&j, "error", SLICE("bywayd would not start"));
	json_close(&j, '}');
	json_end(&j);
	return status;
}

int
cmd_check(struct cli *c)
{
	struct text said = text_over(cli_alloc(c, INSPECT_WORDS_MAX), INSPECT_WORDS_MAX);
	unsigned what = INSPECT_PORTS | (cli_has(c, "online") ? INSPECT_ONLINE : 0u);

	fflush(stdout);
	int status = inspect_now(c->config, what, &said);

	return c->json ? print_json(c, text_slice(&said), status)
	               : print(c, text_slice(&said), status);
}
