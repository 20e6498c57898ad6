/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "bench/bench.h"
#include "bench/plan.h"

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *usage;
	void (*help)(void);
} commands[] = {
	{ "load", load_main, "load [options] HOST PORT    sends messages, says how fast",
	    plan_help },
	{ "sink", sink_main, "sink [options] PORT         takes messages and drops them",
	    sink_help },
	{ "report", report_main,
	    "report [options] FILE...    makes a page of results that were kept", report_help },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void
put_help(void)
{
	for (size_t i = 0; i < COMMANDS; i++)
		printf("%s byway-bench %s\n", i == 0 ? "usage:" : "      ", commands[i].usage);
	for (size_t i = 0; i < COMMANDS; i++) {
		printf("\n%s\n", commands[i].name);
		commands[i].help();
	}
	puts("\nexample: byway-bench sink 2600 &\n"
	     "         byway-bench load --messages 20000 127.0.0.1 2600\n"
	     "         byway-bench load --rate 2000 --duration 30 --html run.html 127.0.0.1 2600");
}

int
main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *word = argc > 1 ? argv[1] : "";
	bool asked = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(word, commands[i].name) != 0)
			continue;
		if (argc > 2 && strcmp(argv[2], "--help") == 0) {
			printf("usage: byway-bench %s\n", commands[i].usage);
			commands[i].help();
			return EX_OK;
		}
		return commands[i].fn(argc - 1, argv + 1);
	}
	if (strcmp(word, "--version") == 0) {
		puts("byway-bench " BYWAY_VERSION);
		return EX_OK;
	}
	if (asked) {
		put_help();
		return EX_OK;
	}
	fputs("usage: byway-bench load|sink|report ... (byway-bench --help)\n", stderr);
	return EX_USAGE;
}
