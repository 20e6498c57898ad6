/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_PROVIDER_H
#define CONF_PROVIDER_H

/*
 * provider - the presets of provider.def: how each is reached, what it allows, where its key is
 * found
 *
 * Constant data. A profile names one; what the profile does not say itself, the preset says.
 *
 * Owns:   nothing.
 * Never:  speaks to a provider; knows what its answers mean (relay/verdict/rule.def).
 */
#include "conf/conf.h"

enum provider_id {
#define PROVIDER(id, ...) PROVIDER_##id,
#define LIMITS(...)
#define WORDS(...)
#define REGION(...)
#include "conf/provider.def"
#undef PROVIDER
#undef LIMITS
#undef WORDS
#undef REGION
	PROVIDER_COUNT
};

/* 0: not known. */
struct provider_limits {
	uint64_t size;
	uint64_t recipients;
	unsigned messages, age_s, idle_s; /* of one connection */
	unsigned connections;
	unsigned per_minute;
};

struct provider {
	enum provider_id id;
	const char *name, *title, *kin;
	unsigned port;
	enum upstream_tls tls;
	const char *username; /* what everybody logs in with, or empty */
	const char *mechanisms;
	struct provider_limits limits;
	const char *ports, *headers, *login, *key;
};

struct provider_region {
	enum provider_id id;
	const char *region, *host;
};

/* Case aside. NULL: none of that name. */
const struct provider *provider_find(struct slice name) MUST_CHECK;
/* The name that NAME, which is none, was probably meant to be; NULL: no idea. */
const char *provider_meant(struct slice name) MUST_CHECK;
/* Whose host HOST is; NULL: nobody's that we know. */
const struct provider *provider_by_host(struct slice host) MUST_CHECK;
/* Never NULL: what is unknown, or NULL, is custom. */
const struct provider *provider_of(const char *name);
const struct provider *provider_at(enum provider_id id);
/* The Ith region of P, in order; NULL past the last. */
const struct provider_region *provider_region(const struct provider *p, size_t i) MUST_CHECK;
/* The host of P in REGION (empty: its first). False: no such region, or P needs one and has none,
 * or P has no host of its own. */
bool provider_host(const struct provider *p, struct slice region, struct text *host_r) MUST_CHECK;
/* The region of P that HOST stands for; empty: none. */
struct slice provider_region_of(const struct provider *p, struct slice host);
/* The same for its HTTP API (provider_api.def); none: it has no API that we speak. */
const struct provider_region *provider_api_region(const struct provider *p, size_t i) MUST_CHECK;
bool provider_api_host(const struct provider *p, struct slice region, struct text *host_r)
    MUST_CHECK;
struct slice provider_api_region_of(const struct provider *p, struct slice host);
/* The names that any provider takes as orders, each once: PROVIDER_HEADERS_MAX are enough. How
 * many. */
enum { PROVIDER_HEADERS_MAX = 32 };
size_t provider_headers(struct slice names_r[PROVIDER_HEADERS_MAX]);

#endif
