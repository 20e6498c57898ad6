/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/log_line.h"
#include "wire/text.h"

#include <assert.h>
#include <time.h>

enum {
	PROCESS_MAX = 32,
	/* Kept free in every line for the mark of a cut line and its end. */
	TAIL_ROOM = sizeof(",\"cut\":true}\n"),
};

static struct {
	enum log_format format;
	char process[PROCESS_MAX];
	time_t second; /* of stamp */
	char stamp[32];
} style = { .process = "byway" };

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_NOTICE] = "notice",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};

void
log_line_format(enum log_format format)
{
	style.format = format;
}

void
log_line_process(const char *process)
{
	struct text t = text_over(style.process, sizeof(style.process));

	text_escaped(&t, slice_str(process), sizeof(style.process) - 1);
}

/* The line's memory as a text that leaves room for its tail. */
static struct text
open_line(struct log_line *l)
{
	return text_over(l->mem + l->n, sizeof(l->mem) - TAIL_ROOM - l->n);
}

/* A field that does not fit is left out whole, and the line says so at its end. */
static void
close_line(struct log_line *l, const struct text *t)
{
	if (t->overflow)
		l->cut = true;
	else
		l->n += t->n;
}

static bool
needs_quotes(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == ' ' || v.p[i] == '"' || v.p[i] == '=' || v.p[i] == '\\')
			return true;
	return v.n == 0;
}

static void
quoted(struct text *t, struct slice v, struct slice more)
{
	text_char(t, '"');
	while (v.n > 0) {
		size_t n = 0;

		while (n < v.n && v.p[n] != '"' && v.p[n] != '\\')
			n++;
		text_escaped(t, slice_head(v, n), SIZE_MAX);
		if (n < v.n) {
			text_char(t, '\\');
			text_char(t, v.p[n]);
		}
		v = slice_skip(v, n + 1);
	}
	text_put(t, more);
	text_char(t, '"');
}

/* At most LOG_VALUE_MAX octets, no character cut in two. */
static struct slice
cut_value(struct slice v)
{
	if (v.n <= LOG_VALUE_MAX)
		return v;

	size_t n = LOG_VALUE_MAX;

	while (n > LOG_VALUE_MAX - 4 && ((uint8_t)v.p[n] & 0xc0) == 0x80)
		n--;
	return slice_head(v, n);
}

static void
put_key(struct text *t, const char *key)
{
	bool json = style.format == LOG_JSON;

	text_put(t, json ? SLICE(",\"") : SLICE(" "));
	text_put(t, slice_str(key));
	text_put(t, json ? SLICE("\":") : SLICE("="));
}

void
log_str(struct log_line *l, const char *key, struct slice value)
{
	struct text t = open_line(l);
	struct slice v = cut_value(value);
	struct slice more = v.n < value.n ? SLICE("...") : SLICE("");

	put_key(&t, key);
	if (style.format == LOG_JSON) {
		text_char(&t, '"');
		text_json(&t, v);
		text_put(&t, more);
		text_char(&t, '"');
	} else if (needs_quotes(v)) {
		quoted(&t, v, more);
	} else {
		text_escaped(&t, v, SIZE_MAX);
		text_put(&t, more);
	}
	close_line(l, &t);
}

void
log_u64(struct log_line *l, const char *key, uint64_t value)
{
	struct text t = open_line(l);

	put_key(&t, key);
	text_u64(&t, value);
	close_line(l, &t);
}

void
log_ms(struct log_line *l, const char *key, uint64_t ms)
{
	struct text t = open_line(l);

	put_key(&t, key);
	text_fmt(&t, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
	close_line(l, &t);
}

/* "2026-11-21T16:40:02.113Z"; the part that changes once a second is kept. */
static void
put_time(struct text *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != style.second || style.stamp[0] == '\0') {
		struct tm tm;

		gmtime_r(&now.tv_sec, &tm);
		strftime(style.stamp, sizeof(style.stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		style.second = now.tv_sec;
	}

	unsigned ms = (unsigned)(now.tv_nsec / 1000000);
	char fraction[5] = { '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
		(char)('0' + ms % 10), 'Z' };

	text_put(t, slice_str(style.stamp));
	text_put(t, slice_of(fraction, sizeof(fraction)));
}

/* The process stands in a column of its own in a text line: "worker 1" becomes worker-1 there. */
static void
put_process(struct text *t)
{
	for (const char *p = style.process; *p; p++)
		text_char(t, *p == ' ' ? '-' : *p);
}

void
log_line_start(struct log_line *l, enum log_level level, const char *event, struct slice id,
    struct slice at)
{
	l->n = 0;
	l->level = level;
	l->cut = false;

	struct text t = open_line(l);

	if (style.format == LOG_JSON) {
		text_put(&t, SLICE("{\"ts\":\""));
		put_time(&t);
		text_fmt(&t, "\",\"level\":\"%s\",\"proc\":\"", level_names[level]);
		text_json(&t, slice_str(style.process));
		text_fmt(&t, "\",\"ev\":\"%s\"", event);
	} else {
		put_time(&t);
		text_fmt(&t, " %s ", level_names[level]);
		put_process(&t);
		text_fmt(&t, " %s", event);
	}
	close_line(l, &t);
	assert(!t.overflow);
	if (id.n > 0)
		log_str(l, "id", id);
	if (at.n > 0)
		log_str(l, "at", at);
}

void
log_line_finish(struct log_line *l)
{
	struct text t = text_over(l->mem + l->n, sizeof(l->mem) - l->n);

	if (l->cut)
		text_put(&t,
		    style.format == LOG_JSON ? SLICE(",\"cut\":true") : SLICE(" cut=true"));
	text_put(&t, style.format == LOG_JSON ? SLICE("}\n") : SLICE("\n"));
	assert(!t.overflow);
	l->n += t.n;
}
