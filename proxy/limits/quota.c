/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota - limits as lines of an order
 *
 *      line            series               grain    span
 *      account_month   d <account>          day      since the renewal day (the days' numbers,
 *                      summed up)
 *      mailbox_day     b <mailbox>          day      1
 *      account_day     d <account>          day      1
 *      account_hour    h <account>          minute   60, sliding
 *      rate            r, a <sender>        5 s      13, sliding
 *
 * The lines stand in the order in which they refuse (BEHAVIOUR 4). All are counted whether they
 * have a cap or not, the rate alone only where there is one.
 */
#include "proxy/limits/quota.h"

#include "wire/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum limit { LIMIT_MONTH, LIMIT_MAILBOX_DAY, LIMIT_ACCOUNT_DAY, LIMIT_HOUR, LIMIT_RATE, LIMITS };

enum {
	DAY_S = 86400,
	MINUTE_S = 60,
	RATE_S = 5,
	RATE_SPAN = 13,
	HOUR_SPAN = 60,
	MONTH_DAYS = 32,
	FREE_MAX = 256
};

static const char *const limit_words[LIMITS] = {
	[LIMIT_MONTH] = "account_month",
	[LIMIT_MAILBOX_DAY] = "mailbox_day",
	[LIMIT_ACCOUNT_DAY] = "account_day",
	[LIMIT_HOUR] = "account_hour",
	[LIMIT_RATE] = "rate",
};

_Static_assert((int)LIMITS <= (int)COUNTERS_LINES, "an order has room for all limits");

enum purpose { FOR_MAIL, FOR_CONTENT, FOR_USAGE, FOR_RESET };

struct quota_ticket {
	struct counters_order order; /* first */
	struct quota_ticket *next;   /* among the unused */
	struct task tell;            /* an instant answer goes through the loop */
	struct quota *quota;
	uint64_t owner;
	uint64_t recipients;
	enum purpose purpose;
	enum quota_state state;
	enum count_unit unit;
	bool waits;     /* for the counters */
	bool abandoned; /* by its owner, while it waited */
	bool is_address;
	uint64_t account;
	char account_name[80];            /* for the log */
	int64_t month_ends;               /* day */
	enum limit limit[COUNTERS_LINES]; /* what each line is */
	struct id_text {
		char s[24];
	} id;
	struct quota_refusal no;
	quota_usage_fn *usage;
	quota_reset_fn *reset;
	void *ctx;
};

struct quota {
	struct loop *loop;
	struct counters *counters;
	quota_fn *fn;
	void *ctx;
	struct quota_ticket *unused;
	unsigned unused_n;
};

/* ---- days ---- */

/* Days since 1970 of the first of a month: YEAR and MONTH (0: January) in the proleptic Gregorian
 * calendar. */
static int64_t
first_of(int64_t year, int64_t month)
{
	struct tm tm = { .tm_year = (int)(year - 1900), .tm_mon = (int)month, .tm_mday = 1 };

	return (int64_t)timegm(&tm) / DAY_S;
}

/* Day N of a month, or its last where it is shorter. */
static int64_t
day_of(int64_t year, int64_t month, unsigned n)
{
	int64_t first = first_of(year, month);
	int64_t next = first_of(year, month + 1);

	return first + n - 1 < next ? first + n - 1 : next - 1;
}

void
quota_month(int64_t day, unsigned renewal_day, int64_t *begins_r, int64_t *ends_r)
{
	time_t at = (time_t)(day * DAY_S);
	struct tm tm;

	if (renewal_day < 1)
		renewal_day = 1;
	(void)gmtime_r(&at, &tm);
	int64_t year = tm.tm_year + 1900, month = tm.tm_mon;

	if (day < day_of(year, month, renewal_day))
		month--;
	*begins_r = day_of(year, month, renewal_day);
	*ends_r = day_of(year, month + 1, renewal_day);
}

/* ---- lines ---- */

static void
add_line(struct quota_ticket *t, enum limit limit, const struct counters_line *line)
{
	t->limit[t->order.lines_n] = limit;
	t->order.line[t->order.lines_n++] = *line;
}

