/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ROW_SQLITE_H
#define CONF_DIRECTORY_ROW_SQLITE_H

/*
 * row_sqlite - rows between statements and structs, by their tables of columns
 */
#include "conf/directory/directory_db_sqlite.h"
#include "conf/directory/entity.h"
#include "wire/arena.h"

/*
 * The next values of T into ROW, in the order of COLUMNS. A word that is none is taken for the
 * cautious one. Strings go to MEM; MEM NULL: they die with the next step. False: no memory.
 */
bool row_take(struct take *t, const struct column *columns, struct arena *mem, void *row)
    MUST_CHECK;
/* Binds each COLUMN_WRITTEN of ROW by its name; a key only where the statement has it. */
void row_put(struct put *p, const struct column *columns, const void *row);
/* *LACKS_R: a table lacks a column of its entity. */
bool row_lacks_columns(struct db *db, bool *lacks_r) MUST_CHECK;
/* Adds what is lacking. */
bool row_add_columns(struct db *db) MUST_CHECK;

#endif
