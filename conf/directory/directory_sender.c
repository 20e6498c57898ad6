/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: one block each, counted; what can be asked of one.
 */
#include "conf/directory/directory_backend.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/directory/entity.h"

/* ---- one block ---- */

struct block {
	size_t size;
	struct sender sender;
};

/* Where the next arrays and strings go. The arrays come first: all of them need a pointer's
 * alignment and have sizes that keep it. */
struct packer {
	char *at;
	char *end;
};

_Static_assert(sizeof(struct block) % sizeof(void *) == 0 &&
        sizeof(struct domain) % sizeof(void *) == 0 && sizeof(struct profile) % sizeof(void *) == 0,
    "arrays behind one another must stay aligned");

static size_t
str_size(const char *s)
{
	return s && *s ? strlen(s) + 1 : 0;
}

static size_t
list_size(const char *const *list, size_t n)
{
	size_t size = n * sizeof(*list);

	for (size_t i = 0; i < n; i++)
		size += str_size(list[i]);
	return size;
}

/* The strings of N rows of COLUMNS. */
static size_t
rows_size(const struct column *columns, void *rows, size_t row, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++) {
		for (const struct column *c = columns; c->name; c++) {
			if (column_is_text(c))
				size += str_size(*column_text(c, (char *)rows + i * row));
		}
	}
	return size;
}

static size_t
block_size(struct sender *s)
{
	struct account *a = &s->account;
	size_t size = sizeof(struct block) + str_size(s->name);

	size += a->domains_n * sizeof(*a->domains) + a->profiles_n * sizeof(*a->profiles);
	size += rows_size(snapshot_account, a, sizeof(*a), 1);
	size += rows_size(snapshot_plan, &a->plan, sizeof(a->plan), 1);
	size += rows_size(snapshot_domain, a->domains, sizeof(*a->domains), a->domains_n);
	size += rows_size(snapshot_profile, a->profiles, sizeof(*a->profiles), a->profiles_n);
	return size + list_size(a->allowed, a->allowed_n) + list_size(a->verified, a->verified_n);
}

static void *
pack_array(struct packer *p, const void *from, size_t n)
{
	void *to = p->at;

	assert(n <= (size_t)(p->end - p->at));
	if (n)
		memcpy(to, from, n);
	p->at += n;
	return to;
}

static const char *
pack_str(struct packer *p, const char *s)
{
	size_t n = str_size(s);

	return n ? pack_array(p, s, n) : "";
}

static void
pack_rows(struct packer *p, const struct column *columns, void *rows, size_t row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (const struct column *c = columns; c->name; c++) {
			const char **text = column_text(c, (char *)rows + i * row);

			if (column_is_text(c))
				*text = pack_str(p, *text);
		}
	}
}

struct sender *
sender_pack(struct sender *loose)
{
	size_t size = block_size(loose);
	struct block *b = malloc(size);

	if (!b)
		return NULL;
	struct packer p = { .at = (char *)(b + 1), .end = (char *)b + size };
	struct account *a = &b->sender.account;

	b->size = size;
	b->sender = *loose;
	b->sender.refs = 1;
	a->domains = pack_array(&p, a->domains, a->domains_n * sizeof(*a->domains));
	a->profiles = pack_array(&p, a->profiles, a->profiles_n * sizeof(*a->profiles));
	a->allowed = pack_array(&p, a->allowed, a->allowed_n * sizeof(*a->allowed));
	a->verified = pack_array(&p, a->verified, a->verified_n * sizeof(*a->verified));
	b->sender.name = pack_str(&p, loose->name);
	pack_rows(&p, snapshot_account, a, sizeof(*a), 1);
	pack_rows(&p, snapshot_plan, &a->plan, sizeof(a->plan), 1);
	pack_rows(&p, snapshot_domain, a->domains, sizeof(*a->domains), a->domains_n);
	pack_rows(&p, snapshot_profile, a->profiles, sizeof(*a->profiles), a->profiles_n);
	for (size_t i = 0; i < a->allowed_n; i++)
		a->allowed[i] = pack_str(&p, a->allowed[i]);
	for (size_t i = 0; i < a->verified_n; i++)
		a->verified[i] = pack_str(&p, a->verified[i]);
	assert(p.at == p.end);
	return &b->sender;
}

static struct block *
block_of(const struct sender *s)
{
	return (struct block *)((uintptr_t)s - offsetof(struct block, sender));
}

size_t
sender_size(const struct sender *s)
{
	return block_of(s)->size;
}

struct sender *
sender_ref(struct sender *s)
{
	assert(s->refs > 0);
	s->refs++;
	return s;
}

void
sender_unref(struct sender *s)
{
	if (!s)
		return;
	assert(s->refs > 0);
	if (--s->refs == 0)
		free(block_of(s));
}

/* ---- what is sealed ---- */

/* A netstring: no value can be read as the end of it and the beginning of the next. */
static void
put_bound(struct text *out, struct slice value)
{
	text_u64(out, value.n);
	text_char(out, ':');
	text_put(out, value);
	text_char(out, ',');
}

static void
put_bound_hash(struct text *out, struct slice value)
{
	unsigned char hash[SHA256_LEN];

	if (value.n == 0)
		put_bound(out, value);
	else if (crypto_sha256(value, hash))
		put_bound(out, slice_of((const char *)hash, sizeof(hash)));
	else
		out->overflow = true;
}

/* The order is part of the blobs. */
static void
put_all_bound(const struct profile *p, struct text *out)
{
	char mem[16];
	struct text port = text_over(mem, sizeof(mem));

	text_u64(&port, p->port);
	put_bound(out, slice_str(p->provider));
	put_bound(out, slice_str(transport_word(p->transport)));
	put_bound(out, slice_str(p->host));
	put_bound(out, text_slice(&port));
	put_bound(out, slice_str(upstream_tls_word(p->tls)));
	put_bound(out, slice_str(p->username));
	put_bound(out, slice_str(profile_auth_word(p->auth)));
	put_bound(out, slice_str(p->token_endpoint));
	put_bound(out, slice_str(p->pin));
	put_bound_hash(out, slice_str(p->ca));
}

bool
profile_bound_to(const struct profile *p, unsigned char bound[PROFILE_BOUND])
{
	char mem[4096];
	struct text all = text_over(mem, sizeof(mem));

	put_all_bound(p, &all);
	return !all.overflow && crypto_sha256(text_slice(&all), bound);
}

struct vault_place
profile_place(const struct profile *p, const char *field, unsigned char bound[PROFILE_BOUND])
{
	bool whole = profile_bound_to(p, bound);

	return (struct vault_place){
		.account = p->account,
		.profile = p->id,
		.field = field,
		.version = p->version,
		.bound = slice_of((const char *)bound, whole ? PROFILE_BOUND : 0),
	};
}
