/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles and their credentials: sealed on the way in, bound to account, profile, version and all
 * that is COLUMN_BOUND (BEHAVIOUR R3), sealed anew when the key ring turns, and when an earlier
 * version sealed them.
 */
#include "conf/directory/admin_sqlite.h"

#include <time.h>

#include "conf/provider.h"
#include "wire/crypto.h"
#include "wire/host.h"
#include "wire/https_url.h"

/* clang-format off */
#define PROFILE_TABLES " FROM profile x JOIN account a ON a.id = x.account"
static const char profile_get_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    PROFILE_TABLES " WHERE x.id = ?1";
static const char profile_all_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    PROFILE_TABLES " ORDER BY a.name, x.name";
static const char profile_each_sql[] = "SELECT x.id"
#define AS_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    PROFILE_TABLES " WHERE x.account = ?1 ORDER BY x.name";
static const char profile_add_sql[] = "INSERT INTO profile (id"
#define AS_NAMES "conf/directory/profile.def"
#include "conf/directory/columns.def"
    ") VALUES (NULL"
#define AS_VALUES "conf/directory/profile.def"
#include "conf/directory/columns.def"
    ")";
static const char profile_set_sql[] = "UPDATE profile SET id = id"
#define AS_SETS "conf/directory/profile.def"
#include "conf/directory/columns.def"
    " WHERE id = :id";

/* As the daemon sees them, with what is sealed. */
static const char stored_sql[] = "SELECT x.id"
#define AS_SNAPSHOT_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    ", a.name" PROFILE_TABLES " WHERE x.id = ?1";
static const char sealed_sql[] = "SELECT x.id"
#define AS_SNAPSHOT_SELECT "conf/directory/profile.def"
#include "conf/directory/columns.def"
    ", a.name" PROFILE_TABLES " WHERE x.password <> '' OR x.refresh_token <> '' ORDER BY x.id";
/* clang-format on */

static const char moves_sql[] = "UPDATE profile SET version = version + 1 WHERE id = ?1";
static const char password_sql[] =
    "UPDATE profile SET password = ?2, password_set = ?3 WHERE id = ?1";
static const char refresh_sql[] = "UPDATE profile SET refresh_token = ?2 WHERE id = ?1";

/* A profile as it is stored may hold a certificate chain of 64 KiB. */
enum { URL_MAX = 512, STORED_MAX = 1 << 20 };

static const char *
text_of(const char *s)
{
	return s ? s : "";
}

/* ---- what may be written ---- */

static bool
has_control(const char *s)
{
	for (const char *p = text_of(s); *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return true;
	}
	return false;
}

static bool
url_is_good(struct slice url)
{
	struct https_url u;

	return url.n <= URL_MAX && https_url_parse(url, &u);
}

static const char *
fault_of(const struct admin_profile *row)
{
	struct slice provider = slice_str(row->provider);
	struct slice pin = slice_str(row->pin);

	if (!name_is_good(slice_str(row->name)))
		return "name: 1 to 64 letters, digits, '.', '_', '-', a letter or digit first";
	if (provider.n && !name_is_good(provider))
		return "provider: not the name of a preset";
	if (!host_is_normal(slice_str(row->host)))
		return "host: not a host name or IP address";
	if (row->port == 0 || row->port > 65535)
		return "port: must be 1 to 65535";
	if (has_control(row->username) || strlen(text_of(row->username)) > 255)
		return "username: at most 255 octets, no control characters";
	if (row->transport == TRANSPORT_API && row->tls != UPSTREAM_TLS_IMPLICIT)
		return "tls: an API is reached by https: implicit";
	if (row->auth == PROFILE_OAUTH2 && !url_is_good(slice_str(row->token_endpoint)))
		return "token_endpoint: an https:// URL, without a query";
	if (row->auth == PROFILE_OAUTH2 && (!row->oauth_client || !*row->oauth_client))
		return "oauth_client: an OAuth2 login needs the client's id";
	if (row->auth == PROFILE_OAUTH2 && row->transport == TRANSPORT_API)
		return "auth: an API has a key, not an OAuth2 login";
	if (has_control(row->oauth_client) || has_control(row->oauth_scope) ||
	    strlen(text_of(row->oauth_client)) > 255 || strlen(text_of(row->oauth_scope)) > 1000)
		return "oauth: client id and scope must be plain words";
	if (pin.n && !pin_is_good(pin))
		return "pin: must be the certificate's SHA-256, 64 hex digits";
	if (strlen(text_of(row->ca)) > 65536)
		return "ca: at most 64 KiB";
	if (!headers_are_good(slice_str(row->keep_headers)))
		return "keep_headers: header names with blanks between";
	return NULL;
}

