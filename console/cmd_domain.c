/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/domain_look.h"
#include "console/out.h"

/*
 * byway domain verify: looks for the records that a sending domain should have, says what is
 * missing, and sets the domain's flag (BEHAVIOUR H4)
 */

enum { VALUE_SHOWN = 64 };

static void
print_text(struct cli *c, const char *domain, const char *status, const struct domain_finding *all)
{
	static const char *const titles[] = { "record", "name", "type", "state", "value", NULL };
	struct table t = table_begin(c, titles);

	printf("%s: %s\n", domain, status);
	for (size_t i = 0; i < DOMAIN_FINDINGS; i++) {
		const char *value = all[i].value;

		if (strlen(value) > VALUE_SHOWN)
			value = cli_print(c, "%.*s...", VALUE_SHOWN, value);
		const char *cells[] = { all[i].record, all[i].name, all[i].type,
			domain_finding_word(&all[i]), value };

		table_row(&t, cells);
	}
	table_end(&t);
	for (size_t i = 0; i < DOMAIN_FINDINGS; i++)
		if (!all[i].ok)
			printf("%s: %s; should be%s: %s\n", all[i].record, all[i].why,
			    all[i].required ? "" : " (not required)", all[i].should);
}

static void
print_json(const char *domain, enum domain_verdict v, bool verified,
    const struct domain_finding *all)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	domain_json(&j, domain, v, verified, all);
	json_close(&j, '}');
	json_end(&j);
}

static int
verify(struct store *s, const struct admin_domain *row)
{
	static const int statuses[] = {
		[DOMAIN_ACTIVE] = EX_OK,
		[DOMAIN_NOT_VERIFIED] = EX_DATAERR,
		[DOMAIN_UNKNOWN] = EX_TEMPFAIL,
	};
	struct domain_finding all[DOMAIN_FINDINGS];
	bool verified = false;

	if (!domain_look(s->cli, s->conf, row, all))
		return cli_fail(s->cli, EX_OSERR, "out of memory");
	enum domain_verdict v = domain_verdict(all);
	enum admin_result r = domain_set_verified(s, row, v, &verified);

	if (r != ADMIN_OK)
		return store_fail(s, r);
	if (s->cli->json)
		print_json(row->name, v, verified, all);
	else
		print_text(s->cli, row->name, domain_status(v), all);
	return statuses[v];
}

int
cmd_domain_verify(struct cli *c)
{
	struct admin_domain row;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_get(s.admin, &entity_domain, c->args[0], &c->arena, &row);

	status = r == ADMIN_OK ? verify(&s, &row) : store_fail(&s, r);
	store_close(&s);
	return status;
}
