/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_trust - the store of [upstream] ca_file: some hundred certificates, which take too long to
 * read on the loop
 */
#include "relay/web/http_private.h"

#include <stdlib.h>

struct ca_store {
	struct relay *r;
	unsigned refs; /* the owner's, and the job's */
	struct trust *trust;
	bool loading, stale, closed;
	struct list waiting; /* requests */
	char why[256];
};

struct load {
	struct job job; /* first */
	struct ca_store *s;
	struct trust *trust;
	char *file;
	char why[256];
};

struct ca_store *
ca_store_open(struct relay *r)
{
	struct ca_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->r = r;
	s->refs = 1;
	list_init(&s->waiting);
	return s;
}

static void
unref(struct ca_store *s)
{
	if (--s->refs)
		return;
	trust_unref(s->trust);
	free(s);
}

void
ca_store_close(struct ca_store *s)
{
	if (!s)
		return;
	s->closed = true;
	unref(s);
}

/* The old one serves until the new one is there. */
void
ca_store_reconf(struct ca_store *s)
{
	s->stale = true;
}

static void
run(struct job *j)
{
	struct load *l = (struct load *)j;
	struct text why = text_over(l->why, sizeof(l->why));

	l->trust = trust_open(l->file, SLICE(""), NULL, &why);
}

static void
done(struct job *j)
{
	struct load *l = (struct load *)j;
	struct ca_store *s = l->s;

	s->loading = false;
	if (l->trust) {
		trust_unref(s->trust);
		s->trust = l->trust;
	} else if (!s->closed) {
		memcpy(s->why, l->why, sizeof(s->why));
		log_say(LOG_ERROR, "upstream", "%s", l->why);
	}
	while (!s->closed && s->waiting.n) {
		struct link *link = list_first(&s->waiting);

		list_remove(&s->waiting, link);
		http_on_trust(LINKED(link, struct http_request, waits), s->trust);
	}
	free(l->file);
	free(l);
	unref(s);
}

static bool
load(struct ca_store *s)
{
	struct load *l = calloc(1, sizeof(*l));

	if (!l)
		return false;
	l->job.run = run;
	l->job.done = done;
	l->s = s;
	l->file = strdup(s->r->conf->upstream.ca_file ? s->r->conf->upstream.ca_file : "");
	if (!l->file || !work_submit(s->r->work, &l->job)) {
		free(l->file);
		free(l);
		return false;
	}
	s->refs++;
	s->loading = true;
	s->stale = false;
	return true;
}

enum trust_got
ca_store_get(struct ca_store *s, struct http_request *q, struct trust **trust_r)
{
	if ((!s->trust || s->stale) && !s->loading && !load(s) && !s->trust)
		return TRUST_NONE;
	if (!s->trust) {
		list_append(&s->waiting, &q->waits);
		q->waits_at = &s->waiting;
		return TRUST_LATER;
	}
	*trust_r = trust_ref(s->trust);
	return TRUST_OK;
}
