/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "console/cli.h"
#include "wire/poison.h"

/* Passwords pass through this process: no core, no debugger of the same user (THREATS S13). */
static void
harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
#ifndef WIRE_HAS_ASAN /* its leak check attaches to us as a debugger does */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int
main(int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR");
	static struct cli c;
	int status;

	harden();
	/* For the width of characters alone. */
	if (!setlocale(LC_CTYPE, ""))
		setlocale(LC_CTYPE, "C.UTF-8");
	c.config = "/etc/byway/byway.ini";
	c.colour = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	arena_init(&c.arena, (size_t)CLI_ARENA_MIB << 20);
	status = cli_main(&c, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("byway: standard output cannot be written\n", stderr);
		status = status == EX_OK ? EX_IOERR : status;
	}
	arena_fini(&c.arena);
	return status;
}
