/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/slice.h"

struct slice
slice_cut(struct slice *rest, char c)
{
	size_t at = slice_find(*rest, c);
	struct slice head = slice_head(*rest, at);

	*rest = slice_skip(*rest, at + 1);
	return head;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice
slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_skip(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/*
 * RFC 3629, 4: the second octet's range depends on the first, so that overlong forms, surrogates
 * and what lies beyond U+10FFFF have no way in; the others are 80..BF.
 */
static size_t
utf8_shape(uint8_t first, uint8_t *low_r, uint8_t *high_r)
{
	*low_r = 0x80;
	*high_r = 0xbf;
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*low_r = 0xa0;
		if (first == 0xed)
			*high_r = 0x9f;
		return 3;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*low_r = 0x90;
		if (first == 0xf4)
			*high_r = 0x8f;
		return 4;
	}
	return 0;
}

size_t
slice_utf8(struct slice s)
{
	uint8_t low, high;

	if (s.n == 0)
		return 0;

	size_t n = utf8_shape((uint8_t)s.p[0], &low, &high);

	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

bool
slice_is_text(struct slice s)
{
	while (s.n > 0) {
		uint8_t c = (uint8_t)s.p[0];
		size_t n = c < 0x80 ? 1 : slice_utf8(s);

		if (n == 0 || c < 0x20 || c == 0x7f)
			return false;
		s = slice_skip(s, n);
	}
	return true;
}

bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

bool
slice_to_u64(struct slice s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*v_r = v;
	return true;
}
