/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HEADER_H
#define WIRE_HEADER_H

/*
 * header - a message's header section, looked at and mended while it streams through (RFC 5322
 * 2.2, BEHAVIOUR L9 and the end of 7)
 *
 * Content goes in by spans of any size (as dots gives them) and comes out through EMIT, in order:
 * what the caller wants put first (Received:), then each field as it came, less the fields to
 * drop (with their folded lines), then the missing ones (Date:, Message-ID:) before the empty
 * line, then the body untouched. A message that starts without a header field gets an empty line
 * behind what we add; so does a header section that a line interrupts which is neither a field
 * nor folded: what is header and what is body must be the same for every server behind us. Field
 * names may be split over spans; the field in question is held back until its name is known (at
 * most HEADER_NAME_MAX octets), never the whole line.
 *
 * A first line that mailbox files part messages with (`From me@x Mon Sep 17 00:00:00 2001`) is left
 * out: if a field follows it, or a time of day is in it. Else it is text, and the body starts
 * there.
 *
 * Owns:   nothing but the held octets; o.from is the caller's.
 * Never:  changes or re-folds a field that it keeps.
 */
#include "wire/slice.h"

enum {
	HEADER_NAME_MAX = 80,
	HEADER_MBOX_MAX = 256,       /* octets of a mailbox file's line; a longer one is none */
	HEADER_OCTETS_MAX = 1 << 18, /* of the section as it came, less the empty line */
	HEADER_FIELDS_MAX = 1000,    /* as they came */
};

typedef void header_emit_fn(void *ctx, struct slice piece);

struct header_options {
	/* Names to leave out; a trailing '*' matches any rest: "X-Mailgun-*". */
	const struct slice *drop;
	size_t drop_n;
	/* Our own instance's token: a Received: field that holds it is a loop; may be empty. */
	struct slice token;
	struct slice first; /* whole fields to put first, each with CRLF */
	struct slice date;  /* "Date: ...CRLF", put last if the message has none; may be empty */
	struct slice message_id; /* likewise */
	char *from; /* where From: goes, unfolded, ',' between fields; NULL: nobody asks */
	size_t from_max;
};

struct header {
	struct header_options o;
	bool over; /* the empty line has passed: the body is next */
	bool has_date;
	bool has_message_id;
	bool has_from;
	bool loop;         /* token seen */
	bool too_large;    /* more octets or fields than HEADER_OCTETS_MAX and HEADER_FIELDS_MAX */
	bool eight_bit;    /* an octet above 0x7f in the header */
	unsigned received; /* Received: fields seen */
	unsigned dropped;  /* fields left out */
	unsigned fields;   /* of any name */
	size_t octets;     /* taken while in the section */
	unsigned froms;    /* From: fields seen */
	size_t from_n;     /* octets in o.from */
	bool from_cut;     /* there were more than fit */
	uint8_t state;
	uint8_t field;    /* what the current field is to us */
	bool any;         /* a field was seen */
	bool dropping;    /* the current field is left out */
	uint8_t token_at; /* how much of the token the current field has matched */
	size_t held;
	char hold[HEADER_NAME_MAX];
	bool mbox_seen; /* the first line was perhaps one of a mailbox file */
	size_t mbox_n;  /* what is kept of it until it is known */
	char mbox[HEADER_MBOX_MAX];
	/* Value of the message's own Message-ID, for the log; cut. */
	size_t message_id_n;
	char message_id[128];
};

void header_init(struct header *h, const struct header_options *o);
void header_feed(struct header *h, struct slice span, header_emit_fn *emit, void *ctx);
/* The content has ended: a message without an empty line still gets what is missing. */
void header_finish(struct header *h, header_emit_fn *emit, void *ctx);

#endif
