/* SPDX-License-Identifier: Apache-2.0 */
/* The time that a provider's words name: read without looking past them, and never in the past. */
#include "relay/verdict/retry_after.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char openings[][16] = { "", "after ", "try again in ", "until " };
	static char mem[4096];

	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		size_t skip = strlen(openings[i]);
		uint64_t seconds = 7;
		char *exact;

		if (n + skip > sizeof(mem) || !(exact = malloc(n + skip + !(n + skip))))
			return 0;
		memcpy(exact, openings[i], skip);
		memcpy(exact + skip, data, n);
		/* A time that is named twice is the same twice; none leaves what was there. */
		if (hold_named(slice_of(exact, n + skip), 1765000000, &seconds)) {
			uint64_t again = 0;

			if (!hold_named(slice_of(exact, n + skip), 1765000000, &again) ||
			    again != seconds || seconds > (uint64_t)INT64_MAX)
				abort();
		}
		free(exact);
	}
	return 0;
}
