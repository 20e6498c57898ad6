/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ADMIN_H
#define CONF_DIRECTORY_ADMIN_H

/*
 * admin - the writing side of the directory, for the control tool: synchronous, by name, in words
 *
 * Every row is a plain struct. What comes in is copied; strings of a row that comes out live in the
 * caller's arena (_get) or as long as the callback runs (_each). A string that is NULL on the way
 * in counts as empty; on the way out there is no NULL.
 *
 *      _add     a new row                    ADMIN_EXISTS, ADMIN_INVALID, ADMIN_MISSING (what it
 *               belongs to)
 *      _get     one row by its name          ADMIN_MISSING
 *      _set     writes every field of the row of that name; so: _get, change, _set
 *      _remove  ADMIN_IN_USE where others hang on it (its own parts aside, see each)
 *      _each    all rows of ACCOUNT (NULL: of all), in order of name; stops at once where the
 *               callback gives false
 *
 * Names are unique and ASCII case does not count: plan and account by name, domain by name, mailbox
 * by address, profile and senders by (account, name), IP identity by network. Callbacks may read
 * through A; they may write only inside admin_begin(). A write stands alone in a transaction of its
 * own, or in the one that admin_begin() opened; one that fails leaves nothing behind and the outer
 * transaction usable. Every write moves the directory's revision (by triggers, so that the sqlite3
 * shell does it too); daemons see it within [directory] poll_ms.
 *
 * Owns:   the connection. The vault is borrowed; NULL: profiles' passwords can be neither set nor
 *         sealed anew.
 * Life:   one thread, one process (never across a fork).
 * Errors: enum admin_result, with one sentence for people in admin_why().
 * Never:  gives a credential (but to admin_profile_unseal) or a hash back; puts a secret into a
 *         sentence.
 */
#include "conf/directory/directory.h"
#include "wire/arena.h"

struct admin;

enum admin_result {
	ADMIN_OK,
	ADMIN_MISSING, /* no such name */
	ADMIN_EXISTS,  /* the name is taken */
	ADMIN_INVALID, /* a value cannot be */
	ADMIN_IN_USE,  /* something else needs it */
	ADMIN_BUSY,    /* somebody else has been writing for too long */
	ADMIN_FAILED,  /* the database or the vault */
};

/* A route, by names. */
struct admin_route {
	enum route_kind kind;
	const char *profile;      /* of the same account, for ROUTE_PROFILE */
	enum route_kind fallback; /* ROUTE_INHERIT: none */
	const char *fallback_profile;
};

/* How the owner signed up; a word only, the verdict is owner_verified. */
enum owner_signup { SIGNUP_EMAIL, SIGNUP_GOOGLE, SIGNUP_FACEBOOK, SIGNUP_X, SIGNUP_MICROSOFT };

const char *owner_signup_word(enum owner_signup how); /* email, google, facebook, x, microsoft */
bool owner_signup_find(struct slice word, enum owner_signup *how_r) MUST_CHECK;

struct admin_account {
	const char *name;
	const char *plan;
	enum account_state state;
	int64_t registered;      /* unix seconds; 0 at _add: now */
	const char *owner_email; /* may be empty */
	enum owner_signup owner_signup;
	bool owner_verified;
	unsigned
	    /* of the monthly allowance: 1..31 (a shorter month: its last day); 0 at _add: 1 */
	    renewal_day;
	bool restrict_senders;
	bool require_verified_sender;
	bool check_sender_domain;
	bool check_sender_callout;
	struct admin_route
	    route; /* a fresh account has no profiles yet: ROUTE_INHERIT or ROUTE_NATIVE at _add */
};

struct admin_domain {
	const char *name;    /* stored in lower case */
	const char *account; /* cannot be changed by _set */
	bool verified;
	const char *dkim_selector; /* may be empty */
	struct admin_route route;
};

struct admin_mailbox {
	const char *address; /* its domain must be there: the account is the domain's */
	const char *account; /* out only */
	enum mailbox_state state;
	bool sandboxed;
	uint64_t rate_per_minute; /* 0: no limit */
	bool has_password;        /* out only */
};

struct admin_ip {
	const char *network; /* "192.0.2.0/24", "2001:db8::1"; stored in its normal form */
	const char *account;
	enum mailbox_state state; /* MAILBOX_ACTIVE or MAILBOX_BLOCKED */
	bool sandboxed;
	uint64_t rate_per_minute;
};

