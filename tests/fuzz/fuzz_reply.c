/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upstream's reply, flattened and written for the client: one well-formed reply comes out,
 * whatever went in.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_reply tests/fuzz/fuzz_reply.c wire/reply.c wire/slice.c wire/text.c
 */
#include "wire/reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char flat[2 * REPLY_OCTETS_MAX];
static char wire[8 * REPLY_OCTETS_MAX];

static void
must(bool b)
{
	if (!b)
		abort();
}

/* Written lines: 512 octets, ASCII, CRLF; the whole reads back as one reply if it has no more lines
 * than one may have. */
static void
check_written(struct slice words, int code, struct enhanced e)
{
	struct text t = text_over(wire, sizeof(wire));
	struct slice rest;
	unsigned lines = 0;
	struct reply r;
	size_t used;

	reply_write(&t, code, e, words);
	if (t.overflow)
		return;
	for (rest = text_slice(&t); rest.n > 0; lines++) {
		size_t end = slice_find(rest, '\n');

		must(end < 512 && end < rest.n && rest.p[end - 1] == '\r');
		must(slice_is_ascii(slice_head(rest, end - 1)));
		rest = slice_skip(rest, end + 1);
	}
	if (lines > REPLY_LINES_MAX || t.n >= REPLY_OCTETS_MAX)
		return;
	must(reply_parse(&(struct reply_scan){ 0 }, text_slice(&t), &r, &used) == REPLY_WHOLE);
	must(used == t.n && r.lines == lines && r.code == code);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of((const char *)data, n);
	struct text f = text_over(flat, sizeof(flat));
	struct slice rest, text;
	struct reply r;
	unsigned lines = 0;
	size_t used = 0;

	check_written(in, 550, (struct enhanced){ 5, 7, 1 });
	if (reply_parse(&(struct reply_scan){ 0 }, in, &r, &used) != REPLY_WHOLE)
		return 0;
	must(used <= n && r.raw.n == used && r.code >= 200 && r.code < 600);
	must(r.lines >= 1 && r.lines <= REPLY_LINES_MAX);
	for (rest = r.raw; reply_next_line(&rest, &text); lines++)
		must(!memchr(text.p, '\n', text.n) && !memchr(text.p, '\0', text.n));
	must(lines == r.lines);
	reply_flatten(&f, &r, REPLY_OCTETS_MAX);
	must(!f.overflow && slice_is_ascii(text_slice(&f)));
	check_written(text_slice(&f), r.code, r.enhanced);
	return 0;
}
