/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_BACKUP_H
#define CONF_DIRECTORY_BACKUP_H

/*
 * backup - a directory of one moment and the files that belong to it, in one file
 *
 * It is a database of SQLite's: the directory's own tables, as a copy by the backup API has them
 * while others go on writing, and one more, backup_item (name, content). Whoever has lost us can
 * read it with the sqlite3 shell. Its application_id is another than a directory's, so that it is
 * not taken for one.
 *
 * Errors: false and WHY, with the file.
 */
#include "wire/slice.h"
#include "wire/text.h"

struct backup_item {
	const char *name; /* "byway.ini" */
	struct slice content;
};

/* A new FILE (mode 0600), or in the place of what was there; whole or not at all. */
bool backup_make(const char *database, const char *file, const struct backup_item *items,
    size_t items_n, struct text *why) MUST_CHECK;
/* ITEM dies with the call. False: stop. */
typedef bool backup_fn(void *ctx, const struct backup_item *item);
bool backup_each(const char *file, backup_fn *fn, void *ctx, struct text *why) MUST_CHECK;
/* The directory alone as a new file TO, mode 0640. */
bool backup_take(const char *file, const char *to, struct text *why) MUST_CHECK;

#endif
