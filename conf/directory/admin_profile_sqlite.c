/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles and their credentials: sealed on the way in, bound to account, profile, version, host,
 * port and TLS mode (BEHAVIOUR R3), sealed anew when the key ring turns.
 */
#include <stdlib.h>
#include <time.h>

#include "conf/directory/admin_sqlite.h"
#include "wire/crypto.h"
#include "wire/https_url.h"

#define PROFILE_COLUMNS                                                                           \
	"p.name, p.provider, p.host, p.port, p.tls, p.username, p.ca_pem, p.pin, p.keep_headers," \
	" p.max_connections, p.messages_per_connection, p.per_minute, p.on_quota, p.transport,"   \
	" p.auth, p.oauth_client, p.oauth_scope, p.token_endpoint, p.refresh_token <> ''"
#define PROFILE_ROW                                                                             \
	"SELECT a.name, " PROFILE_COLUMNS ", p.password <> '', p.password_set, p.version, p.id" \
	" FROM profile p JOIN account a ON a.id = p.account"

static const char profile_get_sql[] = PROFILE_ROW " WHERE a.name = ?1 AND p.name = ?2";
static const char profile_all_sql[] = PROFILE_ROW " ORDER BY a.name, p.name";
static const char profile_each_sql[] = PROFILE_ROW " WHERE p.account = ?1 ORDER BY p.name";
static const char profile_add_sql[] =
    "INSERT INTO profile (account, name, provider, host, port, tls, username, ca_pem, pin,"
    " keep_headers, max_connections, messages_per_connection, version, per_minute, on_quota, transport,"
    " auth, oauth_client, oauth_scope, token_endpoint)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
    " ?17, ?18, ?19, ?20)";
static const char profile_set_sql[] =
    "UPDATE profile SET provider = ?3, host = ?4, port = ?5, tls = ?6, username = ?7, ca_pem = ?8,"
    " pin = ?9, keep_headers = ?10, max_connections = ?11, messages_per_connection = ?12,"
    " version = ?13, per_minute = ?14, on_quota = ?15, transport = ?16,"
    " auth = ?17, oauth_client = ?18, oauth_scope = ?19, token_endpoint = ?20"
    " WHERE account = ?1 AND name = ?2";
static const char password_sql[] =
    "UPDATE profile SET password = ?2, password_set = ?3 WHERE id = ?1";
static const char refresh_sql[] = "UPDATE profile SET refresh_token = ?2 WHERE id = ?1";
static const char stored_sql[] =
    "SELECT id, account, host, port, tls, username, password, password_set, version, ca_pem, pin," PROFILE_PLACE
    ", refresh_token FROM profile WHERE account = ?1 AND name = ?2";
static const char sealed_sql[] =
    "SELECT p.id, p.account, p.host, p.port, p.tls, p.username, p.password, p.password_set,"
    " p.version, '', ''," PROFILE_PLACE ", p.refresh_token, a.name || '/' || p.name"
    " FROM profile p JOIN account a ON a.id = p.account"
    " WHERE p.password <> '' OR p.refresh_token <> '' ORDER BY p.id";

enum { URL_MAX = 512, PLACE_MAX = URL_MAX + HOST_MAX + 2 };

static const char *
text_of(const char *s)
{
	return s ? s : "";
}

