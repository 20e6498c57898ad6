/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PEM_H
#define WIRE_PEM_H

/*
 * pem - certificates and keys in PEM form, for the files that speak to OpenSSL (RFC 7468)
 *
 * Errors: enum tls_fault. The library's queue of errors is left empty.
 */
#include "wire/slice.h"
#include "wire/tls_words.h"

struct evp_pkey_st;
struct stack_st_X509;

/* A file's content, wiped by pem_close(). TLS_FAULT_FILE_UNREADABLE with errno. */
struct pem {
	char *mem;
	size_t n;
};

enum tls_fault pem_open(struct pem *p, const char *path) MUST_CHECK;
void pem_close(struct pem *p);

/* The certificates in TEXT, in order, the caller's; what is none is counted in BAD_R. NULL: out of
 * memory. */
struct stack_st_X509 *pem_certificates(struct slice text, unsigned *bad_r) MUST_CHECK;
/* The private key in TEXT, the caller's. */
enum tls_fault pem_key(struct slice text, struct evp_pkey_st **key_r) MUST_CHECK;

#endif
