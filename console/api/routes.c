/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where mail goes: of an account, and of each of its domains. The same as the members `route` and
 * `fallback` of those, with what comes of them.
 */
#include "console/api/body.h"
#include "console/route.h"

static const char *const none[] = { NULL };

/* The account of the path, and its domain where the operation is about one. False after a problem
 * was said. */
static bool
find_place(struct call *c, struct route_place *p_r)
{
	struct admin_account a = { 0 };
	struct admin_domain d = { 0 };

	*p_r = (struct route_place){ 0 };
	if (!call_find_account(c, &a))
		return false;
	p_r->account = object_of(&c->cli, &kind_account, &a);
	if (c->op->kind != &kind_domain)
		return true;
	if (!call_find_domain(c, &d))
		return false;
	p_r->domain = object_of(&c->cli, &kind_domain, &d);
	return true;
}

static void
show(struct call *c, const struct route_place *p)
{
	struct sender *as = route_snapshot(c->store, p->account);

	call_begin(c);
	route_json(&c->out, as, p);
	call_end(c, 200);
	sender_unref(as);
}

void
call_route(struct call *c)
{
	struct route_place p;

	if (call_check_query(c, none) && call_check_empty(c) && find_place(c, &p))
		show(c, &p);
}

/* ---- all of an account ----------------------------------------------------------------------- */

struct listing {
	struct call *c;
	const struct object *account;
	struct sender *as;
};

static bool
on_domain(void *ctx, const void *row)
{
	struct listing *l = ctx;
	struct cli *cli = &l->c->cli;
	struct arena_mark before = arena_mark(&cli->arena);
	const struct route_place p = { l->account, object_of(cli, &kind_domain, row) };

	json_open(&l->c->out, NULL, '{');
	route_json(&l->c->out, l->as, &p);
	json_close(&l->c->out, '}');
	arena_reset(&cli->arena, before);
	return true;
}

void
call_routes(struct call *c)
{
	struct route_place p;

	if (!call_check_query(c, none) || !call_check_empty(c) || !find_place(c, &p))
		return;
	struct listing l = { c, p.account, route_snapshot(c->store, p.account) };

	call_begin(c);
	json_open(&c->out, "items", '[');
	json_open(&c->out, NULL, '{');
	route_json(&c->out, l.as, &p);
	json_close(&c->out, '}');
	enum admin_result r = kind_each(c->store, &kind_domain, p.account->key, on_domain, &l);

	json_close(&c->out, ']');
	call_end(c, 200);
	sender_unref(l.as);
	if (r != ADMIN_OK)
		call_failed(c, r);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void
change(struct call *c, const char *route, const char *fallback)
{
	struct route_place p;
	const char *why = NULL;
	enum admin_result r = admin_begin(c->store->admin);

	if (r != ADMIN_OK) {
		call_failed(c, r);
		return;
	}
	if (!find_place(c, &p))
		return;
	r = route_write(c->store, &p, route, fallback, &why);
	if (r == ADMIN_OK)
		r = admin_commit(c->store->admin);
	if (why)
		call_mistakes(c, slice_str(why));
	else if (r == ADMIN_MISSING)
		/* Its account and its domain are there: so it is a profile. */
		call_problem(c, 422, "invalid", NULL, "%s", admin_why(c->store->admin));
	else if (r != ADMIN_OK)
		call_failed(c, r);
	else if (find_place(c, &p))
		show(c, &p);
}

void
call_route_put(struct call *c)
{
	static const char *const names[] = { "route", "fallback", NULL };
	const char *route = NULL, *fallback = NULL;
	struct body b;

	if (!call_check_query(c, none) || !body_open(c, false, &b))
		return;
	bool good = body_check(c, &b, names) && body_text(c, &b, "route", &route) &&
	    body_text(c, &b, "fallback", &fallback);

	body_close(&b);
	if (good && !route)
		call_problem(c, 422, "invalid", "route",
		    "route: native, a profile or inherit is wanted");
	else if (good)
		change(c, route, fallback);
}

void
call_route_delete(struct call *c)
{
	if (call_check_query(c, none) && call_check_empty(c))
		change(c, "inherit", "none");
}
