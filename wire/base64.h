/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

/*
 * base64 - RFC 4648 section 4, strict: no blanks, no spare bits, so that a text has one form only
 */
#include "wire/slice.h"
#include "wire/text.h"

/*
 * Decoded octets to OUT, at most CAP; false on any octet that does not belong, or where padding
 * is missing.
 */
bool base64_decode(struct slice in, char *out, size_t cap, size_t *n_r) MUST_CHECK;
/* The same, but some or all of the padding may be missing, as some mail clients send it. */
bool base64_decode_unpadded(struct slice in, char *out, size_t cap, size_t *n_r) MUST_CHECK;
void base64_encode(struct text *t, struct slice in);

#endif
