/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_VERDICT_RETRY_AFTER_H
#define RELAY_VERDICT_RETRY_AFTER_H

/*
 * hold - the time that a provider names when it wants to be left alone: "try again after 120
 * seconds", "... until Mon, 20 Dec 2021 20:33:21 UTC"
 *
 * Pure: no clock of its own. A date in the past is no time to wait for.
 */
#include "wire/slice.h"

/* NOW: unix seconds. False where SAID names no time. */
bool hold_named(struct slice said, int64_t now, uint64_t *seconds_r) MUST_CHECK;

#endif
