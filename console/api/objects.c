/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans, accounts and what is theirs: listed, shown, made, changed, removed; the same for all that
 * a struct kind tells of.
 */
#include <stdlib.h>

#include "console/api/body.h"
#include "console/ask.h"
#include "wire/crypto.h"

enum { WRONG_MAX = 16 * 1024, LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, ETAG_OCTETS = 16 };

/* ---- one row --------------------------------------------------------------------------------- */

/* What the directory calls it: the last name of the path, a profile behind its account. */
static const char *
key_of(struct call *c)
{
	const char *last = c->names[c->names_n - 1];

	if (c->op->kind->of->keys == 1)
		return last;
	return cli_print(&c->cli, "%s/%s", c->names[0], last);
}

/* The account of the path; NULL for what is of none. */
static const char *
account_of(const struct call *c)
{
	return c->op->kind->of_account ? c->names[0] : NULL;
}

static enum admin_result
missing(struct call *c)
{
	call_problem(c, 404, "missing", NULL, "there is no %s %s%s%s", c->op->kind->of->name,
	    key_of(c), account_of(c) ? " of account " : "", account_of(c) ? account_of(c) : "");
	return ADMIN_MISSING;
}

/* ROW_R of the path, of the path's account. ADMIN_MISSING and others: nothing was said yet. */
static enum admin_result
find(struct call *c, void *row_r)
{
	const struct kind *k = c->op->kind;
	enum admin_result r = kind_get(c->store, k, key_of(c), row_r);

	/* What cannot be a name is none. */
	if (r == ADMIN_INVALID)
		return ADMIN_MISSING;
	if (r != ADMIN_OK || !k->of_account || k->of->keys > 1)
		return r;
	return strcasecmp(object_text(object_of(&c->cli, k, row_r), "account"), c->names[0]) == 0
	    ? ADMIN_OK
	    : ADMIN_EXISTS;
}

/* A hash of all that is shown: it changes when that does. */
static const char *
etag_of(struct call *c, const struct object *o)
{
	unsigned char hash[SHA256_LEN] = { 0 };
	struct json j = json_begin();
	struct text t = text_over(cli_alloc(&c->cli, 72), 72);
	char *mem = NULL;
	size_t n = 0;

	j.f = open_memstream(&mem, &n);
	if (!j.f)
		return "";
	object_json(&j, NULL, o);
	if (fclose(j.f) == 0 && crypto_sha256(slice_of(mem, n), hash)) {
		text_char(&t, '"');
		text_hex(&t, slice_of((const char *)hash, ETAG_OCTETS));
		text_char(&t, '"');
	}
	free(mem);
	return t.mem;
}

static void
members(struct call *c, const struct object *o)
{
	json_str(&c->out, o->kind->key_json, slice_str(o->key));
	for (size_t i = 0; kind_columns(o->kind)[i].name; i++)
		if (o->values[i])
			field_json(&c->out, &kind_columns(o->kind)[i], o->values[i]);
}

static void
show(struct call *c, unsigned status, const void *row, const struct credential *cred)
{
	struct object *o = object_of(&c->cli, c->op->kind, row);
	const char *etag = etag_of(c, o);

	call_begin(c);
	members(c, o);
	if (cred && cred->machine)
		json_str(&c->out, "password", secret_peek(&cred->plain));
	call_end(c, status);
	memcpy(c->answer->etag, etag, strlen(etag) + 1);
}

/* If-Match (RFC 9110, 13.1.1): "*", or one of a list. False after 412 was said. */
static bool
check_match(struct call *c, const void *row)
{
	const char *wanted = httpd_header(c->request, "If-Match");
	struct slice rest = slice_str(wanted ? wanted : "");
	const char *is = row && wanted ? etag_of(c, object_of(&c->cli, c->op->kind, row)) : "";

	while (rest.n > 0) {
		struct slice one = slice_trim(slice_cut(&rest, ','));

		if (row && (slice_eq(one, SLICE("*")) || slice_eq(one, slice_str(is))))
			return true;
	}
	if (!wanted)
		return true;
	call_problem(c, 412, "changed", NULL, "it is not as If-Match says: get it anew");
	return false;
}

