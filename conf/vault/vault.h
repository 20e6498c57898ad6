/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_VAULT_VAULT_H
#define CONF_VAULT_VAULT_H

/*
 * vault - credentials sealed at rest (BEHAVIOUR R3): AES-256-GCM, a key per account by HKDF from a
 * master key
 *
 * A blob is text: v2.<key id>.<base64 of nonce, ciphertext, tag>. It is bound (AAD) to the place it
 * was sealed for: account, profile, field, version, and all that says where and how it is used; a
 * row that was swapped, or whose host or pin was edited, cannot be opened. v1 was bound to host,
 * port and TLS mode alone: such blobs are opened only in order to be sealed anew, and refused
 * otherwise, lest an old one be put back.
 *
 * The key ring is a file, one key a line: `<id> <64 hex digits>`, the last line is the one that
 * seals; older ones still open. It must not be readable by group or others. `byway key rotate` adds
 * a key and seals all rows anew in one transaction.
 *
 * Owns:   the keys: locked in memory where the limit allows it, kept out of core dumps, wiped. All
 *         calls may be made from any thread; open and close from one.
 * Errors: the key file's go to WHY in one sentence with its path; never a key.
 */
#include "conf/vault/secret.h"
#include "wire/text.h"

struct vault;

struct vault_place {
	uint64_t account;
	uint64_t profile;
	const char *field; /* "password" */
	uint64_t version;
	struct slice bound; /* where and how it is used, in one unambiguous piece */
};

/* The same for a blob of v1. */
struct vault_place_v1 {
	uint64_t account;
	uint64_t profile;
	const char *field;
	uint64_t version;
	struct slice host;
	unsigned port;
	const char *tls; /* "implicit", "starttls", "none" */
};

enum { VAULT_BLOB_MAX = 8192, VAULT_PLAIN_MAX = 4096 };

enum vault_result { VAULT_OK, VAULT_NO_KEY, VAULT_FORGED, VAULT_FAILED };

struct vault *vault_open(const char *key_file, struct text *why) MUST_CHECK;
void vault_close(struct vault *v);
bool vault_seal(struct vault *v, const struct vault_place *at, const struct secret *plain,
    struct text *blob_r) MUST_CHECK;
enum vault_result vault_unseal(struct vault *v, const struct vault_place *at, struct slice blob,
    struct secret *plain_r) MUST_CHECK;
/* Of what an earlier version sealed. */
bool vault_is_v1(struct slice blob);
enum vault_result vault_unseal_v1(struct vault *v, const struct vault_place_v1 *at,
    struct slice blob, struct secret *plain_r) MUST_CHECK;
/* Id of the key that seals now. */
const char *vault_current(const struct vault *v);
/* True where BLOB is of v2, and was sealed with the current key. */
bool vault_is_current(const struct vault *v, struct slice blob);
/* A keyed hash that needs no slow function (BEHAVIOUR A2): for machine-made passwords and
 * remembered log-ins. With the current key: what is stored must name it (vault_current) and is
 * checked with vault_mac_by(), or it dies with the next rotation. */
bool vault_mac(struct vault *v, struct slice purpose, struct slice in, unsigned char out[32])
    MUST_CHECK;
/* False also where the ring has no key of that id. */
bool vault_mac_by(struct vault *v, struct slice key_id, struct slice purpose, struct slice in,
    unsigned char out[32]) MUST_CHECK;
/* Makes a key file with one key (mode 0600; fails if there is one), or adds a key to it
 * (atomically). */
bool vault_create(const char *key_file, struct text *why) MUST_CHECK;
bool vault_add_key(const char *key_file, struct text *why) MUST_CHECK;

#endif
