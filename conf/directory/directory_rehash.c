/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right log-in whose hash came from elsewhere (bcrypt, sha512crypt, md5crypt ...) leaves one of
 * our own scheme behind. The client has its answer before; where the directory cannot be written,
 * the next log-in tries again.
 */
#include <stdlib.h>

#include "conf/directory/directory_front.h"
#include "wire/log.h"

struct rehash {
	struct job job;
	struct work *work;
	char *path;
	uint64_t mailbox;
	struct secret password;
	struct text was;
	char was_mem[PASSWORD_HASH_MAX];
	char why[WHY_MAX];
	bool written;
};

void
rehash_free(struct rehash *r)
{
	if (!r)
		return;
	secret_fini(&r->password);
	free(r->path);
	crypto_wipe(r->was_mem, sizeof(r->was_mem));
	free(r);
}

static void
on_run(struct job *j)
{
	struct rehash *r = (struct rehash *)j;
	char mem[PASSWORD_HASH_MAX];
	struct text hash = text_over(mem, sizeof(mem)), why = text_over(r->why, sizeof(r->why));

	if (!password_hash(&r->password, &hash))
		text_put(&why, SLICE("it cannot be hashed"));
	else
		r->written = backend_rehash(r->path, r->mailbox, text_slice(&r->was),
		    text_slice(&hash), &why);
	crypto_wipe(mem, sizeof(mem));
}

static void
on_done(struct job *j)
{
	struct rehash *r = (struct rehash *)j;
	if (!r->written && !work_is_closing(r->work))
		log_say(LOG_NOTICE, "directory",
		    "the hash of mailbox %llu stays of its old scheme: %s",
		    (unsigned long long)r->mailbox, r->why);
	rehash_free(r);
}

struct rehash *
rehash_new(struct directory *d, uint64_t mailbox, struct slice hash, const struct secret *password)
{
	struct rehash *r = password_is_up_to_date(hash) ? NULL : calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->job = (struct job){ .run = on_run, .done = on_done };
	r->work = d->work;
	r->path = strdup(d->path);
	r->mailbox = mailbox;
	r->was = text_over(r->was_mem, sizeof(r->was_mem));
	text_put(&r->was, hash);
	if (r->path && secret_init(&r->password, secret_peek(password)) && !r->was.overflow)
		return r;
	rehash_free(r);
	return NULL;
}

void
rehash_send(struct rehash *r)
{
	if (!work_submit(r->work, &r->job))
		rehash_free(r);
}
