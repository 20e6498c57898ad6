/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_TRACE_H
#define PROXY_DIALOGUE_TRACE_H

/*
 * trace - the fields that we add: Received:, and Date: and Message-ID: for a message that has none
 * (RFC 5321 4.4, RFC 6409 8, BEHAVIOUR L9)
 */
#include "wire/header.h"

struct session;

/* Fills first, date, message_id and token of O from the session's arena. False: no memory. */
bool trace_fields(struct session *s, struct header_options *o) MUST_CHECK;
/*
 * What the client called itself in EHLO or HELO if that is a domain or an address literal; else
 * empty.
 */
struct slice trace_client_name(const struct session *s);

#endif
