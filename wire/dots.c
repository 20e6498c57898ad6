/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dots.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Both directions look for rare octets in long runs, 64 at a time where the machine can: one bit
 * for each octet, so that "LF behind CR" is a shift. The last bit of a block is carried into the
 * next.
 */
#ifdef __SSE2__
static inline uint64_t
mask16(const char *p, __m128i c)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

	return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, c));
}

/* Which of the 64 octets at P are C. */
static inline uint64_t
mask64(const char *p, char c)
{
	__m128i v = _mm_set1_epi8(c);

	return mask16(p, v) | mask16(p + 16, v) << 16 | mask16(p + 32, v) << 32 |
	    mask16(p + 48, v) << 48;
}
#endif

/* ---- decoding -------------------------------------------------------------------------------- */

/*
 * What the octets so far were. A line starts only behind CRLF as it came (or at the start).
 * Behind a repaired line end a dot never ends anything, and one alone is content (THREATS C3);
 * but two are read as a stuffed one, since who writes Unix lines to a socket may well stuff them.
 */
enum decoding {
	LINE,     /* at the start of a line */
	TEXT,     /* within a line */
	CR,       /* one CR, held back */
	CR2,      /* two CR, held back: the first one is bare */
	DOT,      /* a dot at the start of a line, held back */
	DOT_CR,   /* and a CR behind it */
	SOFT,     /* behind a bare CR or LF */
	SOFT_DOT, /* and a dot, held back */
};

static const char crlf[] = "\r\n\r\n";

void
dots_decode_init(struct dots_decoder *d, enum dots_policy policy, bool chunked)
{
	*d = (struct dots_decoder){ .policy = policy, .chunked = chunked, .state = LINE };
}

static void
note(struct dots_decoder *d, enum dots_fault fault)
{
	if (d->fault == DOTS_NO_FAULT)
		d->fault = fault;
}

/* The run in front of AT, less a CR that is not known to belong to a CRLF. */
static size_t
without_cr(struct slice s, size_t at)
{
	return at > 0 && s.p[at - 1] == '\r' ? at - 1 : at;
}

/*
 * How many octets at the start of S go out as they are: no NUL, CR and LF only in pairs, no CR at
 * the end, and, where dots count, no dot at the start of a line.
 */
static size_t
clean_run(struct slice s, bool at_line, bool dots)
{
	uint64_t after_cr = 0;
	uint64_t after_lf = at_line;
	size_t i = 0;

#ifdef __SSE2__
	for (; s.n - i >= 64; i += 64) {
		uint64_t cr = mask64(s.p + i, '\r');
		uint64_t lf = mask64(s.p + i, '\n');
		uint64_t bad = (lf ^ (cr << 1 | after_cr)) | mask64(s.p + i, '\0');

		if (dots)
			bad |= mask64(s.p + i, '.') & (lf << 1 | after_lf);
		if (bad)
			return without_cr(s, i + (size_t)__builtin_ctzll(bad));
		after_cr = cr >> 63;
		after_lf = lf >> 63;
	}
#endif
	for (; i < s.n; i++) {
		char c = s.p[i];

		if ((c == '\n') != after_cr || c == '\0' || (dots && c == '.' && after_lf))
			break;
		after_cr = c == '\r';
		after_lf = c == '\n';
	}
	return without_cr(s, i);
}

/* One octet that no run may hold. */
static struct slice
odd_octet(struct dots_decoder *d, struct slice *in)
{
	char c = in->p[0];

	*in = slice_skip(*in, 1);
	if (c == '\r') {
		d->state = CR;
		return SLICE("");
	}
	if (c == '.') {
		d->state = d->state == SOFT ? SOFT_DOT : DOT;
		return SLICE("");
	}
	d->state = c == '\n' ? SOFT : TEXT;
	note(d, c == '\n' ? DOTS_BARE_LF : DOTS_NUL);
	return slice_of(crlf, c == '\n' ? 2 : 0);
}

/* At the start of a line, hard or soft, or within one. */
static struct slice
run(struct dots_decoder *d, struct slice *in)
{
	size_t n = clean_run(*in, d->state == LINE || d->state == SOFT, !d->chunked);

	if (n == 0)
		return odd_octet(d, in);

	struct slice span = slice_head(*in, n);

	*in = slice_skip(*in, n);
	d->state = span.p[n - 1] == '\n' ? LINE : TEXT;
	return span;
}

/*
 * Behind held CRs. CR CR LF, which programs write that turn LF into CRLF twice (THREATS C4), is
 * one line end when repaired; of more CRs each further one is another.
 */
