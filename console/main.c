/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "console/cli.h"

int
main(int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR");
	static struct cli c;
	int status;

	cli_harden();
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
