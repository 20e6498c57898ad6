/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_tickets - session tickets under our own keys (RFC 5077, RFC 8446 4.6.1)
 *
 * Name, cipher's key and MAC's key come from the one that we are given, so that every worker that
 * has the one has the others. What a build with the other library sealed is not read.
 */
#include "wire/crypto.h"
#include "wire/tls_openssl.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include <stdlib.h>

enum { KEY_LEN = 32, NAME_LEN = 16, IV_LEN = 16 };

struct ticket_key {
	unsigned char name[NAME_LEN];
	unsigned char cipher[KEY_LEN];
	unsigned char mac[KEY_LEN];
};

struct tls_tickets {
	struct ticket_key now;
	struct ticket_key before;
	bool has_before;
};

static bool
derive(struct ticket_key *k, const unsigned char key[KEY_LEN])
{
	unsigned char mem[NAME_LEN + 2 * KEY_LEN];
	bool good = crypto_hkdf_sha256(slice_of((const char *)key, KEY_LEN), SLICE(""),
	    SLICE("byway ticket key"), mem, sizeof(mem));

	if (good) {
		memcpy(k->name, mem, NAME_LEN);
		memcpy(k->cipher, mem + NAME_LEN, KEY_LEN);
		memcpy(k->mac, mem + NAME_LEN + KEY_LEN, KEY_LEN);
	}
	crypto_wipe(mem, sizeof(mem));
	return good;
}

static bool
set_keys(const struct ticket_key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seal)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac,
		    KEY_LEN),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1 &&
	    EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, seal) == 1;
}

/* 1: go on; 2: and the client gets a new one; 0: a ticket that nobody here knows; -1: failure. In
 * TLS 1.3 a client uses a ticket once (RFC 8446, C.4): it would be without one next time. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seal)
{
	const struct tls_tickets *t = tls_ctx_tickets(tls_ctx_of(ssl));
	int known = SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;

	if (seal) {
		if (!crypto_random(iv, IV_LEN) || !set_keys(&t->now, iv, cipher, mac, seal))
			return -1;
		memcpy(name, t->now.name, NAME_LEN);
		return 1;
	}
	if (memcmp(name, t->now.name, NAME_LEN) == 0)
		return set_keys(&t->now, iv, cipher, mac, seal) ? known : -1;
	if (t->has_before && memcmp(name, t->before.name, NAME_LEN) == 0)
		return set_keys(&t->before, iv, cipher, mac, seal) ? 2 : -1;
	return 0;
}

struct tls_tickets *
tls_tickets_open(struct ssl_ctx_st *c, const unsigned char key[32], unsigned lifetime_s)
{
	struct tls_tickets *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	if (!derive(&t->now, key) || SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket) != 1) {
		tls_tickets_free(t);
		return NULL;
	}
	SSL_CTX_set_timeout(c, (long)lifetime_s);
	return t;
}

void
tls_tickets_rotate(struct tls_tickets *t, const unsigned char key[32])
{
	struct ticket_key next;

	/* The key that is there already is told again by whoever does not know. */
	if (derive(&next, key) && memcmp(next.name, t->now.name, NAME_LEN) != 0) {
		t->before = t->now;
		t->now = next;
		t->has_before = true;
	}
	crypto_wipe(&next, sizeof(next));
}

void
tls_tickets_free(struct tls_tickets *t)
{
	if (!t)
		return;
	crypto_wipe(t, sizeof(*t));
	free(t);
}
