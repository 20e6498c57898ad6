/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-ins that wait for their hash, so that guessing holds up guessing and nobody else (A3).
 *
 *      ask_send --> known    --. two at once for a name and for an address (hashing.h),
 *               --> strangers -+-> no more than there are threads, strangers one less --> thread
 *
 * Known: the name has logged in from the address before; strangers: all others. The known go first,
 * but for every fourth turn. Whom other processes keep waiting looks again soon: nobody tells us
 * when they are done.
 */
#include "conf/directory/directory_front.h"

enum {
	LINE_MAX = 1024, /* of one lane */
	NAME_MAX_WAITING = 64,
	ADDRESS_MAX_WAITING = 256,
	STRANGERS_TURN = 4,
};

static const double again_s = 0.01;

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

static bool
is_lane_open(const struct directory *d, enum ask_lane lane)
{
	unsigned strangers = 0;

	for (unsigned i = 0; i < d->hashing_n; i++)
		strangers += d->hashing[i]->lane == LANE_STRANGERS;
	return lane == LANE_KNOWN || strangers == 0 || strangers + 1 < d->hashing_max;
}

/* Takes a cell of ours for A. */
static bool
take(struct directory *d, struct ask *a)
{
	unsigned cell = 0;

	while (d->cells >> cell & 1)
		cell++;
	if (!hashing_take(d->hashing_all, d->process, cell,
	        hashing_name(d->hashing_all, slice_of(a->name, a->name_n)), a->address))
		return false;
	d->cells |= (uint64_t)1 << cell;
	a->cell = cell;
	return true;
}

static void
leave(struct directory *d, const struct ask *a)
{
	d->cells &= ~((uint64_t)1 << a->cell);
	hashing_leave(d->hashing_all, d->process, a->cell);
}

static struct ask *
first_of(struct directory *d, enum ask_lane lane)
{
	struct ask *a = is_lane_open(d, lane) ? d->line[lane] : NULL;

	while (a && !take(d, a))
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
			leave(d, a);
			ask_answer(a, LOGIN_UNAVAILABLE, NULL, "too much to do");
			continue;
		}
		a->stage = ASK_AT_WORK;
		d->pending++;
		d->hashing[d->hashing_n++] = a;
	}
	if (hashing_processes(d->hashing_all) > 1 && d->hashing_n < d->hashing_max &&
	    (d->line[LANE_KNOWN] || d->line[LANE_STRANGERS]) && !d->closed) {
		ev_timer_set(&d->again, again_s, 0);
		ev_timer_start(loop_ev(d->loop), &d->again);
	}
}

void
turn_on_again(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev;
	(void)revents;
	turn_move(t->data);
}

void
turn_done(struct directory *d, const struct ask *a)
{
	unsigned i = 0;

	leave(d, a);
	while (d->hashing[i] != a)
		i++;
	d->hashing[i] = d->hashing[--d->hashing_n];
}