static struct admin_profile
take_profile(struct take *t)
{
	struct admin_profile row = { .account = take_str(t), .name = take_str(t) };

	row.provider = take_str(t);
	row.host = take_str(t);
	row.port = take_unsigned(t);
	if (!profile_tls_find(take_slice(t), &row.tls))
		row.tls = UPSTREAM_TLS_IMPLICIT;
	row.username = take_str(t);
	row.ca_pem = take_str(t);
	row.pin = take_str(t);
	row.keep_headers = take_str(t);
	row.max_connections = take_unsigned(t);
	row.messages_per_connection = take_unsigned(t);
	row.per_minute = take_unsigned(t);
	if (!on_quota_find(take_slice(t), &row.on_quota))
		row.on_quota = ON_QUOTA_DEFAULT;
	if (!transport_find(take_slice(t), &row.transport))
		row.transport = TRANSPORT_SMTP;
	if (!profile_auth_find(take_slice(t), &row.auth))
		row.auth = PROFILE_PASSWORD;
	row.oauth_client = take_str(t);
	row.oauth_scope = take_str(t);
	row.token_endpoint = take_str(t);
	row.has_refresh_token = take_bool(t);
	row.has_password = take_bool(t);
	row.password_set = take_i64(t);
	row.version = take_u64(t);
	row.id = take_u64(t);
	return row;
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
	if (!host_is_good(slice_str(row->host)))
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
	if (strlen(text_of(row->ca_pem)) > 65536)
		return "ca_pem: at most 64 KiB";
	if (!headers_are_good(slice_str(row->keep_headers)))
		return "keep_headers: header names with blanks between";
	return NULL;
}

static enum admin_result
check_profile(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	const char *fault = fault_of(row);

	if (fault)
		return say(a, ADMIN_INVALID, "profile %s/%s: %s", text_of(row->account),
		    text_of(row->name), fault);
	if (password && password->n > VAULT_PLAIN_MAX)
		return say(a, ADMIN_INVALID, "profile %s/%s: the password is longer than %d octets",
		    row->account, row->name, (int)VAULT_PLAIN_MAX);
	if (password && memchr(secret_peek(password).p, '\0', password->n))
		return say(a, ADMIN_INVALID, "profile %s/%s: the password holds a NUL",
		    row->account, row->name);
	return ADMIN_OK;
}

/* ---- sealing ---- */

/* The stored row as far as the credential goes; in malloc'ed memory of its own. */
struct stored {
	struct profile p;
	int64_t password_set;
	char *mem[9];
	size_t mem_n;
	bool ok;
};

static const char *
dup_str(struct stored *s, const char *from)
{
	char *copy = strdup(from);

	if (!copy)
		s->ok = false;
	else
		s->mem[s->mem_n++] = copy;
	return copy ? copy : "";
}

static bool
take_stored(void *ctx, struct take *t)
{
	struct stored *s = ctx;

	*s = (struct stored){ .ok = true };
	s->p.id = take_u64(t);
	s->p.account = take_u64(t);
	s->p.host = dup_str(s, take_str(t));
	s->p.port = take_unsigned(t);
	if (!profile_tls_find(take_slice(t), &s->p.tls))
		s->p.tls = UPSTREAM_TLS_IMPLICIT;
	s->p.username = dup_str(s, take_str(t));
	s->p.password = dup_str(s, take_str(t));
	s->password_set = take_i64(t);
	s->p.version = take_u64(t);
	s->p.ca_pem = dup_str(s, take_str(t));
	s->p.pin = dup_str(s, take_str(t));
	s->p.place = dup_str(s, take_str(t));
	s->p.refresh_token = dup_str(s, take_str(t));
	return s->ok;
}

static void
free_stored(struct stored *s)
{
	while (s->mem_n)
		free(s->mem[--s->mem_n]);
}

static enum admin_result
store_password(struct admin *a, uint64_t id, const char *blob, int64_t when)
{
	struct put in = put_into(db_stmt(&a->db, password_sql));

	put_u64(&in, id);
	put_str(&in, blob);
	put_i64(&in, when);
	return run(a, &in, "password");
}

static enum admin_result
store_refresh_token(struct admin *a, uint64_t id, const char *blob)
{
	struct put in = put_into(db_stmt(&a->db, refresh_sql));

	put_u64(&in, id);
	put_str(&in, blob);
	return run(a, &in, "refresh token");
}

