/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto - the few primitives that we need, from OpenSSL 3
 *
 * Contexts are the caller's own, so that any thread may call. What failed is said by the result
 * alone: the library's queue of errors is emptied.
 */
#include "wire/crypto.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <limits.h>
#include <stdlib.h>

_Static_assert(OPENSSL_VERSION_NUMBER >= 0x30000000L, "OpenSSL 3 is needed: run `make deps`");

enum { MD5_LEN = 16 };

static inline const unsigned char *
octets(struct slice s)
{
	return (const unsigned char *)s.p;
}

static bool
done(bool ok)
{
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool
crypto_init(void)
{
	return done(RAND_status() == 1);
}

bool
crypto_random(void *out, size_t n)
{
	return done(n <= INT_MAX && RAND_bytes(out, (int)n) == 1);
}

bool
crypto_sha256(struct slice in, unsigned char out[SHA256_LEN])
{
	return done(EVP_Digest(in.p, in.n, out, NULL, EVP_sha256(), NULL) == 1);
}

struct crypto_hash {
	EVP_MD_CTX *ctx;
	bool bad;
};

struct crypto_hash *
crypto_hash_open(void)
{
	struct crypto_hash *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	h->bad = !done(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1);
	return h;
}

bool
crypto_hash_add(struct crypto_hash *h, struct slice more)
{
	if (!h->bad && more.n)
		h->bad = !done(EVP_DigestUpdate(h->ctx, more.p, more.n) == 1);
	return !h->bad;
}

bool
crypto_hash_close(struct crypto_hash *h, unsigned char out[SHA256_LEN])
{
	bool good;

	if (!h)
		return false;
	good = out && !h->bad && done(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
	EVP_MD_CTX_free(h->ctx);
	free(h);
	return good;
}

static bool
hmac(const EVP_MD *md, struct slice key, struct slice in, unsigned char *out, unsigned len)
{
	unsigned n = 0;

	/* A key of no octets is one; NULL would mean the key of the call before. */
	return done(key.n <= INT_MAX &&
	    HMAC(md, key.n ? key.p : "", (int)key.n, octets(in), in.n, out, &n) && n == len);
}

bool
crypto_hmac_sha256(struct slice key, struct slice in, unsigned char out[SHA256_LEN])
{
	return hmac(EVP_sha256(), key, in, out, SHA256_LEN);
}

bool
crypto_hmac_md5(struct slice key, struct slice in, unsigned char out[MD5_LEN])
{
	return hmac(EVP_md5(), key, in, out, MD5_LEN);
}

static OSSL_PARAM
param(const char *name, struct slice s)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)(s.n ? s.p : ""), s.n);
}

bool
crypto_hkdf_sha256(struct slice key, struct slice salt, struct slice info, unsigned char *out,
    size_t n)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		param(OSSL_KDF_PARAM_KEY, key),
		param(OSSL_KDF_PARAM_SALT, salt),
		param(OSSL_KDF_PARAM_INFO, info),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	bool ok = done(ctx && EVP_KDF_derive(ctx, out, n, params) == 1);

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	if (!ok)
		crypto_wipe(out, n);
	return ok;
}

/* With a nonce of AEAD_NONCE octets, which is what AES-GCM takes without being told. */
bool
crypto_aead_seal(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;
	bool ok = done(c && aad.n <= INT_MAX && in.n <= INT_MAX &&
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    (aad.n == 0 || EVP_EncryptUpdate(c, NULL, &n, octets(aad), (int)aad.n) == 1) &&
	    (in.n == 0 || EVP_EncryptUpdate(c, out, &n, octets(in), (int)in.n) == 1) &&
	    EVP_EncryptFinal_ex(c, out + in.n, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + in.n) == 1);

	EVP_CIPHER_CTX_free(c);
	if (!ok)
		crypto_wipe(out, in.n + AEAD_TAG);
	return ok;
}

bool
crypto_aead_open(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out)
{
	if (in.n < AEAD_TAG)
		return false;

	unsigned char tag[AEAD_TAG];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t len = in.n - AEAD_TAG;
	int n;

	memcpy(tag, in.p + len, sizeof(tag));
	bool ok = done(c && aad.n <= INT_MAX && len <= INT_MAX &&
	    EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    (aad.n == 0 || EVP_DecryptUpdate(c, NULL, &n, octets(aad), (int)aad.n) == 1) &&
	    (len == 0 || EVP_DecryptUpdate(c, out, &n, octets(in), (int)len) == 1) &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) == 1 &&
	    EVP_DecryptFinal_ex(c, tag, &n) == 1);

	EVP_CIPHER_CTX_free(c);
	if (!ok)
		crypto_wipe(out, len);
	return ok;
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
crypto_wipe(void *p, size_t n)
{
	if (n)
		OPENSSL_cleanse(p, n);
}
