/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_SENDGRID_H
#define RELAY_WEB_SENDGRID_H

/*
 * sendgrid - a message as SendGrid's v3 JSON, or why it cannot be: the API takes no messages, so it
 * is taken apart (GMime), carried as a mail program would show it, and refused where something else
 * would be read
 *
 * Goes:      text/plain, text/html and AMP alternatives, inline parts with Content-ID, attachments,
 *            header fields. A type that is none is text/plain (RFC 2045 5.2). Text in no charset,
 *            in US-ASCII or in an unknown 8-bit one is UTF-8 where it can be, else windows-1252; in
 *            any unknown one it goes where it is ASCII.
 * Mended:    no subject: "(no subject)". A comma or semicolon in a display name, which the API
 *            refuses: a blank. A field that occurs twice or is too long and that no reader shows:
 *            once, not at all. A field that is not ASCII: encoded (RFC 2047). Nobody in To: who is
 *            in Cc stands there; nobody there either: each recipient gets it alone. A strict job
 *            refuses all of this, and labels that do not say what the octets are.
 * Refused:   signed, encrypted, reports, messages inside messages, calendars with a method, several
 *            bodies, several From, Sender, Resent-*, DKIM-Signature, text that is not in its
 *            charset, empty attachments, To or Cc that names somebody who is no recipient;
 *            addresses in groups in groups, or in comments in comments.
 * Envelope:  each recipient once: in to or cc where the message names it there, else in bcc. A Bcc
 *            never shows.
 *
 * Pure, and may take its time and its memory: for a parser (relay/web/nursery.h).
 */
#include "wire/slice.h"
#include "wire/text.h"

/* Takes the next octets of the JSON. False: no memory. */
typedef bool sendgrid_put_fn(void *ctx, struct slice octets);

struct sendgrid_job {
	struct slice message;
	const struct slice *recipients;
	size_t recipients_n;
	bool strict; /* what would be mended is refused */
	sendgrid_put_fn *put;
	void *ctx;
};

enum sendgrid_got { SENDGRID_OK, SENDGRID_REFUSED, SENDGRID_NO_MEMORY };

/* Once a process, before the first. */
void sendgrid_init(void);
/* WHY: a sentence, where it is refused. */
enum sendgrid_got sendgrid_convert(const struct sendgrid_job *job, struct text *why) MUST_CHECK;

#endif
