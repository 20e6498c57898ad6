/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DOTS_H
#define WIRE_DOTS_H

/*
 * dots - content on the wire, to and fro (RFC 5321 4.5.2): dot-stuffing and the end of the content
 *
 * Decoding turns what a client sends after 354 (or inside BDAT chunks) into content octets. Only
 * CRLF.CRLF ends DATA content. A bare CR, a bare LF or a NUL is a fault: with DOTS_REFUSE it is
 * remembered (dots.fault) and decoding goes on, giving no more spans, until the true end; with
 * DOTS_REPAIR a bare CR or LF becomes CRLF (CR CR LF is one line end) and NUL is dropped. Nothing
 * but CRLF line ends ever comes out, whatever went in. In DATA a doubled dot behind a repaired
 * line end is one dot, as behind CRLF; a single one is content there (BEHAVIOUR L8). Chunks know
 * no stuffing.
 *
 * Encoding writes content with every line that starts with a dot stuffed, and the end CRLF.CRLF
 * (with a CRLF first where content does not end with one). A dot behind a repaired line end comes
 * out stuffed as any other.
 *
 * Property: decode(encode(x)) == x for all x made of CRLF lines, at any split; encode(anything that
 * decode gave) holds no bare CR or LF.
 */
#include "wire/slice.h"

enum dots_policy { DOTS_REFUSE, DOTS_REPAIR };
enum dots_fault { DOTS_NO_FAULT, DOTS_BARE_CR, DOTS_BARE_LF, DOTS_NUL };

struct dots_decoder {
	enum dots_policy policy;
	enum dots_fault fault; /* the first one met */
	bool chunked;          /* BDAT: no dots, no end; line ends are checked all the same */
	bool ended;
	uint8_t state;
};

enum dots_got {
	DOTS_MORE, /* IN is used up */
	DOTS_SPAN, /* *SPAN_R: content octets to be passed on; call again */
	DOTS_END,  /* the final dot; IN stands behind it */
};

void dots_decode_init(struct dots_decoder *d, enum dots_policy policy, bool chunked);
/*
 * Takes octets off IN. Spans are long: a run ends only where something must be left out or put
 * in. They borrow from IN or are constants.
 */
enum dots_got dots_decode(struct dots_decoder *d, struct slice *in, struct slice *span_r);
/*
 * BDAT LAST: content that ends in a half CRLF is a fault (or repaired: *SPAN_R may hold a CRLF to
 * pass on).
 */
void dots_decode_finish(struct dots_decoder *d, struct slice *span_r);

struct dots_encoder {
	uint8_t state;
};

void dots_encode_init(struct dots_encoder *e);
/*
 * Writes IN encoded to OUT, which has room for at least 2 * in.n octets; returns how many were
 * written.
 */
size_t dots_encode(struct dots_encoder *e, struct slice in, char *out);
/* The end, at most 5 octets. */
size_t dots_encode_finish(struct dots_encoder *e, char *out);

#endif