struct admin_profile {
	const char *account;
	const char *name;
	const char *provider; /* preset's name; empty: "custom" */
	const char *host;
	unsigned port;
	enum upstream_tls tls;
	const char *username; /* empty: no AUTH */
	const char *ca_pem;
	const char *pin;          /* 64 hex digits, or empty */
	const char *keep_headers; /* blank-separated */
	unsigned max_connections; /* 0: the configuration's */
	unsigned messages_per_connection;
	unsigned per_minute; /* 0: the preset's */
	enum on_quota on_quota;
	enum transport transport;
	enum profile_auth auth;
	const char *oauth_client; /* for PROFILE_OAUTH2, whose password is the client's secret */
	const char *oauth_scope;
	const char *token_endpoint;
	bool has_refresh_token; /* out only */
	bool has_password;      /* out only */
	int64_t password_set;   /* out only: unix seconds; 0: none */
	uint64_t version;       /* out only */
	uint64_t id;            /* out only */
};

/* The lists behind restrict_senders and require_verified_sender. */
enum sender_list { SENDERS_ALLOWED, SENDERS_VERIFIED };

struct admin_sender {
	const char *account;
	enum sender_list list;
	const char *name; /* an address; in SENDERS_ALLOWED also "@domain", for all of it */
};

/* Opens PATH and brings its schema up to date. CREATE: makes it (mode 0640, with the plans of
 * BEHAVIOUR Q1) where it is absent; without, an absent file is an error. NULL with file and reason
 * in WHY. */
struct admin *admin_open(const char *path, bool create, struct vault *v, struct text *why)
    MUST_CHECK;
void admin_close(struct admin *a);
/* The sentence for the last result that was not ADMIN_OK. */
const char *admin_why(const struct admin *a);
/* Moves with every write. */
enum admin_result admin_revision(struct admin *a, uint64_t *revision_r) MUST_CHECK;

/* One transaction over many writes; admin_begin waits for other writers (5 s, then ADMIN_BUSY). No
 * nesting. admin_close rolls back. */
enum admin_result admin_begin(struct admin *a) MUST_CHECK;
enum admin_result admin_commit(struct admin *a) MUST_CHECK;
void admin_rollback(struct admin *a);

typedef bool admin_plan_fn(void *ctx, const struct plan *row);
typedef bool admin_account_fn(void *ctx, const struct admin_account *row);
typedef bool admin_domain_fn(void *ctx, const struct admin_domain *row);
typedef bool admin_mailbox_fn(void *ctx, const struct admin_mailbox *row);
typedef bool admin_ip_fn(void *ctx, const struct admin_ip *row);
typedef bool admin_profile_fn(void *ctx, const struct admin_profile *row);
typedef bool admin_sender_fn(void *ctx, const struct admin_sender *row);

enum admin_result admin_plan_add(struct admin *a, const struct plan *row) MUST_CHECK;
enum admin_result admin_plan_get(struct admin *a, const char *name, struct arena *mem,
    struct plan *row_r) MUST_CHECK;
enum admin_result admin_plan_set(struct admin *a, const struct plan *row) MUST_CHECK;
enum admin_result admin_plan_remove(struct admin *a, const char *name) MUST_CHECK;
enum admin_result admin_plan_each(struct admin *a, admin_plan_fn *fn, void *ctx) MUST_CHECK;

enum admin_result admin_account_add(struct admin *a, const struct admin_account *row) MUST_CHECK;
enum admin_result admin_account_get(struct admin *a, const char *name, struct arena *mem,
    struct admin_account *row_r) MUST_CHECK;
enum admin_result admin_account_set(struct admin *a, const struct admin_account *row) MUST_CHECK;
/* WHOLE: with its domains, mailboxes, IP identities, profiles and senders; without, ADMIN_IN_USE
 * while it has any. */
enum admin_result admin_account_remove(struct admin *a, const char *name, bool whole) MUST_CHECK;
enum admin_result admin_account_each(struct admin *a, admin_account_fn *fn, void *ctx) MUST_CHECK;

enum admin_result admin_domain_add(struct admin *a, const struct admin_domain *row) MUST_CHECK;
enum admin_result admin_domain_get(struct admin *a, const char *name, struct arena *mem,
    struct admin_domain *row_r) MUST_CHECK;
enum admin_result admin_domain_set(struct admin *a, const struct admin_domain *row) MUST_CHECK;
/* WHOLE: with its mailboxes. */
enum admin_result admin_domain_remove(struct admin *a, const char *name, bool whole) MUST_CHECK;
enum admin_result admin_domain_each(struct admin *a, const char *account, admin_domain_fn *fn,
    void *ctx) MUST_CHECK;

enum admin_result admin_mailbox_add(struct admin *a, const struct admin_mailbox *row) MUST_CHECK;
enum admin_result admin_mailbox_get(struct admin *a, const char *address, struct arena *mem,
    struct admin_mailbox *row_r) MUST_CHECK;
