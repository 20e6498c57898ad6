/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_VAULT_PARCEL_H
#define CONF_VAULT_PARCEL_H

/*
 * parcel - octets sealed with a passphrase that a person knows, for a key ring on its way
 *
 * Text: p1:<setting of yescrypt>:<base64 of nonce, ciphertext, tag>. The key is HKDF of what
 * crypt(3) makes of the passphrase (a third of a second and 128 MiB a try), the cipher
 * AES-256-GCM; the setting is authenticated.
 *
 * Errors: false: no memory, no random numbers, or, of parcel_open(), another passphrase.
 */
#include "conf/vault/secret.h"
#include "wire/text.h"

enum { PARCEL_PLAIN_MAX = 65536, PARCEL_MAX = 96 * 1024 };

bool parcel_seal(const struct secret *passphrase, struct slice plain, struct text *parcel_r)
    MUST_CHECK;
bool parcel_open(const struct secret *passphrase, struct slice parcel, struct secret *plain_r)
    MUST_CHECK;

#endif
