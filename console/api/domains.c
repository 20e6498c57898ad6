/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a domain's name servers should say, and whether they do.
 */
#include "console/api/call.h"
#include "console/domain_look.h"
#include "console/records.h"

bool
call_find_domain(struct call *c, struct admin_domain *d_r)
{
	enum admin_result r =
	    admin_get(c->store->admin, &entity_domain, c->names[1], &c->cli.arena, d_r);

	if (r == ADMIN_OK && strcasecmp(d_r->account, c->names[0]) == 0)
		return true;
	if (r == ADMIN_OK || r == ADMIN_MISSING || r == ADMIN_INVALID)
		call_problem(c, 404, "missing", NULL, "there is no domain %s of account %s",
		    c->names[1], c->names[0]);
	else
		call_failed(c, r);
	return false;
}

void
call_records(struct call *c)
{
	static const char *const query[] = { "format", NULL };
	struct record all[RECORDS_MAX];
	struct admin_domain d = { 0 };
	const char *format, *note;
	size_t n;

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	format = call_query(c, "format");
	if (format && strcmp(format, "json") != 0 && strcmp(format, "zone") != 0) {
		call_problem(c, 422, "invalid", "format", "format: json or zone is wanted");
		return;
	}
	if (!call_find_domain(c, &d))
		return;
	n = records_of(&c->cli, c->store->conf, &d, all);
	note = records_note(&c->cli, &d);
	if (format && strcmp(format, "zone") == 0) {
		records_zone(call_open(c, "text/plain; charset=utf-8"), all, n);
		call_close(c, 200);
		return;
	}
	call_begin(c);
	records_json(&c->out, d.name, all, n);
	if (note)
		json_str(&c->out, "note", slice_str(note));
	call_end(c, 200);
}

/* No transaction is open while name servers are asked. */
void
call_verify_domain(struct call *c)
{
	static const char *const none[] = { NULL };
	struct domain_finding all[DOMAIN_FINDINGS];
	struct admin_domain d = { 0 };
	bool verified = false;

	if (!call_check_query(c, none) || !call_check_empty(c) || !call_find_domain(c, &d))
		return;
	if (!domain_look(&c->cli, c->store->conf, &d, all)) {
		call_problem(c, 503, "busy", NULL, "no memory");
		return;
	}
	enum domain_verdict v = domain_verdict(all);
	enum admin_result r = domain_set_verified(c->store, &d, v, &verified);

	if (r != ADMIN_OK) {
		call_failed(c, r);
		return;
	}
	call_begin(c);
	domain_json(&c->out, d.name, v, verified, all);
	call_end(c, 200);
}
