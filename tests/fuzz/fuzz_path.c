/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: what is accepted is written canonically, and reads back as what was written.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_path tests/fuzz/fuzz_path.c wire/path.c wire/slice.c wire/text.c
 */
#include "wire/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
check(const struct path *path)
{
	char one[512], two[512];
	struct text t = text_over(one, sizeof(one));
	struct text u = text_over(two, sizeof(two));
	struct path again;

	path_write(&t, path);
	must(!t.overflow && t.n <= 254 && slice_is_text(text_slice(&t)));
	must(path->utf8 != slice_is_ascii(text_slice(&t)));
	must(!memchr(one, '<', t.n) && !memchr(one, '>', t.n));
	must(!memchr(one, ' ', t.n) || one[0] == '"');
	if (path->null || path->domain.n == 0)
		return;
	must(path_parse_bare(text_slice(&t), &again));
	path_write(&u, &again);
	must(slice_eq(text_slice(&t), text_slice(&u)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of((const char *)data, n);
	struct slice rest = in;
	struct path path;

	if (path_parse(&rest, PATH_FORWARD, &path)) {
		must(rest.n < in.n && (in.p[0] == '<' ? rest.p[-1] == '>' : path.loose));
		check(&path);
	}
	rest = in;
	if (path_parse(&rest, PATH_REVERSE, &path))
		check(&path);
	if (path_parse_bare(in, &path))
		check(&path);
	if (domain_is_valid(in, false))
		must(slice_is_ascii(in) && n <= 255);
	if (address_literal_is_valid(in))
		must(slice_is_ascii(in));
	return 0;
}
