/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_JSON_READ_H
#define WIRE_JSON_READ_H

/*
 * json_read - reads a small answer in JSON (RFC 8259) that a stranger wrote: finds one value by its
 * path
 *
 * Nothing is built: the text is walked once for each question. Depth is bounded; a text that is not
 * JSON up to the value asked for has none. Of keys that come twice the first counts.
 *
 *      json_find(doc, "results.id", &v)         {"results":{"id":"7"}}
 *      json_find(doc, "errors.0.message", &v)   arrays count from 0
 *
 * Never:  allocates; looks past DOC.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_value {
	enum json_kind kind;
	struct slice raw; /* as it stands there; a string without its quotes, escapes still in it */
};

bool json_find(struct slice doc, const char *path, struct json_value *value_r) MUST_CHECK;
/* Appends a string as UTF-8, escapes undone (a half surrogate as the replacement character), or a
 * number, true, false as it stands. False for the other kinds. */
bool json_to_text(const struct json_value *value, struct text *to) MUST_CHECK;
/* A number without sign and fraction. */
bool json_to_u64(const struct json_value *value, uint64_t *n_r) MUST_CHECK;
/* DOC without blanks outside strings. */
void json_compact(struct slice doc, struct text *to);

#endif
