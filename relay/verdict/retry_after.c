/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/verdict/retry_after.h"

#include <time.h>

enum { DATE_MAX = 40, NUMBER_MAX = 9 };

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Cuts WORD off the start of S, case aside, with blanks around it. */
static bool
eat(struct slice *s, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_starts_nocase(*s, w))
		return false;
	*s = slice_trim(slice_skip(*s, w.n));
	return true;
}

/* Cuts a number off the start of S, in hundredths. */
static bool
eat_number(struct slice *s, uint64_t *hundredths_r)
{
	size_t n = 0;
	uint64_t v;

	while (n < s->n && n < NUMBER_MAX && is_digit(s->p[n]))
		n++;
	if (n == 0 || !slice_to_u64(slice_head(*s, n), &v))
		return false;
	*s = slice_skip(*s, n);
	v *= 100;
	if (s->n > 1 && s->p[0] == '.' && is_digit(s->p[1])) {
		v += 10 * (uint64_t)(s->p[1] - '0');
		if (s->n > 2 && is_digit(s->p[2]))
			v += (uint64_t)(s->p[2] - '0');
		for (n = 1; n < s->n && is_digit(s->p[n]);)
			n++;
		*s = slice_skip(*s, n);
	}
	*s = slice_trim(*s);
	*hundredths_r = v;
	return true;
}

/* "120 seconds", "5 min", "1 hour", "21.99 hours", "30s"; a number alone is not a time. */
static bool
read_span(struct slice s, uint64_t *seconds_r)
{
	uint64_t v;
	uint64_t unit;

	if (!eat_number(&s, &v))
		return false;
	if (slice_starts_nocase(s, SLICE("sec")))
		unit = 1;
	else if (slice_starts_nocase(s, SLICE("min")))
		unit = 60;
	else if (slice_starts_nocase(s, SLICE("hour")))
		unit = 3600;
	else if (slice_starts_nocase(s, SLICE("day")))
		unit = 86400;
	else if (s.n && s.p[0] == 's' && (s.n == 1 || s.p[1] == ' ' || s.p[1] == '.'))
		unit = 1;
	else
		return false;
	*seconds_r = v * unit / 100;
	return true;
}

/* RFC 5322's form and ISO 8601's, UTC. */
static bool
read_date(struct slice s, int64_t now, uint64_t *seconds_r)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M:%S" };
	char mem[DATE_MAX + 1];
	struct tm tm = { 0 };
	size_t n = s.n < DATE_MAX ? s.n : DATE_MAX;
	const char *end = NULL;
	time_t at;

	memcpy(mem, s.p, n);
	mem[n] = '\0';
	for (size_t i = 0; !end && i < sizeof(forms) / sizeof(forms[0]); i++)
		end = strptime(mem, forms[i], &tm);
	if (!end ||
	    (strncmp(end, " UTC", 4) != 0 && strncmp(end, " GMT", 4) != 0 &&
	        strncmp(end, " +0000", 6) != 0 && *end != 'Z'))
		return false;
	at = timegm(&tm);
	if (at <= now)
		return false;
	*seconds_r = (uint64_t)(at - now);
	return true;
}

bool
hold_named(struct slice said, int64_t now, uint64_t *seconds_r)
{
	char last = ' ';

	for (; said.n; last = said.p[0], said = slice_skip(said, 1)) {
		struct slice s = said;

		if (last != ' ' && last != '-')
			continue;
		if (!eat(&s, "after ") && !eat(&s, "after: ") && !eat(&s, "in ") &&
		    !eat(&s, "wait ") && !eat(&s, "until "))
			continue;
		if (read_span(s, seconds_r) || read_date(s, now, seconds_r))
			return true;
	}
	return false;
}
