/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TRUST_H
#define WIRE_TRUST_H

/*
 * trust - whom a connection of libcurl's believes: a store of CAs, or one certificate by its pin
 *
 * libcurl brings its own TLS library and would read and parse the CA file at the first connection,
 * on the loop. So the store is made by us, once, on a thread, and given to every connection; and a
 * pin means the same as for an SMTP upstream (tls.h): this certificate, whatever its chain and
 * name.
 *
 * Owns:   the store, reference-counted (loop thread only). trust_open() may run on any thread.
 * Never:  accepts what does not verify; there is no switch for that.
 */
#include "wire/slice.h"
#include "wire/text.h"

struct trust;

/* PEM replaces FILE where it is not empty; with PIN (32 octets) neither is looked at. NULL with the
 * reason in WHY. */
struct trust *trust_open(const char *file, struct slice pem, const unsigned char *pin,
    struct text *why) MUST_CHECK;
struct trust *trust_ref(struct trust *t);
void trust_unref(struct trust *t);
/* The name in the certificate is to be compared by the caller (libcurl); false: there is a pin
 * instead. */
bool trust_needs_name(const struct trust *t) MUST_CHECK;
/* SSL_CTX is what CURLOPT_SSL_CTX_FUNCTION is given. */
bool trust_put_into(struct trust *t, void *ssl_ctx) MUST_CHECK;
/* The certificate of whom SSL (CURLINFO_TLS_SSL_PTR) speaks with: "subject; issuer; until", as
 * tls_peer_describe() has it. The version of TLS; static. */
const char *trust_peer_describe(void *ssl, struct text *out);

#endif
