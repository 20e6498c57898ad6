/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs of endpoints: what is taken apart is printable, stands within the text, and reads back as
 * itself when put together.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *     -fno-sanitize-recover=all \
 *     -o fuzz_https_url tests/fuzz/fuzz_https_url.c wire/https_url.c wire/slice.c wire/text.c
 */
#include "wire/https_url.h"

#include <stdlib.h>

#include "wire/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
check_again(const struct https_url *url)
{
	static char mem[8192];
	struct text t = text_over(mem, sizeof(mem));
	bool v6 = slice_find(url->host, ':') < url->host.n;
	struct https_url again;

	text_fmt(&t, v6 ? "https://[%.*s]:%u" : "https://%.*s:%u", SLICE_FMT(url->host), url->port);
	text_put(&t, url->path);
	must(!t.overflow && https_url_parse(text_slice(&t), &again));
	must(slice_eq(again.host, url->host) && again.port == url->port);
	must(slice_eq(again.path, url->path));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char scheme[] = "https://";
	static char mem[4096];
	struct https_url url;

	/* As it came, and behind a scheme, so that the rest is reached at once. */
	for (int i = 0; i < 2; i++) {
		size_t skip = i ? sizeof(scheme) - 1 : 0;

		if (n > sizeof(mem) - sizeof(scheme))
			return 0;
		memcpy(mem, scheme, skip);
		memcpy(mem + skip, data, n);
		if (!https_url_parse(slice_of(mem, n + skip), &url))
			continue;
		must(url.host.n > 0 && url.port > 0 && url.port < 65536 && url.path.n > 0);
		must(slice_is_ascii(url.host) && slice_is_ascii(url.path) && url.path.p[0] == '/');
		must(slice_find(url.host, '[') == url.host.n &&
		    slice_find(url.host, ']') == url.host.n);
		must(slice_find(url.host, '@') == url.host.n &&
		    slice_find(url.host, '/') == url.host.n);
		must(slice_find(url.path, ' ') == url.path.n &&
		    slice_find(url.path, '?') == url.path.n);
		check_again(&url);
	}
	return 0;
}
