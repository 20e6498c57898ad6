/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/reply.h"

#include <assert.h>

static struct reply_row rows[] = {
#define REPLY(id, code_, enhanced_, bad_, text_) \
	[SAY_##id] = { .name = #id, .code = (code_), .bad = (bad_), .text = (text_) },
#include "proxy/reply.def"
#undef REPLY
};

static const char *const enhanced_texts[] = {
#define REPLY(id, code, enhanced, bad, text) [SAY_##id] = (enhanced),
#include "proxy/reply.def"
#undef REPLY
};

_Static_assert(SAY_BAD_SEQUENCE == 0, "a blank cell of the session's table must refuse");

const struct reply_row *
reply_row(enum reply_id id)
{
	assert(id < SAY_COUNT);
	struct reply_row *row = &rows[id];
	struct slice e = slice_str(enhanced_texts[id]);

	if (row->enhanced.cls == 0 && e.n > 0) {
		bool good = enhanced_parse(&e, &row->enhanced);

		assert(good);
	}
	return row;
}
