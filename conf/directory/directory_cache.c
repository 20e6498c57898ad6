/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/directory_cache.h"

#include <stdlib.h>

#include "conf/directory/directory_backend.h"
#include "wire/crypto.h"

bool
cache_init(struct cache *c, size_t n_max, size_t octets_max)
{
	*c = (struct cache){ .n_max = n_max, .octets_max = octets_max, .buckets_n = 1 };
	while (c->buckets_n < n_max)
		c->buckets_n *= 2;
	c->buckets = calloc(c->buckets_n, sizeof(struct cache_entry *));
	return c->buckets && crypto_random(&c->seed, sizeof(c->seed));
}

void
cache_fini(struct cache *c)
{
	while (c->oldest)
		cache_drop(c, c->oldest);
	free(c->buckets);
	c->buckets = NULL;
}

/* FNV-1a with a seed that nobody outside knows, mixed so that the low bits depend on all. */
static uint32_t
bucket_of(const struct cache *c, struct slice key)
{
	uint64_t h = c->seed ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3u;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	h ^= h >> 33;
	return (uint32_t)h & (c->buckets_n - 1);
}

/* ---- order of use ---- */

static void
unlink_entry(struct cache *c, struct cache_entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		c->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		c->oldest = e->newer;
}

static void
link_newest(struct cache *c, struct cache_entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	if (c->newest)
		c->newest->newer = e;
	else
		c->oldest = e;
	c->newest = e;
}

/* ---- entries ---- */

static size_t
entry_size(const struct cache_entry *e)
{
	return sizeof(*e) + e->key_n + (e->sender ? sender_size(e->sender) : 0);
}

struct cache_entry *
cache_find(struct cache *c, struct slice key)
{
	struct cache_entry *e = c->buckets[bucket_of(c, key)];

	while (e && !slice_eq(slice_of(e->key, e->key_n), key))
		e = e->chain;
	if (e && e != c->newest) {
		unlink_entry(c, e);
		link_newest(c, e);
	}
	return e;
}

void
cache_drop(struct cache *c, struct cache_entry *e)
{
	struct cache_entry **at = &c->buckets[e->bucket];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlink_entry(c, e);
	c->octets -= entry_size(e);
	c->n--;
	sender_unref(e->sender);
	crypto_wipe(e->login, sizeof(e->login));
	free(e);
}

struct cache_entry *
cache_put(struct cache *c, struct slice key)
{
	struct cache_entry *e = cache_find(c, key);

	if (e)
		return e;
	e = calloc(1, sizeof(*e) + key.n);
	if (!e)
		return NULL;
	if (c->n == c->n_max)
		cache_drop(c, c->oldest);
	e->bucket = bucket_of(c, key);
	e->key_n = key.n;
	memcpy(e->key, key.p, key.n);
	e->chain = c->buckets[e->bucket];
	c->buckets[e->bucket] = e;
	link_newest(c, e);
	c->n++;
	c->octets += entry_size(e);
	return e;
}

void
cache_set(struct cache *c, struct cache_entry *e, struct sender *s, uint64_t revision)
{
	c->octets -= entry_size(e);
	sender_unref(e->sender);
	e->sender = s;
	e->revision = revision;
	c->octets += entry_size(e);
	while (c->octets > c->octets_max && c->oldest != e)
		cache_drop(c, c->oldest);
}
