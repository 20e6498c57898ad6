/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

/*
 * report - one self-contained page of one run or several side by side: no file, font or script from
 * elsewhere
 *
 * The page is bench/report.html, carried in the program, with the runs' JSON put into it. What runs
 * hold is data to it: no `<` leaves a string as itself.
 */
#include "wire/slice.h"

/* False: errno says why PATH could not be written. */
bool report_write(const char *path, const struct slice *runs, size_t n) MUST_CHECK;

#endif
