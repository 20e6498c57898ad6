/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_CACHE_H
#define CONF_DIRECTORY_DIRECTORY_CACHE_H

/*
 * directory_cache - what the front has looked up, by name: bounded in rows and in octets, least
 * recently used goes first
 *
 * Owns:   its entries and one reference to each entry's sender.
 * Life:   loop thread only. A pointer to an entry is good until the next cache_put() or
 *         cache_drop().
 */
#include "conf/directory/directory.h"

enum { CACHE_KEY_MAX = 256, CACHE_TAG = 32 };

struct cache_entry {
	struct cache_entry *chain; /* same bucket */
	struct cache_entry *newer; /* order of use */
	struct cache_entry *older;
	struct sender *sender;          /* NULL: known to be nobody */
	uint64_t revision;              /* known when it was looked up */
	ev_tstamp remembered;           /* a log-in, until then; 0: none */
	uint64_t account;               /* of a domain: whose it is; 0: nobody's */
	uint64_t checked;               /* revision known when the stored hash was last looked at */
	unsigned char login[CACHE_TAG]; /* of name and password */
	unsigned char hash[CACHE_TAG];  /* of the stored hash */
	uint32_t bucket;
	size_t key_n;
	char key[];
};

struct cache {
	struct cache_entry **buckets;
	uint32_t buckets_n; /* a power of two */
	uint64_t seed;
	struct cache_entry *newest;
	struct cache_entry *oldest;
	size_t n;
	size_t n_max;
	size_t octets;
	size_t octets_max;
};

bool cache_init(struct cache *c, size_t n_max, size_t octets_max) MUST_CHECK;
void cache_fini(struct cache *c);
/* NULL: not there. Counts as use. */
struct cache_entry *cache_find(struct cache *c, struct slice key);
/* The entry of KEY, new where there was none; NULL: no memory. */
struct cache_entry *cache_put(struct cache *c, struct slice key);
/* Takes the reference to S (NULL: nobody). What was remembered of a log-in stays. */
void cache_set(struct cache *c, struct cache_entry *e, struct sender *s, uint64_t revision);
void cache_drop(struct cache *c, struct cache_entry *e);

#endif
