/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

int
cmd_docs(struct cli *c)
{
	const char *what = c->args_n > 0 ? c->args[0] : "markdown";

	if (strcmp(what, "markdown") == 0)
		help_markdown();
	else if (strcmp(what, "man") == 0)
		help_man();
	else if (strcmp(what, "bash") == 0)
		help_bash(c);
	else
		return cli_usage(c, "byway docs writes markdown, man or bash, not '%s'", what);
	return EX_OK;
}
