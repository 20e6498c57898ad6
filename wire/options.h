/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_OPTIONS_H
#define WIRE_OPTIONS_H

/*
 * options - getopt_long(3) for options that are written out in full
 *
 * A script that says --pass means another option from the day on that a second one begins so. An
 * abbreviation is unknown here, as a word that was never an option.
 */
#include <getopt.h>

/* As getopt_long(argc, argv, letters, known, NULL). '?' for what is unknown or short for KNOWN's:
 * argv[optind - 1] is that word then, and optopt is 0. */
int options_next(int argc, char **argv, const char *letters, const struct option *known);

#endif
