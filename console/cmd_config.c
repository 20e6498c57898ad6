/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/option.h"

enum { PRINT_MAX = 1024 * 1024 };

int
cmd_config_print(struct cli *c)
{
	struct text out = text_over(cli_alloc(c, PRINT_MAX), PRINT_MAX);
	int status = EX_OK;
	struct conf *conf = store_conf(c, false, &status);

	if (!conf)
		return status;
	if (cli_has(c, "origins"))
		conf_print_origins(conf, cli_has(c, "changed"), c->json, &out);
	else
		conf_print(conf, cli_has(c, "changed"), c->json, &out);
	conf_unref(conf);
	if (out.overflow)
		return cli_fail(c, EX_SOFTWARE, "the configuration is too long to print");
	fwrite(out.mem, 1, out.n, stdout);
	if (out.n > 0 && out.mem[out.n - 1] != '\n')
		fputc('\n', stdout);
	return EX_OK;
}

static void
option_json(struct json *j, const struct conf_option *opt)
{
	char mem[512];
	struct text kind = text_over(mem, sizeof(mem));

	value_kind(opt, &kind);
	json_open(j, NULL, '{');
	json_str(j, "key", slice_str(opt->key));
	if (opt->fallback)
		json_str(j, "default", slice_str(opt->fallback));
	else
		json_none(j, "default");
	json_str(j, "value", text_slice(&kind));
	json_str(j, "change_needs", opt->reload ? SLICE("reload") : SLICE("restart"));
	json_str(j, "help", slice_str(opt->manual));
	json_close(j, '}');
}

static void
section_json(struct json *j, enum conf_section section)
{
	const struct conf_section_info *info = &conf_sections[section];

	json_open(j, NULL, '{');
	json_str(j, "section", slice_str(info->word));
	json_bool(j, "named", info->named);
	json_str(j, "help", slice_str(info->manual));
	json_open(j, "options", '[');
	for (size_t i = 0; i < conf_options_n; i++)
		if (conf_options[i].section == section)
			option_json(j, &conf_options[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void
option_row(struct table *t, const struct conf_option *opt)
{
	const struct conf_section_info *info = &conf_sections[opt->section];
	char mem[512];
	struct text kind = text_over(mem, sizeof(mem));
	const char *cells[4];

	value_kind(opt, &kind);
	cells[0] = cli_print(t->cli, "[%s%s]", info->word, info->named ? " NAME" : "");
	cells[1] = opt->key;
	cells[2] = opt->fallback ? opt->fallback : "(must be given)";
	cells[3] = cli_dup(t->cli, text_slice(&kind));
	table_row(t, cells);
}

int
cmd_config_options(struct cli *c)
{
	static const char *const titles[] = { "SECTION", "KEY", "DEFAULT", "VALUE", NULL };

	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '[');
		for (unsigned s = 0; s < SECTION_COUNT; s++)
			section_json(&j, (enum conf_section)s);
		json_close(&j, ']');
		json_end(&j);
		return EX_OK;
	}

	struct table t = table_begin(c, titles);

	for (size_t i = 0; i < conf_options_n; i++)
		option_row(&t, &conf_options[i]);
	table_end(&t);
	return EX_OK;
}