static enum admin_result
say_unknown_provider(struct admin *a, const struct admin_profile *row)
{
	const char *meant = provider_meant(slice_str(row->provider));

	return admin_say(a, ADMIN_INVALID, "profile %s/%s: provider: there is no preset '%s'%s%s%s",
	    text_of(row->account), text_of(row->name), row->provider,
	    meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

static enum admin_result
check_profile(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	const char *fault = fault_of(row);

	if (fault)
		return admin_say(a, ADMIN_INVALID, "profile %s/%s: %s", text_of(row->account),
		    text_of(row->name), fault);
	if (*text_of(row->provider) && !provider_find(slice_str(row->provider)))
		return say_unknown_provider(a, row);
	if (password && password->n > VAULT_PLAIN_MAX)
		return admin_say(a, ADMIN_INVALID,
		    "profile %s/%s: the password is longer than %d octets", row->account, row->name,
		    (int)VAULT_PLAIN_MAX);
	if (password && memchr(secret_peek(password).p, '\0', password->n))
		return admin_say(a, ADMIN_INVALID, "profile %s/%s: the password holds a NUL",
		    row->account, row->name);
	return ADMIN_OK;
}

/* ---- sealing ---- */

/* The stored row; in memory of its own. */
struct stored {
	struct arena mem;
	struct profile p;
	const char *account;
};

static bool
take_stored(void *ctx, struct take *t)
{
	struct stored *s = ctx;

	s->p.id = take_u64(t);
	if (!row_take(t, snapshot_profile, &s->mem, &s->p))
		return false;
	s->account = arena_str(&s->mem, take_slice(t));
	return s->account != NULL;
}

static void
free_stored(struct stored *s)
{
	arena_fini(&s->mem);
}

/* S is freed in any case. */
static enum admin_result
read_stored(struct admin *a, uint64_t id, struct stored *s)
{
	struct put in = put_into(db_stmt(&a->db, stored_sql));

	*s = (struct stored){ 0 };
	arena_init(&s->mem, STORED_MAX);
	put_u64(&in, id);
	return one_row(a, &in, take_stored, s, "profile", "");
}

static enum admin_result
find_stored(struct admin *a, const char *name, struct stored *s)
{
	uint64_t id;
	enum admin_result r = table_find(a, &table_profile, name, &id);

	*s = (struct stored){ 0 };
	return r == ADMIN_OK ? read_stored(a, id, s) : r;
}

static enum admin_result
store_password(struct admin *a, uint64_t id, const char *blob, int64_t when)
{
	struct put in = put_into(db_stmt(&a->db, password_sql));

	put_u64(&in, id);
	put_str(&in, blob);
	put_i64(&in, when);
	return admin_run(a, &in, "password");
}

static enum admin_result
store_refresh_token(struct admin *a, uint64_t id, const char *blob)
{
	struct put in = put_into(db_stmt(&a->db, refresh_sql));

	put_u64(&in, id);
	put_str(&in, blob);
	return admin_run(a, &in, "refresh token");
}

static enum admin_result
seal_refresh_token(struct admin *a, const struct profile *p, const struct secret *token)
{
	char blob[VAULT_BLOB_MAX];
	struct text t = text_over(blob, sizeof(blob));
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "refresh_token", bound);

	if (token->n == 0)
		return store_refresh_token(a, p->id, "");
	if (!a->vault)
		return admin_say(a, ADMIN_FAILED,
		    "no key file is open: the refresh token cannot be sealed");
	if (!vault_seal(a->vault, &at, token, &t) || t.overflow)
		return admin_say(a, ADMIN_FAILED, "the refresh token cannot be sealed");
	return store_refresh_token(a, p->id, blob);
}

/* Seals PLAIN for P as it is stored now. */
static enum admin_result
seal(struct admin *a, const struct profile *p, const struct secret *plain, int64_t when)
{
	char blob[VAULT_BLOB_MAX];
	struct text t = text_over(blob, sizeof(blob));
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "password", bound);

	if (plain->n == 0)
		return store_password(a, p->id, "", 0);
	if (!a->vault)
		return admin_say(a, ADMIN_FAILED,
		    "no key file is open: the password cannot be sealed");
	if (!vault_seal(a->vault, &at, plain, &t) || t.overflow)
		return admin_say(a, ADMIN_FAILED, "the password cannot be sealed");
	return store_password(a, p->id, blob, when);
}

