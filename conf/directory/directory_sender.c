/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: one block each, counted; what can be asked of one; the words of its enums.
 */
#include "conf/directory/directory_backend.h"

#include <assert.h>
#include <stdlib.h>

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

static size_t
block_size(const struct sender *s)
{
	const struct account *a = &s->account;
	size_t size =
	    sizeof(struct block) + str_size(s->name) + str_size(a->name) + str_size(a->plan.name);

	size += a->domains_n * sizeof(*a->domains);
	for (size_t i = 0; i < a->domains_n; i++)
		size += str_size(a->domains[i].name);
	size += a->profiles_n * sizeof(*a->profiles);
	for (size_t i = 0; i < a->profiles_n; i++) {
		const struct profile *p = &a->profiles[i];

		size += str_size(p->name) + str_size(p->provider) + str_size(p->host) +
		    str_size(p->username) + str_size(p->password) + str_size(p->ca_pem) +
		    str_size(p->pin) + str_size(p->keep_headers) + str_size(p->oauth_client) +
		    str_size(p->oauth_scope) + str_size(p->token_endpoint) +
		    str_size(p->refresh_token) + str_size(p->place);
	}
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
pack_profile(struct packer *p, struct profile *to)
{
	to->name = pack_str(p, to->name);
	to->provider = pack_str(p, to->provider);
	to->host = pack_str(p, to->host);
	to->username = pack_str(p, to->username);
	to->password = pack_str(p, to->password);
	to->ca_pem = pack_str(p, to->ca_pem);
	to->pin = pack_str(p, to->pin);
	to->keep_headers = pack_str(p, to->keep_headers);
	to->oauth_client = pack_str(p, to->oauth_client);
	to->oauth_scope = pack_str(p, to->oauth_scope);
	to->token_endpoint = pack_str(p, to->token_endpoint);
	to->refresh_token = pack_str(p, to->refresh_token);
	to->place = pack_str(p, to->place);
}

struct sender *
sender_pack(const struct sender *loose)
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
	a->name = pack_str(&p, a->name);
	a->plan.name = pack_str(&p, a->plan.name);
	for (size_t i = 0; i < a->domains_n; i++)
		a->domains[i].name = pack_str(&p, a->domains[i].name);
	for (size_t i = 0; i < a->profiles_n; i++)
		pack_profile(&p, &a->profiles[i]);
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

/* ---- routes ---- */

static int
compare_names(struct slice a, struct slice b)
{
	int sign = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return sign ? sign : (a.n > b.n) - (a.n < b.n);
}

static const struct domain *
find_domain(const struct account *a, struct slice name)
{
	char lower[256];
	size_t from = 0;
	size_t to = a->domains_n;

	if (name.n == 0 || name.n > sizeof(lower))
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		lower[i] =
		    name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int sign =
		    compare_names(slice_of(lower, name.n), slice_str(a->domains[middle].name));

		if (sign == 0)
			return &a->domains[middle];
		if (sign < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

struct route
sender_route(const struct sender *s, struct slice domain)
{
	const struct domain *d = find_domain(&s->account, domain);

	if (d && d->route.kind != ROUTE_INHERIT)
		return d->route;
	if (s->account.route.kind != ROUTE_INHERIT)
		return s->account.route;
	return (struct route){ .kind = ROUTE_NATIVE, .fallback = ROUTE_INHERIT };
}

const struct profile *
sender_profile(const struct sender *s, uint64_t id)
{
	for (size_t i = 0; i < s->account.profiles_n; i++) {
		if (s->account.profiles[i].id == id)
			return &s->account.profiles[i];
	}
	return NULL;
}

struct vault_place
profile_place(const struct profile *p)
{
	return (struct vault_place){
		.account = p->account,
		.profile = p->id,
		.field = "password",
		.version = p->version,
		.host = slice_str(p->place && *p->place ? p->place : p->host),
		.port = p->port,
		.tls = profile_tls_word(p->tls),
	};
}

struct vault_place
profile_refresh_place(const struct profile *p)
{
	struct vault_place at = profile_place(p);

	at.field = "refresh_token";
	at.version = 0;
	return at;
}

/* ---- words ---- */

static const char *const account_states[] = {
	[ACCOUNT_ACTIVE] = "active",
	[ACCOUNT_SUSPENDED_BILLING] = "billing",
	[ACCOUNT_SUSPENDED_DELIVERABILITY] = "deliverability",
	[ACCOUNT_SUSPENDED_ABUSE] = "abuse",
	[ACCOUNT_CLOSED] = "closed",
};

static const char *const mailbox_states[] = {
	[MAILBOX_ACTIVE] = "active",
	[MAILBOX_PAUSED_OWNER] = "paused-owner",
	[MAILBOX_PAUSED_ADMIN] = "paused-admin",
	[MAILBOX_PAUSED_ABUSE] = "paused-abuse",
	[MAILBOX_BLOCKED] = "blocked",
};

static const char *const count_units[] = {
	[COUNT_RECIPIENTS] = "recipients",
	[COUNT_MESSAGES] = "messages",
};

static const char *const route_kinds[] = {
	[ROUTE_INHERIT] = "inherit",
	[ROUTE_NATIVE] = "native",
	[ROUTE_PROFILE] = "profile",
};

static const char *const tls_modes[] = {
	[UPSTREAM_TLS_NONE] = "none",
	[UPSTREAM_TLS_STARTTLS] = "starttls",
	[UPSTREAM_TLS_IMPLICIT] = "implicit",
};

static const char *const on_quotas[] = {
	[ON_QUOTA_DEFAULT] = "default",
	[ON_QUOTA_DEFER] = "defer",
	[ON_QUOTA_REJECT] = "reject",
};

static const char *const transports[] = {
	[TRANSPORT_SMTP] = "smtp",
	[TRANSPORT_API] = "api",
};

static const char *const profile_auths[] = {
	[PROFILE_PASSWORD] = "password",
	[PROFILE_OAUTH2] = "oauth2",
};

#define WORDS(fn_word, fn_find, type, table)                                    \
	const char *fn_word(type v)                                             \
	{                                                                       \
		return table[v];                                                \
	}                                                                       \
	bool fn_find(struct slice word, type *v_r)                              \
	{                                                                       \
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) { \
			if (!slice_eq_nocase(word, slice_str(table[i])))        \
				continue;                                       \
			*v_r = (type)i;                                         \
			return true;                                            \
		}                                                               \
		return false;                                                   \
	}

WORDS(account_state_word, account_state_find, enum account_state, account_states)
WORDS(mailbox_state_word, mailbox_state_find, enum mailbox_state, mailbox_states)
WORDS(count_unit_word, count_unit_find, enum count_unit, count_units)
WORDS(route_kind_word, route_kind_find, enum route_kind, route_kinds)
WORDS(profile_tls_word, profile_tls_find, enum upstream_tls, tls_modes)
WORDS(on_quota_word, on_quota_find, enum on_quota, on_quotas)
WORDS(transport_word, transport_find, enum transport, transports)
WORDS(profile_auth_word, profile_auth_find, enum profile_auth, profile_auths)
