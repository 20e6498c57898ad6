/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_MAIL_DOMAIN_H
#define CONF_MAIL_DOMAIN_H

/*
 * mail_domain - could mail to a domain go anywhere: the answer of wire/mx, remembered
 *
 * The memory holds MAIL_DOMAINS_MAX domains, each for as long as its records live, between 5 s and
 * an hour; that there is nothing, 5 minutes at most; that nobody could say, 5 s. A good answer
 * serves for another ten minutes while a new one is looked up (RFC 8767); a bad one never, as it
 * refuses mail.
 *
 * Owns:   the memory, and its look-ups.
 * Errors: MX_UNKNOWN, never taken for "there is none".
 */
#include "wire/loop.h"
#include "wire/mx.h"
#include "wire/slice.h"

enum { MAIL_DOMAINS_MAX = 4096 };

struct mail_domains;

/* On the loop; OWNER as given. */
typedef void mail_domain_fn(void *ctx, uint64_t owner, enum mx_got got);

struct mail_domains *mail_domains_open(struct loop *l, struct dns *dns, void *ctx) MUST_CHECK;
/* No callback any more. */
void mail_domains_close(struct mail_domains *d);
/* True: *GOT_R is known. False: FN comes later, never from inside the call. DOMAIN is ASCII.
 * ACCOUNT: for whom it is looked up. */
bool mail_domain(struct mail_domains *d, uint64_t account, struct slice domain, uint64_t owner,
    mail_domain_fn *fn, enum mx_got *got_r) MUST_CHECK;

#endif
