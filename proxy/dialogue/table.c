/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/table.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/dialogue/dialogue.h"

struct slot {
	struct session *session; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

enum { FIRST_SLOTS = 64, NO_SLOT = UINT32_MAX };

struct sessions {
	struct slot *slots;
	uint32_t size;
	uint32_t free;
	size_t count;
	struct session *oldest, *youngest; /* not logged in */
};

struct sessions *
sessions_open(struct worker *w)
{
	(void)w;
	struct sessions *all = calloc(1, sizeof(*all));

	if (all != NULL)
		all->free = NO_SLOT;
	return all;
}

void
sessions_close(struct sessions *all)
{
	if (all == NULL)
		return;
	assert(all->count == 0);
	free(all->slots);
	free(all);
}

size_t
sessions_count(const struct sessions *all)
{
	return all->count;
}

static bool
grow(struct sessions *all)
{
	uint32_t size = all->size ? all->size * 2 : FIRST_SLOTS;
	struct slot *slots = size > all->size ? realloc(all->slots, size * sizeof(*slots)) : NULL;

	if (slots == NULL)
		return false;
	for (uint32_t i = size; i > all->size; i--) {
		slots[i - 1] = (struct slot){ .next_free = all->free };
		all->free = i - 1;
	}
	all->slots = slots;
	all->size = size;
	return true;
}

static void
list(struct sessions *all, struct session *s)
{
	s->older = all->youngest;
	if (all->youngest != NULL)
		all->youngest->younger = s;
	else
		all->oldest = s;
	all->youngest = s;
	s->listed = true;
}

void
sessions_unlist(struct sessions *all, struct session *s)
{
	if (!s->listed)
		return;
	if (s->older != NULL)
		s->older->younger = s->younger;
	else
		all->oldest = s->younger;
	if (s->younger != NULL)
		s->younger->older = s->older;
	else
		all->youngest = s->older;
	s->older = s->younger = NULL;
	s->listed = false;
}

bool
sessions_add(struct sessions *all, struct session *s)
{
	if (all->free == NO_SLOT && !grow(all))
		return false;
	uint32_t i = all->free;
	struct slot *slot = &all->slots[i];

	all->free = slot->next_free;
	slot->session = s;
	slot->generation++;
	s->number = (uint64_t)slot->generation << 32 | i;
	all->count++;
	list(all, s);
	return true;
}

void
sessions_remove(struct sessions *all, struct session *s)
{
	uint32_t i = (uint32_t)s->number;

	assert(i < all->size && all->slots[i].session == s);
	sessions_unlist(all, s);
	all->slots[i].session = NULL;
	all->slots[i].next_free = all->free;
	all->free = i;
	all->count--;
}

struct session *
sessions_oldest(struct sessions *all)
{
	return all->oldest;
}

struct session *
session_find(struct sessions *all, uint64_t number)
{
	uint32_t i = (uint32_t)number;

	if (i >= all->size || all->slots[i].session == NULL ||
	    all->slots[i].session->number != number)
		return NULL;
	return all->slots[i].session;
}

/* A client that is not in the middle of a message: it can be told now. */
static bool
is_idle(const struct session *s)
{
	return !s->parked &&
	    (s->state == STATE_NEW || s->state == STATE_READY ||
	        (s->state == STATE_MAIL && !txn_has_unsaid(&s->txn)));
}

void
sessions_drain(struct sessions *all)
{
	for (uint32_t i = 0; i < all->size; i++) {
		struct session *s = all->slots[i].session;

		if (s == NULL || s->state == STATE_GONE)
			continue;
		if (is_idle(s))
			session_end(s, CLOSE_DRAIN, SAY_SHUTTING_DOWN);
		else if (s->state == STATE_TLS || s->state == STATE_PROXY)
			session_end(s, CLOSE_DRAIN, SAY_NONE);
	}
}

void
sessions_kill(struct sessions *all)
{
	for (uint32_t i = 0; i < all->size; i++) {
		struct session *s = all->slots[i].session;

		if (s == NULL)
			continue;
		if (s->state != STATE_GONE)
			session_end(s, CLOSE_DRAIN, SAY_NONE);
		/* What an upstream has not answered by now, nobody will ever know. */
		if (s->state == STATE_GONE && txn_is_open(&s->txn))
			session_give_up(s);
	}
}
