/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's answer in JSON: what is found lies inside it, what is text is bounded, and what is
 * compact stays so.
 */
#include "wire/json_read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
look(struct slice doc, const char *path)
{
	static char mem[65536];
	struct json_value v;
	uint64_t number;

	if (!json_find(doc, path, &v))
		return;
	must(v.raw.p >= doc.p && v.raw.p + v.raw.n <= doc.p + doc.n);
	struct text t = text_over(mem, sizeof(mem));

	if (json_to_text(&v, &t))
		must(t.overflow || t.n <= 3 * v.raw.n);
	if (json_to_u64(&v, &number))
		must(v.kind == JSON_NUMBER);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const paths[] = { "a", "id", "error", "error_description", "message",
		"errors.0.message", "results.id", "results.rcpt_to_errors.1.description", "0.0.0" };
	static char mem[65536], more[65536];
	char *exact = malloc(n ? n : 1);

	if (!exact || n > sizeof(mem)) {
		free(exact);
		return 0;
	}
	memcpy(exact, data, n);
	struct slice doc = slice_of(exact, n);
	struct text small = text_over(mem, sizeof(mem));

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		look(doc, paths[i]);
	json_compact(doc, &small);
	must(!small.overflow && small.n <= n);
	/* A second time there is nothing left to take out. */
	struct text again = text_over(more, sizeof(more));

	json_compact(text_slice(&small), &again);
	must(slice_eq(text_slice(&small), text_slice(&again)));
	free(exact);
	return 0;
}
