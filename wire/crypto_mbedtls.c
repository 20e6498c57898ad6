/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto - the few primitives that we need, from mbedTLS
 *
 * None of it through PSA but random numbers: credentials are opened and hashed on threads while TLS
 * runs on the loop, and mbedTLS 3.6 answers for PSA on several threads only as far as keys are
 * managed. What is used here works on contexts of the caller's own.
 */
#include "wire/crypto.h"
#include "wire/guard.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/constant_time.h>
#include <mbedtls/ecp.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>

enum { NAMES_MAX = 64, CN_MAX = 64, SERIAL_LEN = 16, PEM_MAX = 4096 + NAMES_MAX * 400 };

static inline const unsigned char *
octets(struct slice s)
{
	return (const unsigned char *)s.p;
}

bool
crypto_init(void)
{
	return psa_crypto_init() == PSA_SUCCESS;
}

bool
crypto_random(void *out, size_t n)
{
	return psa_generate_random(out, n) == PSA_SUCCESS;
}

bool
crypto_sha256(struct slice in, unsigned char out[SHA256_LEN])
{
	return mbedtls_sha256(octets(in), in.n, out, 0) == 0;
}

struct crypto_hash {
	mbedtls_sha256_context ctx;
	bool bad;
};

struct crypto_hash *
crypto_hash_open(void)
{
	struct crypto_hash *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	mbedtls_sha256_init(&h->ctx);
	h->bad = mbedtls_sha256_starts(&h->ctx, 0) != 0;
	return h;
}

bool
crypto_hash_add(struct crypto_hash *h, struct slice more)
{
	if (!h->bad && more.n)
		h->bad = mbedtls_sha256_update(&h->ctx, octets(more), more.n) != 0;
	return !h->bad;
}

bool
crypto_hash_close(struct crypto_hash *h, unsigned char out[SHA256_LEN])
{
	bool good;

	if (!h)
		return false;
	good = out && !h->bad && mbedtls_sha256_finish(&h->ctx, out) == 0;
	mbedtls_sha256_free(&h->ctx);
	free(h);
	return good;
}

static bool
hmac(mbedtls_md_type_t type, struct slice key, struct slice in, unsigned char *out)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);

	return md && mbedtls_md_hmac(md, octets(key), key.n, octets(in), in.n, out) == 0;
}

bool
crypto_hmac_sha256(struct slice key, struct slice in, unsigned char out[SHA256_LEN])
{
	return hmac(MBEDTLS_MD_SHA256, key, in, out);
}

bool
crypto_hmac_md5(struct slice key, struct slice in, unsigned char out[16])
{
	return hmac(MBEDTLS_MD_MD5, key, in, out);
}

bool
crypto_hkdf_sha256(struct slice key, struct slice salt, struct slice info, unsigned char *out,
    size_t n)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	bool ok = md &&
	    mbedtls_hkdf(md, octets(salt), salt.n, octets(key), key.n, octets(info), info.n, out,
	        n) == 0;

	if (!ok)
		crypto_wipe(out, n);
	return ok;
}

bool
crypto_aead_seal(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out)
{
	mbedtls_gcm_context gcm;

	mbedtls_gcm_init(&gcm);
	bool ok = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, AEAD_KEY * 8) == 0 &&
	    mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, in.n, nonce, AEAD_NONCE,
	        octets(aad), aad.n, octets(in), out, AEAD_TAG, out + in.n) == 0;

	mbedtls_gcm_free(&gcm);
	if (!ok)
		crypto_wipe(out, in.n + AEAD_TAG);
	return ok;
}

bool
crypto_aead_open(const unsigned char key[AEAD_KEY], const unsigned char nonce[AEAD_NONCE],
    struct slice aad, struct slice in, unsigned char *out)
{
	mbedtls_gcm_context gcm;

	if (in.n < AEAD_TAG)
		return false;
	size_t n = in.n - AEAD_TAG;

	mbedtls_gcm_init(&gcm);
	bool ok = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, AEAD_KEY * 8) == 0 &&
	    mbedtls_gcm_auth_decrypt(&gcm, n, nonce, AEAD_NONCE, octets(aad), aad.n, octets(in) + n,
	        AEAD_TAG, octets(in), out) == 0;

	mbedtls_gcm_free(&gcm);
	if (!ok)
		crypto_wipe(out, n);
	return ok;
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return mbedtls_ct_memcmp(a, b, n) == 0;
}

void
crypto_wipe(void *p, size_t n)
{
	if (n)
		mbedtls_platform_zeroize(p, n);
}

/* ---- a self-signed certificate --------------------------------------------------------------- */

/* What stands behind one name: the list that mbedTLS wants, and an address's octets. */
struct san {
	mbedtls_x509_san_list entry;
	unsigned char addr[16];
	char text[256];
};

/* Letters, digits, "-", "_", ".", ":" and "*": host names and addresses, and nothing that means
 * something in a distinguished name. */
static bool
is_name(struct slice s)
{
	static const char others[] = "-_.:*";

	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = c >= '0' && c <= '9';

		if (!letter && !digit && !memchr(others, c, sizeof(others) - 1))
			return false;
	}
	return true;
}

