/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PATH_H
#define WIRE_PATH_H

/*
 * path - SMTP addresses (RFC 5321 4.1.2, RFC 6531 3.3), parsed once and written anew
 *
 * A path is taken apart into local part and domain, and only path_write() makes text of it again:
 * nothing that a client put between < and > ever reaches another server as it came. A quoted local
 * part loses needless quotes; one that holds < > CR LF NUL is refused (THREATS A2). A source
 * route is accepted and dropped. % and ! are ordinary characters. <Postmaster> without a domain
 * is accepted in RCPT (RFC 5321 4.5.1).
 *
 * Forms that devices use and RFC 5321 does not have are read where they have one meaning only,
 * noted in `loose`, and written in the strict form (BEHAVIOUR P7): blanks inside < >, a path
 * without < >, _ in a domain, dots at the ends of a local part or doubled in it, which then
 * stands in quotes.
 *
 * Owns:   nothing; slices borrow from the parsed line.
 * Limits: local part 64, domain 255, path 256 octets.
 */
#include "wire/slice.h"
#include "wire/text.h"

struct path {
	bool null;   /* <> */
	bool quoted; /* local is the inside of a quoted string, backslashes still there */
	bool utf8;   /* a non-ASCII octet in it: needs SMTPUTF8 */
	bool loose;  /* read in a form that RFC 5321 does not have */
	struct slice local;
	struct slice domain; /* empty for <Postmaster>; brackets kept for an address literal */
};

enum path_use { PATH_REVERSE, PATH_FORWARD };

/*
 * Takes a path off REST: <path>, or a bare address up to a blank or the end. On success REST stands
 * behind it; on failure it stays as it was.
 */
bool path_parse(struct slice *rest, enum path_use use, struct path *path_r) MUST_CHECK;
/* A bare address without <>: a mailbox's name, a configured sender. */
bool path_parse_bare(struct slice addr, struct path *path_r) MUST_CHECK;
/* local@domain, canonical, without <>; nothing for the null path. */
void path_write(struct text *t, const struct path *path);
/* LDH labels with dots, at most 255 octets; UTF-8 labels where UTF8 says so. */
bool domain_is_valid(struct slice domain, bool utf8) MUST_CHECK;
/* [1.2.3.4] or [IPv6:...], brackets included. */
bool address_literal_is_valid(struct slice literal) MUST_CHECK;

#endif