static enum admin_result
unseal(struct admin *a, const struct profile *p, struct secret *plain_r)
{
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "password", bound);

	if (!a->vault)
		return admin_say(a, ADMIN_FAILED,
		    "no key file is open: the stored password cannot be sealed anew, give it again");
	switch (vault_unseal(a->vault, &at, slice_str(p->password), plain_r)) {
	case VAULT_OK:
		return ADMIN_OK;
	case VAULT_NO_KEY:
		return admin_say(a, ADMIN_FAILED,
		    "the key of the stored password is not in the key file, give it again");
	case VAULT_FORGED:
		return admin_say(a, ADMIN_FAILED,
		    vault_is_v1(slice_str(p->password))
		        ? "an earlier version sealed the stored password: start bywayd, which seals it anew"
		        : "the stored password does not belong to what the profile says now, give it again");
	case VAULT_FAILED:
		break;
	}
	return admin_say(a, ADMIN_FAILED, "the stored password cannot be opened, give it again");
}

static enum admin_result
open_refresh_token(struct admin *a, const struct profile *p, struct secret *token_r)
{
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "refresh_token", bound);

	if (!*p->refresh_token)
		return secret_init(token_r, SLICE("")) ? ADMIN_OK
		                                       : admin_say(a, ADMIN_FAILED, "no memory");
	if (!a->vault)
		return admin_say(a, ADMIN_FAILED,
		    "no key file is open: the refresh token cannot be opened");
	if (vault_unseal(a->vault, &at, slice_str(p->refresh_token), token_r) != VAULT_OK)
		return admin_say(a, ADMIN_FAILED,
		    "the refresh token cannot be opened: byway profile authorize gets a new one");
	return ADMIN_OK;
}

/* ---- add and set ---- */

static enum admin_result
add_profile(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	struct stored now = { 0 };
	uint64_t id;
	enum admin_result r = table_add(a, &table_profile, row, &id);

	if (r == ADMIN_OK && password && password->n) {
		r = read_stored(a, id, &now);
		if (r == ADMIN_OK)
			r = seal(a, &now.p, password, (int64_t)time(NULL));
		free_stored(&now);
	}
	return r;
}

/* An empty provider is "custom". */
static struct admin_profile
named(const struct admin_profile *row)
{
	struct admin_profile copy = *row;

	if (!row->provider || !*row->provider)
		copy.provider = "custom";
	return copy;
}

enum admin_result
admin_profile_add(struct admin *a, const struct admin_profile *from, const struct secret *password)
{
	struct admin_profile row = named(from);
	enum admin_result r = check_profile(a, &row, password);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	return write_end(a, add_profile(a, &row, password));
}

