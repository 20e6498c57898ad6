/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of every entity, written and read by name: one path for all, with each entity's own hooks.
 */
#include "conf/directory/admin_sqlite.h"

#include <assert.h>
#include <stdio.h>

/* A copy of a row that hooks may change. */
union any_row {
	struct plan plan;
	struct admin_account account;
	struct admin_profile profile;
	struct admin_domain domain;
	struct admin_mailbox mailbox;
	struct admin_ip ip;
};

static const struct table *
table_of(const struct entity *of)
{
	static const struct table *const tables[] = { &table_plan, &table_account, &table_profile,
		&table_domain, &table_mailbox, &table_ip };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (tables[i]->of == of)
			return tables[i];
	}
	assert(!"an entity has a table");
	return NULL;
}

/* ---- names ---- */

static const struct column *
key_of(const struct entity *of)
{
	return &of->columns[of->keys - 1];
}

static const char *
text_of(const char *s)
{
	return s ? s : "";
}

/* ACCOUNT/NAME into its two halves. */
static bool
split(const char *both, char account[NAME_MAX_LEN + 1], const char **name_r)
{
	const char *slash = strchr(both, '/');

	if (!slash || slash == both || !slash[1] || (size_t)(slash - both) > NAME_MAX_LEN)
		return false;
	memcpy(account, both, (size_t)(slash - both));
	account[slash - both] = '\0';
	*name_r = slash + 1;
	return true;
}

static enum admin_result
find_part(struct admin *a, const struct table *t, const char *both, uint64_t *id_r)
{
	char account[NAME_MAX_LEN + 1];
	const char *name;
	uint64_t owner;

	if (!split(both, account, &name))
		return admin_say(a, ADMIN_MISSING,
		    "'%s' is no name of a %s: it is ACCOUNT/NAME, acme/mailgun for instance", both,
		    t->of->name);
	enum admin_result r = find_account(a, account, &owner);

	return r == ADMIN_OK ? find_profile(a, owner, account, name, id_r) : r;
}

enum admin_result
table_find(struct admin *a, const struct table *t, const char *name, uint64_t *id_r)
{
	char mem[KEY_MAX];
	enum admin_result r = ADMIN_OK;

	if (t->of->keys > 1)
		return find_part(a, t, text_of(name), id_r);
	if (t->normal) {
		r = t->normal(a, name, mem);
		name = mem;
	}
	return r == ADMIN_OK ? find_id(a, t->find, t->of->name, text_of(name), id_r) : r;
}

/* ROW's own name, ACCOUNT/NAME where it is so named; in MEM. */
static const char *
name_of(const struct table *t, const void *row, char *mem, size_t cap)
{
	const struct column *key = key_of(t->of);
	const char *name = text_of(*(const char *const *)((const char *)row + key->at));

	if (t->of->keys == 1)
		return name;
	snprintf(mem, cap, "%s/%s",
	    text_of(*(const char *const *)((const char *)row + t->of->columns[0].at)), name);
	return mem;
}

/* ---- writing ---- */

static enum admin_result
write_row(struct admin *a, const struct table *t, const char *sql, const void *row, uint64_t id)
{
	struct put in = put_into(db_stmt(&a->db, sql));
	enum admin_result r = ADMIN_OK;
	char mem[KEY_MAX];

	row_put(&in, t->of->columns, row);
	if (id) {
		put_named(&in, ":id");
		put_u64(&in, id);
	}
	if (t->bind)
		r = t->bind(a, &in, row, id);
	return r == ADMIN_OK ? admin_run(a, &in, name_of(t, row, mem, sizeof(mem))) : r;
}

enum admin_result
table_add(struct admin *a, const struct table *t, const void *row, uint64_t *id_r)
{
	char mem[KEY_MAX];
	const char *name = name_of(t, row, mem, sizeof(mem));
	enum admin_result r = table_find(a, t, name, id_r);

	if (r == ADMIN_OK)
		return admin_say(a, ADMIN_EXISTS, "%s %s: there is one already", t->of->name, name);
	if (r == ADMIN_MISSING)
		r = write_row(a, t, t->add, row, 0);
	*id_r = (uint64_t)sqlite3_last_insert_rowid(a->db.h);
	return r == ADMIN_OK && t->after ? t->after(a, row, *id_r) : r;
}

