/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_LOG_LINE_H
#define WIRE_LOG_LINE_H

/*
 * log_line - how one line of the log looks; log.c alone includes this and brings the line out
 */
#include "wire/log.h"

void log_line_format(enum log_format format);
/* Copied. */
void log_line_process(const char *process);
void log_line_start(struct log_line *l, enum log_level level, const char *event, struct slice id,
    struct slice at);
/* Whole now: l->n octets of l->mem, with the LF. */
void log_line_finish(struct log_line *l);

#endif
