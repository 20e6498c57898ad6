/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0..63, or -1. No table: secrets pass here, and a table lookup by secret leaves traces in the
 * cache. */
static int
value_of(char c)
{
	int v = -1;

	v = c >= 'A' && c <= 'Z' ? c - 'A' : v;
	v = c >= 'a' && c <= 'z' ? c - 'a' + 26 : v;
	v = c >= '0' && c <= '9' ? c - '0' + 52 : v;
	v = c == '+' ? 62 : v;
	v = c == '/' ? 63 : v;
	return v;
}

/* Four characters, of which the last PAD are '='. */
static bool
quad(const char *in, size_t pad, char out[3])
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int v = i < 4 - pad ? value_of(in[i]) : 0;

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
	}
	/* RFC 4648, 3.5: bits that carry nothing must be zero, so that a text has one form only. */
	if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
		return false;
	out[0] = (char)(bits >> 16);
	out[1] = (char)(bits >> 8);
	out[2] = (char)bits;
	return true;
}

bool
base64_decode(struct slice in, char *out, size_t cap, size_t *n_r)
{
	size_t n = 0;

	if (in.n % 4 != 0)
		return false;
	for (size_t i = 0; i < in.n; i += 4) {
		bool last = i + 4 == in.n;
		size_t pad = 0;
		char three[3];

		if (last && in.p[i + 3] == '=')
			pad = in.p[i + 2] == '=' ? 2 : 1;
		if (!quad(in.p + i, pad, three) || cap - n < 3 - pad)
			return false;
		memcpy(out + n, three, 3 - pad);
		n += 3 - pad;
	}
	*n_r = n;
	return true;
}

bool
base64_decode_unpadded(struct slice in, char *out, size_t cap, size_t *n_r)
{
	struct slice rest = slice_skip(in, in.n - in.n % 4);
	char last[4] = { '=', '=', '=', '=' };
	size_t whole = 0, tail = 0;

	if (rest.n == 0)
		return base64_decode(in, out, cap, n_r);
	memcpy(last, rest.p, rest.n);
	/* Padding that was there before this point would be padding within. */
	if (in.n > rest.n && in.p[in.n - rest.n - 1] == '=')
		return false;
	if (!base64_decode(slice_head(in, in.n - rest.n), out, cap, &whole) ||
	    !base64_decode(slice_of(last, sizeof(last)), out + whole, cap - whole, &tail))
		return false;
	*n_r = whole + tail;
	return true;
}

void
base64_encode(struct text *t, struct slice in)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t bits = (uint32_t)(uint8_t)in.p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)(uint8_t)in.p[i + 1] << 8;
		if (left > 2)
			bits |= (uint8_t)in.p[i + 2];

		char four[4] = {
			alphabet[bits >> 18 & 63],
			alphabet[bits >> 12 & 63],
			left > 1 ? alphabet[bits >> 6 & 63] : '=',
			left > 2 ? alphabet[bits & 63] : '=',
		};

		text_put(t, slice_of(four, sizeof(four)));
	}
}
