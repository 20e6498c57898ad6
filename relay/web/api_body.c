/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_body - a request's body as it grows: content goes into it in the shape in which it is sent
 */
#include "relay/web/api_private.h"

#include "wire/base64.h"

enum { PIECE = 3072 };

bool
api_put(struct api *a, struct slice octets)
{
	if (a->hash && !crypto_hash_add(a->hash, octets))
		return false;
	return spool_put(&a->body, octets);
}

bool
api_put_string(struct api *a, struct slice s)
{
	char mem[8 * 1024];
	struct text t = text_over(mem, sizeof(mem));

	text_char(&t, '"');
	text_json(&t, s);
	text_char(&t, '"');
	return !t.overflow && api_put(a, text_slice(&t));
}

static bool
encode(struct api *a, struct slice octets)
{
	char mem[PIECE / 3 * 4 + 1];

	while (octets.n) {
		struct text t = text_over(mem, sizeof(mem));
		struct slice piece = slice_head(octets, PIECE);

		base64_encode(&t, piece);
		if (!api_put(a, text_slice(&t)))
			return false;
		octets = slice_skip(octets, piece.n);
	}
	return true;
}

bool
api_put_base64(struct api *a, struct slice octets, bool end)
{
	size_t whole;

	while (a->carry_n && a->carry_n < 3 && octets.n) {
		a->carry[a->carry_n++] = *octets.p;
		octets = slice_skip(octets, 1);
	}
	if (a->carry_n == 3 || (end && a->carry_n)) {
		if (!encode(a, slice_of(a->carry, a->carry_n)))
			return false;
		a->carry_n = 0;
	}
	whole = end ? octets.n : octets.n - octets.n % 3;
	if (!encode(a, slice_head(octets, whole)))
		return false;
	octets = slice_skip(octets, whole);
	if (octets.n && !a->carry_n) {
		memcpy(a->carry, octets.p, octets.n);
		a->carry_n = octets.n;
	}
	return true;
}

/* How many octets the character that begins so has; 0: none begins so. */
static size_t
length_of(unsigned char first)
{
	return first < 0x80 ? 1
	    : first < 0xc2  ? 0
	    : first < 0xe0  ? 2
	    : first < 0xf0  ? 3
	    : first < 0xf5  ? 4
	                    : 0;
}

static enum body_put
escape(struct api *a, struct slice octets)
{
	char mem[6 * 1024 + 1];

	while (octets.n) {
		struct text t = text_over(mem, sizeof(mem));
		size_t n = 0;

		/* Whole characters, of which none takes more than six octets an octet. */
		while (n < octets.n && n < 1020) {
			size_t more = slice_utf8(slice_skip(octets, n));

			if (more == 0)
				return BODY_NOT_TEXT;
			n += more;
		}
		text_json(&t, slice_head(octets, n));
		if (t.overflow || !api_put(a, text_slice(&t)))
			return BODY_NO_MEMORY;
		octets = slice_skip(octets, n);
	}
	return BODY_OK;
}

/* What of S is an unfinished character at its end. */
static size_t
tail_of(struct slice s)
{
	for (size_t n = 1; n <= 3 && n <= s.n; n++) {
		unsigned char c = (unsigned char)s.p[s.n - n];

		if ((c & 0xc0) == 0x80)
			continue;
		return length_of(c) > n ? n : 0;
	}
	return 0;
}

enum body_put
api_put_escaped(struct api *a, struct slice octets, bool end)
{
	enum body_put put = BODY_OK;
	size_t tail;

	while (a->carry_n && octets.n && a->carry_n < length_of((unsigned char)a->carry[0])) {
		a->carry[a->carry_n++] = *octets.p;
		octets = slice_skip(octets, 1);
	}
	if (a->carry_n && (end || a->carry_n == length_of((unsigned char)a->carry[0]))) {
		put = escape(a, slice_of(a->carry, a->carry_n));
		a->carry_n = 0;
	}
	tail = end || a->carry_n ? 0 : tail_of(octets);
	if (put == BODY_OK)
		put = escape(a, slice_head(octets, octets.n - tail));
	if (tail) {
		memcpy(a->carry, octets.p + octets.n - tail, tail);
		a->carry_n = tail;
	}
	return put;
}
