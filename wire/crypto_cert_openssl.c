/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto - a self-signed certificate and its key, by OpenSSL 3
 */
#include "wire/crypto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <time.h>

enum { NAMES_MAX = 64, NAME_LEN_MAX = 253, CN_MAX = 64, SERIAL_LEN = 16, RSA_BITS = 2048 };

/* Letters, digits, "-", "_", ".", ":" and "*": host names and addresses, and nothing that means
 * something in a distinguished name. */
static bool
is_name(struct slice s)
{
	static const char others[] = "-_.:*";

	if (s.n == 0 || s.n > NAME_LEN_MAX)
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
add_name(GENERAL_NAMES *all, struct slice name)
{
	char z[NAME_LEN_MAX + 1];

	if (!is_name(name))
		return false;
	memcpy(z, name.p, name.n);
	z[name.n] = 0;

	ASN1_OCTET_STRING *address = a2i_IPADDRESS(z);
	ASN1_IA5STRING *dns = address ? NULL : ASN1_IA5STRING_new();
	GENERAL_NAME *entry = GENERAL_NAME_new();

	if (entry && address) {
		GENERAL_NAME_set0_value(entry, GEN_IPADD, address);
	} else if (entry && dns && ASN1_STRING_set(dns, z, (int)name.n) == 1) {
		GENERAL_NAME_set0_value(entry, GEN_DNS, dns);
	} else {
		ASN1_OCTET_STRING_free(address);
		ASN1_IA5STRING_free(dns);
		GENERAL_NAME_free(entry);
		return false;
	}
	if (sk_GENERAL_NAME_push(all, entry) > 0)
		return true;
	GENERAL_NAME_free(entry);
	return false;
}

static bool
add_names(X509 *crt, const struct slice *names, size_t names_n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	bool ok = all != NULL;

	for (size_t i = 0; ok && i < names_n; i++)
		ok = add_name(all, names[i]);
	ok = ok && X509_add1_ext_i2d(crt, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(all);
	return ok;
}

static bool
add_extension(X509 *crt, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool ok = ext && X509_add_ext(crt, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

/* Not a CA: a client that has this very certificate in its trust store takes it, and nothing can be
 * signed with it. */
static bool
add_extensions(X509 *crt, const struct slice *names, size_t names_n)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, crt, crt, NULL, NULL, 0);
	return add_extension(crt, &ctx, NID_basic_constraints, "CA:FALSE") &&
	    add_extension(crt, &ctx, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(crt, &ctx, NID_ext_key_usage, "critical,serverAuth") &&
	    add_extension(crt, &ctx, NID_subject_key_identifier, "hash") &&
	    add_extension(crt, &ctx, NID_authority_key_identifier, "keyid:always") &&
	    add_names(crt, names, names_n);
}

static bool
set_subject(X509 *crt, struct slice name)
{
	X509_NAME *dn = X509_get_subject_name(crt);
	struct slice cn = name.n <= CN_MAX ? name : SLICE("Byway");

	return X509_NAME_add_entry_by_NID(dn, NID_commonName, MBSTRING_UTF8,
	           (const unsigned char *)cn.p, (int)cn.n, -1, 0) == 1 &&
	    X509_set_issuer_name(crt, dn) == 1;
}

static bool
set_serial(X509 *crt)
{
	unsigned char mem[SERIAL_LEN];
	BIGNUM *n = NULL;
	bool ok;

	if (!crypto_random(mem, sizeof(mem)))
		return false;
	mem[0] = (unsigned char)((mem[0] & 0x7f) | 0x40); /* positive, and of full length */
	n = BN_bin2bn(mem, sizeof(mem), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(crt)) != NULL;
	BN_free(n);
	return ok;
}

static X509 *
make_certificate(EVP_PKEY *key, const struct slice *names, size_t names_n, unsigned days)
{
	X509 *crt = X509_new();
	time_t now = time(NULL);

	if (crt && X509_set_version(crt, X509_VERSION_3) == 1 && set_serial(crt) &&
	    set_subject(crt, names[0]) &&
	    X509_time_adj(X509_getm_notBefore(crt), -3600, &now) && /* clocks differ */
	    X509_time_adj_ex(X509_getm_notAfter(crt), (int)days, 0, &now) &&
	    X509_set_pubkey(crt, key) == 1 && add_extensions(crt, names, names_n) &&
	    X509_sign(crt, key, EVP_sha256()) > 0)
		return crt;
	X509_free(crt);
	return NULL;
}

static bool
put_bio(BIO *bio, struct text *out)
{
	char *mem;
	long n = BIO_get_mem_data(bio, &mem);

	if (n <= 0)
		return false;
	text_put(out, slice_of(mem, (size_t)n));
	return !out->overflow;
}

static bool
write_pems(X509 *crt, EVP_PKEY *key, struct text *key_pem, struct text *cert_pem)
{
	BIO *k = BIO_new(BIO_s_mem()); /* wiped as it is freed */
	BIO *c = BIO_new(BIO_s_mem());
	bool ok = k && c && PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_bio_X509(c, crt) == 1 && put_bio(k, key_pem) && put_bio(c, cert_pem);

	BIO_free(k);
	BIO_free(c);
	return ok;
}

bool
crypto_self_signed(enum crypto_key kind, const struct slice *names, size_t names_n, unsigned days,
    struct text *key_pem, struct text *cert_pem)
{
	EVP_PKEY *key = NULL;
	X509 *crt = NULL;
	bool ok;

	if (names_n == 0 || names_n > NAMES_MAX || !is_name(names[0]))
		return false;
	key = kind == CRYPTO_RSA ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
	if (key)
		crt = make_certificate(key, names, names_n, days);
	ok = crt && write_pems(crt, key, key_pem, cert_pem);
	X509_free(crt);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}
