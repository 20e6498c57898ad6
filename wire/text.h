/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

/*
 * text - bounded string builder over the caller's memory; overflow sticks
 *
 *      char mem[512];
 *      struct text t = text_over(mem, sizeof(mem));
 *      text_put(&t, SLICE("550 "));
 *      text_u64(&t, n);
 *      if (t.overflow) ...
 *
 * Always NUL-terminated (the cap counts the NUL).  Nothing is appended once overflow is set, so
 * that a cut text never looks whole. No memory at all (NULL, 0) is an overflow from the start.
 */
#include "wire/slice.h"

struct text {
	char *mem;
	size_t cap;
	size_t n;
	bool overflow;
};

struct text text_over(char *mem, size_t cap);
void text_put(struct text *t, struct slice s);
void text_char(struct text *t, char c);
void text_u64(struct text *t, uint64_t v);
/* Lower-case hex, two digits an octet. */
void text_hex(struct text *t, struct slice s);
/* As a URL or a form has it: all but letters, digits and -._~ as %XX. */
void text_percent(struct text *t, struct slice s);
/* printf-like, for operators' messages; not for protocol lines that carry others' words. */
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Printable ASCII goes as it is, all else as \xNN; at most MAX octets are appended. */
void text_escaped(struct text *t, struct slice s, size_t max);
/* A JSON string body (no quotes): valid UTF-8 kept, invalid octets as U+FFFD. */
void text_json(struct text *t, struct slice s);
/* A member of a JSON object, a comma behind it: "key":"value", */
void text_json_member(struct text *t, const char *key, const char *value);
static inline struct slice
text_slice(const struct text *t)
{
	return slice_of(t->mem, t->n);
}
void text_reset(struct text *t);

#endif
