/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PIN_H
#define WIRE_PIN_H

/*
 * pin - a certificate by its SHA-256, as people write it: 64 hex digits, with colons where they
 * like
 */
#include "wire/slice.h"

enum { PIN_LEN = 32 };

/* False: not 64 hex digits; PIN_R is anything then. */
bool pin_parse(const char *hex, unsigned char pin_r[PIN_LEN]) MUST_CHECK;

#endif
