/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_conf - any octets as byway.ini
 *
 * What is refused says why; what is accepted and printed is accepted again, and printed alike. No
 * secret outlives its conf.
 *
 *      clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_conf.c
 */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/vault/secret.h"
#include "wire/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char first[1 << 20], second[1 << 20], mistakes[1 << 20];

static struct conf *
parse(struct slice ini)
{
	struct text why = text_over(mistakes, sizeof(mistakes));
	struct conf *c = conf_parse("/nonexistent/byway.ini", ini, false, &why);

	if (!c && why.n == 0 && !why.overflow)
		abort();
	return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text one = text_over(first, sizeof(first)), two = text_over(second, sizeof(second));
	struct conf *c, *again;

	if (!crypto_init())
		abort();
	c = parse(slice_of((const char *)data, size));
	if (!c && secret_live() != 0)
		abort();
	if (!c)
		return 0;
	conf_print(c, true, true, &two);
	text_reset(&two);
	conf_print(c, false, false, &one);
	if (!one.overflow) {
		again = parse(text_slice(&one));
		if (!again)
			abort();
		conf_print(again, false, false, &two);
		if (!slice_eq(text_slice(&one), text_slice(&two)))
			abort();
		one = text_over(mistakes, sizeof(mistakes));
		conf_needs_restart(c, again, &one);
		if (one.n)
			abort();
		conf_unref(again);
	}
	conf_unref(c);
	if (secret_live() != 0)
		abort();
	return 0;
}
