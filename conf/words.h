/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

/*
 * words - enums whose values people read and write, and their words; from conf/words.def
 *
 * Each vocabulary NAME of words.def gives `enum NAME`, `NAME_words`, `NAME_word(value)` and
 * `NAME_find(word, &value)`. The finder is false, its value untouched, for a word that is none.
 *
 * Never:  allocates; a word is a literal.
 */
#include "wire/slice.h"

struct word {
	const char *word;
	const char *also; /* an older spelling, or NULL */
};

struct words {
	const struct word *list; /* by value */
	unsigned n;
	unsigned cautious; /* what an unknown word is taken for */
};

/* clang-format off */
#define WORDS(name) enum name {
#define WORD(id, word, also) id,
#define END_WORDS(name, cautious)                 \
	};                                        \
	extern const struct words name##_words;   \
	const char *name##_word(enum name value); \
	bool name##_find(struct slice word, enum name *value_r) MUST_CHECK;
#include "conf/words.def"
/* clang-format on */

/* The value of WORD in W. */
bool words_find(const struct words *w, struct slice word, unsigned *value_r) MUST_CHECK;

#endif
