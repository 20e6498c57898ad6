/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content to and fro. The first octet chooses policy, mode and split; against a decoder by whole
 * lines.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_dots tests/fuzz/fuzz_dots.c wire/dots.c wire/slice.c
 */
#include "wire/dots.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MEM = 1 << 20 };

struct octets {
	size_t n;
	char mem[MEM];
};

static struct octets got, again, wire;

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
add(struct octets *o, struct slice s)
{
	must(s.n <= MEM - o->n);
	if (s.n > 0)
		memcpy(o->mem + o->n, s.p, s.n);
	o->n += s.n;
}

static void
decode(struct dots_decoder *d, struct slice *in, size_t piece, struct octets *out)
{
	struct slice span;
	bool ended = false;

	out->n = 0;
	while (in->n > 0 && !ended) {
		struct slice part = slice_head(*in, piece);
		size_t n = part.n;
		enum dots_got g;

		while ((g = dots_decode(d, &part, &span)) == DOTS_SPAN) {
			must(span.n > 0);
			add(out, span);
		}
		ended = g == DOTS_END;
		must(ended || part.n == 0);
		*in = slice_skip(*in, n - part.n);
	}
	must(ended == d->ended);
	if (d->chunked) {
		dots_decode_finish(d, &span);
		add(out, span);
	}
}

/* CR and LF in pairs; no NUL. A CR may be the last octet only where decoding was not finished, and
 * it never is: it is held back. */
static void
check_clean(const struct octets *o)
{
	for (size_t i = 0; i < o->n; i++) {
		must(o->mem[i] != '\0');
		must((o->mem[i] == '\n') == (i > 0 && o->mem[i - 1] == '\r'));
	}
	must(o->n == 0 || o->mem[o->n - 1] != '\r');
}

/* The end as RFC 5321 has it: the first CRLF.CRLF, or .CRLF at the very start. */
static size_t
true_end(struct slice in)
{
	if (slice_starts(in, SLICE(".\r\n")))
		return 3;

	const char *end = memmem(in.p, in.n, "\r\n.\r\n", 5);

	return end ? (size_t)(end - in.p) + 5 : 0;
}

static void
check_round_trip(size_t piece)
{
	struct dots_encoder e;
	struct dots_decoder d;
	struct slice in;
	bool whole = got.n == 0 || got.mem[got.n - 1] == '\n';

	dots_encode_init(&e);
	wire.n = 0;
	for (struct slice rest = slice_of(got.mem, got.n); rest.n > 0;) {
		struct slice part = slice_head(rest, piece);

		must(wire.n + 2 * part.n <= MEM);
		wire.n += dots_encode(&e, part, wire.mem + wire.n);
		rest = slice_skip(rest, part.n);
	}
	wire.n += dots_encode_finish(&e, wire.mem + wire.n);
	check_clean(&wire);
	in = slice_of(wire.mem, wire.n);
	must(true_end(in) == wire.n);
	dots_decode_init(&d, DOTS_REFUSE, false);
	decode(&d, &in, piece, &again);
	must(d.ended && in.n == 0 && d.fault == DOTS_NO_FAULT);
	must(again.n == got.n + (whole ? 0 : 2) && memcmp(again.mem, got.mem, got.n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct dots_decoder d;

	if (n == 0 || n > 65536)
		return 0;

	struct slice in = slice_of((const char *)data + 1, n - 1);
	size_t end = true_end(in);
	bool chunked = data[0] & 1;
	size_t piece = data[0] & 4 ? n : data[0] / 8 + 1u;

	dots_decode_init(&d, data[0] & 2 ? DOTS_REPAIR : DOTS_REFUSE, chunked);
	decode(&d, &in, piece, &got);
	if (!chunked) {
		must(d.ended == (end != 0));
		must(!d.ended || n - 1 - in.n == end);
	} else {
		must(!d.ended && in.n == 0);
	}
	if (d.policy == DOTS_REFUSE && d.fault != DOTS_NO_FAULT)
		return 0;
	check_clean(&got);
	check_round_trip(piece);
	return 0;
}
