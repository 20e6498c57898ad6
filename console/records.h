/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_RECORDS_H
#define CONSOLE_RECORDS_H

/*
 * records - where clients send, and what a domain's name servers should say (RFC 7208, 6376, 7489,
 * 6186, 8314)
 *
 * Owns:   nothing; texts are the cli's memory or the configuration's.
 */
#include "console/kind.h"

enum { RECORDS_CHOICES_MAX = 32, RECORDS_MAX = 8 };

/* A port at which clients log in. */
struct records_choice {
	unsigned port;
	enum listener_tls tls;
	bool old; /* for devices that have no better TLS, or none */
};

struct record {
	const char *name, *type, *value;
	const char *note; /* what a person must still do; NULL: nothing */
};

/* The best first; how many. */
size_t records_choices(const struct conf *conf, struct records_choice all_r[RECORDS_CHOICES_MAX]);
/* "STARTTLS" */
const char *records_encryption(const struct records_choice *c);
/* The records that ROW's domain should have; how many. */
size_t records_of(struct cli *c, const struct conf *conf, const struct admin_domain *row,
    struct record all_r[RECORDS_MAX]);
/* What there is to say besides of a domain that goes by a profile, or NULL. */
const char *records_note(struct cli *c, const struct admin_domain *row);
/* As lines of a zone file (RFC 1035, 5.1); what a person must complete is a comment. */
void records_zone(FILE *f, const struct record *all, size_t n);
/* The members of the object that tells of them. */
void records_json(struct json *j, const char *domain, const struct record *all, size_t n);

#endif
