/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_API_BODY_H
#define CONSOLE_API_BODY_H

/*
 * body - what a call brings: one JSON object (RFC 8259), checked against what may stand in it
 *
 * Owns:   the parsed document, until body_close().
 * Errors: false after the problem was said.
 * Never:  repeats a value in a sentence where it might be a secret.
 */
#include <jansson.h>

#include "console/api/call.h"

struct body {
	json_t *top; /* an object; NULL where there is no body */
};

/* EMPTY: no body is as good as one without members. */
bool body_open(struct call *c, bool empty, struct body *b_r) MUST_CHECK;
void body_close(struct body *b);
/* All members are of NAMES (ends with NULL). */
bool body_check(struct call *c, const struct body *b, const char *const *names) MUST_CHECK;
/* The text of member NAME; NULL in *TEXT_R where it is absent. */
bool body_text(struct call *c, const struct body *b, const char *name, const char **text_r)
    MUST_CHECK;
/* The same into a secret; cred->given tells whether it was there. */
bool body_password(struct call *c, const struct body *b, struct credential *cred) MUST_CHECK;
/* The members as the texts of an object of kind K named KEY. */
bool body_object(struct call *c, const struct body *b, const struct kind *k, const char *key,
    struct object **o_r) MUST_CHECK;

#endif