static enum admin_result
seal_refresh_token(struct admin *a, const struct profile *p, const struct secret *token)
{
	char blob[VAULT_BLOB_MAX];
	struct text t = text_over(blob, sizeof(blob));
	struct vault_place at = profile_refresh_place(p);

	if (token->n == 0)
		return store_refresh_token(a, p->id, "");
	if (!a->vault)
		return say(a, ADMIN_FAILED,
		    "no key file is open: the refresh token cannot be sealed");
	if (!vault_seal(a->vault, &at, token, &t) || t.overflow)
		return say(a, ADMIN_FAILED, "the refresh token cannot be sealed");
	return store_refresh_token(a, p->id, blob);
}

/* Seals PLAIN for P as it is stored now. */
static enum admin_result
seal(struct admin *a, const struct profile *p, const struct secret *plain, int64_t when)
{
	char blob[VAULT_BLOB_MAX];
	struct text t = text_over(blob, sizeof(blob));
	struct vault_place at = profile_place(p);

	if (plain->n == 0)
		return store_password(a, p->id, "", 0);
	if (!a->vault)
		return say(a, ADMIN_FAILED, "no key file is open: the password cannot be sealed");
	if (!vault_seal(a->vault, &at, plain, &t) || t.overflow)
		return say(a, ADMIN_FAILED, "the password cannot be sealed");
	return store_password(a, p->id, blob, when);
}

static enum admin_result
unseal(struct admin *a, const struct profile *p, struct secret *plain_r)
{
	struct vault_place at = profile_place(p);

	if (!a->vault)
		return say(a, ADMIN_FAILED,
		    "no key file is open: the stored password cannot be sealed anew, give it again");
	switch (vault_unseal(a->vault, &at, slice_str(p->password), plain_r)) {
	case VAULT_OK:
		return ADMIN_OK;
	case VAULT_NO_KEY:
		return say(a, ADMIN_FAILED,
		    "the key of the stored password is not in the key file, give it again");
	case VAULT_FORGED:
		return say(a, ADMIN_FAILED,
		    "the stored password does not belong to this host, port and TLS mode, give it again");
	case VAULT_FAILED:
		break;
	}
	return say(a, ADMIN_FAILED, "the stored password cannot be opened, give it again");
}

/* ---- add and set ---- */

static enum admin_result
write_profile(struct admin *a, const char *sql, uint64_t account, uint64_t version,
    const struct admin_profile *row)
{
	struct put in = put_into(db_stmt(&a->db, sql));
	struct slice provider = slice_str(row->provider);

	put_u64(&in, account);
	put_str(&in, row->name);
	put_slice(&in, provider.n ? provider : SLICE("custom"));
	put_str(&in, row->host);
	put_u64(&in, row->port);
	put_str(&in, profile_tls_word(row->tls));
	put_str(&in, row->username);
	put_str(&in, row->ca_pem);
	put_str(&in, row->pin);
	put_str(&in, row->keep_headers);
	put_u64(&in, row->max_connections);
	put_u64(&in, row->messages_per_connection);
	put_u64(&in, version);
	put_u64(&in, row->per_minute);
	put_str(&in, on_quota_word(row->on_quota));
	put_str(&in, transport_word(row->transport));
	put_str(&in, profile_auth_word(row->auth));
	put_str(&in, row->oauth_client);
	put_str(&in, row->oauth_scope);
	put_str(&in, row->token_endpoint);
	return run(a, &in, row->name);
}

/* As PROFILE_PLACE has it. */
static const char *
place_of(const struct admin_profile *row, char mem[PLACE_MAX])
{
	struct text t = text_over(mem, PLACE_MAX);

	if (row->auth == PROFILE_OAUTH2) {
		text_put(&t, slice_str(row->token_endpoint));
		text_char(&t, ' ');
	}
	text_put(&t, slice_str(row->host));
	return mem;
}

/* The place that the new password will be sealed for; MEM lives as long as it. */
static struct profile
as_written(const struct admin_profile *row, uint64_t id, uint64_t account, uint64_t version,
    char mem[PLACE_MAX])
{
	return (struct profile){ .id = id,
		.account = account,
		.host = row->host,
		.place = place_of(row, mem),
		.port = row->port,
		.tls = row->tls,
		.version = version };
}

