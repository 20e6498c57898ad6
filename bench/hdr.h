/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HDR_H
#define BENCH_HDR_H

/*
 * hdr - a log-linear histogram: counts values of any size with a bounded relative error, in memory
 * that does not grow (after Gil Tene's HdrHistogram)
 *
 * Values below 128 have a slot each. Above, each power of two is cut into 128 equal slots, so that
 * a slot is never wider than 1/128 of the values in it. What is read back is the highest value of
 * a slot, but never more than the greatest value that was added: for the exact value V of a
 * percentile, V <= hdr_percentile() <= V + V / 128. Least, greatest, number and sum are exact.
 *
 * Unit:   the caller's; byway-bench counts nanoseconds, and HDR_MAX is 2.4 hours of them. What is
 *         longer counts as HDR_MAX.
 * Owns:   nothing; a struct hdr that is all zero is an empty histogram.
 */
#include "wire/slice.h"

enum { HDR_SUB_BITS = 7, HDR_SUB = 1 << HDR_SUB_BITS, HDR_VALUE_BITS = 43 };
enum { HDR_SLOTS = (HDR_VALUE_BITS - HDR_SUB_BITS + 1) * HDR_SUB };
#define HDR_MAX ((UINT64_C(1) << HDR_VALUE_BITS) - 1)

struct hdr {
	uint64_t n;
	uint64_t sum;
	uint64_t least; /* of what was added; 0 while there is nothing */
	uint64_t most;
	uint64_t slot[HDR_SLOTS];
};

void hdr_add(struct hdr *h, uint64_t value);
/* All that FROM has, too. */
void hdr_merge(struct hdr *h, const struct hdr *from);
void hdr_reset(struct hdr *h);
/* The value that P percent (0 to 100) of all values do not exceed; 0 where there is none. */
uint64_t hdr_percentile(const struct hdr *h, double p);
double hdr_mean(const struct hdr *h);
/* The highest value that slot I counts. */
uint64_t hdr_slot_high(size_t i);

#endif
