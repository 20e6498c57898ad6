/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/refresh.h"

#include "relay/credential.h"
#include "wire/log.h"

#include <stdlib.h>

static const double again_first_s = 1;
static const double again_max_s = 300;

static bool
copy(char **to, const char *from)
{
	char *new = strdup(from ? from : "");

	if (!new)
		return false;
	free(*to);
	*to = new;
	return true;
}

static void on_again(struct ev_loop *ev, ev_timer *w, int revents);

bool
refresh_init(struct refresh *r, struct upstream *u, const char *blob)
{
	*r = (struct refresh){ .u = u };
	ev_init(&r->again, on_again);
	r->again.data = r;
	return copy(&r->blob, blob) && copy(&r->stored, blob);
}

void
refresh_fini(struct refresh *r)
{
	if (!r->u)
		return;
	ev_timer_stop(loop_ev(r->u->r->loop), &r->again);
	if (r->state != REFRESH_KEPT)
		log_say(LOG_ERROR, "upstream",
		    "%s: the newest refresh token could not be stored before the end and is lost: "
		    "byway profile authorize",
		    r->u->route);
	free(r->blob);
	free(r->stored);
	free(r->writing);
}

static void
enter(struct refresh *r, enum refresh_state state)
{
	bool was_kept = r->state == REFRESH_KEPT;

	r->state = state;
	if (state != REFRESH_WRITING)
		pool_token_waits(r->u, state == REFRESH_WAITING);
	if (was_kept && state != REFRESH_KEPT)
		pool_ref(r->u);
	else if (!was_kept && state == REFRESH_KEPT)
		pool_unref(r->u);
}

/* ---- storing --------------------------------------------------------------------------------- */

static void
wait(struct refresh *r)
{
	r->wait_s = r->wait_s > 0 ? r->wait_s * 2 : again_first_s;
	if (r->wait_s > again_max_s)
		r->wait_s = again_max_s;
	log_say(LOG_ERROR, "upstream",
	    "%s: the new refresh token cannot be stored; it is kept in memory and tried again in "
	    "%.0f s",
	    r->u->route, r->wait_s);
	ev_timer_set(&r->again, r->wait_s, 0.);
	ev_timer_start(loop_ev(r->u->r->loop), &r->again);
	enter(r, REFRESH_WAITING);
}

static void
write_newest(struct refresh *r)
{
	struct relay *relay = r->u->r;
	struct relay_token t = {
		.profile = r->u->profile, .was = slice_str(r->stored), .is = slice_str(r->blob)
	};

	if (copy(&r->writing, r->blob) && relay->keep_token(relay->ctx, &t)) {
		enter(r, REFRESH_WRITING);
		return;
	}
	free(r->writing);
	r->writing = NULL;
	wait(r);
}

static void
on_again(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	write_newest(w->data);
}

void
refresh_kept(struct refresh *r, bool good)
{
	if (r->state != REFRESH_WRITING)
		return;
	if (good) {
		free(r->stored);
		r->stored = r->writing;
	} else {
		free(r->writing);
	}
	r->writing = NULL;
	if (!good) {
		wait(r);
		return;
	}
	if (strcmp(r->stored, r->blob) != 0) {
		write_newest(r);
		return;
	}
	if (r->wait_s > 0)
		log_say(LOG_NOTICE, "upstream", "%s: the new refresh token is stored now",
		    r->u->route);
	r->wait_s = 0;
	enter(r, REFRESH_KEPT);
}

static bool
seal(struct refresh *r, const struct secret *plain)
{
	char mem[VAULT_BLOB_MAX + 1];
	struct text blob = text_over(mem, sizeof(mem));
	struct vault_place at = credential_refresh_place(r->u);

	return r->u->r->vault && vault_seal(r->u->r->vault, &at, plain, &blob) && !blob.overflow &&
	    copy(&r->blob, mem);
}

bool
refresh_replace(struct refresh *r, const struct secret *plain)
{
	if (!seal(r, plain))
		return false;
	if (!r->u->r->keep_token)
		return copy(&r->stored, r->blob);
	/* One write at a time: the one that is on its way is followed by this one. */
	if (r->state == REFRESH_WRITING)
		return true;
	ev_timer_stop(loop_ev(r->u->r->loop), &r->again);
	write_newest(r);
	return true;
}

/* ---- what the directory says ----------------------------------------------------------------- */

/* Two blobs of one token differ where a key has turned. */
static bool
is_same_token(struct refresh *r, const char *a, const char *b)
{
	struct secret one = { 0 };
	struct secret two = { 0 };
	bool same = *a && *b && credential_refresh_token(r->u, a, &one) &&
	    credential_refresh_token(r->u, b, &two) && secret_equal(&one, secret_peek(&two));

	secret_fini(&one);
	secret_fini(&two);
	return same;
}

bool
refresh_update(struct refresh *r, const char *blob)
{
	if (!blob)
		blob = "";
	if (strcmp(r->blob, blob) == 0 || strcmp(r->stored, blob) == 0)
		return true;
	/* What is not stored yet takes the place of the old one under its new key. */
	if (r->state != REFRESH_KEPT && is_same_token(r, r->stored, blob))
		return copy(&r->stored, blob);
	if (r->state == REFRESH_WRITING)
		return true;
	ev_timer_stop(loop_ev(r->u->r->loop), &r->again);
	r->wait_s = 0;
	if (!copy(&r->blob, blob) || !copy(&r->stored, blob))
		return false;
	enter(r, REFRESH_KEPT);
	return true;
}
