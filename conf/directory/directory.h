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
#include "wire/crypto.h"
#include "wire/loop.h"
#include "wire/slice.h"
#include "wire/work.h"

/* A plan: one struct for those who write and those who read. */
struct plan {
	uint64_t id;
#define AS_ROW "conf/directory/plan.def"
#include "conf/directory/columns.def"
};

struct route {
	enum route_kind kind;
	uint64_t profile;         /* id, for ROUTE_PROFILE */
	enum route_kind fallback; /* ROUTE_INHERIT: none */
	uint64_t fallback_profile;
};

/* An account's own upstream. ACCOUNT is its account's id; PASSWORD and REFRESH_TOKEN are sealed. */
struct profile {
	uint64_t id;
#define AS_SNAPSHOT "conf/directory/profile.def"
#include "conf/directory/columns.def"
};

/* In lower case; an account's are in order of name. */
struct domain {
	uint64_t id;
#define AS_SNAPSHOT "conf/directory/domain.def"
#include "conf/directory/columns.def"
};

/* OWNER_VERIFIED: confirmed, or signed up by Google (S2). */
struct account {
	uint64_t id;
#define AS_SNAPSHOT "conf/directory/account.def"
#include "conf/directory/columns.def"
	struct plan plan;
	struct domain *domains;
	size_t domains_n;
	struct profile *profiles; /* in order of id */
	size_t profiles_n;
	/* restrict_senders: addresses and "@domain", lower case; empty where it is off */
	const char **allowed;
	size_t allowed_n;
	/* verified one by one: single addresses, lower case; empty where any sender may be used */
	const char **verified;
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
#define AS_SNAPSHOT "conf/directory/identity.def"
#include "conf/directory/columns.def"
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

struct hashing;

/* WORK may be shared. CTX is passed to every callback. Opens (and migrates) the database; WHY tells
 * file and reason; an absent file is an error. After fork, in the process that will use it. */
struct directory *directory_open(struct loop *l, struct work *w, const struct conf *c,
    struct vault *v, void *ctx, struct text *why) MUST_CHECK;
/* No callback any more, whatever was asked. Not from inside a callback. */
void directory_close(struct directory *d);
/* Others of this machine ask the same directory, and this process is number P in H: no more than
 * two log-ins of one name or address are checked at once by all of them. Right after
 * directory_open(); H outlives D. */
void directory_share(struct directory *d, struct hashing *h, unsigned p);
/* The old vault may go as soon as this returns. A change of path needs a restart. */
void directory_reconf(struct directory *d, const struct conf *c, struct vault *v);

/* Where a log-in comes from. ADDRESS: a number of the client's network. KNOWN: USER has logged in
 * from there before, and is not kept waiting by those who have not. */
struct login_from {
	uint64_t address;
	bool known;
};

struct ask;

/* USER and PASSWORD are copied, PASSWORD is wiped after use. Few checks at once are of one name or
 * one address (hashing.h); others wait in line, and where that is full hear
 * LOGIN_UNAVAILABLE. Lives until FN is called or directory_drop(). NULL: no memory, FN is not
 * called. */
struct ask *directory_login(struct directory *d, struct slice user, struct slice password,
    struct login_from from, uint64_t owner, directory_fn *fn) MUST_CHECK;
/* Who asked A has left: FN is not called, and unless others ask the same no hash is made that has
 * not begun. NULL is fine. */
void directory_drop(struct ask *a);
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

/* Whether DOMAIN belongs to another account than ACCOUNT (BEHAVIOUR S6): LOGIN_REFUSED: it does.
 * LOGIN_OK: it is ACCOUNT's, or nobody's here. True: the answer is in *RESULT_R; false: FN gets it,
 * without a sender. */
bool directory_foreign(struct directory *d, struct slice domain, uint64_t account, uint64_t owner,
    directory_fn *fn, enum login_result *result_r) MUST_CHECK;

struct sender *sender_ref(struct sender *s);
void sender_unref(struct sender *s);
/* The domain of the mail that S sends by itself: its mailbox's; empty of an address. */
struct slice sender_domain(const struct sender *s);
/* The account's domain of that name, ASCII case aside; NULL: it is none of its own. */
const struct domain *account_domain(const struct account *a, struct slice domain);
/* The rule that holds for whose names A's mail may bear: its own, or its plan's. */
enum senders_rule account_senders_rule(const struct account *a);

enum routed {
	ROUTED,           /* by PROFILE, or the native pool where it is NULL */
	ROUTED_NOT,       /* the plan cannot send natively, and the account has no upstream that it
			   * could mean */
	ROUTED_TO_NOTHING /* by a profile that is not there */
};

struct way {
	enum routed result;
	const struct profile *profile; /* NULL: native */
	bool has_fallback;
	const struct profile *fallback; /* NULL: native */
};

/* The way of A's mail from DOMAIN (R1, S3): the domain's own route, else the account's; where
 * neither says, native if the plan can send, else the account's only profile. The one router. */
struct way account_route(const struct account *a, struct slice domain);
/* A hash over the columns that P's credentials are sealed for (COLUMN_BOUND). False: one is longer
 * than any that could be stored. */
enum { PROFILE_BOUND = SHA256_LEN };
bool profile_bound_to(const struct profile *p, unsigned char bound[PROFILE_BOUND]) MUST_CHECK;
/* Where FIELD ("password", "refresh_token") of P is sealed for (R3): what both the side that seals
 * and the side that opens must use. BOUND takes what the place borrows; the vault takes no place
 * without it. */
struct vault_place profile_place(const struct profile *p, const char *field,
    unsigned char bound[PROFILE_BOUND]);

#endif