static void
add_account(struct quota_ticket *t, const struct account *a)
{
	int64_t today = (int64_t)(counters_wall_ms() / 1000 / DAY_S);
	int64_t begins;

	quota_month(today, a->renewal_day, &begins, &t->month_ends);
	add_line(t, LIMIT_MONTH,
	    &(struct counters_line){ .kind = 'd',
	        .id = a->id,
	        .grain_s = DAY_S,
	        .span = (uint32_t)(today - begins + 1),
	        .keep = MONTH_DAYS,
	        .cap = a->plan.monthly });
}

static void
add_mailbox_day(struct quota_ticket *t, const struct sender *s)
{
	if (s->is_address)
		return;
	add_line(t, LIMIT_MAILBOX_DAY,
	    &(struct counters_line){ .kind = 'b',
	        .id = s->id,
	        .grain_s = DAY_S,
	        .span = 1,
	        .adds = true,
	        .cap = s->account.plan.mailbox_day });
}

static void
add_account_day_and_hour(struct quota_ticket *t, const struct account *a)
{
	add_line(t, LIMIT_ACCOUNT_DAY,
	    &(struct counters_line){ .kind = 'd',
	        .id = a->id,
	        .grain_s = DAY_S,
	        .span = 1,
	        .keep = MONTH_DAYS,
	        .adds = true,
	        .cap = a->plan.account_day });
	add_line(t, LIMIT_HOUR,
	    &(struct counters_line){ .kind = 'h',
	        .id = a->id,
	        .grain_s = MINUTE_S,
	        .span = HOUR_SPAN,
	        .adds = true,
	        .slides = true,
	        .cap = a->plan.account_hour });
}

static void
add_rate(struct quota_ticket *t, const struct sender *s)
{
	if (s->rate_per_minute == 0)
		return;
	add_line(t, LIMIT_RATE,
	    &(struct counters_line){ .kind = s->is_address ? 'a' : 'r',
	        .id = s->id,
	        .grain_s = RATE_S,
	        .span = RATE_SPAN,
	        .adds = true,
	        .slides = true,
	        .cap = s->rate_per_minute });
}

/* ---- what is said ---- */

static const struct {
	enum reply_id say;
	const char *now;   /* in the period that is now */
	const char *every; /* of the period's length */
} rows[LIMITS] = {
	[LIMIT_MONTH] = { SAY_QUOTA_MONTH, "this month", "a month" },
	[LIMIT_MAILBOX_DAY] = { SAY_QUOTA_MAILBOX_DAY, "today", "a day" },
	[LIMIT_ACCOUNT_DAY] = { SAY_QUOTA_ACCOUNT_DAY, "today in all mailboxes",
	    "a day in all mailboxes" },
	[LIMIT_HOUR] = { SAY_QUOTA_HOUR, "this hour", "an hour" },
	[LIMIT_RATE] = { SAY_RATE_USER, "this minute", "a minute" },
};

/* When there is room for what T asks, as far as line I goes. 0: nobody knows. */
static time_t
room_at(const struct quota_ticket *t, unsigned i)
{
	const struct counters_line *line = &t->order.line[i];

	if (t->limit[i] == LIMIT_MONTH)
		return (time_t)(t->month_ends * DAY_S);
	return line->slides ? (time_t)line->free_s : (time_t)(line->at + 1) * DAY_S;
}

