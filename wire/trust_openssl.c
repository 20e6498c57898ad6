/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trust.h"

#include "wire/pem.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

enum { PIN = 32, NAME_MAX_SHOWN = 256 };

struct trust {
	unsigned refs;
	X509_STORE *store; /* NULL: there is a pin */
	unsigned char pin[PIN];
};

/* Each certificate of PEM. False where one of them is none, or none is there. */
static bool
add_pem(X509_STORE *store, struct slice pem)
{
	unsigned bad;
	STACK_OF(X509) *certs = pem_certificates(pem, &bad);
	bool good = certs && bad == 0 && sk_X509_num(certs) > 0;

	for (int i = 0; good && i < sk_X509_num(certs); i++)
		good = X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1;
	sk_X509_pop_free(certs, X509_free);
	ERR_clear_error();
	return good;
}

static bool
fill(struct trust *t, const char *file, struct slice pem, struct text *why)
{
	t->store = X509_STORE_new();
	if (!t->store) {
		text_put(why, SLICE("out of memory"));
		return false;
	}
	/* A chain may end at what we were given, root or not: the same as with a private CA over
	 * SMTP. */
	X509_STORE_set_flags(t->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	if (pem.n) {
		if (add_pem(t->store, pem))
			return true;
		text_put(why, SLICE("the private CA is not PEM"));
		return false;
	}
	if (file && X509_STORE_load_file(t->store, file) == 1) {
		ERR_clear_error();
		return true;
	}
	ERR_clear_error();
	text_fmt(why, "%s: no certificates can be read", file ? file : "no CA file");
	return false;
}

struct trust *
trust_open(const char *file, struct slice pem, const unsigned char *pin, struct text *why)
{
	struct trust *t = calloc(1, sizeof(*t));

	if (!t) {
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	t->refs = 1;
	if (pin) {
		memcpy(t->pin, pin, PIN);
		return t;
	}
	if (fill(t, file, pem, why))
		return t;
	trust_unref(t);
	return NULL;
}

struct trust *
trust_ref(struct trust *t)
{
	assert(t->refs > 0);
	t->refs++;
	return t;
}

void
trust_unref(struct trust *t)
{
	if (!t)
		return;
	assert(t->refs > 0);
	if (--t->refs)
		return;
	X509_STORE_free(t->store);
	free(t);
}

bool
trust_needs_name(const struct trust *t)
{
	return t->store != NULL;
}

static int
check_pin(X509_STORE_CTX *ctx, void *arg)
{
	const struct trust *t = arg;
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool good = leaf && X509_digest(leaf, EVP_sha256(), digest, &n) == 1 && n == PIN &&
	    memcmp(digest, t->pin, PIN) == 0;

	X509_STORE_CTX_set_error(ctx, good ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
	return good;
}

bool
trust_put_into(struct trust *t, void *ssl_ctx)
{
	SSL_CTX *ctx = ssl_ctx;

	if (!t->store) {
		SSL_CTX_set_cert_verify_callback(ctx, check_pin, t);
		return true;
	}
	SSL_CTX_set1_cert_store(ctx, t->store);
	return true;
}

static void
put_name(struct text *out, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *mem = NULL;
	long n = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ) >= 0)
		n = BIO_get_mem_data(bio, &mem);
	text_escaped(out, n > 0 ? slice_of(mem, (size_t)n) : SLICE("?"), NAME_MAX_SHOWN);
	BIO_free(bio);
}

const char *
trust_peer_describe(void *ssl, struct text *out)
{
	X509 *cert = SSL_get1_peer_certificate(ssl);
	struct tm until;

	if (!cert)
		return SSL_get_version(ssl);
	put_name(out, X509_get_subject_name(cert));
	text_put(out, SLICE("; "));
	put_name(out, X509_get_issuer_name(cert));
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) == 1)
		text_fmt(out, "; %04d-%02d-%02d", until.tm_year + 1900, until.tm_mon + 1,
		    until.tm_mday);
	X509_free(cert);
	ERR_clear_error();
	return SSL_get_version(ssl);
}
