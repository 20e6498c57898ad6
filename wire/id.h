/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ID_H
#define WIRE_ID_H

/*
 * id - the names that sessions and messages go by in logs and replies
 *
 * 15 characters of base 32 without look-alikes (digits and lower-case letters without i, l, o, u),
 * ordered by time: 45 bits of milliseconds, then worker and counter, so that no two are alike on
 * one node, and 8 bits of node token so that nodes rarely meet.
 */
#include "wire/slice.h"

enum { ID_LEN = 15 };

struct id {
	char s[ID_LEN + 1]; /* NUL-terminated */
};

/* Once per process: WORKER 0..1023, NODE any number (its low bits count). */
void id_init(unsigned worker, uint32_t node);
struct id id_make(uint64_t now_ms);
static inline struct slice
id_slice(const struct id *id)
{
	return slice_of(id->s, ID_LEN);
}

#endif
