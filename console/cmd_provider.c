/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/provider.h"
#include "console/out.h"
#include "console/preset.h"

/*
 * byway provider: the presets, and where a provider's key is found
 */

static const char *
number(struct cli *c, uint64_t n)
{
	return n ? cli_print(c, "%llu", (unsigned long long)n) : "";
}

static const char *
regions_of(struct cli *c, const struct provider *p)
{
	char mem[256];
	struct text t = text_over(mem, sizeof(mem));
	const struct provider_region *r;

	for (size_t i = 0; (r = provider_region(p, i)) != NULL; i++) {
		if (i)
			text_char(&t, ' ');
		text_put(&t, slice_str(strcmp(r->region, "*") == 0 ? "any" : r->region));
	}
	return cli_dup(c, text_slice(&t));
}

static const char *
tls_word(const struct provider *p)
{
	return upstream_tls_word(p->tls);
}

int
cmd_provider_list(struct cli *c)
{
	static const char *const titles[] = { "provider", "title", "regions", "host", "port", "tls",
		"login", NULL };
	struct table t = table_begin(c, titles);
	struct json j = json_begin();

	if (c->json)
		json_open(&j, NULL, '[');
	for (enum provider_id id = 0; id < PROVIDER_COUNT; id++) {
		const struct provider *p = provider_at(id);
		const struct provider_region *r = provider_region(p, 0);

		if (c->json)
			preset_json(&j, p);
		else
			table_row(&t,
			    (const char *[]){ p->name, p->title, regions_of(c, p), r ? r->host : "",
			        number(c, p->port), tls_word(p), p->username });
	}
	if (c->json) {
		json_close(&j, ']');
		json_end(&j);
	} else {
		table_end(&t);
	}
	return EX_OK;
}

static const char *
size_of(struct cli *c, uint64_t octets)
{
	if (octets && octets % (1 << 20) == 0)
		return cli_print(c, "%llu MiB", (unsigned long long)octets >> 20);
	return octets ? cli_print(c, "%llu octets", (unsigned long long)octets) : "";
}

static void
print_limits(struct cli *c, int wide, const struct provider_limits *l)
{
	const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{ "message size", size_of(c, l->size) },
		{ "recipients", number(c, l->recipients) },
		{ "messages a connection", number(c, l->messages) },
		{ "seconds a connection", number(c, l->age_s) },
		{ "seconds unused", number(c, l->idle_s) },
		{ "connections", number(c, l->connections) },
		{ "messages a minute", number(c, l->per_minute) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (*rows[i].value)
			out_pair(c, wide, rows[i].name, rows[i].value);
}

static void
print_one(struct cli *c, const struct provider *p)
{
	const int wide = (int)strlen("messages a connection");
	const struct provider_region *r;

	out_pair(c, wide, "provider", p->title);
	for (size_t i = 0; (r = provider_region(p, i)) != NULL; i++)
		out_pair(c, wide, *r->region ? cli_print(c, "host (%s)", r->region) : "host",
		    r->host);
	out_pair(c, wide, "ports", p->ports);
	out_pair(c, wide, "default", cli_print(c, "%u, %s", p->port, tls_word(p)));
	if (*p->mechanisms)
		out_pair(c, wide, "AUTH", p->mechanisms);
	print_limits(c, wide, &p->limits);
	if (*p->headers)
		out_pair(c, wide, "headers removed", p->headers);
	out_pair(c, wide, "user name", p->login);
	out_pair(c, wide, "password", p->key);
}

int
cmd_provider_show(struct cli *c)
{
	const struct provider *p = provider_find(slice_str(c->args[0]));

	if (!p) {
		const char *meant = provider_meant(slice_str(c->args[0]));

		return meant
		    ? cli_fail(c, EX_NOUSER, "no preset '%s'; did you mean %s?", c->args[0], meant)
		    : cli_fail(c, EX_NOUSER, "no preset '%s'; see byway provider list", c->args[0]);
	}
	if (c->json) {
		struct json j = json_begin();

		preset_json(&j, p);
		json_end(&j);
	} else {
		print_one(c, p);
	}
	return EX_OK;
}
