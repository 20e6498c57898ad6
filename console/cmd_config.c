/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "conf/option.h"
#include "wire/crypto.h"
#include "wire/tls.h"

enum { PRINT_MAX = 1024 * 1024 };

int
cmd_config_check(struct cli *c)
{
	int status = EX_OK;
	struct text why = text_over(cli_alloc(c, 1024), 1024);
	struct conf *conf;

	if (!crypto_init() || !tls_init(&why))
		return cli_fail(c, EX_SOFTWARE, "the TLS library did not start: %s", why.mem);
	conf = store_conf(c, true, &status);
	if (!conf)
		return status;

	struct text warnings = text_over(cli_alloc(c, 16384), 16384);

	conf_counter_warnings(conf, true, &warnings);
	bool directory = access(conf->directory.path, F_OK) == 0 || errno != ENOENT;

	text_reset(&why);
	if (directory && !admin_check(conf->directory.path, &why)) {
		conf_unref(conf);
		return cli_fail(c, EX_CONFIG, "[directory] path: %s", why.mem);
	}

	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_bool(&j, "ok", true);
		json_str(&j, "config", slice_str(c->config));
		json_u64(&j, "listeners", conf->listeners_n);
		json_u64(&j, "mtas", conf->mtas_n);
		json_bool(&j, "directory", directory);
		json_str(&j, "warnings", text_slice(&warnings));
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("%s is good: %zu listener%s, %zu server%s in the native pool\n", c->config,
		    conf->listeners_n, conf->listeners_n == 1 ? "" : "s", conf->mtas_n,
		    conf->mtas_n == 1 ? "" : "s");
		if (conf->mtas_n == 0)
			cli_note(c,
			    "There is no [mta]: only accounts with an SMTP provider of their own can send; all others hear \"554 5.3.5 No outgoing server is set up for your account\".");
		if (warnings.n > 0)
			cli_note(c, "%.*s", (int)warnings.n - 1, warnings.mem);
		if (!directory)
			cli_note(c, "The directory %s is not there yet: `byway init` makes it.",
			    conf->directory.path);
	}
	conf_unref(conf);
	return EX_OK;
}

int
cmd_config_print(struct cli *c)
{
	struct text out = text_over(cli_alloc(c, PRINT_MAX), PRINT_MAX);
	int status = EX_OK;
	struct conf *conf = store_conf(c, false, &status);

	if (!conf)
		return status;
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