/* The first COLUMN_BOUND that says another thing in B than in A; NULL: none does. */
static const struct column *
bound_that_differs(const struct admin_profile *a, const struct admin_profile *b)
{
	for (const struct column *c = entity_profile.columns; c->name; c++) {
		const char *of_a = (const char *)a + c->at;
		const char *of_b = (const char *)b + c->at;

		if (!(c->flags & COLUMN_BOUND))
			continue;
		if (column_is_text(c) ? strcmp(text_of(*(const char *const *)(const void *)of_a),
		                            text_of(*(const char *const *)(const void *)of_b)) != 0
		                      : memcmp(of_a, of_b, sizeof(unsigned)) != 0)
			return c;
	}
	return NULL;
}

/* NOW becomes the row as it is behind the change. NOW is freed in any case. */
static enum admin_result
move_version(struct admin *a, uint64_t id, struct stored *now)
{
	enum admin_result r = remove_by_id(a, moves_sql, id);

	*now = (struct stored){ 0 };
	return r == ADMIN_OK ? read_stored(a, id, now) : r;
}

/* PASSWORD (NULL: it has none) and TOKEN (NULL: the same) for the new version. */
static enum admin_result
seal_anew(struct admin *a, uint64_t id, const struct secret *password, int64_t when,
    const struct secret *token)
{
	struct stored now;
	enum admin_result r = move_version(a, id, &now);

	if (r == ADMIN_OK && password)
		r = seal(a, &now.p, password, when);
	if (r == ADMIN_OK && token)
		r = seal_refresh_token(a, &now.p, token);
	free_stored(&now);
	return r;
}

static enum admin_result
set_profile(struct admin *a, const struct admin_profile *row, const struct secret *password,
    struct stored *was)
{
	struct admin_profile old;
	struct secret token = { 0 };
	enum admin_result r = table_get(a, &table_profile, was->p.id, &was->mem, &old);

	if (r != ADMIN_OK)
		return r;
	const struct column *leaves = bound_that_differs(&old, row);

	if (leaves && !password && *was->p.password)
		return admin_say(a, ADMIN_INVALID,
		    "profile %s/%s: the password is bound to what the profile said, and %s is another: give it again",
		    row->account, row->name, leaves->name);
	/* A token that cannot be opened is of no use to anybody. */
	bool token_stays =
	    !leaves && *was->p.refresh_token && open_refresh_token(a, &was->p, &token) == ADMIN_OK;

	r = table_set(a, &table_profile, row, was->p.id);
	if (r == ADMIN_OK && (password || leaves) && *was->p.refresh_token)
		r = store_refresh_token(a, was->p.id, "");
	if (r == ADMIN_OK && (password || leaves))
		r = seal_anew(a, was->p.id, password, (int64_t)time(NULL),
		    token_stays ? &token : NULL);
	secret_fini(&token);
	return r;
}

enum admin_result
admin_profile_set(struct admin *a, const struct admin_profile *from, const struct secret *password)
{
	char name[2 * NAME_MAX_LEN + 2];
	struct text both = text_over(name, sizeof(name));
	struct stored was;
	struct admin_profile row = named(from);
	enum admin_result r = check_profile(a, &row, password);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	text_fmt(&both, "%s/%s", text_of(row.account), row.name);
	r = find_stored(a, name, &was);
	if (r == ADMIN_OK)
		r = set_profile(a, &row, password, &was);
	free_stored(&was);
	return write_end(a, r);
}

/* The stored password is bound to its version: it is sealed anew, beside TOKEN. */
static enum admin_result
new_consent(struct admin *a, const struct profile *p, const struct secret *token)
{
	struct secret plain = { 0 };
	enum admin_result r = *p->password ? unseal(a, p, &plain) : ADMIN_OK;

	if (r == ADMIN_OK)
		r = seal_anew(a, p->id, *p->password ? &plain : NULL, p->password_set, token);
	secret_fini(&plain);
	return r;
}

static enum admin_result
set_refresh_token(struct admin *a, const char *name, const struct secret *token, bool consent)
{
	struct stored p;
	enum admin_result r;

	if (token->n > VAULT_PLAIN_MAX || memchr(secret_peek(token).p, '\0', token->n))
		return admin_say(a, ADMIN_INVALID, "profile %s: that cannot be a refresh token",
		    name);
	r = write_begin(a);
	if (r != ADMIN_OK)
		return r;
	r = find_stored(a, name, &p);
	if (r == ADMIN_OK)
		r = consent ? new_consent(a, &p.p, token) : seal_refresh_token(a, &p.p, token);
	free_stored(&p);
	return write_end(a, r);
}

