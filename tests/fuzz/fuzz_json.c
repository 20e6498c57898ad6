/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's answer in JSON: what is text is no longer than the document, and what is compact
 * stays so.
 */
#include "wire/json_doc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
look(const struct json_t *doc, size_t n, const char *path)
{
	static char mem[65536];
	const struct json_t *v = json_doc_at(doc, path);
	uint64_t number;
	struct text t = text_over(mem, sizeof(mem));

	if (json_doc_text(v, &t)) /* a number's exponent may be written out */
		must(t.overflow || t.n <= n + 24);
	if (json_doc_u64(v, &number))
		must(t.n > 0 && t.n <= 20);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const paths[] = { "", "a", "id", "error", "error_description", "message",
		"errors.0.message", "results.id", "results.rcpt_to_errors.1.description", "0.0.0" };
	static char mem[65536], more[65536];
	char *exact = malloc(n ? n : 1);

	if (!exact || n > sizeof(mem) / 6) {
		free(exact);
		return 0;
	}
	memcpy(exact, data, n);
	struct json_t *doc = json_doc_read(slice_of(exact, n));
	struct text small = text_over(mem, sizeof(mem));
	struct text again = text_over(more, sizeof(more));

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		look(doc, n, paths[i]);
	if (doc != NULL) {
		json_doc_compact(doc, &small);
		json_doc_free(doc);
		/* A second time there is nothing left to take out. */
		must((doc = json_doc_read(text_slice(&small))) != NULL);
		json_doc_compact(doc, &again);
		must(slice_eq(text_slice(&small), text_slice(&again)));
	}
	json_doc_free(doc);
	free(exact);
	return 0;
}
