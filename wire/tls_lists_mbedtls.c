/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_lists - what we offer and take, as RFC 9325 wants it: for TLS 1.2 an ephemeral key exchange
 * and AEAD; no CBC, no 8-octet tags, no ciphers that nobody else has
 *
 * A list is in our order of preference: ChaCha20-Poly1305 is the fastest that mbedTLS has without
 * AES instructions, and no slower with them.
 */
#include "wire/tls_mbedtls.h"

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>

#define SUITES_13                                                                   \
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384, \
	    MBEDTLS_TLS1_3_AES_128_GCM_SHA256

#define SUITES_12                                                \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,   \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, \
	    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,     \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,       \
	    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,     \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256

static const int server_suites[] = { SUITES_13, SUITES_12, 0 };

/* Some servers have no elliptic curves for RSA certificates but with CBC. */
#define SUITES_DHE \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_DHE_RSA_WITH_AES_128_GCM_SHA256

static const int client_suites[] = { SUITES_13, SUITES_12, SUITES_DHE, 0 };

/* Printers, scanners and appliances of ten years ago: CBC, and the key exchange by RSA. AES
 * only. */
#define SUITES_OLD                                                                               \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,                                         \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,                                       \
	    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,                                     \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,                                       \
	    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,                                        \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,                                          \
	    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,                                        \
	    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, MBEDTLS_TLS_RSA_WITH_AES_256_GCM_SHA384, \
	    MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA256,    \
	    MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA256, MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA,       \
	    MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA

static const int old_device_suites[] = { SUITES_13, SUITES_12, SUITES_OLD, 0 };
static const int old_server_suites[] = { SUITES_13, SUITES_12, SUITES_DHE, SUITES_OLD, 0 };

const int *
tls_suites(bool server, bool old)
{
	if (!server)
		return old ? old_server_suites : client_suites;
	return old ? old_device_suites : server_suites;
}

/* What we take as a client, PKCS#1 before PSS. TLS 1.3 may not use the first. mbedTLS does not take
 * the second in TLS 1.2, although it offers it for the sake of 1.3, and one hello serves both: a
 * TLS 1.2 server with an RSA certificate that keeps to its own order chooses PSS, and the handshake
 * fails. Such a server wants the second hello: TLS 1.2, no PSS. */
static const uint16_t client_signatures[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
	MBEDTLS_TLS1_3_SIG_NONE,
};

static const uint16_t signatures_without_pss[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_NONE,
};

const uint16_t *
tls_client_signatures(bool pss)
{
	return pss ? client_signatures : signatures_without_pss;
}