enum admin_result admin_mailbox_set(struct admin *a, const struct admin_mailbox *row) MUST_CHECK;
enum admin_result admin_mailbox_remove(struct admin *a, const char *address) MUST_CHECK;
enum admin_result admin_mailbox_each(struct admin *a, const char *account, admin_mailbox_fn *fn,
    void *ctx) MUST_CHECK;
/* HASH: of conf/vault/password.h, or any crypt(3) hash; empty: nobody can log in. A new mailbox has
 * none. */
enum admin_result admin_mailbox_set_hash(struct admin *a, const char *address, const char *hash)
    MUST_CHECK;

enum admin_result admin_ip_add(struct admin *a, const struct admin_ip *row) MUST_CHECK;
enum admin_result admin_ip_get(struct admin *a, const char *network, struct arena *mem,
    struct admin_ip *row_r) MUST_CHECK;
enum admin_result admin_ip_set(struct admin *a, const struct admin_ip *row) MUST_CHECK;
enum admin_result admin_ip_remove(struct admin *a, const char *network) MUST_CHECK;
enum admin_result admin_ip_each(struct admin *a, const char *account, admin_ip_fn *fn, void *ctx)
    MUST_CHECK;

/* PASSWORD: NULL: none at _add, kept at _set; empty: taken away; else sealed. It is the plain one
 * and stays the caller's. A change of host, port or TLS mode needs the password again where there
 * is one (BEHAVIOUR R3): ADMIN_INVALID. The credential's version moves with every change of host,
 * port, TLS mode, user name, password, private CA or pin. */
enum admin_result admin_profile_add(struct admin *a, const struct admin_profile *row,
    const struct secret *password) MUST_CHECK;
enum admin_result admin_profile_get(struct admin *a, const char *account, const char *name,
    struct arena *mem, struct admin_profile *row_r) MUST_CHECK;
enum admin_result admin_profile_set(struct admin *a, const struct admin_profile *row,
    const struct secret *password) MUST_CHECK;
/* Seals it (or takes it away: empty). A change of host, port, TLS mode or token endpoint takes it
 * away too. */
enum admin_result admin_profile_set_refresh_token(struct admin *a, const char *account,
    const char *name, const struct secret *token) MUST_CHECK;
/* The stored password, open: for what the control tool itself says to the server that it is sealed
 * for, and for nothing else. Empty where there is none. */
enum admin_result admin_profile_unseal(struct admin *a, const char *account, const char *name,
    struct secret *password_r) MUST_CHECK;
/* ADMIN_IN_USE while a route or a fallback names it. */
/* The same of its refresh token; empty where it has none. */
enum admin_result admin_profile_unseal_refresh_token(struct admin *a, const char *account,
    const char *name, struct secret *token_r) MUST_CHECK;
enum admin_result admin_profile_remove(struct admin *a, const char *account, const char *name)
    MUST_CHECK;
enum admin_result admin_profile_each(struct admin *a, const char *account, admin_profile_fn *fn,
    void *ctx) MUST_CHECK;

enum admin_result admin_sender_add(struct admin *a, const struct admin_sender *row) MUST_CHECK;
enum admin_result admin_sender_remove(struct admin *a, const struct admin_sender *row) MUST_CHECK;
enum admin_result admin_sender_each(struct admin *a, const char *account, admin_sender_fn *fn,
    void *ctx) MUST_CHECK;

/* The route of an account (DOMAIN empty or NULL) or of one of its domains; the rest of the row
 * stays. */
enum admin_result admin_route_set(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route) MUST_CHECK;

/* Any of them may be NULL. */
struct admin_visitor {
	admin_plan_fn *plan;
	admin_account_fn *account;
	admin_profile_fn *profile;
	admin_domain_fn *domain;
	admin_mailbox_fn *mailbox;
	admin_ip_fn *ip;
	admin_sender_fn *sender;
};

/* The whole directory as of one moment, in a stable order: plans; then each account followed by its
 * profiles, domains, mailboxes, IP identities and senders, each kind in order of name. */
enum admin_result admin_walk(struct admin *a, const struct admin_visitor *v, void *ctx) MUST_CHECK;

/* Seals every credential that is not under the vault's current key anew, in one transaction;
 * versions stay. One that cannot be opened (its row was edited, its key is gone) is left as it is,
 * counted in *BROKEN_R and named in BROKEN, a line each. */
enum admin_result admin_reseal(struct admin *a, uint64_t *done_r, uint64_t *broken_r,
    struct text *broken) MUST_CHECK;

#endif