void
call_get(struct call *c)
{
	static const char *const none[] = { NULL };
	void *row = cli_alloc(&c->cli, c->op->kind->of->size);

	if (!call_check_query(c, none))
		return;
	enum admin_result r = find(c, row);

	if (r == ADMIN_MISSING || r == ADMIN_EXISTS)
		missing(c);
	else if (r != ADMIN_OK)
		call_failed(c, r);
	else
		show(c, 200, row, NULL);
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct listing {
	struct call *c;
	const char *after;
	bool passed; /* the row called AFTER */
	size_t limit, n;
	const char *last;
	bool more;
};

static bool
on_listed(void *ctx, const void *row)
{
	struct listing *l = ctx;
	struct cli *cli = &l->c->cli;
	struct arena_mark before = arena_mark(&cli->arena);
	struct object *o = object_of(cli, l->c->op->kind, row);

	if (!l->passed) {
		l->passed = strcasecmp(o->key, l->after) == 0;
		arena_reset(&cli->arena, before);
		return true;
	}
	if (l->n == l->limit) {
		l->more = true;
		return false;
	}
	object_json(&l->c->out, NULL, o);
	if (++l->n == l->limit)
		l->last = cli_dup(cli, slice_str(o->key));
	else
		arena_reset(&cli->arena, before);
	return true;
}

static bool
take_limit(struct call *c, size_t *limit_r)
{
	const char *said = call_query(c, "limit");
	uint64_t v = LIMIT_DEFAULT;

	if (said && (!slice_to_u64(slice_str(said), &v) || v == 0 || v > LIMIT_MAX)) {
		call_problem(c, 422, "invalid", "limit", "limit: a number from 1 to %d is wanted",
		    LIMIT_MAX);
		return false;
	}
	*limit_r = (size_t)v;
	return true;
}

bool
call_find_account(struct call *c, struct admin_account *a_r)
{
	enum admin_result r =
	    admin_get(c->store->admin, &entity_account, c->names[0], &c->cli.arena, a_r);

	if (r == ADMIN_OK)
		return true;
	if (r == ADMIN_MISSING || r == ADMIN_INVALID)
		call_problem(c, 404, "missing", NULL, "there is no account %s", c->names[0]);
	else
		call_failed(c, r);
	return false;
}

/* What is of no account has it all the same. */
static bool
has_account(struct call *c)
{
	struct admin_account a = { 0 };

	return account_of(c) == NULL || call_find_account(c, &a);
}

void
call_list(struct call *c)
{
	static const char *const query[] = { "limit", "after", NULL };
	struct listing l = { .c = c };
	enum admin_result r;

	if (!call_check_query(c, query) || !take_limit(c, &l.limit))
		return;
	if (!has_account(c))
		return;
	l.after = call_query(c, "after");
	l.passed = l.after == NULL;
	call_begin(c);
	json_open(&c->out, "items", '[');
	r = kind_each(c->store, c->op->kind, account_of(c), on_listed, &l);
	json_close(&c->out, ']');
	if (l.more)
		json_str(&c->out, "next", slice_str(l.last));
	else
		json_none(&c->out, "next");
	call_end(c, 200);
	if (r != ADMIN_OK)
		call_failed(c, r);
	else if (!l.passed)
		call_problem(c, 404, "missing", "after", "after: there is no %s of that name here",
		    c->op->kind->of->name);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What the path says of a row, the body need not: its account. */
static bool
take_account(struct call *c, struct object *o)
{
	const struct kind *k = o->kind;

	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];

		if (strcmp(f->name, "account") != 0 || (f->flags & COLUMN_OUT))
			continue;
		if (o->values[i] && strcasecmp(o->values[i], c->names[0]) != 0) {
			call_problem(c, 422, "invalid", "account",
			    "account: the path names another");
			return false;
		}
		o->values[i] = c->names[0];
	}
	return true;
}

