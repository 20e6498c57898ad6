/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_ADMIN_NAMES_H
#define CONF_DIRECTORY_ADMIN_NAMES_H

/*
 * admin_names - what names and values in the directory may look like, and their normal form; pure
 *
 * Every name must stand in an INI section, a log line and a shell word without quoting that could
 * fail.
 */
#include "wire/net.h"
#include "wire/slice.h"

enum { NAME_MAX_LEN = 64, DOMAIN_MAX = 253, LOCAL_MAX = 64, ADDRESS_MAX = 254 };

/* Plans, accounts, profiles: letters, digits, '.', '_' and '-', a letter or digit first. */
bool name_is_good(struct slice s) MUST_CHECK;
/* Labels of letters, digits, '-' (and UTF-8) of at most 63 octets, no dot at either end;
 * lower-cased into OUT. */
bool domain_normal(struct slice s, char out[DOMAIN_MAX + 1]) MUST_CHECK;
/* local@domain without quoting (RFC 5321 Dot-string, RFC 6531); the domain lower-cased. */
bool address_normal(struct slice s, char out[ADDRESS_MAX + 1]) MUST_CHECK;
/* An address, or "@domain". */
bool sender_normal(struct slice s, char out[ADDRESS_MAX + 1]) MUST_CHECK;
/* "192.0.2.0/24", "192.0.2.1", "2001:db8::/32": without the prefix length where it is a single
 * address. */
bool network_normal(struct slice s, struct net *net_r, char out[NET_TEXT_MAX + 5]) MUST_CHECK;
/* 64 hex digits. */
bool pin_is_good(struct slice s) MUST_CHECK;
/* Header field names with blanks between. */
bool headers_are_good(struct slice s) MUST_CHECK;

#endif
