/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_STATUS_H
#define PROXY_DESK_STATUS_H

/*
 * status - what the master can say about itself and its workers, as JSON (the form is in control.h)
 *
 * The workers are asked and have half a second; one question serves all clients that ask meanwhile.
 * The master's loop never waits.
 */
#include "proxy/desk/control.h"
#include "proxy/process/supervisor.h"
#include "proxy/process/reload.h"

struct status_options {
	struct supervisor *supervisor;
	struct reload *reload;
	struct scoreboard *board;
	const char *conf_path;
	const char *user;
	int64_t started;                       /* unix seconds */
	const char *(*state)(const void *ctx); /* "starting", "up", "reloading", "draining" */
	const void *ctx;
};

struct status;

struct status *status_open(const struct status_options *o) MUST_CHECK;
void status_ask(struct status *s, struct control_ask *ask);
void status_close(struct status *s);

#endif
