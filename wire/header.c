/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/header.h"

#include <assert.h>

/*
 * Where in the header section we are.
 *
 *      LINE --name--> NAME --blank--> BLANK --':'--> VALUE --LF--> LINE
 *       | blank: VALUE again, of the same field                     | CR: EMPTY --LF--> body
 */
enum place {
	START, /* nothing came yet */
	LINE,  /* at the start of a line */
	NAME,  /* hold has (a part of) what may be a field's name */
	BLANK, /* and blanks behind it (RFC 5322, 4.5.8) */
	EMPTY, /* hold has the CR that a line starts with */
	VALUE, /* behind the colon, or in a folded line */
	MBOX,  /* in a first line that begins with "From " */
};

enum field { OTHER, RECEIVED, MESSAGE_ID, FROM };

/* One call of header_feed() or header_finish(). */
struct pass {
	struct header *h;
	header_emit_fn *emit;
	void *ctx;
	struct slice
	    run; /* octets of the span to be emitted, grown as long as they are neighbours */
	const char
	    *line; /* where in the span the held octets stand too; NULL if they came before it */
};

/* ---- out ------------------------------------------------------------------------------------- */

static void
flush(struct pass *p)
{
	if (p->run.n > 0)
		p->emit(p->ctx, p->run);
	p->run = SLICE("");
}

static void
look_for_high_octets(struct header *h, struct slice s)
{
	uint8_t all = 0;

	for (size_t i = 0; i < s.n; i++)
		all |= (uint8_t)s.p[i];
	h->eight_bit |= all > 0x7f;
}

/* A piece of the span. */
static void
put(struct pass *p, struct slice s)
{
	if (!p->h->over)
		look_for_high_octets(p->h, s);
	if (p->run.n > 0 && p->run.p + p->run.n == s.p) {
		p->run.n += s.n;
		return;
	}
	flush(p);
	p->run = s;
}

/* What does not stand in the span. */
static void
insert(struct pass *p, struct slice s)
{
	flush(p);
	if (s.n > 0)
		p->emit(p->ctx, s);
}

/* The held octets, which end at END if they stand in the span. */
static void
release(struct pass *p, const char *end)
{
	struct slice held = slice_of(p->h->hold, p->h->held);

	if (p->line) {
		put(p, slice_of(p->line, (size_t)(end - p->line)));
	} else {
		if (!p->h->over)
			look_for_high_octets(p->h, held);
		insert(p, held);
	}
	p->h->held = 0;
	p->line = NULL;
}

static void
forget(struct pass *p)
{
	p->h->held = 0;
	p->line = NULL;
}

static bool
hold(struct header *h, char c)
{
	if (h->held == sizeof(h->hold))
		return false;
	h->hold[h->held++] = c;
	return true;
}

static void
begin(struct pass *p)
{
	insert(p, p->h->o.first);
	p->h->state = LINE;
}

static void
insert_missing(struct pass *p)
{
	if (!p->h->has_date)
		insert(p, p->h->o.date);
	if (!p->h->has_message_id)
		insert(p, p->h->o.message_id);
}

/*
 * The line whose held octets end at END is no field, so it is body. We make that plain with an
 * empty line: a server behind us that skips such a line and reads on would find fields that we did
 * not look at.
 */
