/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ADMIN_H
#define CONF_DIRECTORY_ADMIN_H

/*
 * admin - the writing side of the directory, for the control tool: synchronous, by name, in words
 *
 * Every row is a plain struct. What comes in is copied; strings of a row that comes out live in the
 * caller's arena (admin_get) or as long as the callback runs (admin_each). A string that is NULL on
 * the way in counts as empty; on the way out there is no NULL.
 *
 *      admin_add     a new row                 ADMIN_EXISTS, ADMIN_INVALID, ADMIN_MISSING (what it
 *                    belongs to)
 *      admin_get     one row by its name       ADMIN_MISSING
 *      admin_set     writes every column of the row of that name; so: get, change, set
 *      admin_remove  ADMIN_IN_USE where others hang on it
 *      admin_each    all rows of ACCOUNT (NULL: of all), in order of name; stops at once where the
 *                    callback gives false
 *
 * All of them go by an entity (conf/directory/entity.h), whose row is struct admin_NAME (of a plan:
 * struct plan). Names are unique and ASCII case does not count: a mailbox by its address, a profile
 * by ACCOUNT/NAME, an IP identity by its network. Callbacks may read through A; they may write only
 * inside admin_begin(). A write stands alone in a transaction of its own, or in the one that
 * admin_begin() opened; one that fails leaves nothing behind and the outer transaction usable.
 * Every write moves the directory's revision (by triggers, so that the sqlite3 shell does it too);
 * daemons see it within [directory] poll_ms.
 *
 * Owns:   the connection. The vault is borrowed; NULL: profiles' passwords can be neither set nor
 *         sealed anew.
 * Life:   one thread, one process (never across a fork).
 * Errors: enum admin_result, with one sentence for people in admin_why().
 * Never:  gives a credential (but to admin_profile_unseal) or a hash (but to admin_mailbox_hash)
 *         back; puts a secret into a sentence.
 */
#include "conf/directory/directory.h"
#include "conf/directory/entity.h"
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

/* RENEWAL_DAY 0, REGISTERED 0 at admin_add: 1, now. A fresh account has no profiles yet: its route
 * is ROUTE_INHERIT or ROUTE_NATIVE then. */
struct admin_account {
	uint64_t id;
#define AS_ROW "conf/directory/account.def"
#include "conf/directory/columns.def"
};

struct admin_domain {
	uint64_t id;
#define AS_ROW "conf/directory/domain.def"
#include "conf/directory/columns.def"
};

struct admin_mailbox {
	uint64_t id;
#define AS_ROW "conf/directory/mailbox.def"
#include "conf/directory/columns.def"
};

struct admin_ip {
	uint64_t id;
#define AS_ROW "conf/directory/ip.def"
#include "conf/directory/columns.def"
};

struct admin_profile {
	uint64_t id;
#define AS_ROW "conf/directory/profile.def"
#include "conf/directory/columns.def"
};

/* What stands in a directory that can be used; see admin_survey(). */
struct admin_survey {
	bool is_behind; /* of an older schema (admin_migrate()): the numbers are 0 then */
	bool is_plain; /* lacks the write-ahead log: who reads and who writes wait for each other */
	int64_t schema;
	uint64_t sealed; /* credentials */
	uint64_t closed; /* of them, that the vault's keys do not open */
	uint64_t old;    /* of them, that an earlier version sealed, and the vault opens */
	uint64_t native; /* accounts that may send and name no profile of their own */
};

/* Whether PATH is a directory that this program can use, or could behind admin_migrate(), and holds
 * together; changes nothing. V may be NULL: CLOSED and OLD are 0 then. WHY says what is wrong, with
 * the file. */
bool admin_survey(const char *path, struct vault *v, struct admin_survey *found_r, struct text *why)
    MUST_CHECK;
/* Brings PATH to this program's schema, seals anew what an earlier version sealed (vault_is_v1():
 * nothing else opens that), and gives the file its write-ahead log where it lacks that. One that
 * has rows is copied first, beside itself, as PATH.schemaN-YYYYMMDD; the last two of those copies
 * are kept. DONE says what was done, a line each; nothing where nothing was to do. What V does not
 * open is left as it is. ADMIN_BUSY: somebody else has been writing for too long. */
enum admin_result admin_migrate(const char *path, struct vault *v, struct text *done,
    struct text *why) MUST_CHECK;
