/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/hdr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The exact percentile: the least value that P percent of all do not exceed. */
static uint64_t
exact(const uint64_t *sorted, size_t n, double p)
{
	size_t rank = (size_t)((double)n * p / 100);

	if ((double)rank < (double)n * p / 100 || rank == 0)
		rank++;
	return sorted[rank - 1];
}

static uint64_t
any_value(unsigned bits)
{
	uint64_t v = ((uint64_t)rand() << 31) ^ (uint64_t)rand();

	return v & ((UINT64_C(1) << bits) - 1);
}

static void
check(const uint64_t *values, size_t n)
{
	static const double percents[] = { 0, 1, 10, 50, 75, 90, 99, 99.9, 99.99, 100 };
	uint64_t *sorted = malloc(n * sizeof(*sorted));
	struct hdr h = { 0 };
	uint64_t sum = 0;

	assert_non_null(sorted);
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_value);
	for (size_t i = 0; i < n; i++) {
		hdr_add(&h, values[i]);
		sum += values[i];
	}
	assert_int_equal(h.n, n);
	assert_int_equal(h.sum, sum);
	assert_int_equal(h.least, sorted[0]);
	assert_int_equal(h.most, sorted[n - 1]);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		uint64_t want = exact(sorted, n, percents[i]);
		uint64_t got = hdr_percentile(&h, percents[i]);

		assert_true(got >= want);
		assert_true(got - want <= want / HDR_SUB);
	}
	assert_int_equal(hdr_percentile(&h, 100), sorted[n - 1]);
	free(sorted);
}

/* Values of every magnitude, in crowds of every size. */
static void
test_percentiles_are_those_of_the_values(void **state)
{
	(void)state;
	srand(7);
	for (unsigned bits = 1; bits < HDR_VALUE_BITS; bits++) {
		for (size_t n = 1; n <= 10000; n *= 10) {
			uint64_t *values = malloc(n * sizeof(*values));

			assert_non_null(values);
			for (size_t i = 0; i < n; i++)
				values[i] = any_value(bits);
			check(values, n);
			for (size_t i = 0; i < n; i++)
				values[i] = any_value(1 + (unsigned)rand() % bits);
			check(values, n);
			free(values);
		}
	}
}

/* Slots follow one another without gap and overlap, each holding the value that it says. */
static void
test_slots_have_no_gaps(void **state)
{
	uint64_t below = 0;

	(void)state;
	for (size_t i = 0; i < HDR_SLOTS; i++) {
		uint64_t high = hdr_slot_high(i);
		struct hdr h = { 0 };

		assert_true(i == 0 || high > below);
		hdr_add(&h, i == 0 ? 0 : below + 1);
		hdr_add(&h, high);
		assert_int_equal(h.slot[i], 2);
		below = high;
	}
	assert_int_equal(below, HDR_MAX);
}

static void
test_values_beyond_the_end(void **state)
{
	struct hdr h = { 0 };

	(void)state;
	hdr_add(&h, UINT64_MAX);
	assert_int_equal(h.most, HDR_MAX);
	assert_int_equal(hdr_percentile(&h, 50), HDR_MAX);
}

static void
test_empty(void **state)
{
	struct hdr h = { 0 };

	(void)state;
	assert_int_equal(hdr_percentile(&h, 99), 0);
	assert_true(hdr_mean(&h) == 0);
}

/* Two halves merged are the whole. */
static void
test_merge(void **state)
{
	static struct hdr all, odd, even, nothing;

	(void)state;
	srand(11);
	for (int i = 0; i < 5000; i++) {
		uint64_t v = any_value(30);

		hdr_add(&all, v);
		hdr_add(i % 2 ? &odd : &even, v);
	}
	hdr_merge(&odd, &even);
	hdr_merge(&odd, &nothing);
	assert_memory_equal(&odd, &all, sizeof(all));
	hdr_reset(&odd);
	assert_memory_equal(&odd, &nothing, sizeof(odd));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_are_those_of_the_values),
		cmocka_unit_test(test_slots_have_no_gaps),
		cmocka_unit_test(test_values_beyond_the_end),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
