/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/provider.h"

#include <assert.h>

#include "conf/option.h"

static const struct provider providers[PROVIDER_COUNT] = {
#define PROVIDER(id_, name_, title_, kin_, port_, tls_, username_, mechanisms_)    \
	[PROVIDER_##id_].id = PROVIDER_##id_, [PROVIDER_##id_].name = name_,       \
	[PROVIDER_##id_].title = title_, [PROVIDER_##id_].kin = kin_,              \
	[PROVIDER_##id_].port = port_, [PROVIDER_##id_].tls = UPSTREAM_TLS_##tls_, \
	[PROVIDER_##id_].username = username_, [PROVIDER_##id_].mechanisms = mechanisms_,
#define LIMITS(id_, size_, recipients_, messages_, age_, idle_, connections_, per_minute_)    \
	[PROVIDER_##id_].limits = { size_, recipients_, messages_, age_, idle_, connections_, \
		per_minute_ },
#define WORDS(id_, ports_, headers_, login_, key_)                            \
	[PROVIDER_##id_].ports = ports_, [PROVIDER_##id_].headers = headers_, \
	[PROVIDER_##id_].login = login_, [PROVIDER_##id_].key = key_,
#define REGION(...)
#include "conf/provider.def"
#undef PROVIDER
#undef LIMITS
#undef WORDS
#undef REGION
};

static const struct provider_region regions[] = {
#define PROVIDER(...)
#define LIMITS(...)
#define WORDS(...)
#define REGION(id_, region_, host_) { PROVIDER_##id_, region_, host_ },
#include "conf/provider.def"
#undef PROVIDER
#undef LIMITS
#undef WORDS
#undef REGION
};

enum { REGIONS = sizeof(regions) / sizeof(regions[0]), REGION_NAME_MAX = 40 };

static const struct provider_region api_regions[] = {
#define API(id_, region_, host_) { PROVIDER_##id_, region_, host_ },
#include "conf/provider_api.def"
#undef API
};

enum { API_REGIONS = sizeof(api_regions) / sizeof(api_regions[0]) };

const struct provider *
provider_find(struct slice name)
{
	for (size_t i = 0; i < PROVIDER_COUNT; i++)
		if (slice_eq_nocase(name, slice_str(providers[i].name)))
			return &providers[i];
	return NULL;
}

const struct provider *
provider_of(const char *name)
{
	const struct provider *p = provider_find(slice_str(name));

	return p ? p : &providers[PROVIDER_CUSTOM];
}

const struct provider *
provider_at(enum provider_id id)
{
	assert(id < PROVIDER_COUNT);
	return &providers[id];
}

static const struct provider_region *
nth(const struct provider_region *all, size_t n, const struct provider *p, size_t i)
{
	for (size_t at = 0; at < n; at++)
		if (all[at].id == p->id && i-- == 0)
			return &all[at];
	return NULL;
}

const struct provider_region *
provider_region(const struct provider *p, size_t i)
{
	return nth(regions, REGIONS, p, i);
}

const struct provider_region *
provider_api_region(const struct provider *p, size_t i)
{
	return nth(api_regions, API_REGIONS, p, i);
}

/* A label of a host name: it becomes one. */
static bool
is_label(struct slice s)
{
	if (s.n == 0 || s.n > REGION_NAME_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", s.p[i]) || !s.p[i])
			return false;
	return true;
}

const char *
provider_meant(struct slice name)
{
	struct guess g = { .word = name };

	for (enum provider_id id = 0; id < PROVIDER_COUNT; id++)
		guess_try(&g, provider_at(id)->name);
	return g.best;
}

typedef const struct provider_region *region_fn(const struct provider *p, size_t i);

static bool
host_of(region_fn *region_at, const struct provider *p, struct slice region, struct text *host_r)
{
	const struct provider_region *r;

	for (size_t i = 0; (r = region_at(p, i)) != NULL; i++) {
		struct slice after = slice_str(r->host);
		struct slice before = slice_cut(&after, '*');

		if (strcmp(r->region, "*") != 0) {
			if (region.n && !slice_eq_nocase(region, slice_str(r->region)))
				continue;
			text_put(host_r, slice_str(r->host));
			return true;
		}
		if (!is_label(region))
			continue;
		text_put(host_r, before);
		text_put(host_r, region);
		text_put(host_r, after);
		return true;
	}
	return false;
}

bool
provider_host(const struct provider *p, struct slice region, struct text *host_r)
{
	return host_of(provider_region, p, region, host_r);
}

bool
provider_api_host(const struct provider *p, struct slice region, struct text *host_r)
{
	return host_of(provider_api_region, p, region, host_r);
}

/* The region that HOST is of, where R is what HOST may be. */
static bool
fits(const struct provider_region *r, struct slice host, struct slice *region_r)
{
	struct slice after = slice_str(r->host);
	struct slice before = slice_cut(&after, '*');

	*region_r = slice_str(r->region);
	if (strcmp(r->region, "*") != 0)
		return slice_eq_nocase(host, slice_str(r->host));
	if (host.n <= before.n + after.n || !slice_starts_nocase(host, before) ||
	    !slice_eq_nocase(slice_skip(host, host.n - after.n), after))
		return false;
	*region_r = slice_of(host.p + before.n, host.n - before.n - after.n);
	return true;
}

static struct slice
region_of(region_fn *region_at, const struct provider *p, struct slice host)
{
	const struct provider_region *r;
	struct slice region;

	for (size_t i = 0; (r = region_at(p, i)) != NULL; i++)
		if (fits(r, host, &region))
			return region;
	return SLICE("");
}

struct slice
provider_region_of(const struct provider *p, struct slice host)
{
	return region_of(provider_region, p, host);
}

struct slice
provider_api_region_of(const struct provider *p, struct slice host)
{
	return region_of(provider_api_region, p, host);
}

const struct provider *
provider_by_host(struct slice host)
{
	struct slice region;

	for (size_t i = 0; i < REGIONS; i++)
		if (fits(&regions[i], host, &region))
			return &providers[regions[i].id];
	return NULL;
}

size_t
provider_headers(struct slice names_r[PROVIDER_HEADERS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < PROVIDER_COUNT; i++) {
		struct slice rest = slice_str(providers[i].headers);

		while (rest.n) {
			assert(n < PROVIDER_HEADERS_MAX);
			names_r[n++] = slice_cut(&rest, ' ');
		}
	}
	return n;
}
