/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_HASHING_H
#define CONF_DIRECTORY_HASHING_H

/*
 * hashing - whose passwords are being checked, by all processes of this machine (BEHAVIOUR A3)
 *
 * A row a process, with a cell for each check that it has under way: who it is about, as hashes.
 * At most HASHING_OF_ONE are of one name, and as many of one address, over all rows. A process
 * claims a cell first and looks at the others then, so that two that claim at the same time see
 * each other: both may be told to come again, none is let in too many.
 *
 * Owns:  the mapping, made before the fork; a cell belongs to its row's process.
 * Never: a name: FNV-1a with a secret of this start stands for it. Whom it is equal for waits.
 */
#include "wire/slice.h"

enum { HASHING_MAX = 64, HASHING_OF_ONE = 2 };

struct hashing;

/* NULL: no memory. */
struct hashing *hashing_open(unsigned processes) MUST_CHECK;
void hashing_close(struct hashing *h);
unsigned hashing_processes(const struct hashing *h);
/* What stands for a name in any case of ASCII letters. */
uint64_t hashing_name(const struct hashing *h, struct slice name);
/* Takes CELL (below HASHING_MAX, free) of process P for a check; false: so many are under way that
 * this one waits. */
bool hashing_take(struct hashing *h, unsigned p, unsigned cell, uint64_t name, uint64_t address)
    MUST_CHECK;
void hashing_leave(struct hashing *h, unsigned p, unsigned cell);
/* By whoever knows that P is dead. */
void hashing_clear(struct hashing *h, unsigned p);

#endif
