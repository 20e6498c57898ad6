/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header section in pieces and whole: the same comes out, the body is untouched, and a dropped
 * field never shows before it.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_header tests/fuzz/fuzz_header.c wire/header.c wire/slice.c
 */
#include "wire/header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MEM = 1 << 18 };

struct octets {
	size_t n;
	char mem[MEM];
};

static struct octets whole, split;

static const struct slice drop[] = { { "Bcc", 3 }, { "X-A*", 4 } };

static const struct header_options options = {
	.drop = drop,
	.drop_n = 2,
	.token = { "aab", 3 },
	.first = { "F: 1\r\n", 6 },
	.date = { "Date: 1\r\n", 9 },
	.message_id = { "Message-ID: 1\r\n", 15 },
};

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
gather(void *ctx, struct slice s)
{
	struct octets *o = ctx;

	must(s.n > 0 && s.n <= MEM - o->n);
	memcpy(o->mem + o->n, s.p, s.n);
	o->n += s.n;
}

static void
run(struct header *h, const struct header_options *o, struct slice in, size_t piece,
    struct octets *out)
{
	out->n = 0;
	header_init(h, o);
	for (; in.n > 0; in = slice_skip(in, piece)) {
		struct slice part = slice_head(in, piece);
		char *copy = malloc(part.n);

		must(copy != NULL);
		memcpy(copy, part.p, part.n);
		header_feed(h, slice_of(copy, part.n), gather, out);
		free(copy);
	}
	header_finish(h, gather, out);
}

/* The header section of what went out: fields alone, and none that was to be dropped. */
static void
check_section(struct slice out)
{
	while (out.n > 0) {
		size_t end = slice_find(out, '\n');
		struct slice line = slice_head(out, end);

		if (slice_eq(line, SLICE("\r")))
			return;
		must(!slice_starts_nocase(line, SLICE("Bcc:")) &&
		    !slice_starts_nocase(line, SLICE("X-A")));
		if (line.p[0] != ' ' && line.p[0] != '\t' && line.n <= HEADER_NAME_MAX)
			must(slice_find(line, ':') < line.n);
		out = slice_skip(out, end + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct header a, b;

	if (n == 0 || n > 65536)
		return 0;

	struct slice in = slice_of((const char *)data + 1, n - 1);

	run(&a, &options, in, n, &whole);
	run(&b, &options, in, data[0] % 16 + 1u, &split);
	must(whole.n == split.n && memcmp(whole.mem, split.mem, whole.n) == 0);
	must(a.loop == b.loop && a.received == b.received && a.dropped == b.dropped);
	must(a.eight_bit == b.eight_bit && a.message_id_n == b.message_id_n);
	must(a.fields == b.fields && a.octets == b.octets && a.too_large == b.too_large);
	must(a.too_large == (a.fields > HEADER_FIELDS_MAX));
	must(a.over && slice_starts(slice_of(whole.mem, whole.n), options.first));
	check_section(slice_of(whole.mem, whole.n));
	return 0;
}
