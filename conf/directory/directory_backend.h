/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_BACKEND_H
#define CONF_DIRECTORY_DIRECTORY_BACKEND_H

/*
 * directory_backend - what the directory's front asks of a store; blocking, on a worker thread
 *
 * A backend is one connection. The front keeps as many as threads ask at once and never lets two
 * threads into one.
 *
 * Owns:   its connection. A struct sender that comes out is the caller's (one reference).
 * Errors: FOUND_FAILED and backend_error(); a lock that others hold is waited for, but not for long
 * (500 ms).
 */
#include "conf/directory/directory.h"
#include "conf/vault/password.h"
#include "wire/net.h"

struct backend;

enum found { FOUND, FOUND_NOTHING, FOUND_FAILED };

/* What a log-in needs before the password is known to be right: little, so that a wrong password
 * costs what an unknown name costs (A1). */
struct backend_login {
	uint64_t id;
	enum mailbox_state state;
	size_t hash_n;
	char hash[PASSWORD_HASH_MAX];
};

/* What was written since a revision. */
struct backend_changes {
	uint64_t revision;
	bool all;     /* take everything as changed */
	bool ips;     /* IP identities are among it */
	bool domains; /* and domains */
	bool has_addresses;
	uint64_t *accounts; /* malloc'ed, the caller's */
	size_t accounts_n;
};

struct backend *backend_open(const char *path, struct text *why) MUST_CHECK;
void backend_close(struct backend *b);
const char *backend_error(const struct backend *b);

enum found backend_login(struct backend *b, struct slice address, struct backend_login *login_r)
    MUST_CHECK;
/* One stored hash of each scheme and cost that mailboxes have. */
typedef void backend_hash_fn(void *ctx, struct slice hash);
bool backend_schemes(struct backend *b, backend_hash_fn *fn, void *ctx) MUST_CHECK;
/* Stores HASH where the mailbox still has WAS. */
bool backend_rehash(const char *path, uint64_t mailbox, struct slice was, struct slice hash,
    struct text *why) MUST_CHECK;
enum found backend_mailbox(struct backend *b, uint64_t id, struct sender **sender_r) MUST_CHECK;
/* A sender that is nobody but the account of that name: no id, the name the account's. */
enum found backend_account(struct backend *b, struct slice name, struct sender **sender_r)
    MUST_CHECK;
/* The identity of the smallest network that holds the single address AT. */
enum found backend_address(struct backend *b, const struct net *at, struct sender **sender_r)
    MUST_CHECK;
enum found backend_ip(struct backend *b, uint64_t id, struct sender **sender_r) MUST_CHECK;
/* Whose DOMAIN is: the account's id. */
enum found backend_domain(struct backend *b, struct slice domain, uint64_t *account_r) MUST_CHECK;
/* FOUND_NOTHING: nobody has written since the last call on this connection (costs one look into
 * shared memory). */
enum found backend_changes(struct backend *b, uint64_t since, struct backend_changes *changes_r)
    MUST_CHECK;

/* directory_sender.c: a copy of LOOSE and all it points to in one block, refs 1; NULL: no
 * memory. */
struct sender *sender_pack(struct sender *loose) MUST_CHECK;
/* Octets of S's block. */
size_t sender_size(const struct sender *s);

#endif