static enum admin_result
add_profile(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	uint64_t account;
	uint64_t id;
	enum admin_result r = find_account(a, row->account, &account);

	if (r != ADMIN_OK)
		return r;
	if (find_profile(a, account, row->account, row->name, &id) == ADMIN_OK)
		return say(a, ADMIN_EXISTS, "profile %s/%s: there is one already", row->account,
		    row->name);
	r = write_profile(a, profile_add_sql, account, 1, row);
	id = (uint64_t)sqlite3_last_insert_rowid(a->db.h);
	if (r == ADMIN_OK && password && password->n) {
		char mem[PLACE_MAX];
		struct profile p = as_written(row, id, account, 1, mem);

		r = seal(a, &p, password, (int64_t)time(NULL));
	}
	return r;
}

enum admin_result
admin_profile_add(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	enum admin_result r = check_profile(a, row, password);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	return write_end(a, add_profile(a, row, password));
}

static bool
same_str(const char *a, const char *b)
{
	return strcmp(text_of(a), text_of(b)) == 0;
}

static bool
same_place(const struct profile *was, const struct admin_profile *row)
{
	char mem[PLACE_MAX];

	return same_str(was->place, place_of(row, mem)) && was->port == row->port &&
	    was->tls == row->tls;
}

/* The password behind the change: the new one, or the stored one, to be sealed for the new
 * version. */
static enum admin_result
set_profile(struct admin *a, const struct admin_profile *row, const struct secret *password,
    const struct stored *was)
{
	struct secret plain = { 0 };
	bool keeps = !password && was->p.password[0];
	bool moves = password || !same_place(&was->p, row) ||
	    !same_str(was->p.username, row->username) || !same_str(was->p.ca_pem, row->ca_pem) ||
	    !same_str(was->p.pin, row->pin);
	uint64_t version = was->p.version + moves;
	enum admin_result r = ADMIN_OK;

	if (keeps && !same_place(&was->p, row))
		return say(a, ADMIN_INVALID,
		    "profile %s/%s: the password is bound to host, port and TLS mode: give it again",
		    row->account, row->name);
	if (keeps && moves)
		r = unseal(a, &was->p, &plain);
	if (r == ADMIN_OK)
		r = write_profile(a, profile_set_sql, was->p.account, version, row);
	if (r == ADMIN_OK && moves && (password || keeps)) {
		char mem[PLACE_MAX];
		struct profile p = as_written(row, was->p.id, was->p.account, version, mem);

		r = password ? seal(a, &p, password, (int64_t)time(NULL))
		             : seal(a, &p, &plain, was->password_set);
	}
	if (r == ADMIN_OK && !same_place(&was->p, row) && *was->p.refresh_token)
		r = store_refresh_token(a, was->p.id, "");
	secret_fini(&plain);
	return r;
}

static enum admin_result
find_stored(struct admin *a, const char *account, const char *name, struct stored *was)
{
	uint64_t id;
	uint64_t profile = 0;
	enum admin_result r = find_account(a, account, &id);

	if (r == ADMIN_OK)
		r = find_profile(a, id, account, name, &profile);
	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, stored_sql));

	put_u64(&in, id);
	put_str(&in, name);
	return one_row(a, &in, take_stored, was, "profile", name);
}

enum admin_result
admin_profile_set(struct admin *a, const struct admin_profile *row, const struct secret *password)
{
	struct stored was = { 0 };
	enum admin_result r = check_profile(a, row, password);

	if (r != ADMIN_OK || (r = write_begin(a)) != ADMIN_OK)
		return r;
	r = find_stored(a, row->account, row->name, &was);
	if (r == ADMIN_OK)
		r = set_profile(a, row, password, &was);
	free_stored(&was);
	return write_end(a, r);
}

