/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_LIST_H
#define RELAY_LIST_H

/*
 * list - doubly linked lists whose links are part of what they link; a list counts its members
 *
 * Where an object may be on one of several lists, the list it is on is its state.
 *
 * Owns:   nothing. A link is on at most one list; list_remove() needs the one it is on.
 */
#include <assert.h>
#include <stddef.h>

struct link {
	struct link *prev;
	struct link *next;
};

struct list {
	struct link head;
	unsigned n;
};

/* The struct of TYPE that the link P is part of, as MEMBER. */
#define LINKED(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* The body may remove L, but no other. */
#define list_each_safe(l, after, list)                                                 \
	for (struct link *l = (list)->head.next, *after = l->next; l != &(list)->head; \
	     l = after, after = l->next)

static inline void
list_init(struct list *list)
{
	list->head.prev = &list->head;
	list->head.next = &list->head;
	list->n = 0;
}

static inline struct link *
list_first(const struct list *list)
{
	return list->n ? list->head.next : NULL;
}

static inline struct link *
list_last(const struct list *list)
{
	return list->n ? list->head.prev : NULL;
}

static inline void
list_append(struct list *list, struct link *l)
{
	l->prev = list->head.prev;
	l->next = &list->head;
	l->prev->next = l;
	list->head.prev = l;
	list->n++;
}

static inline void
list_push(struct list *list, struct link *l)
{
	l->prev = &list->head;
	l->next = list->head.next;
	l->next->prev = l;
	list->head.next = l;
	list->n++;
}

static inline void
list_remove(struct list *list, struct link *l)
{
	assert(list->n > 0);
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->prev = NULL;
	l->next = NULL;
	list->n--;
}

#endif