/* The day too where it is not today, the second where a minute is long. */
static void
write_next(struct text *out, time_t at, enum limit limit)
{
	struct tm tm;

	if (at <= 0 || !gmtime_r(&at, &tm))
		return;
	text_put(out, SLICE("; next at "));
	if (limit == LIMIT_MONTH)
		text_fmt(out, "%04d-%02d-%02d ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	text_fmt(out, "%02d:%02d", tm.tm_hour, tm.tm_min);
	if (limit == LIMIT_RATE)
		text_fmt(out, ":%02d", tm.tm_sec);
	text_put(out, SLICE(" UTC"));
}

/* More than the cap was let in before a smaller plan came; what is beyond that are others'
 * attempts, which are taken back. */
static uint64_t
shown(const struct counters_line *line)
{
	uint64_t least = line->ours > line->cap ? line->ours : line->cap;

	return line->used < least ? line->used : least;
}

static void
refuse(struct quota_ticket *t)
{
	unsigned i = t->order.over;
	const struct counters_line *line = &t->order.line[i];
	enum limit limit = t->limit[i];
	struct text more = text_over(t->no.more, sizeof(t->no.more));
	uint64_t used = shown(line), left = used < line->cap ? line->cap - used : 0;

	t->no.say = limit == LIMIT_RATE && t->is_address ? SAY_RATE_ADDRESS : rows[limit].say;
	if (t->order.n > 1)
		text_fmt(&more, "(this message needs %u, %llu of %llu left %s", t->order.n,
		    (unsigned long long)left, (unsigned long long)line->cap, rows[limit].now);
	else
		text_fmt(&more, "(%llu of %llu %s", (unsigned long long)used,
		    (unsigned long long)line->cap, rows[limit].now);
	write_next(&more, room_at(t, i), limit);
	text_char(&more, ')');
}

/* True where T is more than a whole cap: it is refused for good, and nobody is asked. */
static bool
never_fits(struct quota_ticket *t)
{
	for (unsigned i = 0; i < t->order.lines_n; i++) {
		const struct counters_line *line = &t->order.line[i];
		struct text more = text_over(t->no.more, sizeof(t->no.more));

		if (line->cap == 0 || t->order.n <= line->cap)
			continue;
		t->state = QUOTA_NO;
		t->no.say = SAY_QUOTA_NEVER;
		text_fmt(&more, "(this message needs %u, your plan allows %llu %s)", t->order.n,
		    (unsigned long long)line->cap, rows[t->limit[i]].every);
		return true;
	}
	return false;
}

/* ---- thresholds (Q11) ---- */

static void
log_level(const struct quota_ticket *t, enum limit limit, const struct counters_line *line,
    uint64_t used, unsigned level)
{
	struct log_line l;

	if (!log_begin(&l, LOG_NOTICE, "quota", slice_str(t->id.s), SLICE("counting")))
		return;
	log_u64(&l, "percent", level);
	log_str(&l, "limit", slice_str(limit_words[limit]));
	log_u64(&l, "used", used);
	log_u64(&l, "cap", line->cap);
	log_u64(&l, "account", t->account);
	log_str(&l, "account_name", slice_str(t->account_name));
	if (limit == LIMIT_MAILBOX_DAY)
		log_u64(&l, "mailbox", line->id);
	log_end(&l);
}

static void
watch_levels(struct quota_ticket *t)
{
	static const unsigned levels[] = { 80, 90, 95, 100 };

	for (unsigned i = 0; i < t->order.lines_n; i++) {
		const struct counters_line *line = &t->order.line[i];
		enum limit limit = t->limit[i];
		uint64_t used = line->used + t->order.n;
		/* A rolling hour has no beginning: the clock's hour stands for it. */
		uint32_t period = limit == LIMIT_HOUR ? line->at / HOUR_SPAN
		    : limit == LIMIT_MONTH            ? line->at + 1 - line->span
		                                      : line->at;

		if (line->cap == 0 || limit == LIMIT_RATE || used * 100 < line->cap * 80)
			continue;
		for (size_t k = 0; k < sizeof(levels) / sizeof(levels[0]); k++)
			if (used * 100 >= line->cap * levels[k] &&
			    counters_tell(t->quota->counters, line, limit == LIMIT_MONTH, period,
			        levels[k]))
				log_level(t, limit, line, used, levels[k]);
	}
}

/* ---- usage ---- */

static uint64_t
resets_at(const struct quota_ticket *t, unsigned i)
{
	const struct counters_line *line = &t->order.line[i];

	if (t->limit[i] == LIMIT_MONTH)
		return (uint64_t)t->month_ends * DAY_S;
	return ((uint64_t)line->at + (line->slides ? line->span : 1)) * line->grain_s;
}

static void
write_usage(const struct quota_ticket *t, struct text *out)
{
	text_put(out, SLICE("\"limits\":["));
	for (unsigned i = 0; i < t->order.lines_n; i++) {
		const struct counters_line *line = &t->order.line[i];

		text_fmt(out, "%s{\"limit\":\"%s\",\"used\":%llu,\"cap\":%llu,", i ? "," : "",
		    limit_words[t->limit[i]], (unsigned long long)line->used,
		    (unsigned long long)line->cap);
		if (line->free_s)
			text_fmt(out, "\"next\":%llu,", (unsigned long long)line->free_s);
		text_fmt(out, "\"resets\":%llu}", (unsigned long long)resets_at(t, i));
	}
	text_char(out, ']');
}

/* ---- tickets ---- */

static void
free_ticket(struct quota_ticket *t)
{
	struct quota *q = t->quota;

	if (q->unused_n == FREE_MAX) {
		free(t);
		return;
	}
	t->next = q->unused;
	q->unused = t;
	q->unused_n++;
}

static void on_tell(struct task *task);

static struct quota_ticket *
new_ticket(struct quota *q, enum purpose purpose, uint64_t owner)
{
	struct quota_ticket *t = q->unused;

	if (t) {
		q->unused = t->next;
		q->unused_n--;
	} else if (!(t = malloc(sizeof(*t)))) {
		return NULL;
	}
	t->order.lines_n = 0;
	t->order.n = 1;
	t->quota = q;
	t->purpose = purpose;
	t->owner = owner;
	t->recipients = 1;
	t->state = QUOTA_WAIT;
	t->tell = (struct task){ .fn = on_tell };
	t->waits = t->abandoned = t->is_address = false;
	t->id.s[0] = t->no.more[0] = '\0';
	return t;
}

static void
give_back(struct quota_ticket *t, uint64_t n)
{
	if (n > 0)
		counters_refund(t->quota->counters, &t->order, (uint32_t)n);
}

static void
answer(struct quota_ticket *t)
{
	switch (t->order.verdict) {
	case COUNTERS_FITS:
		t->state = QUOTA_OK;
		if (t->purpose == FOR_CONTENT)
			watch_levels(t);
		break;
	case COUNTERS_OVER:
		t->state = QUOTA_NO;
		refuse(t);
		break;
	case COUNTERS_LOST:
		t->state = QUOTA_NO;
		t->no.say = SAY_COUNTERS_DOWN;
		break;
	}
}

static void
tell_usage(struct quota_ticket *t)
{
	char mem[2048];
	struct text out = text_over(mem, sizeof(mem));

	if (t->order.verdict != COUNTERS_LOST)
		write_usage(t, &out);
	t->usage(t->ctx, text_slice(&out));
	free_ticket(t);
}

static void
tell_reset(struct quota_ticket *t)
{
	char mem[sizeof(((struct counter_server *)0)->host) + 8];
	struct text server = text_over(mem, sizeof(mem));

	if (t->order.here)
		counters_write_server(t->quota->counters, &t->order, &server);
	t->reset(t->ctx, t->order.verdict != COUNTERS_LOST, text_slice(&server));
	free_ticket(t);
}

static void
on_tell(struct task *task)
{
	struct quota_ticket *t =
	    (struct quota_ticket *)(void *)((char *)task - offsetof(struct quota_ticket, tell));

	if (t->purpose == FOR_USAGE)
		tell_usage(t);
	else
		tell_reset(t);
}

static void
on_counters(struct counters_order *o)
{
	struct quota_ticket *t = (struct quota_ticket *)o;
	struct quota *q = t->quota;

	t->waits = false;
	if (t->purpose == FOR_USAGE) {
		tell_usage(t);
	} else if (t->purpose == FOR_RESET) {
		tell_reset(t);
	} else if (t->abandoned) {
		if (t->purpose == FOR_CONTENT && o->verdict == COUNTERS_FITS)
			give_back(t, o->n);
		free_ticket(t);
	} else {
		answer(t);
		q->fn(q->ctx, t->owner, t);
	}
}

static struct quota_ticket *
ask(struct quota_ticket *t, enum counters_when when)
{
	t->waits = when == COUNTERS_LATER;
	if (!t->waits)
		answer(t);
	return t;
}

static void
fill(struct quota_ticket *t, const struct sender *s, bool whole)
{
	t->account = s->account.id;
	(void)snprintf(t->account_name, sizeof(t->account_name), "%s", s->account.name);
	t->order.group = s->account.id;
	t->order.done = on_counters;
	t->unit = s->account.plan.unit;
	t->is_address = s->is_address;
	add_account(t, &s->account);
	if (!whole)
		add_mailbox_day(t, s);
	add_account_day_and_hour(t, &s->account);
	if (!whole)
		add_rate(t, s);
}

struct quota_ticket *
quota_look(struct quota *q, const struct sender *s, uint64_t owner)
{
	struct quota_ticket *t = new_ticket(q, FOR_MAIL, owner);

	if (!t)
		return NULL;
	fill(t, s, false);
	return ask(t, counters_look(q->counters, &t->order));
}

struct quota_ticket *
quota_reserve(struct quota *q, const struct sender *s, uint64_t recipients, struct slice id,
    uint64_t owner)
{
	struct quota_ticket *t = new_ticket(q, FOR_CONTENT, owner);

	if (!t)
		return NULL;
	struct text name = text_over(t->id.s, sizeof(t->id.s));

	text_put(&name, id);
	fill(t, s, false);
	t->recipients = recipients;
	t->order.n = t->unit == COUNT_RECIPIENTS ? (uint32_t)recipients : 1;
	if (never_fits(t))
		return t;
	return ask(t, counters_reserve(q->counters, &t->order));
}

enum quota_state
quota_state(const struct quota_ticket *t)
{
	return t->state;
}

bool
quota_is_likely(const struct quota_ticket *t)
{
	return t->waits && t->order.likely;
}

const struct quota_refusal *
quota_refusal(const struct quota_ticket *t)
{
	assert(t->state == QUOTA_NO);
	return &t->no;
}

uint64_t
quota_recipients(const struct quota_ticket *t)
{
	return t->recipients;
}

void
quota_commit(struct quota_ticket *t, uint64_t accepted)
{
	if (!t)
		return;
	assert(t->state == QUOTA_OK && t->purpose == FOR_CONTENT);
	if (t->unit == COUNT_RECIPIENTS && accepted < t->recipients)
		give_back(t, t->recipients - accepted);
	free_ticket(t);
}

void
quota_drop(struct quota_ticket *t)
{
	if (!t)
		return;
	if (t->waits) {
		t->abandoned = true;
		return;
	}
	if (t->purpose == FOR_CONTENT && t->state == QUOTA_OK)
		give_back(t, t->order.n);
	free_ticket(t);
}

bool
quota_usage(struct quota *q, const struct sender *s, bool whole, quota_usage_fn *fn, void *ctx)
{
	struct quota_ticket *t = new_ticket(q, FOR_USAGE, 0);

	if (!t)
		return false;
	fill(t, s, whole);
	t->usage = fn;
	t->ctx = ctx;
	if (counters_read(q->counters, &t->order) == COUNTERS_NOW)
		loop_defer(q->loop, &t->tell);
	return true;
}

bool
quota_reset(struct quota *q, const struct sender *s, bool whole, quota_reset_fn *fn, void *ctx)
{
	struct quota_ticket *t = new_ticket(q, FOR_RESET, 0);

	if (!t)
		return false;
	fill(t, s, whole);
	t->reset = fn;
	t->ctx = ctx;
	if (counters_reset(q->counters, &t->order) == COUNTERS_NOW)
		loop_defer(q->loop, &t->tell);
	return true;
}

/* ---- life ---- */

struct quota *
quota_open(struct loop *l, struct counters *counters, quota_fn *fn, void *ctx)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (q)
		*q = (struct quota){ .loop = l, .counters = counters, .fn = fn, .ctx = ctx };
	return q;
}

void
quota_close(struct quota *q)
{
	struct quota_ticket *t;

	if (!q)
		return;
	while ((t = q->unused)) {
		q->unused = t->next;
		free(t);
	}
	free(q);
}
