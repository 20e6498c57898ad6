/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/file.h"

enum { TABLE_MAX = 128 * 1024, WRONG_MAX = 64 * 1024 };

struct wrong {
	struct text lines;
	const char *path;
};

static void
on_wrong(void *ctx, unsigned line, struct slice words)
{
	struct wrong *w = ctx;

	text_fmt(&w->lines, "%s:%u: %.*s\n", w->path, line, SLICE_FMT(words));
}

/* The rows of a profile that is named on the command line: built in, or a file. */
static int
read_profile(struct cli *c, const char *name, struct reply_row *rows)
{
	struct wrong wrong = { text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX), name };
	struct slice ini = replies_of(slice_str(name));
	const char *why = NULL, *meant = cli_meant(name, replies_built_in);

	if (!ini.p && !strchr(name, '/') && !strchr(name, '.'))
		return meant
		    ? cli_usage(c, "there is no reply profile '%s'; did you mean %s?", name, meant)
		    : cli_usage(c,
		          "there is no reply profile '%s': trekmail, smtp2go, or the path of a file",
		          name);
	if (!ini.p)
		ini = slice_str(file_read(c, name, &why));
	if (why)
		return cli_fail(c, EX_NOINPUT, "%s", why);
	memcpy(rows, replies_catalogue(), SAY_COUNT * sizeof(*rows));
	if (replies_read(rows, ini, &c->arena, on_wrong, &wrong))
		return EX_OK;
	return cli_fail_lines(c, EX_CONFIG, text_slice(&wrong.lines), "%s in %s",
	    cli_mistakes(c, text_slice(&wrong.lines)), name);
}

int
cmd_replies_print(struct cli *c)
{
	struct text out = text_over(cli_alloc(c, TABLE_MAX), TABLE_MAX);
	struct reply_row rows[SAY_COUNT];
	int status = EX_OK;

	if (c->args_n > 0) {
		status = read_profile(c, c->args[0], rows);
	} else {
		struct conf *conf = store_conf(c, false, &status);

		if (conf)
			replies_print(conf->replies, c->json, &out);
		conf_unref(conf);
	}
	if (status != EX_OK)
		return status;
	if (c->args_n > 0)
		replies_print(rows, c->json, &out);
	fwrite(out.mem, 1, out.n, stdout);
	return EX_OK;
}
