/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TLS_WORDS_H
#define WIRE_TLS_WORDS_H

/*
 * tls_words - what both TLS libraries say in the same way: faults and alerts in words, names
 *
 * Included by the files that speak to a TLS library, and by nobody else.
 */
#include "wire/slice.h"

enum tls_fault {
	TLS_FAULT_NONE,
#define TLS_FAULT(name, words) TLS_FAULT_##name,
#include "wire/tls_fault.def"
#undef TLS_FAULT
};

/* Static. */
const char *tls_words(enum tls_fault fault);
/* Of an alert that the peer sent, by its number (RFC 8446, 6); static. */
const char *tls_words_of_alert(int alert);

/* NAME is the one in a certificate, PATTERN; with WILDCARD PATTERN must start with "*.", which
 * stands for exactly one label (RFC 6125, 6.4.3), without it it is taken as it is. */
bool tls_name_fits(struct slice pattern, struct slice name, bool wildcard) MUST_CHECK;

enum { TLS_HOST_MAX = 253 };

/* Whom a client wants to speak with. */
struct tls_host {
	char name[TLS_HOST_MAX + 1]; /* without the dot at its end; empty where there is none */
	unsigned char address[16];   /* of a host that is an IP address */
	size_t address_n;
};

/* TLS_FAULT_NONE, or why no certificate could have that name. */
enum tls_fault tls_host_set(struct tls_host *h, struct slice host) MUST_CHECK;

#endif