enum admin_result
table_set(struct admin *a, const struct table *t, const void *row, uint64_t id)
{
	enum admin_result r = write_row(a, t, t->set, row, id);

	return r == ADMIN_OK && t->after ? t->after(a, row, id) : r;
}

/* A checked copy of FROM in ROW, with its key in MEM. */
static enum admin_result
checked(struct admin *a, const struct table *t, const void *from, union any_row *row,
    char mem[KEY_MAX])
{
	const char **key = column_text(key_of(t->of), row);
	enum admin_result r = ADMIN_OK;

	assert(t->of->size <= sizeof(*row));
	memcpy(row, from, t->of->size);
	if (t->normal) {
		r = t->normal(a, *key, mem);
		*key = mem;
	}
	return r == ADMIN_OK && t->check ? t->check(a, row) : r;
}

enum admin_result
admin_add(struct admin *a, const struct entity *of, const void *from)
{
	const struct table *t = table_of(of);
	union any_row row;
	char mem[KEY_MAX];
	uint64_t id;

	if (of == &entity_profile)
		return admin_profile_add(a, from, NULL);
	enum admin_result r = checked(a, t, from, &row, mem);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	return write_end(a, table_add(a, t, &row, &id));
}

enum admin_result
admin_set(struct admin *a, const struct entity *of, const void *from)
{
	const struct table *t = table_of(of);
	union any_row row;
	char mem[KEY_MAX];
	char both[KEY_MAX];
	uint64_t id = 0;

	if (of == &entity_profile)
		return admin_profile_set(a, from, NULL);
	enum admin_result r = checked(a, t, from, &row, mem);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = table_find(a, t, name_of(t, &row, both, sizeof(both)), &id);
	return write_end(a, r == ADMIN_OK ? table_set(a, t, &row, id) : r);
}

enum admin_result
admin_remove(struct admin *a, const struct entity *of, const char *name, bool whole)
{
	const struct table *t = table_of(of);
	uint64_t id;
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = table_find(a, t, name, &id);
	if (r == ADMIN_OK && t->clear)
		r = t->clear(a, id, whole);
	return write_end(a, r == ADMIN_OK ? remove_by_id(a, t->drop, id) : r);
}

/* ---- reading ---- */

struct reading {
	const struct table *table;
	struct arena *mem;
	void *row;
	admin_row_fn *fn;
	void *ctx;
};

static bool
read_row(void *ctx, struct take *t)
{
	struct reading *r = ctx;

	*(uint64_t *)r->row = take_u64(t);
	return row_take(t, r->table->of->columns, r->mem, r->row);
}

enum admin_result
table_get(struct admin *a, const struct table *t, uint64_t id, struct arena *mem, void *row_r)
{
	struct put in = put_into(db_stmt(&a->db, t->get));
	struct reading reading = { .table = t, .mem = mem, .row = row_r };

	memset(row_r, 0, t->of->size);
	put_u64(&in, id);
	return one_row(a, &in, read_row, &reading, t->of->name, "");
}

enum admin_result
admin_get(struct admin *a, const struct entity *of, const char *name, struct arena *mem,
    void *row_r)
{
	uint64_t id;
	enum admin_result r = table_find(a, table_of(of), name, &id);

	return r == ADMIN_OK ? table_get(a, table_of(of), id, mem, row_r) : r;
}

static bool
hand_row(void *ctx, struct take *t)
{
	struct reading *r = ctx;
	union any_row row = { 0 };

	r->row = &row;
	return read_row(r, t) && r->fn(r->ctx, &row);
}

enum admin_result
admin_each(struct admin *a, const struct entity *of, const char *account, admin_row_fn *fn,
    void *ctx)
{
	const struct table *t = table_of(of);
	struct reading reading = { .table = t, .fn = fn, .ctx = ctx };

	assert(t->each || !account);
	return each_row(a, t->all, t->each, account, hand_row, &reading);
}
