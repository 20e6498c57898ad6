/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

/*
 * reply - the rows of the catalogue as the profile in force has them (conf/replies.h)
 *
 * One profile is in force in a process: a reload swaps it for every session, open ones too.
 */
#include "conf/conf.h"

/* From now on C's rows are said; C is kept until the next one. */
void reply_use(struct conf *c);
const struct reply_row *reply_row(enum reply_id id);

#endif
