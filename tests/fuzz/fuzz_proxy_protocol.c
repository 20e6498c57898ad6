/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balancer's header: decided within its limit, the same whether it comes at once or octet by
 * octet.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_proxy_protocol tests/fuzz/fuzz_proxy_protocol.c proxy/dialogue/proxy_protocol.c
 *     wire/slice.c
 */
#include "proxy/dialogue/proxy_protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of((const char *)data, n);
	struct proxy_header h, again;
	size_t used = 0, used_again = 0;
	enum proxy_got got = proxy_header_parse(in, &h, &used);

	must(got != PROXY_MORE || n < PROXY_HEADER_MAX);
	if (got == PROXY_WHOLE) {
		must(used > 0 && used <= n && used <= PROXY_HEADER_MAX);
		must(h.local == (h.source.ss_family == 0));
	}
	for (size_t k = 0; k <= n && k <= PROXY_HEADER_MAX; k++) {
		enum proxy_got early = proxy_header_parse(slice_head(in, k), &again, &used_again);

		if (early == PROXY_MORE)
			continue;
		must(early == got);
		if (got == PROXY_WHOLE)
			must(k == used && used_again == used && memcmp(&h, &again, sizeof(h)) == 0);
		break;
	}
	return 0;
}
