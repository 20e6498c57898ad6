/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

/*
 * reply - SMTP replies, read from an upstream and written to a client (RFC 5321 4.2, RFC 2034, RFC
 * 3463)
 *
 * Reading: lines of at most 2 KiB (a longer one is a fault), 100 lines, 64 KiB; the same code on
 * every line; first digit 2 to 5; CRLF ends a line (a lone LF too, some servers send it). Anything
 * else is a fault: the upstream failed (BEHAVIOUR 7). Writing: a text that does not fit a 512-octet
 * line becomes a multi-line reply, every line with the enhanced code.
 *
 * Owns:   no memory; a struct reply borrows from the bytes given.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { REPLY_LINE_MAX = 2048, REPLY_LINES_MAX = 100, REPLY_OCTETS_MAX = 65536 };

/* Enhanced status code, RFC 3463; cls 0 means none. */
struct enhanced {
	uint8_t cls;
	uint16_t subject;
	uint16_t detail;
};

enum reply_got {
	REPLY_MORE,  /* not whole yet */
	REPLY_WHOLE, /* *REPLY_R is set, *USED_R octets of the input are it */
	REPLY_FAULT, /* not SMTP; the connection is worth nothing any more */
};

struct reply {
	int code;                 /* 200 .. 599 */
	struct enhanced enhanced; /* of the first line, if it has one that suits the code's class */
	unsigned lines;
	struct slice raw;  /* all lines as they came */
	struct slice text; /* of the first line, without code and enhanced code, without CRLF */
};

/* How far one reply was read, between calls; all zero before its first octet. */
struct reply_scan {
	size_t line;    /* where the line that is not whole starts */
	size_t seen;    /* octets that were looked at and are good */
	unsigned lines; /* before it */
};

/* DATA is all that is there of a reply, more than the last time. What SCAN has seen is not looked
 * at again: an upstream that sends octet by octet costs no more than another. A whole reply
 * leaves SCAN ready for the next. */
enum reply_got reply_parse(struct reply_scan *scan, struct slice data, struct reply *reply_r,
    size_t *used_r) MUST_CHECK;
/* The text of each line in turn, code cut (enhanced codes kept): *REST starts as reply.raw. False
 * at the end. */
bool reply_next_line(struct slice *rest, struct slice *text_r);
/* All lines' texts without codes, joined by a blank, made printable ASCII, cut at MAX octets: what
 * a client or a log may see. */
void reply_flatten(struct text *t, const struct reply *r, size_t max);

bool enhanced_parse(struct slice *rest, struct enhanced *e_r);
void enhanced_write(struct text *t, struct enhanced e);

/* CODE [ENHANCED] WORDS CRLF, as many lines as it takes; WORDS may hold '\n' where a line break is
 * wanted. Non-ASCII and controls become '?'. */
void reply_write(struct text *t, int code, struct enhanced e, struct slice words);

#endif
