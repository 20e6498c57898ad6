/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/row_sqlite.h"

#include <assert.h>

#include "conf/directory/admin.h"

/* ---- out of the database ---- */

static unsigned
take_word(struct take *t, const struct words *words)
{
	unsigned value;

	return words_find(words, take_slice(t), &value) ? value : words->cautious;
}

static bool
take_text(struct take *t, struct arena *mem, const char **text_r)
{
	struct slice s = take_slice(t);

	*text_r = mem ? arena_str(mem, s) : s.p;
	return *text_r != NULL;
}

static bool
take_route(struct take *t, struct arena *mem, struct admin_route *r)
{
	r->kind = (enum route_kind)take_word(t, &route_kind_words);
	if (!take_text(t, mem, &r->profile))
		return false;
	r->fallback = (enum route_kind)take_word(t, &route_kind_words);
	return take_text(t, mem, &r->fallback_profile);
}

static void
take_route_ids(struct take *t, struct route *r)
{
	r->kind = (enum route_kind)take_word(t, &route_kind_words);
	r->profile = take_u64(t);
	r->fallback = (enum route_kind)take_word(t, &route_kind_words);
	r->fallback_profile = take_u64(t);
}

static bool
take_column(struct take *t, const struct column *c, struct arena *mem, void *row)
{
	void *member = (char *)row + c->at;
	unsigned word;

	switch (c->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_PEM:
	case COLUMN_HOST:
	case COLUMN_PIN:
	case COLUMN_LIST:
		return take_text(t, mem, column_text(c, row));
	case COLUMN_BOOL:
		*(bool *)member = take_bool(t);
		break;
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		*(uint64_t *)member = take_u64(t);
		break;
	case COLUMN_SMALL:
		*(unsigned *)member = take_unsigned(t);
		break;
	case COLUMN_DATE:
		*(int64_t *)member = take_i64(t);
		break;
	case COLUMN_WORD:
		word = take_word(t, c->words);
		memcpy(member, &word, sizeof(word));
		break;
	case COLUMN_ROUTE:
		return take_route(t, mem, member);
	case COLUMN_ROUTE_IDS:
		take_route_ids(t, member);
		break;
	case COLUMN_FALLBACK:
		break;
	}
	return true;
}

bool
row_take(struct take *t, const struct column *columns, struct arena *mem, void *row)
{
	for (const struct column *c = columns; c->name; c++) {
		if (!(c->flags & COLUMN_UNREAD) && !take_column(t, c, mem, row))
			return false;
	}
	return true;
}

/* ---- into it ---- */

static void
put_column(struct put *p, const struct column *c, const void *row)
{
	const void *member = (const char *)row + c->at;
	unsigned word;

	switch (c->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_PEM:
	case COLUMN_HOST:
	case COLUMN_PIN:
		put_str(p, *(const char *const *)member);
		break;
	case COLUMN_BOOL:
		put_i64(p, *(const bool *)member);
		break;
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		put_u64(p, *(const uint64_t *)member);
		break;
	case COLUMN_SMALL:
		put_u64(p, *(const unsigned *)member);
		break;
	case COLUMN_DATE:
		put_i64(p, *(const int64_t *)member);
		break;
	case COLUMN_WORD:
		memcpy(&word, member, sizeof(word));
		put_str(p, word < c->words->n ? c->words->list[word].word : NULL);
		break;
	case COLUMN_LIST:
	case COLUMN_ROUTE:
	case COLUMN_FALLBACK:
	case COLUMN_ROUTE_IDS:
		assert(!"a column of several values is bound by code of its own");
	}
}

void
row_put(struct put *p, const struct column *columns, const void *row)
{
	for (const struct column *c = columns; c->name; c++) {
		if (!(c->flags & COLUMN_WRITTEN) ||
		    ((c->flags & COLUMN_KEY) && !put_has(p, c->bind)))
			continue;
		put_named(p, c->bind);
		put_column(p, c, row);
	}
}

