/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/hdr.h"

static size_t
slot_of(uint64_t value)
{
	if (value < HDR_SUB)
		return (size_t)value;
	/* The 8 highest bits of the value, of which the first is always 1. */
	unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HDR_SUB_BITS;

	return ((size_t)shift << HDR_SUB_BITS) + (size_t)(value >> shift);
}

uint64_t
hdr_slot_high(size_t i)
{
	if (i < HDR_SUB)
		return i;
	size_t shift = (i >> HDR_SUB_BITS) - 1;
	uint64_t top = HDR_SUB + (i & (HDR_SUB - 1));

	return ((top + 1) << shift) - 1;
}

void
hdr_add(struct hdr *h, uint64_t value)
{
	if (value > HDR_MAX)
		value = HDR_MAX;
	h->slot[slot_of(value)]++;
	h->sum += value;
	if (h->n == 0 || value < h->least)
		h->least = value;
	if (value > h->most)
		h->most = value;
	h->n++;
}

void
hdr_merge(struct hdr *h, const struct hdr *from)
{
	if (from->n == 0)
		return;
	for (size_t i = 0; i < HDR_SLOTS; i++)
		h->slot[i] += from->slot[i];
	if (h->n == 0 || from->least < h->least)
		h->least = from->least;
	if (from->most > h->most)
		h->most = from->most;
	h->n += from->n;
	h->sum += from->sum;
}

void
hdr_reset(struct hdr *h)
{
	*h = (struct hdr){ 0 };
}

uint64_t
hdr_percentile(const struct hdr *h, double p)
{
	if (h->n == 0)
		return 0;
	double exact = (double)h->n * p / 100;
	uint64_t rank = (uint64_t)exact;
	uint64_t seen = 0;

	if ((double)rank < exact || rank == 0)
		rank++;
	if (rank > h->n)
		rank = h->n;
	for (size_t i = 0; i < HDR_SLOTS; i++) {
		seen += h->slot[i];
		if (seen >= rank) {
			uint64_t high = hdr_slot_high(i);

			return high < h->most ? high : h->most;
		}
	}
	return h->most;
}

double
hdr_mean(const struct hdr *h)
{
	return h->n == 0 ? 0 : (double)h->sum / (double)h->n;
}
