/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

/*
 * result - what came of a run: as a table for people, as JSON for programs, as a page
 *
 * Errors: a file that cannot be written is told on standard error.
 */
#include "bench/load.h"

#include <stdio.h>

/* All that the plan asks for. ARGV: the command, for the record; it holds no secrets. */
bool result_write(struct load *l, int argc, char **argv) MUST_CHECK;

/* The parts: on OUT. */
void result_table(const struct load *l, FILE *out);
void result_json(const struct load *l, int argc, char **argv, FILE *out);

/* Seconds between the warm-up and the last answer, and messages in them. */
double result_seconds(const struct load *l);
double result_rate(const struct load *l);
/* CPU time of this process, nanoseconds. */
uint64_t result_own_cpu_ns(void);

#endif
