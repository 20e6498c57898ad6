/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/id.h"

#include <assert.h>

/*
 *      74            30       20        8      0
 *      | milliseconds | worker | counter | node |      75 bits, 15 characters of 5
 */
enum { WORKER_BITS = 10, COUNTER_BITS = 12, NODE_BITS = 8 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

_Static_assert(sizeof(alphabet) == 32 + 1, "five bits a character");
_Static_assert(45 + WORKER_BITS + COUNTER_BITS + NODE_BITS == ID_LEN * 5, "the parts fill the id");

static struct {
	uint64_t last_ms;
	uint32_t counter;
	uint32_t worker;
	uint32_t node;
} self;

void
id_init(unsigned worker, uint32_t node)
{
	assert(worker < 1u << WORKER_BITS);
	self.worker = worker;
	self.node = node & ((1u << NODE_BITS) - 1);
}

/*
 * The clock may stand still or go back, and more than 4096 ids may be wanted in a millisecond: the
 * id's time then runs ahead of the clock, never behind what was used already.
 */
static void
tick(uint64_t now_ms)
{
	if (now_ms > self.last_ms) {
		self.last_ms = now_ms;
		self.counter = 0;
	} else if (++self.counter >> COUNTER_BITS) {
		self.last_ms++;
		self.counter = 0;
	}
}

struct id
id_make(uint64_t now_ms)
{
	struct id id;

	tick(now_ms);

	uint64_t low =
	    ((uint64_t)self.worker << COUNTER_BITS | self.counter) << NODE_BITS | self.node;
	uint64_t high = self.last_ms;

	for (int i = ID_LEN - 1; i >= 9; i--, low >>= 5)
		id.s[i] = alphabet[low & 31];
	for (int i = 8; i >= 0; i--, high >>= 5)
		id.s[i] = alphabet[high & 31];
	id.s[ID_LEN] = '\0';
	return id;
}
