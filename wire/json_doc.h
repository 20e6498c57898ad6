/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_JSON_DOC_H
#define WIRE_JSON_DOC_H

/*
 * json_doc - a small document in JSON (RFC 8259) that a stranger wrote, read by jansson: its values
 * by their paths
 *
 *      doc = json_doc_read(body);
 *      v = json_doc_at(doc, "results.id");         {"results":{"id":"7"}}
 *      v = json_doc_at(doc, "errors.0.message");   arrays count from 0
 *      json_doc_free(doc);                         every V is gone with it
 *
 * A document is whole or there is none: not JSON, not UTF-8, nested deeper than JSON_DOC_DEPTH, or
 * no memory. Of keys that come twice the last counts. What it held in memory is wiped when it is
 * freed: answers bring tokens.
 */
#include "wire/slice.h"
#include "wire/text.h"

enum { JSON_DOC_DEPTH = 32 };

struct json_t; /* jansson's */

/* NULL: there is none, as above. Free: json_doc_free(). */
struct json_t *json_doc_read(struct slice text) MUST_CHECK;
void json_doc_free(struct json_t *doc);
/* The value at PATH in DOC, which may be NULL; NULL: nothing is there. */
const struct json_t *json_doc_at(const struct json_t *doc, const char *path) MUST_CHECK;
/* Appends a string as UTF-8, or a number, true, false as JSON writes it. False for other kinds, for
 * an empty string and for NULL. */
bool json_doc_text(const struct json_t *value, struct text *to) MUST_CHECK;
/* A number without sign and fraction. False for all else, and for NULL. */
bool json_doc_u64(const struct json_t *value, uint64_t *n_r) MUST_CHECK;
/* DOC without blanks outside strings, as much of it as fits. */
void json_doc_compact(const struct json_t *doc, struct text *to);

#endif
