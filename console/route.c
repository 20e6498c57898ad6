/* SPDX-License-Identifier: Apache-2.0 */
#include "console/route.h"

static const struct object *
object_at(const struct route_place *p)
{
	return p->domain ? p->domain : p->account;
}

struct sender *
route_snapshot(struct store *s, const struct object *account)
{
	struct sender *sender = NULL;

	return backend_account(s->reader, slice_str(account->key), &sender) == FOUND ? sender
	                                                                             : NULL;
}

const char *
route_effective(const struct sender *as, const struct object *domain)
{
	if (!as)
		return "unknown";
	struct way way = account_route(&as->account, slice_str(domain ? domain->key : ""));

	if (way.result != ROUTED)
		return "nowhere";
	return way.profile ? way.profile->name : "native";
}

void
route_json(struct json *j, const struct sender *as, const struct route_place *p)
{
	const struct object *o = object_at(p);

	json_str(j, "account", slice_str(p->account->key));
	if (p->domain)
		json_str(j, "domain", slice_str(p->domain->key));
	else
		json_none(j, "domain");
	json_str(j, "route", slice_str(object_text(o, "route")));
	json_str(j, "fallback", slice_str(object_text(o, "fallback")));
	json_str(j, "effective", slice_str(route_effective(as, p->domain)));
}

enum admin_result
route_write(struct store *s, const struct route_place *p, const char *route, const char *fallback,
    const char **why_r)
{
	struct cli *c = s->cli;
	const struct object *o = object_at(p);
	void *row = cli_alloc(c, o->kind->of->size);
	const struct admin_route *wanted = NULL;

	*why_r = NULL;
	if (!fallback && strcasecmp(object_text(o, "fallback"), route) == 0)
		fallback = "none";
	for (const struct column *f = kind_columns(o->kind); f->name; f++) {
		const char *why = NULL;

		if (f->type == COLUMN_ROUTE)
			why = field_read(c, f, route, row);
		if (f->type == COLUMN_FALLBACK)
			why =
			    field_read(c, f, fallback ? fallback : object_text(o, "fallback"), row);
		if (why) {
			*why_r = cli_print(c, "%s: %s", f->name, why);
			return ADMIN_INVALID;
		}
		if (f->type == COLUMN_ROUTE)
			wanted = (const void *)((const char *)row + f->at);
	}
	return admin_route_set(s->admin, p->account->key, p->domain ? p->domain->key : NULL,
	    wanted);
}
