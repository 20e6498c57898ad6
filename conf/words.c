/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/words.h"

#include <assert.h>

static char
plain(char c)
{
	return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
same(struct slice a, const char *b)
{
	size_t i;

	for (i = 0; b && i < a.n && b[i]; i++) {
		if (plain(a.p[i]) != b[i])
			return false;
	}
	return b && i == a.n && !b[i];
}

bool
words_find(const struct words *w, struct slice word, unsigned *value_r)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (!same(word, w->list[i].word) && !same(word, w->list[i].also))
			continue;
		*value_r = i;
		return true;
	}
	return false;
}

/* clang-format off */
#define WORDS(name) static const struct word name##_list[] = {
#define WORD(id, word, also) [id] = { word, also },
#define END_WORDS(name, cautious)                                                                  \
	};                                                                                         \
	const struct words name##_words = { name##_list,                                           \
		sizeof(name##_list) / sizeof(name##_list[0]), cautious };                          \
	const char *name##_word(enum name value)                                                   \
	{                                                                                          \
		assert((unsigned)value < name##_words.n);                                          \
		return name##_list[value].word;                                                    \
	}                                                                                          \
	bool name##_find(struct slice word, enum name *value_r)                                    \
	{                                                                                          \
		unsigned value;                                                                    \
                                                                                                   \
		if (!words_find(&name##_words, word, &value))                                      \
			return false;                                                              \
		*value_r = (enum name)value;                                                       \
		return true;                                                                       \
	}
#include "conf/words.def"