/* Opens PATH, which must be of this program's schema. CREATE: makes it (mode 0640, with the plans
 * of BEHAVIOUR Q1) where it is absent; without, an absent file is an error. NULL with file and
 * reason in WHY. */
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
/* The same for reading alone: all that is read is of one moment, and nobody waits for it. */
enum admin_result admin_begin_reading(struct admin *a) MUST_CHECK;
enum admin_result admin_commit(struct admin *a) MUST_CHECK;
void admin_rollback(struct admin *a);

/* ROW is of the entity's struct. */
typedef bool admin_row_fn(void *ctx, const void *row);

/* ADMIN_INVALID where a value cannot be. A profile is made without a password. */
enum admin_result admin_add(struct admin *a, const struct entity *of, const void *row) MUST_CHECK;
enum admin_result admin_get(struct admin *a, const struct entity *of, const char *name,
    struct arena *mem, void *row_r) MUST_CHECK;
/* What the row belongs to cannot change. Of a profile the password is kept. */
enum admin_result admin_set(struct admin *a, const struct entity *of, const void *row) MUST_CHECK;
/* WHOLE: an account goes with its domains, mailboxes, IP identities, profiles and senders, a domain
 * with its mailboxes; without, ADMIN_IN_USE while it has any. A profile stays while a route or a
 * fallback names it, a plan while accounts are on it. */
enum admin_result admin_remove(struct admin *a, const struct entity *of, const char *name,
    bool whole) MUST_CHECK;
/* ACCOUNT NULL: of all; of plans and accounts it must be. */
enum admin_result admin_each(struct admin *a, const struct entity *of, const char *account,
    admin_row_fn *fn, void *ctx) MUST_CHECK;

/* HASH: of conf/vault/password.h, or any crypt(3) hash; empty: nobody can log in. A new mailbox has
 * none. */
enum admin_result admin_mailbox_set_hash(struct admin *a, const char *address, const char *hash)
    MUST_CHECK;
/* For an export that is closed to others, and nothing else. Empty: it has none. */
enum admin_result admin_mailbox_hash(struct admin *a, const char *address, struct text *hash_r)
    MUST_CHECK;

/* As admin_add and admin_set. PASSWORD: NULL: none at _add, kept at _set; empty: taken away; else
 * sealed. It is the plain one and stays the caller's. A change of a COLUMN_BOUND needs the password
 * again where there is one (BEHAVIOUR R3): ADMIN_INVALID, and takes the refresh token away. The
 * credential's version moves with every change of a COLUMN_BOUND, and with the password. */
enum admin_result admin_profile_add(struct admin *a, const struct admin_profile *row,
    const struct secret *password) MUST_CHECK;
enum admin_result admin_profile_set(struct admin *a, const struct admin_profile *row,
    const struct secret *password) MUST_CHECK;
/* NAME is ACCOUNT/PROFILE. A new consent: seals the token (or takes it away: empty), and moves the
 * credential's version, so that no access token of the old consent is used any more. */
enum admin_result admin_profile_authorize(struct admin *a, const char *name,
    const struct secret *token) MUST_CHECK;
/* The provider has replaced it: sealed, in the same version. */
enum admin_result admin_profile_set_refresh_token(struct admin *a, const char *name,
    const struct secret *token) MUST_CHECK;
/* The stored password, open: for what the control tool itself says to the server that it is sealed
 * for, and for nothing else. Empty where there is none. */
enum admin_result admin_profile_unseal(struct admin *a, const char *name, struct secret *password_r)
    MUST_CHECK;
/* The same of its refresh token; empty where it has none. */
enum admin_result admin_profile_unseal_refresh_token(struct admin *a, const char *name,
    struct secret *token_r) MUST_CHECK;

/* The route of an account (DOMAIN empty or NULL) or of one of its domains; the rest of the row
 * stays. */
enum admin_result admin_route_set(struct admin *a, const char *account, const char *domain,
    const struct admin_route *route) MUST_CHECK;

struct reseal_count {
	uint64_t done;
	uint64_t broken; /* could not be opened: the row was edited, or its key is gone */
};

/* Seals every credential that is not under the vault's current key anew, in one transaction;
 * versions stay. One that cannot be opened is left as it is, counted, and named in BROKEN, a line
 * each. */
enum admin_result admin_reseal(struct admin *a, struct reseal_count *count, struct text *broken)
    MUST_CHECK;
#endif
