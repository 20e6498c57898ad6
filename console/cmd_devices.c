/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/out.h"
#include "console/records.h"

/*
 * byway mailbox devices: what to type into a mail program or a device for one mailbox
 *
 * byway domain records: what its name servers should say of a domain (RFC 7208, 6376, 7489, 6186,
 * 8314)
 */

static void
print_text(const struct conf *conf, const char *user, const struct records_choice *all, size_t n)
{
	printf("Server:     %s\n"
	       "Port:       %u\n"
	       "Encryption: %s\n"
	       "User name:  %s\n"
	       "Password:   the mailbox's (Thunderbird: \"Normal password\"; Outlook: no SPA)\n",
	    conf->server.name, all[0].port, records_encryption(&all[0]), user);
	for (size_t i = 1; i < n; i++)
		printf("%s port %u, %s%s\n", i == 1 ? "\nOr:        " : "           ", all[i].port,
		    records_encryption(&all[i]), all[i].old ? " (old devices only)" : "");
}

static void
print_json(const struct conf *conf, const char *user, const struct records_choice *all, size_t n)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_str(&j, "host", slice_str(conf->server.name));
	json_str(&j, "username", slice_str(user));
	json_open(&j, "ports", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		json_u64(&j, "port", all[i].port);
		json_str(&j, "encryption", slice_str(records_encryption(&all[i])));
		json_bool(&j, "old_devices", all[i].old);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

int
cmd_mailbox_devices(struct cli *c)
{
	struct records_choice all[RECORDS_CHOICES_MAX];
	void *row = cli_alloc(c, kind_mailbox.of->size);
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = kind_get(&s, &kind_mailbox, c->args[0], row);
	size_t n = records_choices(s.conf, all);

	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	else if (n == 0)
		status = cli_fail(c, EX_CONFIG, "no [listener] lets clients log in");
	else if (c->json)
		print_json(s.conf, kind_key_of(c, &kind_mailbox, row), all, n);
	else
		print_text(s.conf, kind_key_of(c, &kind_mailbox, row), all, n);
	store_close(&s);
	return status;
}

/* ---- records --------------------------------------------------------------------------------- */

static void
print_records_json(const char *domain, const struct record *all, size_t n)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	records_json(&j, domain, all, n);
	json_close(&j, '}');
	json_end(&j);
}

static void
print_records(struct cli *c, const struct record *all, size_t n)
{
	static const char *const titles[] = { "name", "type", "value", NULL };
	struct table t = table_begin(c, titles);

	for (size_t i = 0; i < n; i++)
		table_row(&t, (const char *[]){ all[i].name, all[i].type, all[i].value });
	table_end(&t);
	for (size_t i = 0; i < n; i++)
		if (all[i].note)
			printf("%s: %s\n", all[i].name, all[i].note);
}

int
cmd_domain_records(struct cli *c)
{
	struct record all[RECORDS_MAX];
	struct admin_domain row;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_get(s.admin, &entity_domain, c->args[0], &c->arena, &row);

	if (r != ADMIN_OK) {
		status = store_fail(&s, r);
	} else {
		size_t n = records_of(c, s.conf, &row, all);
		const char *note = records_note(c, &row);

		if (c->json)
			print_records_json(row.name, all, n);
		else if (cli_has(c, "zone"))
			records_zone(stdout, all, n);
		else
			print_records(c, all, n);
		if (note)
			cli_note(c, "%s", note);
	}
	store_close(&s);
	return status;
}