static struct slice
behind_cr(struct dots_decoder *d, struct slice *in)
{
	char c = in->p[0];
	bool two = d->state == CR2;

	if (c == '\n') {
		*in = slice_skip(*in, 1);
		d->state = LINE;
		return slice_of(crlf, 2);
	}
	note(d, DOTS_BARE_CR);
	if (c == '\r') {
		*in = slice_skip(*in, 1);
		d->state = CR2;
		return slice_of(crlf, two ? 2 : 0);
	}
	d->state = SOFT;
	return slice_of(crlf, two ? 4 : 2);
}

/* A dot is held behind a repaired line end; the first of two was there for the wire only. */
static struct slice
behind_soft_dot(struct dots_decoder *d, char c)
{
	d->state = TEXT;
	return c == '.' ? SLICE("") : SLICE(".");
}

/* Takes at least one octet off IN or changes the state; what is to be passed on, often nothing. */
static struct slice
step(struct dots_decoder *d, struct slice *in)
{
	char c = in->p[0];

	switch ((enum decoding)d->state) {
	case LINE:
	case TEXT:
	case SOFT:
		return run(d, in);
	case CR:
	case CR2:
		return behind_cr(d, in);
	case DOT:
		d->state = c == '\r' ? DOT_CR : TEXT;
		if (c == '\r')
			*in = slice_skip(*in, 1);
		return SLICE("");
	case SOFT_DOT:
		return behind_soft_dot(d, c);
	case DOT_CR:
		d->ended = c == '\n';
		d->state = CR;
		if (d->ended)
			*in = slice_skip(*in, 1);
		return SLICE("");
	}
	return SLICE("");
}

static bool
is_silent(const struct dots_decoder *d)
{
	return d->policy == DOTS_REFUSE && d->fault != DOTS_NO_FAULT;
}

enum dots_got
dots_decode(struct dots_decoder *d, struct slice *in, struct slice *span_r)
{
	while (!d->ended) {
		*span_r = SLICE("");
		if (in->n == 0)
			return DOTS_MORE;
		*span_r = step(d, in);
		if (span_r->n > 0 && !is_silent(d))
			return DOTS_SPAN;
	}
	*span_r = SLICE("");
	return DOTS_END;
}

void
dots_decode_finish(struct dots_decoder *d, struct slice *span_r)
{
	*span_r = SLICE("");
	if (d->state != CR && d->state != CR2)
		return;
	note(d, DOTS_BARE_CR);
	if (!is_silent(d))
		*span_r = slice_of(crlf, d->state == CR2 ? 4 : 2);
	d->state = LINE;
}

/* ---- encoding -------------------------------------------------------------------------------- */

/*
 * LF or CR alone is not what decoding gives; a dot behind them is stuffed all the same, and the
 * end is CRLF.CRLF behind anything.
 */
enum encoding { AT_LINE, AT_TEXT, AT_CR, AT_LF };

void
dots_encode_init(struct dots_encoder *e)
{
	e->state = AT_LINE;
}

/* How many octets stand before the first dot that must be stuffed. */
static size_t
plain_run(struct slice s, bool at_line)
{
	uint64_t after_end = at_line;
	size_t i = 0;

#ifdef __SSE2__
	for (; s.n - i >= 64; i += 64) {
		uint64_t end = mask64(s.p + i, '\n') | mask64(s.p + i, '\r');
		uint64_t dot = mask64(s.p + i, '.') & (end << 1 | after_end);

		if (dot)
			return i + (size_t)__builtin_ctzll(dot);
		after_end = end >> 63;
	}
#endif
	for (; i < s.n; i++) {
		if (s.p[i] == '.' && after_end)
			break;
		after_end = s.p[i] == '\n' || s.p[i] == '\r';
	}
	return i;
}

/* Where we are behind S, which is not empty. */
static enum encoding
behind(struct slice s, enum encoding before)
{
	char last = s.p[s.n - 1];
	bool cr = s.n > 1 ? s.p[s.n - 2] == '\r' : before == AT_CR;

	if (last == '\n')
		return cr ? AT_LINE : AT_LF;
	return last == '\r' ? AT_CR : AT_TEXT;
}

size_t
dots_encode(struct dots_encoder *e, struct slice in, char *out)
{
	char *at = out;

	while (in.n > 0) {
		size_t n = plain_run(in, e->state != AT_TEXT);

		if (n > 0) {
			memcpy(at, in.p, n);
			at += n;
			e->state = (uint8_t)behind(slice_head(in, n), (enum encoding)e->state);
			in = slice_skip(in, n);
			continue;
		}
		*at++ = '.';
		*at++ = '.';
		e->state = AT_TEXT;
		in = slice_skip(in, 1);
	}
	return (size_t)(at - out);
}

size_t
dots_encode_finish(struct dots_encoder *e, char *out)
{
	struct slice end = SLICE("\r\n.\r\n");

	if (e->state == AT_LINE)
		end = SLICE(".\r\n");
	else if (e->state == AT_CR)
		end = SLICE("\n.\r\n");
	memcpy(out, end.p, end.n);
	e->state = AT_LINE;
	return end.n;
}
