/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/directory_token.h"

#include "conf/directory/directory_db_sqlite.h"
#include "conf/directory/directory_front.h"
#include "wire/log.h"

#include <stdlib.h>

enum { BUSY_MS = 2000 };

struct keep {
	struct job job; /* first */
	struct directory *d;
	token_fn *fn;
	uint64_t profile;
	char *path, *was, *is;
	bool good;
	char why[WHY_MAX];
};

static bool
write_token(struct db *db, const struct keep *k)
{
	static const char sql[] =
	    "UPDATE profile SET refresh_token = ?3 WHERE id = ?1 AND refresh_token = ?2";
	sqlite3_stmt *st = db_stmt(db, sql);
	struct put in;

	if (!st)
		return false;
	in = put_into(st);
	put_u64(&in, k->profile);
	put_str(&in, k->was);
	put_str(&in, k->is);
	bool good = in.ok && sqlite3_step(st) == SQLITE_DONE;

	sqlite3_reset(st);
	return good;
}

static void
run(struct job *j)
{
	struct keep *k = (struct keep *)j;
	struct text why = text_over(k->why, sizeof(k->why));
	struct db db;

	if (!db_open(&db, k->path, DB_CURRENT, BUSY_MS, &why))
		return;
	k->good = write_token(&db, k);
	if (!k->good)
		text_fmt(&why, "%s: %s", k->path, db_error(&db));
	db_close(&db);
}

static void
release(struct keep *k)
{
	free(k->path);
	free(k->was);
	free(k->is);
	free(k);
}

static void
done(struct job *j)
{
	struct keep *k = (struct keep *)j;
	struct directory *d = k->d;

	if (!k->good && *k->why)
		log_say(LOG_ERROR, "directory", "a refresh token cannot be stored: %s", k->why);
	if (!d->closed)
		k->fn(d->ctx, k->profile, k->good);
	release(k);
	d->pending--;
	directory_put(d);
}

bool
directory_keep_token(struct directory *d, const struct token_order *o, token_fn *fn)
{
	struct keep *k = calloc(1, sizeof(*k));

	if (!k)
		return false;
	k->job.run = run;
	k->job.done = done;
	k->d = d;
	k->fn = fn;
	k->profile = o->profile;
	k->path = strdup(d->path);
	k->was = strndup(o->was.p, o->was.n);
	k->is = strndup(o->is.p, o->is.n);
	if (!k->path || !k->was || !k->is || !work_submit(d->work, &k->job)) {
		release(k);
		return false;
	}
	d->pending++;
	return true;
}