static bool
san_set(struct san *san, struct slice name)
{
	mbedtls_x509_subject_alternative_name *node = &san->entry.node;

	if (!is_name(name))
		return false;
	memcpy(san->text, name.p, name.n);
	san->text[name.n] = 0;

	node->type = MBEDTLS_X509_SAN_IP_ADDRESS;
	node->san.unstructured_name.p = san->addr;
	if (inet_pton(AF_INET, san->text, san->addr) == 1) {
		node->san.unstructured_name.len = 4;
	} else if (inet_pton(AF_INET6, san->text, san->addr) == 1) {
		node->san.unstructured_name.len = 16;
	} else {
		node->type = MBEDTLS_X509_SAN_DNS_NAME;
		node->san.unstructured_name.p = (unsigned char *)san->text;
		node->san.unstructured_name.len = name.n;
	}
	return true;
}

static bool
set_subject(mbedtls_x509write_cert *crt, struct slice name)
{
	char dn[sizeof("CN=") + CN_MAX];
	struct text t = text_over(dn, sizeof(dn));

	text_put(&t, SLICE("CN="));
	text_put(&t, name.n <= CN_MAX ? name : SLICE("Byway"));
	return mbedtls_x509write_crt_set_subject_name(crt, dn) == 0 &&
	    mbedtls_x509write_crt_set_issuer_name(crt, dn) == 0;
}

static bool
set_validity(mbedtls_x509write_cert *crt, unsigned days)
{
	time_t now = time(NULL);
	time_t from = now - 3600; /* clocks differ */
	time_t until = now + (time_t)days * 86400;
	struct tm tm;
	char not_before[16];
	char not_after[16];

	return gmtime_r(&from, &tm) &&
	    strftime(not_before, sizeof(not_before), "%Y%m%d%H%M%S", &tm) == 14 &&
	    gmtime_r(&until, &tm) &&
	    strftime(not_after, sizeof(not_after), "%Y%m%d%H%M%S", &tm) == 14 &&
	    mbedtls_x509write_crt_set_validity(crt, not_before, not_after) == 0;
}

/* Not a CA: a client that has this very certificate in its trust store takes it, and nothing can be
 * signed with it. */
static bool
set_extensions(mbedtls_x509write_cert *crt, const struct san *sans)
{
	unsigned char serial[SERIAL_LEN];
	mbedtls_asn1_sequence usage = {
		.buf = { .tag = MBEDTLS_ASN1_OID,
		    .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH),
		    .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH },
	};

	if (!crypto_random(serial, sizeof(serial)))
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
	return mbedtls_x509write_crt_set_serial_raw(crt, serial, sizeof(serial)) == 0 &&
	    mbedtls_x509write_crt_set_basic_constraints(crt, 0, -1) == 0 &&
	    mbedtls_x509write_crt_set_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) == 0 &&
	    mbedtls_x509write_crt_set_ext_key_usage(crt, &usage) == 0 &&
	    mbedtls_x509write_crt_set_subject_key_identifier(crt) == 0 &&
	    mbedtls_x509write_crt_set_authority_key_identifier(crt) == 0 &&
	    mbedtls_x509write_crt_set_subject_alternative_name(crt, &sans->entry) == 0;
}

static bool
write_pems(mbedtls_x509write_cert *crt, mbedtls_pk_context *key, struct text *key_pem,
    struct text *cert_pem)
{
	unsigned char *mem = malloc(PEM_MAX);
	bool ok = false;

	if (!mem)
		return false;
	if (mbedtls_pk_write_key_pem(key, mem, PEM_MAX) == 0) {
		text_put(key_pem, slice_str((char *)mem));
		crypto_wipe(mem, PEM_MAX);
		ok = mbedtls_x509write_crt_pem(crt, mem, PEM_MAX, mbedtls_psa_get_random,
		         MBEDTLS_PSA_RANDOM_STATE) == 0;
		if (ok)
			text_put(cert_pem, slice_str((char *)mem));
	}
	crypto_wipe(mem, PEM_MAX);
	free(mem);
	return ok && !key_pem->overflow && !cert_pem->overflow;
}

static bool
make_key(enum crypto_key kind, mbedtls_pk_context *key)
{
	enum { RSA_BITS = 2048, RSA_EXPONENT = 65537 };
	bool rsa = kind == CRYPTO_RSA;

	if (mbedtls_pk_setup(key,
	        mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY)) != 0)
		return false;
	return rsa ? mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), mbedtls_psa_get_random,
	                 MBEDTLS_PSA_RANDOM_STATE, RSA_BITS, RSA_EXPONENT) == 0
	           : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key),
	                 mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE) == 0;
}

bool
crypto_self_signed(enum crypto_key kind, const struct slice *names, size_t names_n, unsigned days,
    struct text *key_pem, struct text *cert_pem)
{
	mbedtls_x509write_cert crt;
	mbedtls_pk_context key;
	bool ok = false;

	if (names_n == 0 || names_n > NAMES_MAX)
		return false;

	struct san *sans = calloc(names_n, sizeof(*sans));

	if (!sans)
		return false;
	mbedtls_x509write_crt_init(&crt);
	mbedtls_pk_init(&key);

	for (size_t i = 0; i < names_n; i++) {
		if (!san_set(&sans[i], names[i]))
			goto out;
		/* mbedTLS writes from the end to the start. */
		if (i > 0)
			sans[i].entry.next = &sans[i - 1].entry;
	}
	if (!make_key(kind, &key))
		goto out;

	mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&crt, &key);
	mbedtls_x509write_crt_set_issuer_key(&crt, &key);
	ok = set_subject(&crt, names[0]) && set_validity(&crt, days) &&
	    set_extensions(&crt, &sans[names_n - 1]) && write_pems(&crt, &key, key_pem, cert_pem);
out:
	mbedtls_pk_free(&key);
	mbedtls_x509write_crt_free(&crt);
	free(sans);
	return ok;
}
