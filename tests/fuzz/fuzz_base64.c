/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64: what decodes encodes to what it was, padding aside; the loose decoder takes all that
 * the strict one takes.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *     -fno-sanitize-recover=all \
 *     -o fuzz_base64 tests/fuzz/fuzz_base64.c wire/base64.c wire/slice.c wire/text.c
 */
#include "wire/base64.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MEM = 8192 };

static void
must(bool b)
{
	if (!b)
		abort();
}

static struct slice
without_padding(struct slice s)
{
	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	return s;
}

/* To memory that is just as large as the octets need. */
static void
check_room(struct slice in, size_t got)
{
	char *room = malloc(got + (got == 0));
	size_t n = 0;

	must(room != NULL && base64_decode_unpadded(in, room, got, &n) && n == got);
	must(got == 0 || !base64_decode_unpadded(in, room, got - 1, &n));
	free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char strict[MEM], loose[MEM], back[2 * MEM];
	struct slice in = slice_of((const char *)data, size);
	struct text t = text_over(back, sizeof(back));
	size_t n = 0, m = 0;

	if (size > MEM)
		return 0;
	bool is_strict = base64_decode(in, strict, sizeof(strict), &n);
	bool is_loose = base64_decode_unpadded(in, loose, sizeof(loose), &m);

	must(is_loose || !is_strict);
	if (is_strict)
		must(n == m && memcmp(strict, loose, n) == 0);
	if (is_loose) {
		base64_encode(&t, slice_of(loose, m));
		must(slice_eq(without_padding(text_slice(&t)), without_padding(in)));
		must(!is_strict || slice_eq(text_slice(&t), in));
		check_room(in, m);
	}
	if (size > MEM / 2)
		return 0;
	/* Any octets at all come back, with their padding and without. */
	text_reset(&t);
	base64_encode(&t, in);
	must(!t.overflow && base64_decode(text_slice(&t), strict, sizeof(strict), &n));
	must(slice_eq(slice_of(strict, n), in));
	must(base64_decode_unpadded(without_padding(text_slice(&t)), strict, sizeof(strict), &n));
	must(slice_eq(slice_of(strict, n), in));
	return 0;
}
