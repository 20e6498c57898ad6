/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

/*
 * tls - TLS 1.2 and 1.3 over a non-blocking socket, whichever library stands behind (RFC 8446,
 * 5246, 8314)
 *
 * A tls_ctx is one side's immutable settings, reference-counted: a listener's (certificates by SNI,
 * ticket keys) or an upstream's (trust, pin). A reload makes a new one; the old one goes with its
 * last connection. A struct tls is one connection's state.
 *
 * Rules:  renegotiation is off; ALPN is not used; tickets of one listener are worthless on another
 *         (their keys differ); as a client, a certificate that does not verify against the trust
 *         store, or whose name does not match HOST, ends the handshake, and there is no switch to
 *         go on without.
 * Owns:   keys and certificates, wiped on free.
 * Errors: enum tls_io; words in tls_why(). Building a context tells file and reason in WHY.
 */
#include "wire/slice.h"
#include "wire/text.h"

struct tls_ctx;
struct tls;

enum tls_io {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_EOF,         /* close_notify */
	TLS_CUT,         /* the transport ended without it, or was reset */
	TLS_FAIL,        /* protocol failure */
	TLS_CERTIFICATE, /* the peer's certificate does not verify */
};

enum tls_client_cert { TLS_CLIENT_CERT_NONE, TLS_CLIENT_CERT_OPTIONAL, TLS_CLIENT_CERT_REQUIRED };

/* One chain and its key, PEM files. Served for the names in its certificate (SAN, wildcards of one
 * label). */
struct tls_pair {
	const char *chain_file;
	const char *key_file;
};

struct tls_server_options {
	const struct tls_pair
	    *pairs; /* the first is the default: no SNI, or a name that nobody has */
	size_t pairs_n;
	bool tls13;       /* offer 1.3 beside 1.2 */
	bool old_devices; /* take CBC and the key exchange by RSA too */
	enum tls_client_cert client_cert;
	const char *client_ca_file;
	/* Tickets: 32 octets each; current and previous key. Distinct for each listener. NULL: no
	 * tickets. */
	const unsigned char *ticket_key;
	unsigned ticket_lifetime_s;
};

struct tls_client_options {
	const char *ca_file; /* NULL: ca_pem must be set or a pin given */
	struct slice ca_pem; /* a private CA, PEM text; replaces ca_file */
	bool pinned; /* then the leaf's SHA-256 must be pin; chain and name are not looked at */
	unsigned char pin[32]; /* SHA-256 of the certificate (DER) */
	bool old_servers;      /* offer CBC and the key exchange by RSA, behind all else */
	/* The last session is kept and offered to the next connection, which then sees no
	 * certificate: only for a context that connects to one host. */
	bool resume;
};

/* Which library stands behind, and its version: "mbedTLS 3.6.6"; static. */
const char *tls_library(void);
/* Once per process, after fork. */
bool tls_init(struct text *why) MUST_CHECK;
struct tls_ctx *tls_server_ctx(const struct tls_server_options *o, struct text *why) MUST_CHECK;
struct tls_ctx *tls_client_ctx(const struct tls_client_options *o, struct text *why) MUST_CHECK;
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx *ctx);
/* As a client: the same trust, TLS 1.2 alone, no RSA-PSS. It lives as long as CTX, and a reference
 * to it is one to CTX. NULL: there is none. */
struct tls_ctx *tls_ctx_second(struct tls_ctx *ctx);
/* A new ticket key from now on; tickets of the one before are still read. */
void tls_ctx_rotate_ticket_key(struct tls_ctx *ctx, const unsigned char key[32]);
/* Days until the first of the ctx's own certificates ends; negative when it has. */
long tls_ctx_days_left(const struct tls_ctx *ctx);
/* Whether one of the ctx's own certificates is for NAME (wildcards of one label count). */
bool tls_ctx_is_for(const struct tls_ctx *ctx, struct slice name) MUST_CHECK;

/* HOST: client only; the name that the certificate must have (an IP address: matched against the
 * addresses in it, no SNI is sent). */
struct tls *tls_open(struct tls_ctx *ctx, int fd, struct slice host) MUST_CHECK;
enum tls_io tls_handshake(struct tls *t) MUST_CHECK;
enum tls_io tls_read(struct tls *t, char *mem, size_t n, size_t *n_r) MUST_CHECK;
/* As a client, after a handshake that failed: the server could not do with this hello, but may with
 * that of tls_ctx_second(), on a new connection. */
bool tls_wants_again(const struct tls *t) MUST_CHECK;
/* Octets are here that poll does not tell of: read again before waiting. */
bool tls_pending(const struct tls *t);
/* Octets of the peer's that were read before tls_open(), right after which this is called: a
 * ClientHello behind a PROXY header. */
bool tls_give(struct tls *t, struct slice octets) MUST_CHECK;
/* On TLS_WANT_READ and TLS_WANT_WRITE, as many octets with the same content must be given again;
 * they may have moved. */
enum tls_io tls_write(struct tls *t, const char *mem, size_t n, size_t *n_r) MUST_CHECK;
/* close_notify, best effort. */
void tls_shut(struct tls *t);
void tls_close(struct tls *t);

/* Whether the peer has said anything at all, were it half a hello. */
bool tls_peer_spoke(const struct tls *t);
const char *tls_version(const struct tls *t); /* "TLSv1.3" */
/* By its name in IANA's registry, "TLS_AES_256_GCM_SHA384"; good until it is called again. */
const char *tls_cipher(const struct tls *t);
/* As a server: the client has shown a ticket of ours. As a client: the server took the session that
 * was offered. */
bool tls_resumed(const struct tls *t);
/* What the client asked for by SNI; empty if nothing. */
struct slice tls_sni(const struct tls *t);
/* The peer's certificate as "subject; issuer; until"; empty if none. VERIFIED_R: it did verify. */
void tls_peer_describe(const struct tls *t, struct text *out, bool *verified_r);
const char *tls_why(const struct tls *t);

#endif