/* ---- its columns ---- */

static void
quote(struct text *t, const char *s)
{
	text_char(t, '\'');
	for (; *s; s++) {
		text_char(t, *s);
		if (*s == '\'')
			text_char(t, '\'');
	}
	text_char(t, '\'');
}

static void
word_type(struct text *sql, const struct column *c)
{
	text_fmt(sql, "%s TEXT NOT NULL DEFAULT ", c->name);
	quote(sql, c->preset);
	text_fmt(sql, " CHECK (%s IN (", c->name);
	for (unsigned i = 0; i < c->words->n; i++) {
		text_put(sql, i ? SLICE(", ") : SLICE(""));
		quote(sql, c->words->list[i].word);
	}
	text_put(sql, SLICE("))"));
}

/* NAME, type, default and bounds as SQL. */
static void
column_sql(struct text *sql, const struct column *c)
{
	switch (c->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_PEM:
	case COLUMN_HOST:
	case COLUMN_PIN:
		text_fmt(sql, "%s TEXT NOT NULL DEFAULT ", c->name);
		quote(sql, c->preset);
		break;
	case COLUMN_BOOL:
		text_fmt(sql, "%s INTEGER NOT NULL DEFAULT %d CHECK (%s IN (0, 1))", c->name,
		    strcmp(c->preset, "yes") == 0, c->name);
		break;
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
	case COLUMN_SMALL:
		text_fmt(sql, "%s INTEGER NOT NULL DEFAULT %s CHECK (%s >= %llu)", c->name,
		    c->preset, c->name, (unsigned long long)c->min);
		break;
	case COLUMN_DATE:
		text_fmt(sql, "%s INTEGER NOT NULL DEFAULT 0", c->name);
		break;
	case COLUMN_WORD:
		word_type(sql, c);
		break;
	case COLUMN_LIST:
	case COLUMN_ROUTE:
	case COLUMN_FALLBACK:
	case COLUMN_ROUTE_IDS:
		assert(!"a column of several values needs a migration");
	}
}

static bool
has_column(struct db *db, const char *table, const char *column, bool *has_r)
{
	struct put in =
	    put_into(db_stmt(db, "SELECT 1 FROM pragma_table_info(:entity) WHERE name = :column"));

	put_named(&in, ":entity");
	put_str(&in, table);
	put_named(&in, ":column");
	put_str(&in, column);
	int rc = in.ok ? sqlite3_step(in.st) : SQLITE_ERROR;

	*has_r = rc == SQLITE_ROW;
	if (in.st)
		sqlite3_reset(in.st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

static bool
add_column(struct db *db, const char *table, const struct column *c)
{
	char mem[1024];
	struct text sql = text_over(mem, sizeof(mem));

	text_fmt(&sql, "ALTER TABLE %s ADD COLUMN ", table);
	column_sql(&sql, c);
	return !sql.overflow && db_exec(db, sql.mem);
}

/* *LACKS_R: there is a column that a table lacks. ADD: it is added. */
static bool
each_lacking(struct db *db, bool add, bool *lacks_r)
{
	for (size_t i = 0; entities[i]; i++) {
		for (const struct column *c = entities[i]->columns; c->name; c++) {
			bool has;

			if (!(c->flags & COLUMN_WRITTEN) || (c->flags & COLUMN_KEY))
				continue;
			if (!has_column(db, entities[i]->name, c->name, &has))
				return false;
			if (!has && add && !add_column(db, entities[i]->name, c))
				return false;
			*lacks_r = *lacks_r || !has;
		}
	}
	return true;
}

bool
row_lacks_columns(struct db *db, bool *lacks_r)
{
	*lacks_r = false;
	return each_lacking(db, false, lacks_r);
}

bool
row_add_columns(struct db *db)
{
	bool lacks = false;

	return each_lacking(db, true, &lacks);
}
