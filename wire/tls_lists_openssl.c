/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_lists - what we offer and take, as RFC 9325 wants it: for TLS 1.2 an ephemeral key exchange
 * and AEAD; no CBC, no 8-octet tags
 *
 * The same suites as with mbedTLS; the order is another, since here AES is the fastest wherever
 * the processor has instructions for it. Groups are named one by one: those of finite fields, which
 * OpenSSL would take in TLS 1.3, let a client make us compute with 8192 bits.
 */
#include "wire/tls_openssl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define SUITES_13 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"

#define SUITES_12                                                    \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

/* Some servers have no elliptic curves for RSA certificates but with CBC. */
#define CLIENT_SUITES SUITES_12 ":DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256"

/* Printers, scanners and appliances of ten years ago: CBC, and the key exchange by RSA. AES
 * only. */
#define OLD_SUITES                                            \
	":ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:" \
	"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"  \
	"ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"        \
	"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"        \
	"AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:"  \
	"AES128-SHA256:AES256-SHA:AES128-SHA"

#define GROUPS "X25519:P-256:P-384:P-521"

#define SIGNATURES                                      \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:"       \
	"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:" \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"

/* Level 2: RSA and Diffie-Hellman of 2048 bits, no SHA-1 in signatures. */
enum { SECURITY_LEVEL = 2 };

bool
tls_lists_put(struct ssl_ctx_st *c, bool server, bool old)
{
	const char *suites = server ? (old ? SUITES_12 OLD_SUITES : SUITES_12)
	                            : (old ? CLIENT_SUITES OLD_SUITES : CLIENT_SUITES);

	SSL_CTX_set_security_level(c, SECURITY_LEVEL);
	return SSL_CTX_set_ciphersuites(c, SUITES_13) == 1 &&
	    SSL_CTX_set_cipher_list(c, suites) == 1 && SSL_CTX_set1_groups_list(c, GROUPS) == 1 &&
	    SSL_CTX_set1_sigalgs_list(c, SIGNATURES) == 1;
}
