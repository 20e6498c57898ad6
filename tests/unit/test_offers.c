/* SPDX-License-Identifier: Apache-2.0 */
/* What upstreams offered is found by whoever looks, and is there again after a restart. */
#include "relay/pool/offers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const struct relay_offer full = { .known = true,
	.size = UINT64_MAX,
	.recipients = 400,
	.eight_bit = true,
	.smtputf8 = true,
	.dsn = true,
	.chunking = true };
static const struct relay_offer poor = { .known = true, .size = 1000 };

static void
expect(const struct offers *all, uint64_t key, const struct relay_offer *o)
{
	struct relay_offer got = offers_find(all, key);

	assert_true(got.known);
	assert_int_equal(got.size, o->size);
	assert_int_equal(got.recipients, o->recipients);
	assert_int_equal(got.eight_bit, o->eight_bit);
	assert_int_equal(got.smtputf8, o->smtputf8);
	assert_int_equal(got.dsn, o->dsn);
	assert_int_equal(got.chunking, o->chunking);
}

static void
notes(void **state)
{
	struct offers *all = calloc(1, sizeof(*all));
	uint64_t one = offers_key(1, 1, "h.example", 25);

	(void)state;
	assert_non_null(all);
	assert_false(offers_find(all, one).known);
	offers_note(all, one, &full);
	expect(all, one, &full);
	/* Another profile, version, host or port is another upstream. */
	assert_false(offers_find(all, offers_key(2, 1, "h.example", 25)).known);
	assert_false(offers_find(all, offers_key(1, 2, "h.example", 25)).known);
	assert_false(offers_find(all, offers_key(1, 1, "i.example", 25)).known);
	assert_false(offers_find(all, offers_key(1, 1, "h.example", 26)).known);
	/* Only what is new is a change. */
	assert_int_equal(all->changes, 1);
	offers_note(all, one, &full);
	assert_int_equal(all->changes, 1);
	offers_note(all, one, &poor);
	assert_int_equal(all->changes, 2);
	expect(all, one, &poor);
	free(all);
}

/* More upstreams than rows: the newest is always there. */
static void
is_full(void **state)
{
	struct offers *all = calloc(1, sizeof(*all));

	(void)state;
	assert_non_null(all);
	for (uint64_t i = 1; i <= 3 * OFFERS_ROWS; i++) {
		uint64_t key = offers_key(i, 0, "h", 25);

		offers_note(all, key, &poor);
		expect(all, key, &poor);
	}
	free(all);
}

static void
survives(void **state)
{
	struct offers *all = calloc(1, sizeof(*all));
	struct offers *again = calloc(1, sizeof(*again));
	char path[] = "/tmp/byway-offers-XXXXXX";
	int fd = mkstemp(path);
	FILE *f;

	(void)state;
	assert_non_null(all);
	assert_non_null(again);
	assert_true(fd >= 0);
	close(fd);
	offers_note(all, offers_key(1, 1, "a", 25), &full);
	offers_note(all, offers_key(2, 1, "b", 25), &poor);
	assert_true(offers_save(all, path));
	/* Lines that are none, halves, and a key of zero. */
	f = fopen(path, "a");
	assert_non_null(f);
	assert_true(fputs("\nnonsense\n0123 4\n0 5 1\n12 5 0\nff 1", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_true(offers_load(again, path));
	expect(again, offers_key(1, 1, "a", 25), &full);
	expect(again, offers_key(2, 1, "b", 25), &poor);
	assert_int_equal(again->changes, 2);
	unlink(path);
	assert_true(offers_load(again, path));
	assert_false(offers_save(all, "/no/such/folder/offers"));
	assert_int_equal(errno, ENOENT);
	free(all);
	free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(notes), cmocka_unit_test(is_full),
		cmocka_unit_test(survives) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
