/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

/*
 * content - what the load sends: text of fixed sizes, of a mix of sizes, or a file
 *
 * All generated sizes are cuts of one text and share its memory.
 *
 * Owns:   its memory, until contents_fini().
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { CONTENT_SIZES_MAX = 64, CONTENT_OCTETS_MAX = 1 << 28 };

/* One message in two pieces: with dots doubled and the final dot (DATA), or as it is (BDAT). */
struct content {
	uint64_t octets; /* as it is */
	struct slice dotted[2];
	struct slice plain[2];
	uint64_t up_to; /* the sum of weights, its own included */
};

struct contents {
	size_t n;
	struct content at[CONTENT_SIZES_MAX];
	uint64_t size[CONTENT_SIZES_MAX];
	uint64_t weight[CONTENT_SIZES_MAX];
	char *text;    /* with dots doubled where that makes a difference */
	char *as_is;   /* of a file; else NULL */
	char said[64]; /* "4096 octets", "mix of 9 sizes, 140 KiB on average" */
};

/* "4096", "64K", "1M", "mail" (a mix), or a file of lines "OCTETS WEIGHT". */
bool contents_of_size(struct contents *c, const char *what, struct text *why) MUST_CHECK;
/* One message, its line ends made CRLF. */
bool contents_of_file(struct contents *c, const char *path, struct text *why) MUST_CHECK;
/* Message I's content: the same I gives the same, and all sizes come as often as they weigh. */
const struct content *contents_pick(const struct contents *c, uint64_t i);
void contents_fini(struct contents *c);
/* Digits with K or M behind them. False: something else. */
bool content_size(struct slice s, uint64_t *octets_r) MUST_CHECK;

#endif
