/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendgrid_json - writes JSON, piece by piece
 */
#include "relay/web/sendgrid_private.h"

#include "wire/base64.h"

enum { PIECE = 1023 };

void
sendgrid_put(struct sendgrid *c, const char *s)
{
	if (!c->failed && !c->job->put(c->job->ctx, slice_str(s)))
		c->failed = true;
}

/* S is valid UTF-8. */
void
sendgrid_put_escaped(struct sendgrid *c, struct slice s)
{
	char mem[6 * PIECE + 1];

	while (s.n && !c->failed) {
		struct text t = text_over(mem, sizeof(mem));
		size_t n = 0;

		while (n < s.n && n + 4 <= PIECE) {
			size_t more = slice_utf8(slice_skip(s, n));

			n += more ? more : 1;
		}
		text_json(&t, slice_head(s, n));
		c->failed = t.overflow || !c->job->put(c->job->ctx, text_slice(&t));
		s = slice_skip(s, n);
	}
}

static void
put_string(struct sendgrid *c, const char *s)
{
	sendgrid_put(c, "\"");
	sendgrid_put_escaped(c, slice_str(s));
	sendgrid_put(c, "\"");
}

void
sendgrid_put_member(struct sendgrid *c, const char *before, const char *name, const char *value)
{
	sendgrid_put(c, before);
	put_string(c, name);
	sendgrid_put(c, ":");
	put_string(c, value);
}

void
sendgrid_put_base64(struct sendgrid *c, struct slice s)
{
	char mem[PIECE / 3 * 4 + 1];

	while (s.n && !c->failed) {
		struct text t = text_over(mem, sizeof(mem));
		struct slice piece = slice_head(s, PIECE);

		base64_encode(&t, piece);
		c->failed = !c->job->put(c->job->ctx, text_slice(&t));
		s = slice_skip(s, piece.n);
	}
}