enum admin_result
admin_profile_authorize(struct admin *a, const char *name, const struct secret *token)
{
	return set_refresh_token(a, name, token, true);
}

enum admin_result
admin_profile_set_refresh_token(struct admin *a, const char *name, const struct secret *token)
{
	return set_refresh_token(a, name, token, false);
}

enum admin_result
admin_profile_unseal(struct admin *a, const char *name, struct secret *password_r)
{
	struct stored p;
	enum admin_result r = find_stored(a, name, &p);

	if (r == ADMIN_OK && !*p.p.password)
		r = secret_init(password_r, SLICE("")) ? ADMIN_OK
		                                       : admin_say(a, ADMIN_FAILED, "no memory");
	else if (r == ADMIN_OK)
		r = unseal(a, &p.p, password_r);
	free_stored(&p);
	return r;
}

enum admin_result
admin_profile_unseal_refresh_token(struct admin *a, const char *name, struct secret *token_r)
{
	struct stored p;
	enum admin_result r = find_stored(a, name, &p);

	if (r == ADMIN_OK)
		r = open_refresh_token(a, &p.p, token_r);
	free_stored(&p);
	return r;
}

/* ---- the table ---- */

static enum admin_result
bind_profile(struct admin *a, struct put *in, const void *of, uint64_t id)
{
	const struct admin_profile *row = of;

	return id ? ADMIN_OK : put_account(a, in, ":account", row->account);
}

static enum admin_result
clear_profile(struct admin *a, uint64_t id, bool whole)
{
	enum admin_result r = must_be_unused(a,
	    "SELECT count(*) FROM account WHERE route_profile = ?1 OR fallback_profile = ?1", id,
	    "the account's own route goes through this profile");

	(void)whole;
	if (r != ADMIN_OK)
		return r;
	return must_be_unused(a,
	    "SELECT count(*) FROM domain WHERE route_profile = ?1 OR fallback_profile = ?1", id,
	    "routes of domains go through this profile");
}

const struct table table_profile = {
	.of = &entity_profile,
	.get = profile_get_sql,
	.all = profile_all_sql,
	.each = profile_each_sql,
	.add = profile_add_sql,
	.set = profile_set_sql,
	.drop = "DELETE FROM profile WHERE id = ?1",
	.bind = bind_profile,
	.clear = clear_profile,
};

/* ---- a new key ---- */

struct reseal {
	struct admin *a;
	bool v1_only;
	enum admin_result result;
	uint64_t done;
	uint64_t broken;
	struct text *names; /* NULL: nobody wants them */
};

/* As an earlier version bound it: to host, port and TLS mode, and to the token endpoint. */
static struct vault_place_v1
place_v1(const struct profile *p, const char *field, struct text *host)
{
	bool is_token = strcmp(field, "refresh_token") == 0;

	if (p->auth == PROFILE_OAUTH2)
		text_fmt(host, "%s ", p->token_endpoint);
	text_put(host, slice_str(p->host));
	return (struct vault_place_v1){
		.account = p->account,
		.profile = p->id,
		.field = field,
		.version = is_token ? 0 : p->version,
		.host = text_slice(host),
		.port = p->port,
		.tls = upstream_tls_word(p->tls),
	};
}

static bool
open_any(struct admin *a, const struct profile *p, const char *field, const char *blob,
    struct secret *plain_r)
{
	char mem[1024];
	struct text host = text_over(mem, sizeof(mem));
	unsigned char bound[PROFILE_BOUND];
	struct vault_place_v1 v1 = place_v1(p, field, &host);
	struct vault_place at = profile_place(p, field, bound);

	return (vault_is_v1(slice_str(blob))
	               ? vault_unseal_v1(a->vault, &v1, slice_str(blob), plain_r)
	               : vault_unseal(a->vault, &at, slice_str(blob), plain_r)) == VAULT_OK;
}

