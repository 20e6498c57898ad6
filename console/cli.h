/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_CLI_H
#define CONSOLE_CLI_H

/*
 * cli - the command line of `byway`: one table of commands, from which parsing, help and usage
 * errors come, and, by `byway help --json`, docs/CONSOLE.md, the manual page and the completion
 *
 * A command is one row of cli_commands[] (cmd_table.c). Options may stand anywhere behind the first
 * word. Whatever a command makes lives in cli.arena and dies with the process.
 *
 * Owns:   the arena. Words of the command line are borrowed.
 * Errors: cli_fail() says one sentence and gives the exit status (sysexits.h) that the command
 * returns: `return cli_fail(c, EX_NOUSER, ...)`.
 * Never:  takes or prints a secret; an unknown option's value is not repeated, for it might be one.
 */
#include <sysexits.h>

#include "wire/arena.h"
#include "wire/slice.h"

struct cli;
struct kind;

struct cli_option {
	const char *name; /* NULL ends the list */
	const char *arg;  /* "FILE"; NULL: a switch */
	const char *help;
};

typedef int cli_fn(struct cli *c);

struct cli_command {
	const char *words; /* "mailbox add" */
	const char *args;  /* "ADDRESS", "[FILE]" */
	int args_min, args_max;
	cli_fn *run;
	const char *summary; /* one line; "": for programs alone, and no list names it */
	const char *details; /* a paragraph, or NULL */
	const char *example;
	const struct cli_option *options;
	const struct kind *kind; /* what the command is about */
	bool fields;             /* its kind's fields are options */
	bool adds;               /* those too that can be said only once */
	bool password; /* takes one: --password-stdin, --password-file, and never --password */
	bool generate; /* and may make one: --generate */
};

/* A group of commands in lists: from the row FROM on, up to the next group's. */
struct cli_group {
	const char *from;
	const char *title;
};

enum { CLI_OPTIONS_MAX = 48, CLI_ARENA_MIB = 16384 };

struct cli {
	const char *config;
	bool json;
	bool colour;
	const struct cli_command *command;
	struct cli_option options[CLI_OPTIONS_MAX]; /* what this command understands */
	const char *values[CLI_OPTIONS_MAX]; /* "" for a switch that was given; NULL: not given */
	size_t options_n;
	char **args;
	int args_n;
	struct arena arena;
};

extern const struct cli_command cli_commands[]; /* ends with .words == NULL */
extern const struct cli_group cli_groups[];     /* in the rows' order; ends with .from == NULL */
extern const struct cli_option cli_globals[];

/* Runs what ARGV says; the exit status. */
int cli_main(struct cli *c, int argc, char **argv);
/* The argument of option NAME; NULL if it was not given. */
const char *cli_value(const struct cli *c, const char *name);
bool cli_has(const struct cli *c, const char *name);
/* One sentence to standard error, or {"error": ...} to standard output with --json. Returns
 * STATUS. */
int cli_fail(struct cli *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with a list of mistakes, one a line of LINES. */
int cli_fail_lines(struct cli *c, int status, struct slice lines, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "1 mistake", "2 mistakes": the lines of LINES, counted. */
const char *cli_mistakes(struct cli *c, struct slice lines);
/* cli_fail(EX_USAGE) that names the command's --help. */
int cli_usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says that WORD (NULL: nothing) is none of the words that may follow FAMILY (NULL: come first),
 * and which those are. */
int cli_unknown(struct cli *c, const char *family, const char *word);
/* Who may use PATH, or its folder where that cannot be looked at: "members of group byway may ...",
 * from its mode and group. */
const char *cli_who_may(struct cli *c, const char *path);
/* A remark to standard error; nothing with --json. */
void cli_note(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_help(struct cli *c, const struct cli_command *cmd);
/* The list of commands: those of FAMILY, or all (NULL). With --json each with all that its own help
 * tells, and the options that every command has. */
void cli_help_all(struct cli *c, const char *family);
/* The options of CMD with those of its kind and passwords; how many. */
size_t cli_options(const struct cli_command *cmd, struct cli_option *options_r, size_t max);
/* The one of WORDS (NULL-terminated) that WORD was probably meant to be, or NULL. */
const char *cli_meant(const char *word, const char *const *words);
bool cli_is_one_of(struct slice word, const char *const *words) MUST_CHECK;
/* Passwords pass through this process: no core, no debugger of the same user. */
void cli_harden(void);

/* Memory that lasts as long as the process, zeroed; these end it where there is none. */
void *cli_alloc(struct cli *c, size_t n);
/* LIST of *CAP elements of SIZE octets, or a longer copy of it (and *CAP) where N of them are
 * taken. */
void *cli_room(struct cli *c, void *list, size_t n, size_t *cap, size_t size);
char *cli_dup(struct cli *c, struct slice s);
char *cli_print(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
