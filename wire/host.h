/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HOST_H
#define WIRE_HOST_H

/*
 * host - what can be connected to: a name in the DNS, or an IP address (BEHAVIOUR R12)
 *
 * One grammar for the command line, files of the directory, byway.ini, URLs and the code that
 * connects. The normal form is what is stored and dialled: ASCII in lower case, letters, digits, -
 * and _ (names in the DNS hold it) in labels of 1 to 63 octets; names in other letters as their
 * A-labels (IDNA2008); IPv6 without brackets.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { HOST_MAX = 253 };

/*
 * The normal form of what somebody wrote. False: WHY says what is wrong and what to write instead,
 * in the control tool's words.
 */
bool host_normal(struct slice s, char out[HOST_MAX + 1], struct text *why) MUST_CHECK;
/*
 * The same name in other letters: the normal form S with its A-labels read back. False where it has
 * none, or none that can be read.
 */
enum { HOST_UTF8_MAX = 4 * HOST_MAX };
bool host_in_letters(struct slice s, char out[HOST_UTF8_MAX + 1]) MUST_CHECK;
/* S could stand in a look-up, SNI or a URL as it is: of the normal form, letters of any case. */
bool host_is_normal(struct slice s) MUST_CHECK;
/* An IP address: FAMILY is AF_INET or AF_INET6. */
bool host_is_address(struct slice s, int family) MUST_CHECK;

#endif
