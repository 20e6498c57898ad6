/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TLS_MBEDTLS_H
#define WIRE_TLS_MBEDTLS_H

/*
 * tls_mbedtls - what the files that speak to mbedTLS tell each other; nobody else includes it
 *
 *      tls_ctx_mbedtls.c    contexts: certificates, tickets, trust
 *      tls_lists_mbedtls.c  which ciphers and signatures
 *      tls_mbedtls.c        connections
 *      tls_words_mbedtls.c  its codes as faults
 */
#include "wire/tls.h"
#include "wire/tls_words.h"

struct mbedtls_ssl_config;
struct mbedtls_ssl_context;

/* tls_ctx_mbedtls.c */
const struct mbedtls_ssl_config *tls_ctx_conf(const struct tls_ctx *ctx);
bool tls_ctx_is_server(const struct tls_ctx *ctx);
/* 32 octets; NULL where no certificate is pinned. */
const unsigned char *tls_ctx_pin(const struct tls_ctx *ctx);
/* A client's session: kept for the next connection, and offered to it, where the options say so. */
void tls_ctx_keep_session(struct tls_ctx *ctx, const struct mbedtls_ssl_context *ssl);
void tls_ctx_offer_session(struct tls_ctx *ctx, struct mbedtls_ssl_context *ssl);

/* tls_lists_mbedtls.c: static, ended as mbedTLS wants them. */
const int *tls_suites(bool server, bool old);
const uint16_t *tls_client_signatures(bool pss);

/* tls_mbedtls.c, called by a context during a handshake. */
struct tls_ctx *tls_ctx_of(struct mbedtls_ssl_context *ssl);
void tls_note_sni(struct mbedtls_ssl_context *ssl, struct slice name);
/* The connection in whose call we are has shown a ticket of ours. */
void tls_note_ticket(void);

/* tls_words_mbedtls.c: TLS_FAULT_NONE where there is none for CODE. */
enum tls_fault tls_fault_of_code(int code);
enum tls_fault tls_fault_of_certificate(uint32_t flags);
/* Reading a key or a certificate from a file. */
enum tls_fault tls_fault_of_file(int code);

#endif