/* A mailbox is in its domain, and so of that one's account. */
static bool
check_domain(struct call *c)
{
	const char *at = strrchr(key_of(c), '@');
	struct admin_domain d = { 0 };
	enum admin_result r;

	if (c->op->kind != &kind_mailbox || !at)
		return true;
	r = admin_get(c->store->admin, &entity_domain, at + 1, &c->cli.arena, &d);
	if (r == ADMIN_OK && strcasecmp(d.account, c->names[0]) == 0)
		return true;
	if (r == ADMIN_OK || r == ADMIN_MISSING || r == ADMIN_INVALID)
		call_problem(c, 404, "missing", NULL, "there is no domain %s of account %s", at + 1,
		    c->names[0]);
	else
		call_failed(c, r);
	return false;
}

static bool
check_password(struct call *c, const void *row, const struct credential *cred)
{
	const struct admin_profile *p = row;
	const struct kind *k = c->op->kind;
	bool needed = k->password == KIND_HASHED ||
	    (k->password == KIND_SEALED && *p->username && p->auth == PROFILE_PASSWORD);

	if (!needed || cred->given)
		return true;
	call_problem(c, 422, "invalid", "password", "password: a new one needs it");
	return false;
}

/* The new row; false after a problem was said. */
static bool
fill_new(struct call *c, const struct object *o, void *row, const struct credential *cred)
{
	struct text wrong = text_over(cli_alloc(&c->cli, WRONG_MAX), WRONG_MAX);
	const char *why = kind_set_key(&c->cli, o->kind, row, o->key);

	if (why) {
		call_problem(c, 422, "invalid", NULL, "%s", why);
		return false;
	}
	if (!object_fresh(&c->cli, o, row, "", &wrong)) {
		call_mistakes(c, text_slice(&wrong));
		return false;
	}
	return check_domain(c) && check_password(c, row, cred);
}

static bool
fill_known(struct call *c, const struct object *o, void *row)
{
	struct text wrong = text_over(cli_alloc(&c->cli, WRONG_MAX), WRONG_MAX);
	const struct object *was = object_of(&c->cli, o->kind, row);

	for (size_t i = 0; kind_columns(o->kind)[i].name; i++) {
		const struct column *f = &kind_columns(o->kind)[i];

		if (!(f->flags & COLUMN_FIXED) || !o->values[i] ||
		    field_same(f, was->values[i], o->values[i]))
			continue;
		call_problem(c, 409, "fixed", f->name, "%s: it is %s and cannot change", f->name,
		    was->values[i]);
		return false;
	}
	if (object_read(&c->cli, o, row, "", &wrong))
		return true;
	call_mistakes(c, text_slice(&wrong));
	return false;
}

/* What will hardly work needs ?force=1; what was doubtful may stay so. */
static bool
check_doubt(struct call *c, const void *row, const char *was)
{
	const struct kind *k = c->op->kind;
	const char *force = call_query(c, "force");
	const char *why = k->doubt && !was ? k->doubt(&c->cli, row) : NULL;

	if (!why || (force && strcmp(force, "1") == 0))
		return true;
	call_problem(c, 422, "doubtful", NULL, "%s; force=1 takes it as it is", why);
	return false;
}

