/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_SENDGRID_H
#define RELAY_WEB_SENDGRID_H

/*
 * sendgrid - a message as SendGrid's v3 JSON, or why it cannot be: the API takes no messages, so it
 * is taken apart (GMime) and what would arrive otherwise than it was sent is refused
 *
 * Goes:      text/plain, text/html and AMP alternatives, inline parts with Content-ID, attachments,
 *            every header field that occurs once.
 * Refused:   signed, encrypted, reports, messages inside messages, calendars with a method, several
 *            bodies, several From, Sender, Resent-*, DKIM-Signature, groups, fields that occur
 *            twice, 8-bit header fields, text in no known charset, empty attachments, To or Cc that
 *            names somebody who is no recipient, and mail that has no recipient in To.
 * Envelope:  each recipient once: in to or cc where the message names it there, else in bcc. A Bcc
 *            never shows.
 *
 * Pure, and may take its time: for a thread. One at a time, it sees to that itself.
 */
#include "wire/slice.h"
#include "wire/text.h"

/* Takes the next octets of the JSON. False: no memory. */
typedef bool sendgrid_put_fn(void *ctx, struct slice octets);

struct sendgrid_job {
	struct slice message;
	const struct slice *recipients;
	size_t recipients_n;
	sendgrid_put_fn *put;
	void *ctx;
};

enum sendgrid_got { SENDGRID_OK, SENDGRID_REFUSED, SENDGRID_NO_MEMORY };

/* Once a process, before the first. */
void sendgrid_init(void);
/* WHY: a sentence, where it is refused. */
enum sendgrid_got sendgrid_convert(const struct sendgrid_job *job, struct text *why) MUST_CHECK;

#endif
