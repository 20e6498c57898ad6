/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/route.h"

/*
 * byway route: where the mail of an account, or of one of its domains, goes
 *
 * A target is the name of a domain or of an account; where both exist, account:NAME and domain:NAME
 * tell them apart.
 */

struct target {
	const struct kind *kind; /* kind_account or kind_domain */
	const struct object *o;
};

static const struct object *
look_up(struct store *s, const struct kind *k, const char *key, enum admin_result *r)
{
	void *row = cli_alloc(s->cli, k->of->size);

	*r = kind_get(s, k, key, row);
	return *r == ADMIN_OK ? object_of(s->cli, k, row) : NULL;
}

static int
find_target(struct store *s, const char *name, struct target *t)
{
	struct cli *c = s->cli;
	bool account_only = strncmp(name, "account:", 8) == 0;
	bool domain_only = strncmp(name, "domain:", 7) == 0;
	const char *bare = account_only ? name + 8 : domain_only ? name + 7 : name;
	enum admin_result r = ADMIN_MISSING;
	const struct object *domain = account_only ? NULL : look_up(s, &kind_domain, bare, &r);

	if (r == ADMIN_BUSY || r == ADMIN_FAILED)
		return store_fail(s, r);

	const struct object *account = domain_only ? NULL : look_up(s, &kind_account, bare, &r);

	if (r == ADMIN_BUSY || r == ADMIN_FAILED)
		return store_fail(s, r);
	if (domain && account)
		return cli_usage(c, "%s is a domain and an account: say domain:%s or account:%s",
		    bare, bare, bare);
	if (!domain && !account)
		return cli_fail(c, EX_NOUSER, "there is no %s %s",
		    account_only      ? "account"
		        : domain_only ? "domain"
		                      : "account or domain",
		    bare);
	t->o = domain ? domain : account;
	t->kind = domain ? &kind_domain : &kind_account;
	return EX_OK;
}

static const struct object *
account_of(struct store *s, const struct target *t, enum admin_result *r)
{
	*r = ADMIN_OK;
	return t->kind == &kind_account
	    ? t->o
	    : look_up(s, &kind_account, object_text(t->o, "account"), r);
}

static void
object_route(struct json *j, const struct sender *as, const struct route_place *p)
{
	json_open(j, NULL, '{');
	route_json(j, as, p);
	json_close(j, '}');
}

static int
say_route(struct store *s, const char *name)
{
	struct cli *c = s->cli;
	struct target t = { 0 };
	int status = find_target(s, name, &t);
	enum admin_result r;

	if (status != EX_OK)
		return status;

	const struct route_place p = { account_of(s, &t, &r), t.kind == &kind_domain ? t.o : NULL };

	if (!p.account)
		return store_fail(s, r);
	struct sender *as = route_snapshot(s, p.account);

	if (c->json) {
		struct json j = json_begin();

		object_route(&j, as, &p);
		json_end(&j);
		sender_unref(as);
		return EX_OK;
	}
	enum { WIDE = 9 };
	out_pair(c, WIDE, t.kind->of->name, t.o->key);
	out_pair(c, WIDE, "route", object_text(t.o, "route"));
	out_pair(c, WIDE, "fallback", object_text(t.o, "fallback"));
	out_pair(c, WIDE, "effective", route_effective(as, p.domain));
	sender_unref(as);
	return EX_OK;
}

int
cmd_route_show(struct cli *c)
{
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_READER, &s);

	if (status != EX_OK)
		return status;
	status = say_route(&s, c->args[0]);
	store_close(&s);
	return status;
}

/* ---- list ------------------------------------------------------------------------------------ */

struct listing {
	struct store *store;
	struct json json;
	struct table table;
	const struct object *account;
	struct sender *as; /* that account */
	const struct object **accounts;
	size_t n, cap;
};

static void
list_one(struct listing *l, const struct object *domain)
{
	struct cli *c = l->store->cli;
	const struct object *o = domain ? domain : l->account;

	if (c->json) {
		object_route(&l->json, l->as, &(struct route_place){ l->account, domain });
		return;
	}
	table_row(&l->table,
	    (const char *[]){ l->account->key, domain ? domain->key : "", object_text(o, "route"),
	        object_text(o, "fallback"),
	        cli_dup(c, slice_str(route_effective(l->as, domain))) });
}

static bool
on_account(void *ctx, const void *row)
{
	struct listing *l = ctx;
	struct cli *c = l->store->cli;

	l->accounts = cli_room(c, l->accounts, l->n, &l->cap, sizeof(*l->accounts));
	l->accounts[l->n++] = object_of(c, &kind_account, row);
	return true;
}

static bool
on_domain(void *ctx, const void *row)
{
	struct listing *l = ctx;

	list_one(l, object_of(l->store->cli, &kind_domain, row));
	return true;
}

int
cmd_route_list(struct cli *c)
{
	static const char *const titles[] = { "account", "domain", "route", "fallback", "effective",
		NULL };
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_READER, &s);
	struct listing l = { .store = &s, .json = json_begin(), .table = table_begin(c, titles) };
	enum admin_result r;

	if (status != EX_OK)
		return status;
	r = kind_each(&s, &kind_account, NULL, on_account, &l);
	if (c->json)
		json_open(&l.json, NULL, '[');
	for (size_t i = 0; i < l.n && r == ADMIN_OK; i++) {
		l.account = l.accounts[i];
		l.as = route_snapshot(&s, l.account);
		list_one(&l, NULL);
		r = kind_each(&s, &kind_domain, l.account->key, on_domain, &l);
		sender_unref(l.as);
	}
	if (c->json) {
		json_close(&l.json, ']');
		json_end(&l.json);
	}
	table_end(&l.table);
	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	else if (l.n == 0)
		cli_note(c, "There are no accounts yet.");
	store_close(&s);
	return status;
}

/* ---- set, remove ----------------------------------------------------------------------------- */

static int
write_route(struct store *s, const struct target *t, const char *route, const char *fallback)
{
	enum admin_result r = ADMIN_OK;
	const struct route_place p = { account_of(s, t, &r),
		t->kind == &kind_domain ? t->o : NULL };
	const char *why = NULL;

	if (p.account)
		r = route_write(s, &p, route, fallback, &why);
	if (why)
		return cli_usage(s->cli, "%s", why);
	return r == ADMIN_OK ? EX_OK : store_fail(s, r);
}

static int
change(struct cli *c, const char *name, const char *route, const char *fallback)
{
	struct target t = { 0 };
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_READER, &s);

	if (status != EX_OK)
		return status;
	status = find_target(&s, name, &t);
	if (status == EX_OK)
		status = write_route(&s, &t, route, fallback);
	if (status == EX_OK && !c->json)
		printf("route of %s %s changed\n", t.kind->of->name, t.o->key);
	if (status == EX_OK)
		status = say_route(&s, name);
	store_close(&s);
	return status;
}

int
cmd_route_set(struct cli *c)
{
	return change(c, c->args[0], c->args[1], cli_value(c, "fallback"));
}

int
cmd_route_remove(struct cli *c)
{
	return change(c, c->args[0], "inherit", "none");
}
