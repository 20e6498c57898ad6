/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_SLICE_H
#define WIRE_SLICE_H

/*
 * slice - borrowed bytes: a pointer and a length, never NUL-terminated
 *
 * Owns:   nothing. Whoever made the bytes says how long they live.
 * Never:  allocates; reads past N.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define MUST_CHECK __attribute__((warn_unused_result))
/* Called by tests alone: they see or set there what nothing else can. */
#define FOR_TESTS

struct slice {
	const char *p;
	size_t n;
};

/* A slice of a string literal. */
#define SLICE(lit) ((struct slice){ .p = "" lit, .n = sizeof(lit) - 1 })
/* The arguments of printf's "%.*s". */
#define SLICE_FMT(s) (int)(s).n, (s).p

static inline struct slice
slice_of(const char *p, size_t n)
{
	return (struct slice){ .p = p, .n = n };
}

/* NULL gives the empty slice. */
static inline struct slice
slice_str(const char *z)
{
	return slice_of(z, z ? strlen(z) : 0);
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case does not count. */
static inline bool
slice_eq_nocase(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static inline bool
slice_starts(struct slice s, struct slice with)
{
	return s.n >= with.n && slice_eq(slice_of(s.p, with.n), with);
}

static inline bool
slice_starts_nocase(struct slice s, struct slice with)
{
	return s.n >= with.n && slice_eq_nocase(slice_of(s.p, with.n), with);
}

/* The first N octets, or all where there are fewer. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return slice_of(s.p, n < s.n ? n : s.n);
}

/* What follows the first N octets. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	return n < s.n ? slice_of(s.p + n, s.n - n) : slice_of(s.n ? s.p + s.n : s.p, 0);
}

/* Index of the first C, or s.n where there is none. */
static inline size_t
slice_find(struct slice s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

static inline bool
slice_has(struct slice s, char c)
{
	return slice_find(s, c) < s.n;
}

/* Takes what stands before the first C off REST, C itself too; all of it where there is no C. */
struct slice slice_cut(struct slice *rest, char c);
/* Without blanks (SP, HTAB) at both ends. */
struct slice slice_trim(struct slice s);
/* The value of a hex digit; -1: C is none. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
/* Valid UTF-8 (RFC 3629) without control characters (below 0x20, 0x7f): safe inside one protocol
 * line. */
bool slice_is_text(struct slice s) MUST_CHECK;
/* Octets of the UTF-8 character (RFC 3629, no surrogates, no overlong forms) that S starts with; 0
 * if it starts with none. */
size_t slice_utf8(struct slice s);
/* Only octets 0x20 to 0x7e. */
bool slice_is_ascii(struct slice s) MUST_CHECK;
/* Decimal digits alone, no sign, no blank, no overflow; *V_R is untouched on false. */
bool slice_to_u64(struct slice s, uint64_t *v_r) MUST_CHECK;

#endif
