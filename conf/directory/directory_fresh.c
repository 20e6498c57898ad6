/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has changed since something was read: the poll, and what it tells about snapshots.
 */
#include "conf/directory/directory_front.h"
#include "wire/log.h"

/* ---- freshness ---- */

static struct changed *
changed_at(struct directory *d, uint64_t account)
{
	size_t at = (size_t)(account * 0x9e3779b97f4a7c15u >> 51) % (2 * CHANGED_MAX);

	while (d->changed[at].account && d->changed[at].account != account)
		at = (at + 1) % (2 * CHANGED_MAX);
	return &d->changed[at];
}

static void
forget_changed(struct directory *d, uint64_t floor)
{
	memset(d->changed, 0, sizeof(d->changed));
	d->changed_n = 0;
	d->floor = floor;
}

static void
note_changed(struct directory *d, uint64_t account, uint64_t revision)
{
	struct changed *c = changed_at(d, account);

	if (!c->account && d->changed_n == CHANGED_MAX) {
		forget_changed(d, revision);
		return;
	}
	d->changed_n += c->account == 0;
	*c = (struct changed){ .account = account, .revision = revision };
}

/* True where nothing of ACCOUNT was written after REVISION. */
bool
directory_is_current(struct directory *d, uint64_t revision, uint64_t account)
{
	if (revision >= d->revision)
		return true;
	return revision >= d->floor && revision >= changed_at(d, account)->revision;
}

bool
directory_is_fresh(const struct directory *d, const struct sender *s)
{
	return directory_is_current((struct directory *)(uintptr_t)d, s->revision, s->account.id);
}

bool
directory_has_addresses(const struct directory *d)
{
	return d->has_addresses;
}

/* ---- the poll ---- */

void
directory_on_timer(struct ev_loop *ev, ev_timer *t, int events)
{
	struct directory *d = t->data;

	(void)ev;
	(void)events;
	if (d->polling)
		return;
	struct ask *a = ask_new(d, ASK_POLL, 0, NULL);

	if (!a)
		return;
	a->id = d->revision;
	a->found = FOUND_FAILED;
	d->polling = true;
	ask_send(a);
}

void
directory_learn_changes(struct directory *d, struct ask *a)
{
	const struct backend_changes *c = &a->changes;

	d->polling = false;
	if (a->found == FOUND_FAILED && !d->poll_failed)
		log_say(LOG_ERROR, "directory", "cannot be read: %s",
		    a->why_mem[0] ? a->why_mem : "no thread");
	if (a->found != FOUND_FAILED && d->poll_failed)
		log_say(LOG_NOTICE, "directory", "%s: can be read again", d->path);
	d->poll_failed = a->found == FOUND_FAILED;
	if (a->found != FOUND)
		return;
	d->revision = c->revision;
	d->has_addresses = c->has_addresses;
	if (c->ips)
		d->ip_revision = c->revision;
	if (c->domains)
		d->domain_revision = c->revision;
	if (c->all)
		forget_changed(d, c->revision);
	else
		for (size_t i = 0; i < c->accounts_n; i++)
			note_changed(d, c->accounts[i], c->revision);
}
