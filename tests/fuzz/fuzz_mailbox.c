/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address lists: what comes out is addresses that path.h takes, and a list made of them reads back
 * as the same.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * -fno-sanitize-recover=all \
 *     -o fuzz_mailbox tests/fuzz/fuzz_mailbox.c wire/mailbox.c wire/path.c wire/slice.c wire/text.c
 */
#include "wire/mailbox.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
write_all(const struct mailboxes *all, struct text *t)
{
	for (size_t i = 0; i < all->n; i++) {
		text_char(t, '<');
		path_write(t, &all->at[i]);
		text_put(t, SLICE(">,"));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct mailboxes all, again;
	static char one[65536], two[65536];
	struct text t = text_over(one, sizeof(one));
	struct text u = text_over(two, sizeof(two));

	if (!mailboxes_parse(slice_of((const char *)data, n), &all))
		return 0;
	must(all.n <= MAILBOXES_MAX && all.used <= sizeof(all.mem));
	for (size_t i = 0; i < all.n; i++)
		must(!all.at[i].null && all.at[i].domain.n > 0);
	write_all(&all, &t);
	must(!t.overflow && mailboxes_parse(text_slice(&t), &again));
	write_all(&again, &u);
	must(slice_eq(text_slice(&t), text_slice(&u)));
	return 0;
}
