/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/options.h"

#include "bench/clock.h"
#include "wire/options.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* FIRST: what getopt says of the first row; beyond any character. */
enum { DAY_S = 86400, COLUMN = 28, FIRST = 256 };

/* What a number's text may hold; strtod() would take "inf" and "0x1p3" too. */
static bool
decimal(const char *s, double *v_r, char **end_r)
{
	if (strspn(s, "0123456789.") == 0)
		return false;
	*v_r = strtod(s, end_r);
	return *end_r != s && strspn(s, "0123456789.") == (size_t)(*end_r - s);
}

bool
options_seconds(const char *s, uint64_t *ns_r)
{
	double v;
	char *end;

	if (!decimal(s, &v, &end))
		return false;
	if (strcmp(end, "ms") == 0)
		v /= 1000;
	else if (strcmp(end, "m") == 0)
		v *= 60;
	else if (strcmp(end, "h") == 0)
		v *= 3600;
	else if (*end != '\0' && strcmp(end, "s") != 0)
		return false;
	if (v > DAY_S)
		return false;
	*ns_r = clock_of_seconds(v);
	return true;
}

static bool
read_number(const struct option_row *row, uint64_t *to, const char *argument, struct text *why)
{
	uint64_t v;

	if (slice_to_u64(slice_str(argument), &v) && v >= row->least &&
	    (row->most == 0 || v <= row->most)) {
		*to = v;
		return true;
	}
	text_fmt(why, "a number from %llu", (unsigned long long)row->least);
	if (row->most > 0)
		text_fmt(why, " to %llu", (unsigned long long)row->most);
	return false;
}

static bool
take(const struct option_row *row, void *object, const char *argument, struct text *why)
{
	void *to = (char *)object + row->offset;
	char *end;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)to = true;
		return true;
	case OPTION_NUMBER:
		return read_number(row, to, argument, why);
	case OPTION_SECONDS:
		if (options_seconds(argument, to))
			return true;
		text_put(why, SLICE("seconds, such as 0.5, 90, 250ms, 2m or 1h, a day at most"));
		return false;
	case OPTION_RATE:
		if (decimal(argument, to, &end) && *end == '\0' && *(double *)to > 0 &&
		    *(double *)to <= 1e7)
			return true;
		text_put(why, SLICE("messages a second, more than 0"));
		return false;
	case OPTION_TEXT:
		*(const char **)to = argument;
		return true;
	case OPTION_CALL:
		return row->call(object, argument, why);
	}
	return false;
}

static void
to_getopt(const struct options *o, struct option *long_options)
{
	assert(o->n <= OPTIONS_MAX);
	for (size_t i = 0; i < o->n; i++) {
		const char *argument = o->rows[i].argument;

		long_options[i] = (struct option){
			.name = o->rows[i].name,
			.has_arg = !argument     ? no_argument
			    : argument[0] == '[' ? optional_argument
			                         : required_argument,
			.val = FIRST + (int)i,
		};
	}
	long_options[o->n] = (struct option){ 0 };
}

bool
options_read(const struct options *o, void *object, int argc, char **argv, int *first_r)
{
	struct option long_options[OPTIONS_MAX + 1];
	static char name[64];
	int got;

	/* getopt's own words start with the program's name. */
	snprintf(name, sizeof(name), "%s", o->command);
	argv[0] = name;
	to_getopt(o, long_options);
	while ((got = options_next(argc, argv, "", long_options)) >= 0) {
		char mem[512];
		struct text why = text_over(mem, sizeof(mem));

		if (got == '?') {
			fprintf(stderr, "Try `%s --help`.\n", o->command);
			return false;
		}
		const struct option_row *row = &o->rows[got - FIRST];

		if (!take(row, object, optarg, &why)) {
			fprintf(stderr, "%s: --%s %s: %s%s\n", o->command, row->name,
			    optarg ? optarg : "", row->kind == OPTION_CALL ? "" : "must be ", mem);
			return false;
		}
	}
	*first_r = optind;
	return true;
}

void
options_help(const struct options *o)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct option_row *row = &o->rows[i];
		char left[80];
		const char *help = row->help;

		snprintf(left, sizeof(left), "--%s%s%s", row->name,
		    row->argument && row->argument[0] != '[' ? " " : "",
		    row->argument ? row->argument : "");
		printf("  %-*s ", COLUMN, left);
		/* The rows' lines stand under one another. */
		for (const char *end; (end = strchr(help, '\n')) != NULL; help = end + 1)
			printf("%.*s\n  %*s ", (int)(end - help), help, COLUMN, "");
		printf("%s\n", help);
	}
}
