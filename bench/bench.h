/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * bench - byway-bench: a load of SMTP sessions, a sink for it, and reports, over Byway's own
 * streams
 *
 * Never: sends to another machine, unless --anywhere says so.
 */
#include "wire/loop.h"

/* Each takes what is left of argv and gives the exit status. */
int load_main(int argc, char **argv);
int sink_main(int argc, char **argv);
int report_main(int argc, char **argv);
/* Their options, a line each. */
void sink_help(void);
void report_help(void);

#endif
