/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TLS_OPENSSL_H
#define WIRE_TLS_OPENSSL_H

/*
 * tls_openssl - what the files that speak TLS by OpenSSL tell each other; nobody else includes it
 *
 *      tls_ctx_openssl.c     contexts: trust, client certificates, what both sides have in common
 *      tls_lists_openssl.c   which ciphers, groups and signatures
 *      tls_openssl.c         connections
 *      tls_pairs_openssl.c   a listener's own certificates, and who gets to see which
 *      tls_tickets_openssl.c session tickets
 *      tls_verify_openssl.c  the peer's certificate
 *      tls_words_openssl.c   its codes as faults
 */
#include "wire/tls.h"
#include "wire/tls_words.h"

struct ssl_ctx_st;
struct ssl_st;
struct tls_pairs;
struct tls_tickets;
struct x509_store_ctx_st;

/* tls_ctx_openssl.c */
struct ssl_ctx_st *tls_ctx_inner(const struct tls_ctx *ctx);
bool tls_ctx_is_server(const struct tls_ctx *ctx);
/* 32 octets; NULL where no certificate is pinned. */
const unsigned char *tls_ctx_pin(const struct tls_ctx *ctx);
/* A certificate that does not verify is described, and no reason to end. */
bool tls_ctx_takes_any(const struct tls_ctx *ctx);
const struct tls_pairs *tls_ctx_pairs(const struct tls_ctx *ctx);
struct tls_tickets *tls_ctx_tickets(const struct tls_ctx *ctx);
/* A client's last session, where one is kept. False: out of memory. */
bool tls_ctx_offer_session(const struct tls_ctx *ctx, struct ssl_st *ssl) MUST_CHECK;

/* tls_lists_openssl.c */
bool tls_lists_put(struct ssl_ctx_st *c, bool server, bool old_devices) MUST_CHECK;

/* tls_openssl.c, called by a context during a handshake. */
struct tls_ctx *tls_ctx_of(const struct ssl_st *ssl);
void tls_note_sni(const struct ssl_st *ssl, struct slice name);
void tls_note_fault(const struct ssl_st *ssl, enum tls_fault fault);

/* tls_pairs_openssl.c: NULL with the reason in WHY; the default is put into C. */
struct tls_pairs *tls_pairs_load(struct ssl_ctx_st *c, const struct tls_pair *files, size_t n,
    struct text *why) MUST_CHECK;
void tls_pairs_free(struct tls_pairs *p);
/* One of them has NAME. */
bool tls_pairs_are_for(const struct tls_pairs *p, struct slice name) MUST_CHECK;
long tls_pairs_days_left(const struct tls_pairs *p);

/* tls_tickets_openssl.c: NULL: out of memory. */
struct tls_tickets *tls_tickets_open(struct ssl_ctx_st *c, const unsigned char key[32],
    unsigned lifetime_s) MUST_CHECK;
void tls_tickets_rotate(struct tls_tickets *k, const unsigned char key[32]);
void tls_tickets_free(struct tls_tickets *k);

/* tls_verify_openssl.c: for SSL_CTX_set_cert_verify_callback(). */
int tls_verify(struct x509_store_ctx_st *store, void *arg);

/* tls_words_openssl.c: TLS_FAULT_NONE where there is none. REASON: of an error of libssl; ALERT:
 * what we told the peer. */
enum tls_fault tls_fault_of_reason(int reason);
enum tls_fault tls_fault_of_our_alert(int alert);
enum tls_fault tls_fault_of_verify(int error);

#endif
