/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_VERDICT_SPEECH_H
#define RELAY_VERDICT_SPEECH_H

/*
 * speech - what a reply means by the kinds of its words: "limit" and "exceeded" and "hour" are a
 * quota whoever says it, in whatever order
 *
 * The words and the sentences are data (speech.def). A word is letters, case aside; CamelCase and
 * joined_words are several. Not read: addresses, URLs and the names of hosts, but that a
 * name is of a block list.
 *
 * Pure: no allocation, one pass over the text.
 */
#include "relay/verdict/verdict.h"

/* True where SAID speaks of a mechanism to log in with. */
bool speech_has_mechanism(struct slice said) MUST_CHECK;
/* False where no sentence of speech.def fits. SAID: R's words. */
bool speech_class(enum phase phase, const struct reply *r, struct slice said,
    enum verdict_class *class_r) MUST_CHECK;

#endif
