/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/offers.h"

#include "relay/pool/shape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { PROBES = 16, PATH_ROOM = 4200 };

/* The low bits of traits; RCPTMAX stands above them. */
enum { KNOWN = 1, EIGHT_BIT = 2, SMTPUTF8 = 4, DSN = 8, CHUNKING_BIT = 16, RECIPIENTS_AT = 8 };

#define READ(at)         atomic_load_explicit(at, memory_order_acquire)
#define WRITE(at, value) atomic_store_explicit(at, value, memory_order_release)

uint64_t
offers_key(uint64_t whose, uint64_t version, const char *host, unsigned port)
{
	uint64_t key = shape_mix(shape_mix(whose + 1) + version);

	for (; *host; host++)
		key = (key ^ (unsigned char)*host) * UINT64_C(0x100000001b3);
	key = shape_mix(key + port);
	return key != 0 ? key : 1;
}

static uint64_t
traits_of(const struct relay_offer *o)
{
	uint64_t recipients = o->recipients < UINT32_MAX ? o->recipients : 0;

	return KNOWN | (o->eight_bit ? EIGHT_BIT : 0) | (o->smtputf8 ? SMTPUTF8 : 0) |
	    (o->dsn ? DSN : 0) | (o->chunking ? CHUNKING_BIT : 0) | recipients << RECIPIENTS_AT;
}

/* KEY's row, or one that may become it: a free one, else the first that was looked at. */
static struct offers_row *
row_for(struct offers *all, uint64_t key)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct offers_row *row = &all->rows[(key + i) % OFFERS_ROWS];
		uint64_t was = READ(&row->key);

		if (was == key || was == 0)
			return row;
	}
	return &all->rows[key % OFFERS_ROWS];
}

static void
put(struct offers *all, uint64_t key, uint64_t size, uint64_t traits)
{
	struct offers_row *row = row_for(all, key);

	if (READ(&row->key) == key && READ(&row->size) == size && READ(&row->traits) == traits)
		return;
	/* Who reads meanwhile finds nothing, not a mixture. */
	WRITE(&row->key, 0);
	WRITE(&row->size, size);
	WRITE(&row->traits, traits);
	WRITE(&row->key, key);
	atomic_fetch_add(&all->changes, 1);
}

void
offers_note(struct offers *all, uint64_t key, const struct relay_offer *o)
{
	put(all, key, o->size, traits_of(o));
}

struct relay_offer
offers_find(const struct offers *all, uint64_t key)
{
	struct relay_offer none = { 0 };

	for (unsigned i = 0; i < PROBES; i++) {
		const struct offers_row *row = &all->rows[(key + i) % OFFERS_ROWS];

		if (READ(&row->key) != key)
			continue;
		uint64_t traits = READ(&row->traits);
		struct relay_offer o = {
			.known = true,
			.size = READ(&row->size),
			.recipients = traits >> RECIPIENTS_AT,
			.eight_bit = traits & EIGHT_BIT,
			.smtputf8 = traits & SMTPUTF8,
			.dsn = traits & DSN,
			.chunking = traits & CHUNKING_BIT,
		};

		return READ(&row->key) == key ? o : none;
	}
	return none;
}

/* ---- words ----------------------------------------------------------------------------------- */

void
offers_write(const struct profile *p, const struct relay_offer *o, struct text *out)
{
	text_fmt(out, "%" PRIu64 " %" PRIu64 " %s %u %" PRIu64 " %" PRIu64, p->id, p->version,
	    p->host, p->port, o->size, traits_of(o));
}

bool
offers_hear(struct offers *all, struct slice words)
{
	uint64_t id, version, port, size, traits;
	char host[256];

	if (!slice_to_u64(slice_cut(&words, ' '), &id) ||
	    !slice_to_u64(slice_cut(&words, ' '), &version))
		return false;
	struct slice name = slice_cut(&words, ' ');

	if (name.n == 0 || name.n >= sizeof(host) || !slice_to_u64(slice_cut(&words, ' '), &port) ||
	    port > UINT16_MAX || !slice_to_u64(slice_cut(&words, ' '), &size) ||
	    !slice_to_u64(words, &traits) || !(traits & KNOWN))
		return false;
	memcpy(host, name.p, name.n);
	host[name.n] = '\0';
	put(all, offers_key(id, version, host, (unsigned)port), size, traits);
	return true;
}

/* ---- the file -------------------------------------------------------------------------------- */

bool
offers_save(const struct offers *all, const char *path)
{
	char other[PATH_ROOM];
	FILE *f;
	bool ok = true;

	if (snprintf(other, sizeof(other), "%s.new", path) >= (int)sizeof(other)) {
		errno = ENAMETOOLONG;
		return false;
	}
	f = fopen(other, "we");
	if (!f)
		return false;
	for (size_t i = 0; ok && i < OFFERS_ROWS; i++) {
		const struct offers_row *row = &all->rows[i];
		uint64_t key = READ(&row->key);

		if (key != 0)
			ok = fprintf(f, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", key,
			         READ(&row->size), READ(&row->traits)) > 0;
	}
	ok = fclose(f) == 0 && ok && rename(other, path) == 0;
	if (!ok) {
		int why = errno;

		unlink(other);
		errno = why;
	}
	return ok;
}

bool
offers_load(struct offers *all, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[128];

	if (!f)
		return errno == ENOENT;
	while (fgets(line, sizeof(line), f)) {
		struct slice rest = slice_of(line, strcspn(line, "\n"));
		uint64_t key, size, traits;

		if (slice_to_u64(slice_cut(&rest, ' '), &key) &&
		    slice_to_u64(slice_cut(&rest, ' '), &size) && slice_to_u64(rest, &traits) &&
		    key != 0 && (traits & KNOWN))
			put(all, key, size, traits);
	}
	fclose(f);
	return true;
}
