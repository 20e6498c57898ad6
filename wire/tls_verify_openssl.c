/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_verify - the peer's certificate: chain and name, or the pin
 *
 * OpenSSL stops at the first fault that it sees; we let it go on and tell the gravest of all. What
 * decides is ours alone: a certificate is good only where nothing was found.
 */
#include "wire/crypto.h"
#include "wire/tls_openssl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

enum { PIN_LEN = 32 };

/* What was found in the verification that runs; one thread, the loop's. */
static struct {
	enum tls_fault fault;
	int error;
} gravest;

static int
on_found(int good, X509_STORE_CTX *store)
{
	int error = X509_STORE_CTX_get_error(store);

	if (good)
		return 1;
	enum tls_fault fault = tls_fault_of_verify(error);

	if (!gravest.fault || fault < gravest.fault) {
		gravest.fault = fault;
		gravest.error = error;
	}
	return 1;
}

/* That the peer has the key is proven by the handshake. */
static void
check_pin(X509_STORE_CTX *store, const unsigned char *pin)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (leaf && X509_digest(leaf, EVP_sha256(), digest, &n) == 1 && n == PIN_LEN &&
	    crypto_equal(digest, pin, PIN_LEN))
		return;
	gravest.fault = TLS_FAULT_NOT_PINNED;
	gravest.error = X509_V_ERR_CERT_REJECTED;
}

int
tls_verify(struct x509_store_ctx_st *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_ctx *ctx = tls_ctx_of(ssl);
	const unsigned char *pin = tls_ctx_pin(ctx);

	(void)arg;
	gravest.fault = TLS_FAULT_NONE;
	gravest.error = X509_V_OK;
	if (pin) {
		check_pin(store, pin);
	} else {
		X509_STORE_CTX_set_verify_cb(store, on_found);
		if (X509_verify_cert(store) != 1 && !gravest.fault) {
			gravest.fault = TLS_FAULT_UNVERIFIED;
			gravest.error = X509_V_ERR_UNSPECIFIED;
		}
	}
	X509_STORE_CTX_set_error(store, gravest.error);
	if (!gravest.fault)
		return 1;
	tls_note_fault(ssl, gravest.fault);
	return tls_ctx_takes_any(ctx);
}
