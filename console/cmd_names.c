/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/provider.h"

/*
 * byway list --names KIND: names for completion, one a line
 *
 * A shell asks while somebody waits for a key: so only names are read, and what cannot be read has
 * none. Kinds are the directory's, `provider`, and `route`: what may stand where a route is named.
 */

struct naming {
	struct cli *cli;
	const struct kind *kind;
	bool last_part; /* of ACCOUNT/PROFILE */
};

static bool
on_name(void *ctx, const void *row)
{
	const struct naming *n = ctx;
	const char *key = kind_key_of(n->cli, n->kind, row);
	const char *part = n->last_part ? strchr(key, '/') : NULL;

	puts(part ? part + 1 : key);
	return true;
}

static void
providers(void)
{
	for (enum provider_id id = 0; id < PROVIDER_COUNT; id++)
		puts(provider_at(id)->name);
}

int
cmd_names(struct cli *c)
{
	const char *what = cli_value(c, "names");
	bool route = what && strcmp(what, "route") == 0;
	struct naming n = { c, NULL, route };
	struct store s;
	int status;

	if (!what)
		return cli_usage(c, "byway list needs --names");
	if (strcmp(what, "provider") == 0) {
		providers();
		return EX_OK;
	}
	n.kind = route ? &kind_profile : kind_find(slice_str(what));
	if (!n.kind)
		return cli_usage(c, "there are no names of kind '%s'", what);
	if (route)
		fputs("native\ninherit\n", stdout);
	status = store_open(c, STORE_DIRECTORY, &s);
	if (status != EX_OK)
		return status;
	enum admin_result r = kind_each(&s, n.kind, NULL, on_name, &n);

	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	store_close(&s);
	return status;
}
