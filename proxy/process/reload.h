/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_RELOAD_H
#define PROXY_PROCESS_RELOAD_H

/*
 * reload - a new configuration for all, or the old one and the reasons why
 *
 *      asked -> deep check in a child -> loaded by the master -> each worker loads it, builds everything, swaps -> answered
 *
 * A signal and a client of the control socket are the same here, except that a client waits for the
 * answer. Who asks while a reload is under way is answered by the next one, since the file may have
 * changed after this one read it.
 *
 * Owns:   the last result. The clients belong to control.
 * Errors: mistakes are logged one by one, kept for status, and told to the clients.
 */
#include "proxy/desk/control.h"
#include "proxy/process/supervisor.h"

struct reload;

/* ON_CONF(CTX) after the supervisor has a new configuration. */
struct reload *reload_open(struct loop *l, struct supervisor *supervisor, const char *path,
    void (*on_conf)(void *ctx), void *ctx) MUST_CHECK;
/* ASK: NULL for a signal. */
void reload_ask(struct reload *r, struct control_ask *ask);
/* Whoever waits will not be answered. */
void reload_close(struct reload *r);
void reload_abandon(struct reload *r);
bool reload_is_busy(const struct reload *r);
/* The last result as a JSON object, or null. */
void reload_write(const struct reload *r, struct text *json);

#endif