/* Inside the transaction. */
static void
write_row(struct call *c, struct object *o, bool may_make, const struct credential *cred)
{
	const struct kind *k = o->kind;
	void *row = cli_alloc(&c->cli, k->of->size);
	enum admin_result r = find(c, row);
	bool is_new = r == ADMIN_MISSING;
	const char *doubt = r == ADMIN_OK && k->doubt ? k->doubt(&c->cli, row) : NULL;

	if (r == ADMIN_EXISTS && may_make && k != &kind_mailbox) {
		/* Names of domains and networks are everybody's: that it is taken, no more. */
		call_problem(c, 409, "exists", NULL, "%s %s cannot be added here", k->of->name,
		    key_of(c));
		return;
	}
	if (r == ADMIN_EXISTS || (is_new && !may_make)) {
		missing(c);
		return;
	}
	if (r != ADMIN_OK && !is_new) {
		call_failed(c, r);
		return;
	}
	if (!check_match(c, is_new ? NULL : row))
		return;
	if (is_new)
		memset(row, 0, k->of->size);
	if (!(is_new ? fill_new(c, o, row, cred) : fill_known(c, o, row)) ||
	    !check_doubt(c, row, doubt))
		return;
	r = is_new ? kind_add(c->store, k, row, cred) : kind_set(c->store, k, row, cred);
	if (r == ADMIN_OK)
		r = kind_get(c->store, k, key_of(c), row);
	if (r == ADMIN_OK)
		r = admin_commit(c->store->admin);
	if (r == ADMIN_OK)
		show(c, is_new ? 201 : 200, row, cred);
	else
		call_failed(c, r);
}

static void
change(struct call *c, bool may_make)
{
	static const char *const query[] = { "force", NULL };
	const struct kind *k = c->op->kind;
	struct credential cred = { 0 };
	struct object *o = NULL;
	struct body b;
	bool good = call_check_query(c, query) && body_open(c, may_make, &b);

	if (!good)
		return;
	good = body_object(c, &b, k, key_of(c), &o) && take_account(c, o) &&
	    (k->password == KIND_NO_PASSWORD || body_password(c, &b, &cred)) && has_account(c);
	body_close(&b);
	if (good && k->password == KIND_HASHED && cred.given) {
		if (cred.plain.n == 0) {
			call_problem(c, 422, "invalid", "password", "password: it is empty");
			good = false;
		} else if (ask_hash(c->store, &cred) != EX_OK) {
			call_problem(c, 500, "failed", NULL, "the password could not be hashed");
			good = false;
		}
	}
	if (good) {
		enum admin_result r = admin_begin(c->store->admin);

		if (r == ADMIN_OK)
			write_row(c, o, may_make, &cred);
		else
			call_failed(c, r);
	}
	credential_fini(&cred);
}

void
call_put(struct call *c)
{
	change(c, true);
}

void
call_patch(struct call *c)
{
	change(c, false);
}

/* Gone is gone: who asks again hears the same. */
void
call_delete(struct call *c)
{
	static const char *const query[] = { "whole", NULL };
	const struct kind *k = c->op->kind;
	void *row = cli_alloc(&c->cli, k->of->size);
	const char *whole;
	enum admin_result r;

	if (!call_check_query(c, query))
		return;
	whole = call_query(c, "whole");
	r = admin_begin(c->store->admin);
	if (r == ADMIN_OK)
		r = find(c, row);
	if (r == ADMIN_MISSING || r == ADMIN_EXISTS) {
		missing(c);
		return;
	}
	if (r == ADMIN_OK && !check_match(c, row))
		return;
	if (r == ADMIN_OK)
		r = admin_remove(c->store->admin, k->of, key_of(c),
		    k->parts && whole && strcmp(whole, "1") == 0);
	if (r == ADMIN_OK)
		r = admin_commit(c->store->admin);
	if (r == ADMIN_IN_USE && k->parts)
		call_problem(c, 409, "in-use", NULL, "%s %s: %s; whole=1 removes it with %s",
		    k->of->name, key_of(c), admin_why(c->store->admin), k->parts);
	else if (r != ADMIN_OK)
		call_failed(c, r);
	else {
		call_begin(c);
		json_str(&c->out, "done", SLICE("removed"));
		call_end(c, 200);
	}
}
