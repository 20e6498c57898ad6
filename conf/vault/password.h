/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_VAULT_PASSWORD_H
#define CONF_VAULT_PASSWORD_H

/*
 * password - hashes of mailbox passwords: made, checked (BEHAVIOUR A1, A2; crypt(5))
 *
 * Two families. People's passwords: any crypt(3) scheme, yescrypt when we make one. Passwords that
 * a machine made (128 bits and more): `$hm1$<key id>$<salt>$<mac>`, a keyed hash that costs
 * microseconds; only secret_generate()'s belong there.
 *
 * Every refusal has cost one hash, whatever the reason: unknown name (empty hash), locked ("*",
 * "!..."), malformed, wrong. A hash of another scheme or cost than the default takes its own time:
 * who answers waits as long as the slowest takes (password_cost(); A1).
 *
 * Life:   any thread; crypt's 32 KiB of state are the thread's own and wiped after each use.
 * Never:  on the loop's thread: the slow hash takes 10 ms and more.
 */
#include "conf/vault/secret.h"
#include "conf/vault/vault.h"
#include "wire/text.h"

enum { PASSWORD_HASH_MAX = 384 };

/* A hash for people's passwords, default scheme and cost. False: the password is empty, longer than
 * 511 octets or holds a NUL, or the system failed. */
bool password_hash(const struct secret *plain, struct text *hash_r) MUST_CHECK;
/* A keyed hash under V's current key. False: fewer than 26 characters (128 bits in base 32), or the
 * vault failed. */
bool password_hash_machine(struct vault *v, const struct secret *plain, struct text *hash_r)
    MUST_CHECK;
/* A machine-made one is checked in microseconds; this is that check alone, false for any other
 * hash. */
bool password_is_machine(struct slice hash) MUST_CHECK;
bool password_verify_machine(struct vault *v, struct slice hash, const struct secret *plain)
    MUST_CHECK;
/* What of PLAIN somebody has hardly typed, pasted rather: it is as good as any, but who types it
 * later will not get in. NULL: nothing; else how a sentence goes on behind "the password". */
const char *password_oddity(struct slice plain);
/* True where PLAIN is HASH's password. V may be NULL: machine-made ones then do not verify. */
bool password_verify(struct vault *v, struct slice hash, const struct secret *plain) MUST_CHECK;
/* True where HASH could verify anything: a scheme that this system knows, not locked. */
bool password_hash_is_usable(struct slice hash) MUST_CHECK;
/* Seconds of processor that a comparison with HASH takes here; 0: it is not compared at all. */
double password_cost(struct slice hash);
/* True where HASH is as password_hash() makes it, or machine-made. */
bool password_is_up_to_date(struct slice hash) MUST_CHECK;
/* What refusals of unknown names compare with: for tests with a cheap scheme. NULL: back to the
 * default. Not while threads verify. */
void password_set_dummy(const char *hash) FOR_TESTS;

#endif
