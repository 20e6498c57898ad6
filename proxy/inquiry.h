/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_INQUIRY_H
#define PROXY_INQUIRY_H

/*
 * inquiry - questions of the control socket that a worker answers (desk.h)
 *
 * Owns:   the asks that wait. A worker that dies or is too slow answers nobody; the client then hears so after a while.
 */
#include "proxy/control.h"
#include "proxy/crew.h"

struct inquiry;

struct inquiry *inquiry_open(struct loop *l, struct crew *c) MUST_CHECK;
/* Asks that wait are not answered. */
void inquiry_close(struct inquiry *q);
void inquiry_ask(struct inquiry *q, struct control_ask *ask, struct slice words);
/* The crew's on_told(). */
void inquiry_told(struct inquiry *q, uint32_t serial, struct slice words);

#endif
