/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_H
#define CONF_DIRECTORY_DIRECTORY_H

/*
 * directory - who may send, as whom, and by which route: accounts, plans, domains, mailboxes, IP
 * identities, profiles, routes
 *
 * One asynchronous interface; one file a backend (directory_sqlite.c). Look-ups run on worker
 * threads; what comes back is a snapshot, immutable and reference-counted, that a session keeps. A
 * snapshot knows the directory's revision it was read at: directory_is_fresh() says whether
 * anything has changed since; a session asks at every MAIL and refreshes if not (BEHAVIOUR S4).
 * Passwords are compared on the thread too (crypt_r is slow by design), with the same work for
 * unknown names (A1).
 *
 * Owns:   snapshots by reference count (loop thread only). Callbacks come on the loop, never from
 *         inside the call.
 */
#include <sys/socket.h>

#include "conf/conf.h"
#include "conf/vault/secret.h"
#include "conf/vault/vault.h"
#include "wire/loop.h"
#include "wire/slice.h"
#include "wire/work.h"

enum account_state {
	ACCOUNT_ACTIVE,
	ACCOUNT_SUSPENDED_BILLING,
	ACCOUNT_SUSPENDED_DELIVERABILITY,
	ACCOUNT_SUSPENDED_ABUSE,
	ACCOUNT_CLOSED,
};

enum mailbox_state {
	MAILBOX_ACTIVE,
	MAILBOX_PAUSED_OWNER,
	MAILBOX_PAUSED_ADMIN,
	MAILBOX_PAUSED_ABUSE,
	MAILBOX_BLOCKED,
};

enum count_unit { COUNT_RECIPIENTS, COUNT_MESSAGES };

struct plan {
	const char *name;
	bool can_send;
	enum count_unit unit;
	uint64_t mailbox_day, account_day, account_hour; /* 0: no limit */
	uint64_t recipients;                             /* per message */
	uint64_t size_max;                               /* octets */
	uint64_t monthly;                                /* 0: no limit */
};

enum route_kind { ROUTE_INHERIT, ROUTE_NATIVE, ROUTE_PROFILE };

struct route {
	enum route_kind kind;
	uint64_t profile;         /* id, for ROUTE_PROFILE */
	enum route_kind fallback; /* ROUTE_INHERIT: none */
	uint64_t fallback_profile;
};

/* A profile's own say about a used up quota. */
enum on_quota { ON_QUOTA_DEFAULT, ON_QUOTA_DEFER, ON_QUOTA_REJECT };

/* How a profile's provider is spoken to. */
enum transport { TRANSPORT_SMTP, TRANSPORT_API };

/* How a profile logs in: PROFILE_OAUTH2 with access tokens that its refresh token, or its client,
 * gets. */
enum profile_auth { PROFILE_PASSWORD, PROFILE_OAUTH2 };

/* An account's own upstream. */
struct profile {
	uint64_t id;
	uint64_t account;
	const char *name;
	const char *provider; /* preset's name; "custom" */
	const char *host;
	unsigned port;
	enum upstream_tls tls;
	const char *username; /* empty: no AUTH */
	const char *password; /* sealed blob; empty: none */
	uint64_t
	    /* of the credential: moves with host, port, tls, username, password, ca_pem, pin */
	    version;
	const char *ca_pem;       /* private CA, or empty */
	const char *pin;          /* hex SHA-256, or empty */
	const char *keep_headers; /* provider option headers that may pass, blank-separated */
	unsigned max_connections; /* 0: [upstream]'s */
	unsigned messages_per_connection;
	unsigned per_minute; /* messages; 0: the preset's */
	enum on_quota on_quota;
	enum transport transport;
	enum profile_auth auth;
	/* For PROFILE_OAUTH2, where PASSWORD is the client's secret (empty: a public client). */
	const char *oauth_client;
	const char *oauth_scope;
	const char *token_endpoint; /* https URL */
	const char *refresh_token;  /* sealed blob; empty: the client's own credentials */
	const char *place; /* where PASSWORD goes: what it is sealed for beside port and TLS mode */
};

struct domain {
	const char *name; /* in lower case; an account's are in order of name */
	struct route route;
	bool verified; /* its DNS records were right when last looked at */
};

struct account {
	uint64_t id;
	const char *name;
	enum account_state state;
	int64_t registered;  /* unix seconds */
	bool owner_verified; /* confirmed, or signed up by Google (S2) */
	struct plan plan;
	struct route route; /* the account's default */
	bool restrict_senders;
	bool require_verified_sender;
	bool check_sender_domain;
	bool check_sender_callout; /* that too, then its server is asked */
	unsigned renewal_day;      /* of the monthly allowance: 1..31 */
	struct domain *domains;
	size_t domains_n;
	struct profile *profiles; /* in order of id */
	size_t profiles_n;
	const char **
	    /* restrict_senders: addresses and "@domain", lower case; empty where it is off */
	    allowed;
	size_t allowed_n;
	const char **
	    /* require_verified_sender: single addresses, lower case; empty where it is off */
	    verified;
	size_t verified_n;
};

