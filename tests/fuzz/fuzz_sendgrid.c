/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message as SendGrid's JSON: whatever comes in, what comes out is an object that ends, in UTF-8,
 * without a raw control; or a sentence says why not.
 *
 * make fuzz T=sendgrid
 */
#include "relay/web/sendgrid.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

/* Whether it stands: quotes that close, brackets that match. */
struct seen {
	bool string, escape;
	unsigned depth;
	size_t octets;
};

static bool
look(void *ctx, struct slice s)
{
	struct seen *seen = ctx;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		must(ch >= 0x20 && ch != 0x7f);
		seen->octets++;
		if (seen->escape)
			seen->escape = false;
		else if (seen->string && ch == '\\')
			seen->escape = true;
		else if (ch == '"')
			seen->string = !seen->string;
		else if (!seen->string && strchr("{[", ch))
			seen->depth++;
		else if (!seen->string && strchr("]}", ch))
			must(seen->depth-- > 0);
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct slice recipients[] = { SLICE("a@x.example"), SLICE("b@x.example") };
	char mem[256] = "";
	struct text why = text_over(mem, sizeof(mem));
	struct seen seen = { 0 };
	const struct sendgrid_job job = {
		.message = slice_of((const char *)data, n),
		.recipients = recipients,
		.recipients_n = 2,
		.put = look,
		.ctx = &seen,
	};
	enum sendgrid_got got;

	sendgrid_init();
	got = sendgrid_convert(&job, &why);
	must(got != SENDGRID_NO_MEMORY);
	if (got == SENDGRID_OK)
		must(seen.octets && seen.depth == 0 && !seen.string);
	else
		must(why.n > 0);
	return 0;
}
