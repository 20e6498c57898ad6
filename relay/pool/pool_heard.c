/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_heard - what an upstream's answers, and its failures, mean for those who come next: the
 * breaker, holds, a limit that was learned
 */
#include "relay/pool/pool.h"

#include "relay/pool/native.h"
#include "relay/verdict/retry_after.h"
#include "wire/log.h"

#include <time.h>

enum verdict_class
pool_doubt(struct upstream *u, enum verdict_class class)
{
	return class == VERDICT_AUTH && shape_doubts(pool_shaping(u)) ? VERDICT_AUTH_DOUBT : class;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void
say(const struct upstream *u, enum log_level level, const char *what, struct slice why,
    uint64_t again)
{
	struct log_line l;

	if (!log_begin(&l, level, "upstream", SLICE(""), SLICE("")))
		return;
	log_str(&l, "what", slice_str(what));
	log_str(&l, "route", slice_str(u->route));
	if (why.n)
		log_str(&l, "why", why);
	if (again)
		log_u64(&l, "again", again);
	log_end(&l);
}

bool
pool_may_say(struct upstream *u, const char *what, uint64_t *again_r)
{
	return hush_passes(&u->hush, what, loop_now(u->r->loop), again_r);
}

void
pool_say(struct upstream *u, enum log_level level, const char *what, struct slice why)
{
	uint64_t again;

	if (pool_may_say(u, what, &again))
		say(u, level, what, why, again);
}

void
pool_say_again(struct upstream *u)
{
	const char *what;
	uint64_t again;

	while ((what = hush_over(&u->hush, loop_now(u->r->loop), &again)) != NULL)
		say(u, LOG_NOTICE, what, SLICE(""), again);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static bool is_refusal(enum verdict_class class)
{
	return class == VERDICT_AUTH || class == VERDICT_AUTH_DOUBT;
}

static void
trip_breaker(struct upstream *u)
{
	double closed = shape_refused(pool_shaping(u), loop_now(u->r->loop));

	if (closed > 0)
		log_say(LOG_WARNING, "upstream",
		    "%s: the credential was refused again and again; next try in %.0f s", u->route,
		    closed);
}

/* The upstream takes no more connections than those that it has, ours in all workers: that is a
 * limit, not a failure. */
static bool
is_full(struct upstream *u, const struct relay_verdict *v)
{
	unsigned has = shape_connections(&u->shaping);
	const char *said = v->upstream.n ? v->upstream.p : "";

	if (has == 0 || !v->upstream.n ||
	    !(v->class == VERDICT_CONNECT ||
	        (v->class == VERDICT_RATE &&
	            memmem(said, v->upstream.n, "onnection", strlen("onnection")) != NULL)))
		return false;
	shape_cap(&u->shaping, has, loop_now(u->r->loop));
	return true;
}

/* A rate holds in any case; a quota only until a time that is named, and not where clients are to
 * hear that it is refused. SECONDS: as the upstream named them apart; 0: perhaps in its words. */
static void
hold(struct upstream *u, enum verdict_class class, struct slice said, uint64_t seconds, bool early)
{
	uint64_t max = u->r->conf->upstream.hold_max_s;
	ev_tstamp now = loop_now(u->r->loop);
	bool named = seconds > 0 || hold_named(said, (int64_t)time(NULL), &seconds);

	if (class != VERDICT_RATE && !(class == VERDICT_QUOTA && named && !u->refuse_quota))
		return;
	/* Where there are connections, one more was too much: is_full()'s business. */
	if (early && !named && shape_connections(&u->shaping) > 1)
		return;
	if (seconds > max)
		seconds = max;
	shape_hold(&u->shaping, (double)seconds, named, now);
	log_say(LOG_NOTICE, "upstream", "%s: held for %.0f s", u->route,
	    shape_held(&u->shaping, now));
}

/* What it says of recipients and of content is not about its health. */
static void
note(struct upstream *u, enum verdict_class class, struct slice line, bool early)
{
	const struct shape_said said = {
		.class = class,
		.line = line,
		.failing = verdict_is_route_trouble(class),
		.early = early,
		.unix_s = (int64_t)time(NULL),
	};

	if (class == VERDICT_OK)
		shape_thank(pool_shaping(u), loop_now(u->r->loop));
	if (class == VERDICT_OK || said.failing)
		shape_note(pool_shaping(u), &said);
}

void
pool_heard(struct upstream *u, enum verdict_class class, const struct reply *r, const char *why,
    bool early)
{
	char mem[VERDICT_TEXT_MAX];
	struct text line = text_over(mem, sizeof(mem));

	if (r)
		verdict_said(&line, r, slice_str(u->username));
	else
		text_put(&line, slice_str(why));
	note(u, class, text_slice(&line), early);
	if (r)
		hold(u, class, text_slice(&line), 0, early);
}

void
pool_failed(struct upstream *u, bool check, const struct relay_verdict *v)
{
	u->r->failed++;
	/* Those who wait go on waiting: the line asks again. */
	if (v->class == VERDICT_NO_MEMORY) {
		if (check && u->endpoint)
			native_spared(u->endpoint);
		return;
	}
	if (is_refusal(v->class))
		trip_breaker(u);
	bool full = is_full(u, v);

	if (u->endpoint && full)
		native_alive(u->endpoint);
	else if (u->endpoint)
		native_failed(u->endpoint, v);
	if (!check && !full)
		pool_turn_away(u, v);
}

void
pool_answered(struct upstream *u, const struct relay_verdict *v, unsigned retry_s)
{
	u->used = loop_now(u->r->loop);
	note(u, v->class, v->upstream.n ? v->upstream : v->text, false);
	if (is_refusal(v->class))
		trip_breaker(u);
	else if (v->upstream.n)
		shape_welcome(pool_shaping(u));
	hold(u, v->class, v->upstream, retry_s, false);
}
