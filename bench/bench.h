/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * bench - byway-bench: a load of SMTP sessions, and a sink for it, over Byway's own streams
 *
 * Never: sends to anything but loopback, unless --anywhere says so.
 */
#include "wire/loop.h"

/* Each takes what is left of argv and gives the exit status. */
int load_main(int argc, char **argv);
int sink_main(int argc, char **argv);

#endif
