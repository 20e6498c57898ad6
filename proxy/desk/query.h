/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_QUERY_H
#define PROXY_DESK_QUERY_H

/*
 * query - questions of the control socket that a worker answers (desk.h)
 *
 * Owns:   the asks that wait. A worker that dies or is too slow answers nobody; the client then
 *         hears so after a while. Where no worker is up yet, the question waits for one.
 */
#include "proxy/desk/control.h"
#include "proxy/process/supervisor.h"

struct query;

struct query *query_open(struct loop *l, struct supervisor *c) MUST_CHECK;
/* Asks that wait are not answered. */
void query_close(struct query *q);
void query_ask(struct query *q, struct control_ask *ask, struct slice words);
/* The supervisor's on_told(). */
void query_told(struct query *q, uint32_t serial, struct slice words);

#endif
