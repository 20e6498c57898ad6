/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/line.h"

#include "relay/pool/shape.h"
#include "relay/transaction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TXNS = 4096, HELD_MAX = 4096 };

static struct holders table;
static struct line line;
static struct relay_txn txns[TXNS];
static unsigned used;
static struct holder *held[HELD_MAX];
static unsigned held_n;

static int
set_up(void **state)
{
	(void)state;
	line_init(&line, &table);
	memset(txns, 0, sizeof(txns));
	used = held_n = 0;
	return 0;
}

/* Nobody is left behind. */
static int
tear_down(void **state)
{
	(void)state;
	while (line.waiting.n)
		line_leave(&line, LINKED(list_first(&line.waiting), struct relay_txn, waits));
	while (held_n)
		line_return(held[--held_n]);
	assert_int_equal(line.held + line.ring.n + line.later.n, 0);
	for (size_t i = 0; i < HOLDER_BUCKETS; i++)
		assert_null(table.bucket[i]);
	return 0;
}

static void
join(uint64_t tenant, unsigned n)
{
	while (n-- > 0) {
		struct relay_txn *t = &txns[used++];

		t->user = tenant;
		assert_true(line_join(&line, tenant, t, 100));
	}
}

static struct share
share_of(unsigned all)
{
	return (struct share){ .all = all, .free = all - line.held };
}

/* Serves whoever may; the tenants in order, as letters. */
static const char *
serve(unsigned all, unsigned most)
{
	static char said[TXNS + 1];
	unsigned n = 0;

	while (n < most) {
		struct share s = share_of(all);
		struct relay_txn *t = line_next(&line, &s);

		if (!t)
			break;
		assert_true(line_may(t, &s));
		assert_true(line_wants(&line, &s, 1) == 1);
		said[n++] = (char)t->user;
		held[held_n++] = line_lend(&line, t);
	}
	said[n] = '\0';
	return said;
}

static unsigned
held_by(uint64_t tenant)
{
	unsigned n = 0;

	for (unsigned i = 0; i < held_n; i++)
		n += held[i]->tenant == tenant;
	return n;
}

static void
give_back(uint64_t tenant)
{
	for (unsigned i = 0; i < held_n; i++) {
		if (held[i]->tenant != tenant)
			continue;
		line_return(held[i]);
		held[i] = held[--held_n];
		return;
	}
	fail_msg("it holds nothing");
}

/* However long A's line is, each of the others waits for one of A's. */
static void
test_turns(void **state)
{
	(void)state;
	join('A', 50);
	join('B', 2);
	join('C', 1);
	assert_string_equal(serve(100, 8), "ABCABAAA");
	join('B', 2);
	assert_string_equal(serve(100, 5), "ABABA");
}

/* One alone: three quarters, never less than one. */
static void
test_ceiling(void **state)
{
	static const struct {
		unsigned all, most;
	} rows[] = { { 1, 1 }, { 2, 1 }, { 3, 2 }, { 4, 3 }, { 5, 3 }, { 8, 6 }, { 20, 15 },
		{ 40, 30 }, { 1000, 750 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct share s = share_of(rows[i].all);

		join('A', 1000);
		if (line_wants(&line, &s, 2000) != rows[i].most)
			fail_msg("of %u: would open %u", rows[i].all, line_wants(&line, &s, 2000));
		(void)serve(rows[i].all, 2000);
		if (held_by('A') != rows[i].most)
			fail_msg("of %u: %u", rows[i].all, held_by('A'));
		assert_int_equal(tear_down(NULL), 0);
		assert_int_equal(set_up(NULL), 0);
	}
}

/* Whoever comes new finds one free, as long as fewer than a handful hold all that they may. */
static void
test_newcomers(void **state)
{
	(void)state;
	for (uint64_t tenant = 'A'; tenant < 'E'; tenant++) {
		join(tenant, 200);
		(void)serve(20, 200);
		assert_true(held_by(tenant) >= 1);
	}
	assert_int_equal(held_by('A'), 15);
	/* What A gives back goes to those who hold less than a quarter. */
	for (int i = 0; i < 10; i++) {
		give_back('A');
		(void)serve(20, 200);
	}
	assert_int_equal(held_by('A'), 5);
	assert_true(held_by('B') >= 3 && held_by('C') >= 3 && held_by('D') >= 3);
}

/* While others wait, who holds a quarter comes after those who hold less. */
static void
test_quarter(void **state)
{
	(void)state;
	join('A', 6);
	assert_string_equal(serve(20, 6), "AAAAAA");
	join('A', 9);
	join('B', 3);
	assert_string_equal(serve(20, 5), "BBBAA");
}

/* Those whose time has not come keep nobody else waiting. */
static void
test_later(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		txns[used].not_before = 101 + i;
		join('A', 1);
	}
	join('B', 2);
	assert_string_equal(serve(20, 9), "BB");
	line_wake(&line, 102);
	assert_string_equal(serve(20, 9), "AA");
	line_leave(&line, &txns[2]);
	line_leave(&line, &txns[2]);
	assert_int_equal(line.waiting.n, 0);
}

/* What a tenant holds in other workers counts where the upstream's limit is everybody's. */
static void
test_over_all_workers(void **state)
{
	struct shape *all = shape_open(2);
	struct shaping one, two;
	struct share s = { .all = 8, .free = 2, .over = &one };

	(void)state;
	assert_non_null(all);
	shape_join(&one, all, 0, shape_key(7), 1);
	shape_join(&two, all, 1, shape_key(7), 1);
	for (int i = 0; i < 6; i++)
		shape_lend(&two, 'A');
	join('A', 1);
	assert_null(line_next(&line, &s));
	assert_false(line_may(&txns[0], &s));
	join('B', 1);
	assert_ptr_equal(line_next(&line, &s), &txns[1]);
	shape_clear(all, 1);
	assert_ptr_equal(line_next(&line, &s), &txns[0]);
	shape_close(all);
}

/* Any order of coming, being served, giving back and leaving: no ceiling is passed, and nobody who
 * holds nothing waits while one is free. */
static void
test_any_order(void **state)
{
	static const unsigned caps[] = { 1, 2, 3, 7, 20 };

	(void)state;
	srand(8);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned all = caps[i / 4000];
		uint64_t who = 'A' + (uint64_t)rand() % 6;
		struct share s = share_of(all);

		if (i % 4000 == 0) {
			assert_int_equal(tear_down(NULL), 0);
			assert_int_equal(set_up(NULL), 0);
			s = share_of(all);
		}
		if (rand() % 2 && used < TXNS)
			join(who, 1);
		else if (rand() % 2 && held_by(who))
			give_back(who);
		else if (rand() % 8 == 0 && line.waiting.n)
			line_leave(&line,
			    LINKED(list_last(&line.waiting), struct relay_txn, waits));
		else
			(void)serve(all, 1);
		assert_true(line.held <= all);
		s = share_of(all);
		for (uint64_t t = 'A'; t < 'G'; t++)
			assert_true(held_by(t) <= (all < 4 ? (all + 1) / 2 : all * 3 / 4));
		if (s.free && line.ring.n && !line_next(&line, &s))
			for (unsigned k = 0; k < used; k++)
				assert_true(!txns[k].holder || txns[k].holder->held > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ceiling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newcomers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_quarter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_over_all_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any_order, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
