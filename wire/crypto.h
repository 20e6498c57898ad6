/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

/*
 * crypto - the few primitives that we need, whichever library stands behind
 *
 * Errors: false means the library failed or, for aead_open, that the blob is not authentic; outputs
 * are then wiped.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { AEAD_KEY = 32, AEAD_NONCE = 12, AEAD_TAG = 16, SHA256_LEN = 32 };

/* SHA-256 of what comes in pieces. */
struct crypto_hash;
struct crypto_hash *crypto_hash_open(void) MUST_CHECK;
bool crypto_hash_add(struct crypto_hash *h, struct slice more) MUST_CHECK;
/* OUT may be NULL: only frees it. False also where the library failed on the way. H may be NULL. */
bool crypto_hash_close(struct crypto_hash *h, unsigned char out[SHA256_LEN]);
/* Once per process, after fork. */
bool crypto_init(void) MUST_CHECK;
bool crypto_random(void *out, size_t n) MUST_CHECK;
bool crypto_sha256(struct slice in, unsigned char out[SHA256_LEN]) MUST_CHECK;
bool crypto_hmac_sha256(struct slice key, struct slice in, unsigned char out[SHA256_LEN])
    MUST_CHECK;
bool crypto_hmac_md5(struct slice key, struct slice in, unsigned char out[16])
    MUST_CHECK; /* CRAM-MD5, RFC 2195 */
bool crypto_hkdf_sha256(struct slice key, struct slice salt, struct slice info, unsigned char *out,
    size_t n) MUST_CHECK;
/* AES-256-GCM. OUT holds in.n + AEAD_TAG octets. */
bool crypto_aead_seal(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out) MUST_CHECK;
/* IN is ciphertext and tag; OUT holds in.n - AEAD_TAG octets. */
bool crypto_aead_open(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out) MUST_CHECK;
/* Constant time for equal lengths. */
bool crypto_equal(const void *a, const void *b, size_t n) MUST_CHECK;
/* Not optimised away. */
void crypto_wipe(void *p, size_t n);

enum crypto_key { CRYPTO_ECDSA, CRYPTO_RSA }; /* P-256; 2048 bits */

/* A new key and a certificate for NAMES that it signs itself, PEM, for `byway init`. */
bool crypto_self_signed(enum crypto_key kind, const struct slice *names, size_t names_n,
    unsigned days, struct text *key_pem, struct text *cert_pem) MUST_CHECK;

#endif
