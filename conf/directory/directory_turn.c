/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-ins that wait for their hash, so that guessing holds up guessing and nobody else (A3).
 *
 *      ask_send --> known    --. two at once for a name and for an address,
 *               --> strangers -+-> no more than there are threads, strangers one less --> thread
 *
 * Known: the name has logged in from the address before; strangers: all others. The known go first,
 * but for every fourth turn.
 */
#include "conf/directory/directory_front.h"

enum {
	LINE_MAX = 1024, /* of one lane */
	NAME_MAX_WAITING = 64,
	ADDRESS_MAX_WAITING = 256,
	STRANGERS_TURN = 4,
};

static bool
is_same_name(const struct ask *a, const struct ask *b)
{
	return a->name_n == b->name_n && memcmp(a->name, b->name, a->name_n) == 0;
}

bool
turn_put(struct directory *d, struct ask *a)
{
	struct ask **end = &d->line[a->lane];
	unsigned waiting = 0, name = 0, address = 0;

	for (; *end; end = &(*end)->behind) {
		waiting++;
		name += is_same_name(*end, a);
		address += (*end)->address == a->address;
	}
	if (waiting >= LINE_MAX || name >= NAME_MAX_WAITING || address >= ADDRESS_MAX_WAITING)
		return false;
	a->behind = NULL;
	a->stage = ASK_IN_LINE;
	*end = a;
	return true;
}

void
turn_leave(struct directory *d, struct ask *a)
{
	struct ask **at = &d->line[a->lane];

	while (*at != a)
		at = &(*at)->behind;
	*at = a->behind;
}

/* Two at once for a name and for an address. */
static bool
may_run(const struct directory *d, const struct ask *a)
{
	unsigned name = 0, address = 0, strangers = 0;

	for (unsigned i = 0; i < d->hashing_n; i++) {
		name += is_same_name(d->hashing[i], a);
		address += d->hashing[i]->address == a->address;
		strangers += d->hashing[i]->lane == LANE_STRANGERS;
	}
	return name < d->at_once && address < d->at_once &&
	    (a->lane == LANE_KNOWN || strangers == 0 || strangers + 1 < d->hashing_max);
}

static struct ask *
first_of(const struct directory *d, enum ask_lane lane)
{
	struct ask *a = d->line[lane];

	while (a && !may_run(d, a))
		a = a->behind;
	return a;
}

static struct ask *
next(struct directory *d)
{
	enum ask_lane lane = ++d->turns % STRANGERS_TURN == 0 ? LANE_STRANGERS : LANE_KNOWN;
	struct ask *a = first_of(d, lane);

	return a ? a : first_of(d, lane == LANE_KNOWN ? LANE_STRANGERS : LANE_KNOWN);
}

void
turn_move(struct directory *d)
{
	struct ask *a;

	while (d->hashing_n < d->hashing_max && (a = next(d))) {
		turn_leave(d, a);
		if (!work_submit(d->work, &a->job)) {
			ask_answer(a, LOGIN_UNAVAILABLE, NULL, "too much to do");
			continue;
		}
		a->stage = ASK_AT_WORK;
		d->pending++;
		d->hashing[d->hashing_n++] = a;
	}
}

void
turn_done(struct directory *d, const struct ask *a)
{
	unsigned i = 0;

	while (d->hashing[i] != a)
		i++;
	d->hashing[i] = d->hashing[--d->hashing_n];
}
