/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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

	bool directory = access(conf->directory.path, F_OK) == 0 || errno != ENOENT;

	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_bool(&j, "ok", true);
		json_str(&j, "config", slice_str(c->config));
		json_u64(&j, "listeners", conf->listeners_n);
		json_u64(&j, "mtas", conf->mtas_n);
		json_bool(&j, "directory", directory);
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("%s is good: %zu listener%s, %zu server%s in the native pool\n", c->config,
		    conf->listeners_n, conf->listeners_n == 1 ? "" : "s", conf->mtas_n,
		    conf->mtas_n == 1 ? "" : "s");
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

int
cmd_config_docs(struct cli *c)
{
	struct text out = text_over(cli_alloc(c, PRINT_MAX), PRINT_MAX);

	conf_manual(&out);
	if (out.overflow)
		return cli_fail(c, EX_SOFTWARE, "the manual is too long to print");
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "markdown", text_slice(&out));
		json_close(&j, '}');
		json_end(&j);
		return EX_OK;
	}
	fwrite(out.mem, 1, out.n, stdout);
	return EX_OK;
}
