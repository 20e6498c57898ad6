/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

/*
 * base64 - RFC 4648 section 4, strict: padding required, no blanks, no spare bits
 */
#include "wire/slice.h"
#include "wire/text.h"

/* Decoded octets to OUT (CAP at least 3 * in.n / 4); false on any octet that does not belong. */
bool base64_decode(struct slice in, char *out, size_t cap, size_t *n_r) MUST_CHECK;
void base64_encode(struct text *t, struct slice in);

#endif