enum admin_result
admin_profile_set_refresh_token(struct admin *a, const char *account, const char *name,
    const struct secret *token)
{
	struct stored p = { 0 };
	enum admin_result r;

	if (token->n > VAULT_PLAIN_MAX || memchr(secret_peek(token).p, '\0', token->n))
		return say(a, ADMIN_INVALID, "profile %s/%s: that cannot be a refresh token",
		    account, name);
	r = write_begin(a);
	if (r != ADMIN_OK)
		return r;
	r = find_stored(a, account, name, &p);
	if (r == ADMIN_OK)
		r = seal_refresh_token(a, &p.p, token);
	free_stored(&p);
	return write_end(a, r);
}

enum admin_result
admin_profile_unseal(struct admin *a, const char *account, const char *name,
    struct secret *password_r)
{
	struct stored p = { 0 };
	enum admin_result r = find_stored(a, account, name, &p);

	if (r == ADMIN_OK && !*p.p.password)
		r = secret_init(password_r, SLICE("")) ? ADMIN_OK
		                                       : say(a, ADMIN_FAILED, "no memory");
	else if (r == ADMIN_OK)
		r = unseal(a, &p.p, password_r);
	free_stored(&p);
	return r;
}

static enum admin_result
unseal_refresh_token(struct admin *a, const struct profile *p, struct secret *token_r)
{
	struct vault_place at = profile_refresh_place(p);

	if (!*p->refresh_token)
		return secret_init(token_r, SLICE("")) ? ADMIN_OK
		                                       : say(a, ADMIN_FAILED, "no memory");
	if (!a->vault)
		return say(a, ADMIN_FAILED,
		    "no key file is open: the refresh token cannot be opened");
	if (vault_unseal(a->vault, &at, slice_str(p->refresh_token), token_r) != VAULT_OK)
		return say(a, ADMIN_FAILED,
		    "the refresh token cannot be opened: byway profile authorize gets a new one");
	return ADMIN_OK;
}

enum admin_result
admin_profile_unseal_refresh_token(struct admin *a, const char *account, const char *name,
    struct secret *token_r)
{
	struct stored p = { 0 };
	enum admin_result r = find_stored(a, account, name, &p);

	if (r == ADMIN_OK)
		r = unseal_refresh_token(a, &p.p, token_r);
	free_stored(&p);
	return r;
}

/* ---- get, list, remove ---- */

struct keep_profile {
	struct arena *mem;
	struct admin_profile *row;
};

static bool
keep_profile(void *ctx, struct take *t)
{
	struct keep_profile *k = ctx;
	struct admin_profile *row = k->row;
	bool ok = true;

	*row = take_profile(t);
	row->account = keep_str(k->mem, row->account, &ok);
	row->name = keep_str(k->mem, row->name, &ok);
	row->provider = keep_str(k->mem, row->provider, &ok);
	row->host = keep_str(k->mem, row->host, &ok);
	row->username = keep_str(k->mem, row->username, &ok);
	row->ca_pem = keep_str(k->mem, row->ca_pem, &ok);
	row->pin = keep_str(k->mem, row->pin, &ok);
	row->keep_headers = keep_str(k->mem, row->keep_headers, &ok);
	row->oauth_client = keep_str(k->mem, row->oauth_client, &ok);
	row->oauth_scope = keep_str(k->mem, row->oauth_scope, &ok);
	row->token_endpoint = keep_str(k->mem, row->token_endpoint, &ok);
	return ok;
}

enum admin_result
admin_profile_get(struct admin *a, const char *account, const char *name, struct arena *mem,
    struct admin_profile *row_r)
{
	uint64_t id;
	uint64_t profile = 0;
	struct keep_profile k = { mem, row_r };
	enum admin_result r = find_account(a, account, &id);

	if (r == ADMIN_OK)
		r = find_profile(a, id, account, name, &profile);
	if (r != ADMIN_OK)
		return r;
	struct put in = put_into(db_stmt(&a->db, profile_get_sql));

	put_str(&in, account);
	put_str(&in, name);
	return one_row(a, &in, keep_profile, &k, "profile", name);
}

struct hand_profile {
	admin_profile_fn *fn;
	void *ctx;
};

static bool
hand_profile(void *ctx, struct take *t)
{
	struct hand_profile *h = ctx;
	struct admin_profile row = take_profile(t);

	return h->fn(h->ctx, &row);
}

