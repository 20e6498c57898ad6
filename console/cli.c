/* SPDX-License-Identifier: Apache-2.0 */
#include "console/cli.h"

#include <grp.h>
#include <libgen.h>
#include <sys/stat.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "conf/option.h"
#include "console/kind.h"
#include "console/out.h"
#include "wire/options.h"
#include "wire/poison.h"

const struct cli_option cli_globals[] = {
	{ "config", "PATH",
	    "the configuration to read (default /etc/byway/byway.ini); -c for short" },
	{ "json", NULL, "one JSON object or array instead of text; errors are {\"error\": ...}" },
	{ "help", NULL, "what the command does, with an example; -h for short" },
	{ "version", NULL, "the version of byway" },
	{ NULL, NULL, NULL },
};

/* ---- memory ---------------------------------------------------------------------------------- */

void *
cli_alloc(struct cli *c, size_t n)
{
	void *p = arena_zalloc(&c->arena, n);

	if (!p) {
		fputs("byway: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return p;
}

void *
cli_room(struct cli *c, void *list, size_t n, size_t *cap, size_t size)
{
	size_t longer = *cap ? *cap * 2 : 32;
	void *copy;

	if (n < *cap)
		return list;
	copy = cli_alloc(c, longer * size);
	if (n > 0)
		memcpy(copy, list, n * size);
	*cap = longer;
	return copy;
}

char *
cli_dup(struct cli *c, struct slice s)
{
	char *p = cli_alloc(c, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static char *vprint(struct cli *c, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static char *
vprint(struct cli *c, const char *fmt, va_list args)
{
	char *text = NULL, *p;
	int n = vasprintf(&text, fmt, args);

	if (n < 0) {
		fputs("byway: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	p = cli_dup(c, slice_of(text, (size_t)n));
	free(text);
	return p;
}

char *
cli_print(struct cli *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	char *p = vprint(c, fmt, args);

	va_end(args);
	return p;
}

/* ---- saying what is wrong -------------------------------------------------------------------- */

static void
say_lines(struct slice lines, struct json *j)
{
	while (lines.n > 0) {
		struct slice line = slice_cut(&lines, '\n');

		if (line.n == 0)
			continue;
		if (j) {
			json_str(j, NULL, line);
		} else {
			out_plain(stderr, line);
			fputc('\n', stderr);
		}
	}
}

static int
say(struct cli *c, int status, struct slice lines, const char *sentence)
{
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "error", slice_str(sentence));
		if (lines.n > 0) {
			json_open(&j, "mistakes", '[');
			say_lines(lines, &j);
			json_close(&j, ']');
		}
		json_close(&j, '}');
		json_end(&j);
		return status;
	}
	fflush(stdout);
	say_lines(lines, NULL);
	fputs("byway: ", stderr);
	out_plain(stderr, slice_str(sentence));
	fputc('\n', stderr);
	return status;
}

int
cli_fail(struct cli *c, int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const char *sentence = vprint(c, fmt, args);

	va_end(args);
	return say(c, status, slice_str(""), sentence);
}

int
cli_fail_lines(struct cli *c, int status, struct slice lines, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const char *sentence = vprint(c, fmt, args);

	va_end(args);
	return say(c, status, lines, sentence);
}

const char *
cli_mistakes(struct cli *c, struct slice lines)
{
	size_t n = 0;

	while (lines.n > 0)
		n += slice_cut(&lines, '\n').n > 0;
	return cli_print(c, "%zu mistake%s", n, n == 1 ? "" : "s");
}

int
cli_usage(struct cli *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const char *sentence = vprint(c, fmt, args);

	va_end(args);
	return cli_fail(c, EX_USAGE, "%s (see byway %s%s--help)", sentence,
	    c->command ? c->command->words : "", c->command ? " " : "");
}

const char *
cli_who_may(struct cli *c, const char *path)
{
	char *copy = cli_dup(c, slice_str(path));
	struct stat st;
	const struct group *g = NULL;

	if (stat(path, &st) == 0 || stat(dirname(copy), &st) == 0)
		/* cppcheck-suppress getgrgidCalled ; one thread */
		g = st.st_mode & S_IRGRP && st.st_gid != 0 ? getgrgid(st.st_gid) : NULL;
	if (!g)
		return "run this as root or as the daemon's user";
	return cli_print(c,
	    "members of group %s may: `usermod -aG %s NAME` as root, then log in anew; or run this as root",
	    g->gr_name, g->gr_name);
}

void
cli_note(struct cli *c, const char *fmt, ...)
{
	va_list args;

	if (c->json)
		return;
	va_start(args, fmt);
	const char *sentence = vprint(c, fmt, args);

	va_end(args);
	fflush(stdout);
	out_plain(stderr, slice_str(sentence));
	fputc('\n', stderr);
}

void
cli_harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
#ifndef WIRE_HAS_ASAN /* its leak check attaches to us as a debugger does */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* ---- did you mean ---------------------------------------------------------------------------- */

bool
cli_is_one_of(struct slice word, const char *const *words)
{
	while (*words && !slice_eq(word, slice_str(*words)))
		words++;
	return *words != NULL;
}

const char *
cli_meant(const char *word, const char *const *words)
{
	struct guess g = { .word = slice_str(word) };

	for (; *words; words++)
		guess_try(&g, *words);
	return g.best;
}

/* ---- options --------------------------------------------------------------------------------- */

size_t
cli_options(const struct cli_command *cmd, struct cli_option *options_r, size_t max)
{
	size_t n = 0;

	assert(max >= CLI_OPTIONS_MAX);
	if (cmd->fields)
		n = kind_options(cmd->kind, cmd->adds, options_r, max);
	for (const struct cli_option *o = cmd->options; o && o->name; o++)
		options_r[n++] = *o;
	if (cmd->password) {
		options_r[n++] = (struct cli_option){ "password-stdin", NULL,
			"take the password from standard input (one line)" };
		options_r[n++] = (struct cli_option){ "password-file", "FILE",
			"take the password from a file that only you can read" };
	}
	if (cmd->generate)
		options_r[n++] = (struct cli_option){ "generate", NULL,
			"make a password of 160 random bits and print it once" };
	assert(n <= max);
	return n;
}

const char *
cli_value(const struct cli *c, const char *name)
{
	for (size_t i = 0; i < c->options_n; i++)
		if (strcmp(c->options[i].name, name) == 0)
			return c->values[i];
	return NULL;
}

bool
cli_has(const struct cli *c, const char *name)
{
	return cli_value(c, name) != NULL;
}

enum {
	OPT_CONFIG = 'c',
	OPT_JSON = 1000,
	OPT_HELP = 'h',
	OPT_VERSION = 1001,
	OPT_PASSWORD,
	OPT_OURS
};

static size_t
long_options(const struct cli *c, struct option *out)
{
	size_t n = 0;

	out[n++] = (struct option){ "config", required_argument, NULL, OPT_CONFIG };
	out[n++] = (struct option){ "json", no_argument, NULL, OPT_JSON };
	out[n++] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	out[n++] = (struct option){ "version", no_argument, NULL, OPT_VERSION };
	/* Known everywhere, so that it is refused for the right reason. */
	out[n++] = (struct option){ "password", optional_argument, NULL, OPT_PASSWORD };
	for (size_t i = 0; i < c->options_n; i++)
		out[n++] = (struct option){ c->options[i].name,
			c->options[i].arg ? required_argument : no_argument, NULL,
			OPT_OURS + (int)i };
	out[n] = (struct option){ 0 };
	return n;
}

/* WORD is an option as given; what stands behind '=' may be a secret and is not repeated. */
static int
unknown_option(struct cli *c, const char *word, const struct option *known, size_t known_n)
{
	const char *names[CLI_OPTIONS_MAX + 8];
	const char *bare = word + strspn(word, "-");
	char *name = cli_dup(c, slice_of(bare, strcspn(bare, "=")));
	size_t n = 0;

	for (size_t i = 0; i < known_n; i++)
		if (known[i].val != OPT_PASSWORD)
			names[n++] = known[i].name;
	names[n] = NULL;
	if (word[1] != '-')
		return cli_usage(c, "there is no option -%c", word[1]);

	const char *meant = cli_meant(name, names);

	if (meant)
		return cli_usage(c, "there is no option --%s; did you mean --%s?", name, meant);
	return cli_usage(c, "there is no option --%s", name);
}

enum parsed { PARSED, PARSED_HELP, PARSED_VERSION, PARSED_WRONG };

/* Takes options off ARGV from *AT on: with a command all of them (arguments are gathered), else
 * those before the next word. */
static enum parsed
parse(struct cli *c, int argc, char **argv, int *at, int *status_r)
{
	struct option known[CLI_OPTIONS_MAX + 8];
	size_t known_n = long_options(c, known);
	enum parsed result = PARSED;
	int got;

	/* getopt sees the part from *AT - 1 on as a command line of its own. */
	char **part = argv + *at - 1;
	int n = argc - *at + 1;

	optind = 0;
	opterr = 0;
	while ((got = options_next(n, part, c->command ? ":c:h" : "+:c:h", known)) != -1) {
		if (got == OPT_CONFIG) {
			c->config = optarg;
		} else if (got == OPT_JSON) {
			c->json = true;
			c->colour = false;
		} else if (got == OPT_HELP) {
			result = PARSED_HELP;
		} else if (got == OPT_VERSION) {
			result = result == PARSED ? PARSED_VERSION : result;
		} else if (got == OPT_PASSWORD) {
			*status_r = cli_usage(c,
			    "a password on the command line can be read by everybody on this machine: "
			    "use --password-stdin, --password-file, or leave it out to be asked");
			return PARSED_WRONG;
		} else if (got >= OPT_OURS) {
			c->values[got - OPT_OURS] = optarg ? optarg : "";
		} else {
			/* In -xh getopt stays at the word until its last letter. */
			bool letter = got == '?' && optopt > 0 && optopt < 128;
			const char *word = letter ? cli_print(c, "-%c", optopt) : part[optind - 1];

			*status_r = got == ':'
			    ? cli_usage(c, "%.*s needs a value", (int)strcspn(word, "="), word)
			    : unknown_option(c, word, known, known_n);
			return PARSED_WRONG;
		}
	}
	*at += optind - 1;
	return result;
}

/* ---- finding the command --------------------------------------------------------------------- */

static const struct cli_command *
find_command(const char *words)
{
	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++)
		if (strcmp(cmd->words, words) == 0)
			return cmd;
	return NULL;
}

/* True where WORD begins commands of two words. */
static bool
is_family(const char *word)
{
	size_t n = strlen(word);

	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++)
		if (strncmp(cmd->words, word, n) == 0 && cmd->words[n] == ' ')
			return true;
	return false;
}

/* The words that may follow FAMILY (NULL: may come first), each once; ends with NULL. */
static const char *const *
words_after(struct cli *c, const char *family)
{
	const char **list = NULL;
	size_t n = 0, all = 1;

	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++)
		all++;
	list = cli_alloc(c, all * sizeof(*list));
	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++) {
		const char *word = cmd->words;
		size_t skip = family ? strlen(family) : 0;

		if (!*cmd->summary)
			continue;
		if (family && (strncmp(word, family, skip) != 0 || word[skip] != ' '))
			continue;
		word = cli_dup(c,
		    slice_of(word + (family ? skip + 1 : 0),
		        strcspn(word + (family ? skip + 1 : 0), " ")));
		if (n == 0 || strcmp(list[n - 1], word) != 0)
			list[n++] = word;
	}
	return list;
}

int
cli_unknown(struct cli *c, const char *family, const char *word)
{
	const char *const *words = words_after(c, family);
	const char *meant = word ? cli_meant(word, words) : NULL;
	char *all = cli_dup(c, slice_str(words[0]));

	for (size_t i = 1; words[i]; i++)
		all = cli_print(c, "%s, %s", all, words[i]);
	if (!word)
		return cli_fail(c, EX_USAGE, "byway %s needs one more word: %s", family, all);
	if (meant)
		return cli_fail(c, EX_USAGE, "there is no command '%s%s%s'; did you mean %s?",
		    family ? family : "", family ? " " : "", word, meant);
	return cli_fail(c, EX_USAGE, "there is no command '%s%s%s'; there are: %s",
	    family ? family : "", family ? " " : "", word, all);
}

/* ---- running --------------------------------------------------------------------------------- */

static int
check_count(struct cli *c)
{
	const struct cli_command *cmd = c->command;

	if (c->args_n < cmd->args_min)
		return cli_usage(c, "byway %s needs %s", cmd->words, cmd->args);
	if (c->args_n > cmd->args_max)
		return cmd->password
		    ? cli_usage(c,
		          "one word too many: byway %s %s; a password is never taken from the command line",
		          cmd->words, cmd->args)
		    : cli_usage(c, "'%s' is one word too many for byway %s%s%s",
		          c->args[cmd->args_max], cmd->words, *cmd->args ? " " : "", cmd->args);
	return EX_OK;
}

static int
run_command(struct cli *c, int argc, char **argv, int at)
{
	int status = EX_USAGE;

	c->options_n = cli_options(c->command, c->options, CLI_OPTIONS_MAX);

	enum parsed parsed = parse(c, argc, argv, &at, &status);

	if (parsed == PARSED_WRONG)
		return status;
	if (parsed == PARSED_HELP) {
		cli_help(c, c->command);
		return EX_OK;
	}
	c->args = argv + at;
	c->args_n = argc - at;
	status = check_count(c);
	return status == EX_OK ? c->command->run(c) : status;
}

static int
version(struct cli *c)
{
	if (c->json)
		printf("{\"version\": \"%s\"}\n", BYWAY_VERSION);
	else
		printf("byway %s\n", BYWAY_VERSION);
	return EX_OK;
}

int
cli_main(struct cli *c, int argc, char **argv)
{
	const char *family = NULL;
	int at = 1, status = EX_USAGE;

	/* Asked for anywhere, --json holds for what is wrong before it too. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		c->json = c->json || strcmp(argv[i], "--json") == 0;
	c->colour = c->colour && !c->json;
	for (;;) {
		enum parsed parsed = parse(c, argc, argv, &at, &status);

		if (parsed == PARSED_WRONG)
			return status;
		if (parsed == PARSED_VERSION)
			return version(c);
		if (parsed == PARSED_HELP || (at >= argc && !family)) {
			cli_help_all(c, family);
			return parsed == PARSED_HELP ? EX_OK : EX_USAGE;
		}
		if (at >= argc)
			return cli_unknown(c, family, NULL);

		const char *word = argv[at++];
		const char *words = family ? cli_print(c, "%s %s", family, word) : word;

		c->command = find_command(words);
		if (c->command)
			return run_command(c, argc, argv, at);
		if (family || !is_family(word))
			return cli_unknown(c, family, word);
		family = word;
	}
}
