/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/phase.h"

static const struct {
	const char *word;
	const char *said;
} phases[PHASE_COUNT] = {
#define PHASE(name, word, said) { word, said },
#include "bench/phase.def"
#undef PHASE
};

const char *
phase_word(enum phase p)
{
	return phases[p].word;
}

const char *
phase_said(enum phase p)
{
	return phases[p].said;
}

bool
phase_find(struct slice word, enum phase *phase_r)
{
	for (size_t i = 0; i < PHASE_COUNT; i++) {
		if (slice_eq(word, slice_str(phases[i].word))) {
			*phase_r = (enum phase)i;
			return true;
		}
	}
	return false;
}
