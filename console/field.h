/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_FIELD_H
#define CONSOLE_FIELD_H

/*
 * field - one member of a directory row: its name, its type, and the way between the member and its
 * text
 *
 * The text is the same on the command line, in the file of export and apply, and in what is shown.
 * field_read() takes many spellings, field_write() gives one, so that two texts of a field say the
 * same if they are equal after reading and writing.
 *
 * Owns:   nothing; texts are the cli's memory.
 * Errors: field_read() gives NULL, or what was expected instead, to stand behind the field's name.
 */
#include "conf/directory/entity.h"
#include "console/cli.h"
#include "console/out.h"

/* The field's name on the command line: size-max. */
const char *field_option(const struct column *f);
/* Sets the member of ROW from TEXT. NULL, or what is wrong. */
const char *field_read(struct cli *c, const struct column *f, const char *text, void *row)
    MUST_CHECK;
/* The member as text. */
const char *field_write(struct cli *c, const struct column *f, const void *row);
bool field_same(const struct column *f, const char *a, const char *b);
/* TEXT as a JSON member of its type. */
void field_json(struct json *j, const struct column *f, const char *text);
/* TEXT for people: a certificate is counted, not shown. */
const char *field_brief(struct cli *c, const struct column *f, const char *text);

#endif
