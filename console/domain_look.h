/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_DOMAIN_LOOK_H
#define CONSOLE_DOMAIN_LOOK_H

/*
 * domain_look - looks for the records that a sending domain should have (RFC 7208, 6376, 7489,
 * 5321)
 *
 * SPF and DKIM decide. DMARC and MX are told of. Where nobody could say, the domain's flag stays as
 * it was.
 *
 * Blocking: a loop of its own runs until all is known, at most DOMAIN_LOOK_S.
 *
 * Owns:   nothing; findings are the cli's memory.
 * Errors: false where there is no memory.
 */
#include "console/kind.h"

enum { DOMAIN_LOOK_S = 20, DOMAIN_FINDINGS = 4 };

struct domain_finding {
	const char *record; /* "spf" */
	const char *name;   /* where it is looked for */
	const char *type;
	bool required;
	bool found, ok;
	bool unknown;       /* the name servers did not say */
	const char *value;  /* what is there; "" for nothing */
	const char *should; /* what should be, where it is not */
	const char *why;    /* in a sentence's half */
};

enum domain_verdict { DOMAIN_ACTIVE, DOMAIN_NOT_VERIFIED, DOMAIN_UNKNOWN };

bool domain_look(struct cli *c, const struct conf *conf, const struct admin_domain *row,
    struct domain_finding all_r[DOMAIN_FINDINGS]) MUST_CHECK;
enum domain_verdict domain_verdict(const struct domain_finding *all);
/* In a word: ok, wrong, missing, unknown. */
const char *domain_finding_word(const struct domain_finding *f);
/* Sets the flag of the domain as V says, in a transaction of its own; whether it is set now.
 * DOMAIN_UNKNOWN changes nothing. */
enum admin_result domain_set_verified(struct store *s, const struct admin_domain *row,
    enum domain_verdict v, bool *verified_r) MUST_CHECK;
/* "Active" */
const char *domain_status(enum domain_verdict v);
/* The members of the object that tells of it. */
void domain_json(struct json *j, const char *domain, enum domain_verdict v, bool verified,
    const struct domain_finding *all);

#endif
