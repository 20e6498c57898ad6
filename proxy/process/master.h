/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PROCESS_MASTER_H
#define PROXY_PROCESS_MASTER_H

/*
 * master - the process that is started: checks, binds, drops its rights, forks workers and sees to
 * them
 *
 * Order matters: the configuration is checked as the user that we shall be, in a child; ports are
 * bound as the user that started us; then root goes; only then are the log, the control socket and
 * the workers made. The master never holds a key and never speaks to a client of the mail service.
 *
 *      TERM, INT   graceful stop; a second one: at once        HUP    reload        USR1   logs are
 *                  opened anew
 *
 * Errors: at start words on standard error and a status of sysexits.h; later, log lines.
 */

/* Until stopped; returns the exit status. */
int master_run(const char *conf_path);

#endif