static void
start_body(struct pass *p, const char *end)
{
	insert_missing(p);
	insert(p, SLICE("\r\n"));
	p->h->over = true;
	insert(p, slice_of(p->h->mbox, p->h->mbox_n));
	release(p, end);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static bool
is_dropped(const struct header *h, struct slice name)
{
	for (size_t i = 0; i < h->o.drop_n; i++) {
		struct slice drop = h->o.drop[i];

		if (drop.n > 0 && drop.p[drop.n - 1] == '*') {
			if (slice_starts_nocase(name, slice_head(drop, drop.n - 1)))
				return true;
		} else if (slice_eq_nocase(name, drop)) {
			return true;
		}
	}
	return false;
}

/* Without its line ends a folded value is what it was before it was folded (RFC 5322 2.2.3). */
static void
keep_from(struct header *h, struct slice s)
{
	for (size_t i = 0; i < s.n && h->o.from != NULL; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (h->from_n == h->o.from_max) {
			h->from_cut = true;
			return;
		}
		h->o.from[h->from_n++] = s.p[i];
	}
}

static void
note_field(struct header *h, struct slice name)
{
	h->field = OTHER;
	if (slice_eq_nocase(name, SLICE("Received"))) {
		h->field = RECEIVED;
		h->received++;
	}
	if (h->dropping)
		return;
	if (slice_eq_nocase(name, SLICE("Message-ID"))) {
		h->field = h->has_message_id ? OTHER : MESSAGE_ID;
		h->has_message_id = true;
	}
	h->has_date |= slice_eq_nocase(name, SLICE("Date"));
	if (slice_eq_nocase(name, SLICE("From"))) {
		h->has_from = true;
		h->field = FROM;
		if (h->froms++ > 0)
			keep_from(h, SLICE(","));
	}
}

/* The name is known, or as much of it as we hold. */
static void
start_field(struct pass *p, const char *end)
{
	struct header *h = p->h;
	struct slice name = slice_trim(slice_of(h->hold, h->held));

	h->any = true;
	h->mbox_n = 0;
	h->fields++;
	h->state = VALUE;
	h->token_at = 0;
	h->dropping = is_dropped(h, name);
	note_field(h, name);
	if (h->dropping) {
		h->dropped++;
		forget(p);
	} else {
		release(p, end);
	}
}

/*
 * How much of TOKEN the text matches at its end once C has come, when AT octets matched before: the
 * longest start of the token that is an end of those octets and C.
 */
static uint8_t
match_on(struct slice token, size_t at, char c)
{
	for (size_t n = at + 1; n > 0; n--)
		if (token.p[n - 1] == c && memcmp(token.p, token.p + (at - (n - 1)), n - 1) == 0)
			return (uint8_t)n;
	return 0;
}

static void
look_for_token(struct header *h, struct slice s)
{
	struct slice token = h->o.token;

	for (size_t i = 0; i < s.n && token.n > 0 && !h->loop; i++) {
		h->token_at = match_on(token, h->token_at, s.p[i]);
		h->loop = h->token_at == token.n;
	}
}

static void
keep_message_id(struct header *h, struct slice s)
{
	for (size_t i = 0; i < s.n && h->message_id_n < sizeof(h->message_id); i++)
		if ((uint8_t)s.p[i] > ' ')
			h->message_id[h->message_id_n++] = s.p[i];
}

/* ---- in -------------------------------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ftext, RFC 5322, 3.6.8 */
static bool
is_name_octet(char c)
{
	return c > ' ' && c <= '~' && c != ':';
}

/* The rest of a line, or what there is of it. */
static struct slice
in_value(struct pass *p, struct slice span)
{
	struct header *h = p->h;
	struct slice piece = slice_head(span, slice_find(span, '\n') + 1);

	if (h->field == RECEIVED)
		look_for_token(h, piece);
	else if (h->field == MESSAGE_ID)
		keep_message_id(h, piece);
	else if (h->field == FROM)
		keep_from(h, piece);
	if (!h->dropping)
		put(p, piece);
	if (piece.p[piece.n - 1] == '\n')
		h->state = LINE;
	return slice_skip(span, piece.n);
}

/* The first octet of a line. */
static struct slice
at_line(struct pass *p, struct slice span)
{
	struct header *h = p->h;
	char c = span.p[0];

	p->line = span.p;
	if (is_blank(c) && h->any) {
		p->line = NULL;
		h->state = VALUE;
		return span;
	}
	if (c != '\r' && !is_name_octet(c)) {
		start_body(p, span.p);
		return span;
	}
	h->state = c == '\r' ? EMPTY : NAME;
	h->hold[h->held++] = c;
	return slice_skip(span, 1);
}

/* The held octets are how such a line begins, and this is the first line. */
static bool
start_mbox(struct pass *p)
{
	struct header *h = p->h;
	struct slice held = slice_of(h->hold, h->held);

	if (h->any || h->mbox_seen || !slice_starts(held, SLICE("From ")))
		return false;
	h->mbox_seen = true;
	memcpy(h->mbox, held.p, held.n);
	h->mbox_n = held.n;
	forget(p);
	h->state = MBOX;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* hh:mm */
static bool
has_time(struct slice s)
{
	for (size_t i = 2; i + 2 < s.n; i++)
		if (s.p[i] == ':' && is_digit(s.p[i - 2]) && is_digit(s.p[i - 1]) &&
		    is_digit(s.p[i + 1]) && is_digit(s.p[i + 2]))
			return true;
	return false;
}

/*
 * Such a line is kept until it is known to be none: where a time is in it, or a field follows, it
 * goes.
 */
static struct slice
in_mbox(struct pass *p, struct slice span)
{
	struct header *h = p->h;
	struct slice piece = slice_head(span, slice_find(span, '\n') + 1);

	piece = slice_head(piece, sizeof(h->mbox) - h->mbox_n);
	if (piece.n == 0) {
		start_body(p, span.p);
		return span;
	}
	memcpy(h->mbox + h->mbox_n, piece.p, piece.n);
	h->mbox_n += piece.n;
	if (piece.p[piece.n - 1] == '\n') {
		h->state = LINE;
		if (has_time(slice_of(h->mbox, h->mbox_n)))
			h->mbox_n = 0;
	}
	return slice_skip(span, piece.n);
}

static struct slice
in_name(struct pass *p, struct slice span)
{
	struct header *h = p->h;
	char c = span.p[0];

	if (c == ':') {
		start_field(p, span.p);
		if (!h->dropping)
			put(p, slice_head(span, 1));
		return slice_skip(span, 1);
	}
	if (!is_blank(c) && (h->state == BLANK || !is_name_octet(c))) {
		if (!start_mbox(p))
			start_body(p, span.p);
		return span;
	}
	if (hold(h, c)) {
		h->state = is_blank(c) ? BLANK : NAME;
		return slice_skip(span, 1);
	}
	/* Longer than any name we look for. A name that only goes on is taken for one; endless
	 * blanks are not. */
	if (h->state == NAME && !is_blank(c))
		start_field(p, span.p);
	else
		start_body(p, span.p);
	return span;
}

static struct slice
in_empty(struct pass *p, struct slice span)
{
	if (span.p[0] != '\n' || p->h->mbox_n > 0) {
		start_body(p, span.p);
		return span;
	}
	/* The missing fields first, then this very line. */
	insert_missing(p);
	release(p, span.p);
	put(p, slice_head(span, 1));
	p->h->over = true;
	return slice_skip(span, 1);
}

static struct slice
take(struct pass *p, struct slice span)
{
	switch ((enum place)p->h->state) {
	case START:
		begin(p);
		return span;
	case LINE:
		return at_line(p, span);
	case NAME:
	case BLANK:
		return in_name(p, span);
	case EMPTY:
		return in_empty(p, span);
	case VALUE:
		return in_value(p, span);
	case MBOX:
		return in_mbox(p, span);
	}
	return span;
}

void
header_init(struct header *h, const struct header_options *o)
{
	assert(o->token.n <= UINT8_MAX);
	*h = (struct header){ .o = *o, .state = START };
}

void
header_feed(struct header *h, struct slice span, header_emit_fn *emit, void *ctx)
{
	struct pass p = { .h = h, .emit = emit, .ctx = ctx };

	while (span.n > 0 && !h->over) {
		size_t before = span.n;

		span = take(&p, span);
		h->octets += before - span.n;
		if (h->fields > HEADER_FIELDS_MAX ||
		    (h->octets > HEADER_OCTETS_MAX && !h->over && h->state != EMPTY))
			h->too_large = true;
	}
	if (span.n > 0)
		put(&p, span);
	flush(&p);
}

void
header_finish(struct header *h, header_emit_fn *emit, void *ctx)
{
	struct pass p = { .h = h, .emit = emit, .ctx = ctx };
	bool adds =
	    (!h->has_date && h->o.date.n > 0) || (!h->has_message_id && h->o.message_id.n > 0);

	if (h->over)
		return;
	if (h->state == START)
		begin(&p);
	if (h->held > 0 || h->mbox_n > 0) {
		start_body(&p, NULL);
	} else {
		/* A last line without its end. */
		if (h->state == VALUE && !h->dropping && adds)
			insert(&p, SLICE("\r\n"));
		insert_missing(&p);
	}
	h->over = true;
}
