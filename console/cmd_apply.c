/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/apply.h"
#include "console/ask.h"

enum { WRONG_MAX = 1 << 20 };

static int
finish(struct apply *a)
{
	struct cli *c = a->cli;
	size_t changes = a->added + a->changed + a->removals_n;
	bool dry = cli_has(c, "dry-run");
	int status = EX_OK;

	if (!c->json)
		apply_show(a);
	if (changes > 0 && !dry) {
		if (!cli_has(c, "yes") && ask_can(c) &&
		    !ask_yes(c,
		        cli_print(c, "Apply %zu change%s?", changes, changes == 1 ? "" : "s")))
			return cli_fail(c, EX_UNAVAILABLE, "nothing was changed");
		status = apply_write(a);
	}
	if (status != EX_OK)
		return status;
	if (c->json) {
		apply_show_json(a, changes > 0 && !dry);
		return EX_OK;
	}
	if (changes == 0)
		printf("nothing to change\n");
	else
		printf("%s: %zu added, %zu changed, %zu removed\n",
		    dry ? "would be applied" : "applied", a->added, a->changed, a->removals_n);
	if (!dry)
		apply_show_passwords(a);
	return EX_OK;
}

int
apply_run(struct apply *a)
{
	/* Which passwords will be needed is not known before the rows are. */
	int status = store_open(a->cli, STORE_DIRECTORY | STORE_VAULT_MAYBE, &a->store);

	if (status == EX_OK) {
		status = apply_compare(a);
		if (status == EX_OK)
			status = finish(a);
		store_close(&a->store);
	}
	for (size_t i = 0; i < a->ini.n; i++)
		credential_fini(&a->ini.entries[i]->cred);
	return status;
}

int
cmd_apply(struct cli *c)
{
	struct apply a = { .cli = c,
		.ini = { .path = c->args[0] },
		.wrong = text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX),
		.passwords = cli_has(c, "passwords"),
		.generate = cli_has(c, "generate"),
		.later = cli_has(c, "passwords-later") };
	int status = ini_read_directory(c, &a.ini, c->args[0], &a.wrong);

	return status == EX_OK ? apply_run(&a) : status;
}