enum admin_result
admin_profile_each(struct admin *a, const char *account, admin_profile_fn *fn, void *ctx)
{
	struct hand_profile h = { fn, ctx };

	return each_row(a, profile_all_sql, profile_each_sql, account, hand_profile, &h);
}

static enum admin_result
remove_profile(struct admin *a, const char *account, const char *name)
{
	uint64_t id;
	uint64_t profile = 0;
	enum admin_result r = find_account(a, account, &id);

	if (r == ADMIN_OK)
		r = find_profile(a, id, account, name, &profile);
	if (r == ADMIN_OK)
		r = must_be_unused(a,
		    "SELECT count(*) FROM account WHERE route_profile = ?1 OR fallback_profile = ?1",
		    profile, "the account's own route goes through this profile");
	if (r == ADMIN_OK)
		r = must_be_unused(a,
		    "SELECT count(*) FROM domain WHERE route_profile = ?1 OR fallback_profile = ?1",
		    profile, "routes of domains go through this profile");
	return r == ADMIN_OK ? remove_by_id(a, "DELETE FROM profile WHERE id = ?1", profile) : r;
}

enum admin_result
admin_profile_remove(struct admin *a, const char *account, const char *name)
{
	enum admin_result r = write_begin(a);

	return r == ADMIN_OK ? write_end(a, remove_profile(a, account, name)) : r;
}

/* ---- a new key ---- */

struct reseal {
	struct admin *a;
	enum admin_result result;
	uint64_t done;
	uint64_t broken;
	struct text *names;
};

static void
reseal_one(struct reseal *work, const struct stored *s, const char *name)
{
	struct secret plain = { 0 };

	if (!*s->p.password || vault_is_current(work->a->vault, slice_str(s->p.password)))
		return;
	if (unseal(work->a, &s->p, &plain) == ADMIN_OK) {
		work->result = seal(work->a, &s->p, &plain, s->password_set);
		work->done += work->result == ADMIN_OK;
	} else {
		work->broken++;
		text_put(work->names, slice_str(name));
		text_char(work->names, '\n');
	}
	secret_fini(&plain);
}

static void
reseal_refresh_token(struct reseal *work, const struct stored *s, const char *name)
{
	struct secret plain = { 0 };
	struct slice blob = slice_str(s->p.refresh_token);
	struct vault_place at = profile_refresh_place(&s->p);

	if (!blob.n || vault_is_current(work->a->vault, blob))
		return;
	if (vault_unseal(work->a->vault, &at, blob, &plain) == VAULT_OK) {
		work->result = seal_refresh_token(work->a, &s->p, &plain);
		work->done += work->result == ADMIN_OK;
	} else {
		work->broken++;
		text_put(work->names, slice_str(name));
		text_put(work->names, SLICE(" (refresh token)\n"));
	}
	secret_fini(&plain);
}

static bool
on_sealed(void *ctx, struct take *t)
{
	struct reseal *work = ctx;
	struct stored s;

	if (take_stored(&s, t)) {
		const char *name = take_str(t);

		reseal_one(work, &s, name);
		if (work->result == ADMIN_OK)
			reseal_refresh_token(work, &s, name);
	} else
		work->result = say(work->a, ADMIN_FAILED, "no memory");
	free_stored(&s);
	return work->result == ADMIN_OK;
}

enum admin_result
admin_reseal(struct admin *a, uint64_t *done_r, uint64_t *broken_r, struct text *broken)
{
	struct reseal work = { .a = a, .names = broken };

	if (!a->vault)
		return say(a, ADMIN_FAILED, "no key file is open");
	enum admin_result r = write_begin(a);

	if (r != ADMIN_OK)
		return r;
	r = each_row(a, sealed_sql, NULL, NULL, on_sealed, &work);
	r = write_end(a, r == ADMIN_OK ? work.result : r);
	*done_r = r == ADMIN_OK ? work.done : 0;
	*broken_r = work.broken;
	return r;
}