static bool
is_wanted(const struct reseal *work, const char *blob)
{
	return *blob &&
	    (work->v1_only ? vault_is_v1(slice_str(blob))
	                   : !vault_is_current(work->a->vault, slice_str(blob)));
}

static void
reseal_field(struct reseal *work, const struct profile *p, const char *field, const char *name)
{
	bool is_token = strcmp(field, "refresh_token") == 0;
	const char *blob = is_token ? p->refresh_token : p->password;
	struct secret plain = { 0 };

	if (work->result != ADMIN_OK || !is_wanted(work, blob))
		return;
	if (open_any(work->a, p, field, blob, &plain)) {
		work->result = is_token ? seal_refresh_token(work->a, p, &plain)
		                        : seal(work->a, p, &plain, p->password_set);
		work->done += work->result == ADMIN_OK;
	} else {
		work->broken++;
		if (work->names)
			text_fmt(work->names, "%s%s\n", name, is_token ? " (refresh token)" : "");
	}
	secret_fini(&plain);
}

static bool
on_sealed(void *ctx, struct take *t)
{
	struct reseal *work = ctx;
	struct stored s = { 0 };
	char mem[2 * NAME_MAX_LEN + 2];
	struct text name = text_over(mem, sizeof(mem));

	arena_init(&s.mem, STORED_MAX);
	if (take_stored(&s, t)) {
		text_fmt(&name, "%s/%s", s.account, s.p.name);
		reseal_field(work, &s.p, "password", mem);
		reseal_field(work, &s.p, "refresh_token", mem);
	} else
		work->result = admin_say(work->a, ADMIN_FAILED, "no memory");
	free_stored(&s);
	return work->result == ADMIN_OK;
}

static enum admin_result
reseal(struct admin *a, const char *sql, bool v1_only, struct reseal_count *count,
    struct text *broken)
{
	struct reseal work = { .a = a, .v1_only = v1_only, .names = broken };

	*count = (struct reseal_count){ 0 };
	if (!a->vault)
		return admin_say(a, ADMIN_FAILED, "no key file is open");
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = each_row(a, sql, NULL, NULL, on_sealed, &work);
	r = write_end(a, r == ADMIN_OK ? work.result : r);
	count->done = r == ADMIN_OK ? work.done : 0;
	count->broken = work.broken;
	return r;
}

enum admin_result
admin_reseal(struct admin *a, struct reseal_count *count, struct text *broken)
{
	return reseal(a, sealed_sql, false, count, broken);
}

enum admin_result
admin_reseal_v1(struct admin *a, uint64_t *done_r)
{
	struct reseal_count count = { 0 };
	enum admin_result r = reseal(a, sealed_sql, true, &count, NULL);

	*done_r = count.done;
	return r;
}

/* ---- how many ---- */

struct sealed_count {
	struct admin *a;
	struct admin_survey *found;
};

static void
count_field(struct sealed_count *work, const struct profile *p, const char *field, const char *blob)
{
	struct secret plain = { 0 };

	if (!*blob)
		return;
	work->found->sealed++;
	if (work->a->vault && !open_any(work->a, p, field, blob, &plain))
		work->found->closed++;
	else if (work->a->vault && vault_is_v1(slice_str(blob)))
		work->found->old++;
	secret_fini(&plain);
}

static bool
count_one(void *ctx, struct take *t)
{
	struct sealed_count *work = ctx;
	struct stored s = { 0 };

	arena_init(&s.mem, STORED_MAX);
	bool ok = take_stored(&s, t);

	if (ok) {
		count_field(work, &s.p, "password", s.p.password);
		count_field(work, &s.p, "refresh_token", s.p.refresh_token);
	}
	free_stored(&s);
	return ok;
}

enum admin_result
admin_count_sealed(struct admin *a, struct admin_survey *found)
{
	struct sealed_count work = { .a = a, .found = found };

	return each_row(a, sealed_sql, NULL, NULL, count_one, &work);
}
