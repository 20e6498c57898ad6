/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DIRECTORY_DIRECTORY_TOKEN_H
#define CONF_DIRECTORY_DIRECTORY_TOKEN_H

/*
 * directory_token - the one thing that a worker writes into the directory: a refresh token that a
 * provider has replaced
 *
 * Written on a thread, by a connection of its own. It takes the place of the one that was used and
 * of no other: where another worker has been faster its token stays, and that is as good.
 *
 * Errors: GOOD is false where nothing could be written.
 */
#include "conf/directory/directory.h"

struct token_order {
	uint64_t profile;
	struct slice was, is; /* sealed blobs */
};

typedef void token_fn(void *ctx, uint64_t profile, bool good);

/* Answers from the loop, later; not at all once D is closed. False: no memory, or too busy. */
bool directory_keep_token(struct directory *d, const struct token_order *o, token_fn *fn)
    MUST_CHECK;

#endif
