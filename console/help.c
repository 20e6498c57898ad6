/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "console/commands.h"
#include "console/kind.h"
#include "console/out.h"

/* What people and scripts are told about commands, from cli_commands[]. */

enum { HELP_WIDTH = 96 };

/* TEXT in lines of HELP_WIDTH, each behind INDENT blanks; the first has got as far as AT. */
static void
wrap(const char *text, size_t at, size_t indent)
{
	size_t column = at;

	while (*text) {
		size_t n = strcspn(text, " \n");

		if (column + n > HELP_WIDTH && column > indent) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		}
		printf("%.*s", (int)n, text);
		column += n;
		text += n;
		if (*text == ' ' && column < HELP_WIDTH) {
			fputc(' ', stdout);
			column++;
		}
		text += *text != '\0';
	}
	fputc('\n', stdout);
}

static void
help_options(const struct cli_option *options, size_t n)
{
	size_t wide = 0;

	for (size_t i = 0; i < n; i++) {
		size_t w =
		    strlen(options[i].name) + (options[i].arg ? strlen(options[i].arg) + 1 : 0);

		if (w > wide)
			wide = w;
	}
	if (wide > 34)
		wide = 34;
	for (size_t i = 0; i < n; i++) {
		int w = printf("  --%s%s%s", options[i].name, options[i].arg ? " " : "",
		    options[i].arg ? options[i].arg : "");

		printf("%*s", w < (int)wide + 6 ? (int)wide + 6 - w : 1, "");
		wrap(options[i].help, wide + 6, wide + 6);
	}
}

/* What OPTION of CMD may be, where it is one of some words. */
static void
words_json(struct json *j, const struct cli_command *cmd, const struct cli_option *option)
{
	const struct words *words = cmd && cmd->fields ? kind_words(cmd->kind, option->name) : NULL;
	struct slice rest = slice_str(option->arg ? option->arg : "");

	if (!words && !memchr(rest.p, '|', rest.n))
		return;
	json_open(j, "words", '[');
	for (unsigned i = 0; words && i < words->n; i++)
		json_str(j, NULL, slice_str(words->list[i].word));
	while (!words && rest.n > 0)
		json_str(j, NULL, slice_cut(&rest, '|'));
	json_close(j, ']');
}

static void
options_json(struct json *j, const struct cli_command *cmd, const struct cli_option *options,
    size_t n)
{
	json_open(j, "options", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '{');
		json_str(j, "name", slice_str(options[i].name));
		if (options[i].arg)
			json_str(j, "argument", slice_str(options[i].arg));
		words_json(j, cmd, &options[i]);
		json_str(j, "help", slice_str(options[i].help));
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* The title of the group that CMD stands in. */
static const char *
group_of(const struct cli_command *cmd)
{
	for (;; cmd--)
		for (const struct cli_group *g = cli_groups; g->from; g++)
			if (strcmp(g->from, cmd->words) == 0)
				return g->title;
}

static void
command_json(struct json *j, const struct cli_command *cmd)
{
	struct cli_option options[CLI_OPTIONS_MAX];
	size_t n = cli_options(cmd, options, CLI_OPTIONS_MAX);

	json_open(j, NULL, '{');
	json_str(j, "command", slice_str(cmd->words));
	json_str(j, "group", slice_str(group_of(cmd)));
	json_str(j, "arguments", slice_str(cmd->args));
	json_str(j, "summary", slice_str(cmd->summary));
	if (cmd->details)
		json_str(j, "details", slice_str(cmd->details));
	options_json(j, cmd, options, n);
	json_str(j, "example", slice_str(cmd->example));
	json_close(j, '}');
}

static size_t
globals_n(void)
{
	size_t n = 0;

	while (cli_globals[n].name)
		n++;
	return n;
}

static void
print_example(const char *example, const char *indent)
{
	struct slice rest = slice_str(example);

	while (rest.n > 0) {
		struct slice line = slice_cut(&rest, '\n');

		printf("%s%.*s\n", indent, SLICE_FMT(line));
	}
}

void
cli_help(struct cli *c, const struct cli_command *cmd)
{
	struct cli_option options[CLI_OPTIONS_MAX];
	size_t n = cli_options(cmd, options, CLI_OPTIONS_MAX);

	if (c->json) {
		struct json j = json_begin();

		command_json(&j, cmd);
		json_end(&j);
		return;
	}
	printf("usage: byway %s%s%s%s\n\n", cmd->words, *cmd->args ? " " : "", cmd->args,
	    n > 0 ? " [OPTIONS]" : "");
	wrap(cmd->summary, 0, 0);
	if (cmd->details) {
		fputc('\n', stdout);
		wrap(cmd->details, 0, 0);
	}
	if (n > 0) {
		printf("\nOptions:\n");
		help_options(options, n);
	}
	printf("\nWith every command:\n");
	help_options(cli_globals, globals_n());
	printf("\nExample:\n");
	print_example(cmd->example, "  ");
}

static bool
is_of(const struct cli_command *cmd, const char *family)
{
	size_t n = family ? strlen(family) : 0;

	if (!*cmd->summary)
		return false;
	return !family || (strncmp(cmd->words, family, n) == 0 && cmd->words[n] == ' ');
}

static void
help_all_json(const char *family)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	options_json(&j, NULL, cli_globals, globals_n());
	json_open(&j, "commands", '[');
	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++)
		if (is_of(cmd, family))
			command_json(&j, cmd);
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

/* Where summaries begin: behind the longest of FAMILY's names and two blanks at its sides. */
static size_t
column_of(const char *family)
{
	size_t longest = 0;

	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++)
		if (is_of(cmd, family) && strlen(cmd->words) > longest)
			longest = strlen(cmd->words);
	return longest + 4;
}

void
cli_help_all(struct cli *c, const char *family)
{
	size_t column = column_of(family);

	if (c->json) {
		help_all_json(family);
		return;
	}
	const char *group = NULL;

	printf("usage: byway [--config PATH] [--json] COMMAND ...\n");
	if (family)
		printf("\n%s:\n", family);
	else
		printf("       byway help COMMAND tells more\n");
	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++) {
		if (!is_of(cmd, family))
			continue;
		if (!family && group_of(cmd) != group) {
			group = group_of(cmd);
			printf("\n%s:\n", group);
		}
		printf("  %-*s", (int)column - 2, cmd->words);
		wrap(cmd->summary, column, column);
	}
	printf("\nWith every command:\n");
	help_options(cli_globals, globals_n());
}

int
cmd_help(struct cli *c)
{
	const char *words = c->args_n == 0 ? NULL
	    : c->args_n == 1               ? c->args[0]
	                                   : cli_print(c, "%s %s", c->args[0], c->args[1]);

	for (const struct cli_command *cmd = cli_commands; words && cmd->words; cmd++) {
		if (strcmp(cmd->words, words) == 0) {
			cli_help(c, cmd);
			return EX_OK;
		}
	}
	for (const struct cli_command *cmd = cli_commands; cmd->words; cmd++) {
		if (is_of(cmd, words)) {
			cli_help_all(c, words);
			return EX_OK;
		}
	}
	return c->args_n == 1 ? cli_unknown(c, NULL, c->args[0])
	                      : cli_unknown(c, c->args[0], c->args[1]);
}