/* Who sends: a mailbox that logged in, or an address that needs no login; with its account. */
struct sender {
	unsigned refs;
	uint64_t revision;
	bool is_address;
	uint64_t id;      /* mailbox or IP identity */
	const char *name; /* the mailbox's address; the network as text */
	enum mailbox_state state;
	bool sandboxed;
	uint64_t rate_per_minute; /* 0: no limit */
	struct account account;
};

enum login_result {
	LOGIN_OK,
	/* unknown, wrong password, paused: one answer for all. A blocked mailbox is LOGIN_OK: it
	 * hears why at MAIL (A6) */
	LOGIN_REFUSED,
	LOGIN_UNAVAILABLE, /* the directory cannot say: 454 4.3.0 */
};

struct directory;

/* OWNER is the asker's id, as given. SENDER is NULL unless LOGIN_OK; its reference is the callee's.
 * WHY: for the log only ("unknown mailbox", "password", "paused by owner"). */
typedef void directory_fn(void *ctx, uint64_t owner, enum login_result result,
    struct sender *sender, const char *why);

/* WORK may be shared. CTX is passed to every callback. Opens (and migrates) the database; WHY tells
 * file and reason; an absent file is an error. After fork, in the process that will use it. */
struct directory *directory_open(struct loop *l, struct work *w, const struct conf *c,
    struct vault *v, void *ctx, struct text *why) MUST_CHECK;
/* No callback any more, whatever was asked. Not from inside a callback. */
void directory_close(struct directory *d);
/* The old vault may go as soon as this returns. A change of path needs a restart. */
void directory_reconf(struct directory *d, const struct conf *c, struct vault *v);

/* USER and PASSWORD are copied, PASSWORD is wiped after use. */
void directory_login(struct directory *d, struct slice user, struct slice password, uint64_t owner,
    directory_fn *fn);
/* An identity for an address that has not logged in; LOGIN_REFUSED if there is none. Answers for
 * unknown addresses are remembered too. */
void directory_address(struct directory *d, const struct sockaddr *from, uint64_t owner,
    directory_fn *fn);
/* True where the directory holds any IP identity at all: if not, directory_address need not be
 * asked. */
bool directory_has_addresses(const struct directory *d);
bool directory_is_fresh(const struct directory *d, const struct sender *s);
/* Whether there is a mailbox ADDRESS, whatever its state: LOGIN_OK or LOGIN_REFUSED, without a
 * sender. */
void directory_mailbox(struct directory *d, struct slice address, uint64_t owner, directory_fn *fn);
/* The same sender, read anew (no password), whatever its state is now. LOGIN_REFUSED: it is
 * gone. */
void directory_refresh(struct directory *d, const struct sender *s, uint64_t owner,
    directory_fn *fn);

/* For those who help: the mailbox of that address (or the account of that name, where there is no @
 * in it), whatever its state. Of an account the sender has no id, and the account's name. */
void directory_find(struct directory *d, struct slice name, uint64_t owner, directory_fn *fn);

struct sender *sender_ref(struct sender *s);
void sender_unref(struct sender *s);
/* The route of mail from DOMAIN: domain's own, else the account's, else native. Never ROUTE_INHERIT
 * in kind. */
struct route sender_route(const struct sender *s, struct slice domain);
/* NULL if the account has none of that id. */
const struct profile *sender_profile(const struct sender *s, uint64_t id);
/* Where P's password is sealed for (R3): what both the side that seals and the side that opens must
 * use. */
struct vault_place profile_place(const struct profile *p);
/* The same of its refresh token, which outlives versions. */
struct vault_place profile_refresh_place(const struct profile *p);

/* The words of the schema, the control tool and the log; _find is false, *_R untouched, for any
 * other. */
const char *
account_state_word(enum account_state state); /* active, billing, deliverability, abuse, closed */
bool account_state_find(struct slice word, enum account_state *state_r) MUST_CHECK;
const char *mailbox_state_word(
    enum mailbox_state state); /* active, paused-owner, paused-admin, paused-abuse, blocked */
bool mailbox_state_find(struct slice word, enum mailbox_state *state_r) MUST_CHECK;
const char *count_unit_word(enum count_unit unit); /* recipients, messages */
bool count_unit_find(struct slice word, enum count_unit *unit_r) MUST_CHECK;
const char *route_kind_word(enum route_kind kind); /* inherit, native, profile */
bool route_kind_find(struct slice word, enum route_kind *kind_r) MUST_CHECK;
const char *profile_tls_word(enum upstream_tls tls); /* none, starttls, implicit */
bool profile_tls_find(struct slice word, enum upstream_tls *tls_r) MUST_CHECK;
const char *on_quota_word(enum on_quota on_quota); /* default, defer, reject */
bool on_quota_find(struct slice word, enum on_quota *on_quota_r) MUST_CHECK;
const char *transport_word(enum transport transport); /* smtp, api */
bool transport_find(struct slice word, enum transport *transport_r) MUST_CHECK;
const char *profile_auth_word(enum profile_auth auth); /* password, oauth2 */
bool profile_auth_find(struct slice word, enum profile_auth *auth_r) MUST_CHECK;

#endif
