/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

/*
 * phase - the parts of a session by the names that tables, JSON and the sink's options have for
 * them
 */
#include "wire/slice.h"

enum phase {
#define PHASE(name, word, said) PHASE_##name,
#include "bench/phase.def"
#undef PHASE
	PHASE_COUNT
};

/* "dot", and what it means in a few words. */
const char *phase_word(enum phase p);
const char *phase_said(enum phase p);
/* False: nobody has that name. */
bool phase_find(struct slice word, enum phase *phase_r) MUST_CHECK;

#endif
