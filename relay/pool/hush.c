/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/pool/hush.h"

#include <string.h>

/* Its own row, one that nobody needs any more, or the last one. */
static struct hush_kind *
find(struct hush *h, const char *what, ev_tstamp now)
{
	struct hush_kind *k = NULL;

	for (int i = HUSH_KINDS - 1; i >= 0; i--) {
		struct hush_kind *at = &h->kind[i];

		if (at->what && strcmp(at->what, what) == 0)
			return at;
		if (!at->what || (at->until <= now && at->again == 0))
			k = at;
	}
	if (!k)
		return &h->kind[HUSH_KINDS - 1];
	*k = (struct hush_kind){ .what = what };
	return k;
}

bool
hush_passes(struct hush *h, const char *what, ev_tstamp now, uint64_t *again_r)
{
	struct hush_kind *k = find(h, what, now);

	*again_r = 0;
	if (k->until > now) {
		k->again++;
		return false;
	}
	*again_r = k->again;
	k->again = 0;
	k->until = now + HUSH_S;
	return true;
}

const char *
hush_over(struct hush *h, ev_tstamp now, uint64_t *again_r)
{
	for (int i = 0; i < HUSH_KINDS; i++) {
		struct hush_kind *k = &h->kind[i];

		if (k->again == 0 || k->until > now)
			continue;
		*again_r = k->again;
		k->again = 0;
		return k->what;
	}
	return NULL;
}
