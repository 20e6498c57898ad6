/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_REPLIES_H
#define CONF_REPLIES_H

/*
 * replies - all that we say to clients of our own: the catalogue (reply.def), and reply profiles,
 * which give its rows other codes and words
 *
 * A profile is an INI file with one section. A line is a row, by its id, as it goes over the wire;
 * rows that are not named keep what the catalogue says:
 *
 *      [replies]
 *      auth_failed = 535 5.7.8 Incorrect authentication data
 *
 * `trekmail` (nothing changed) and `smtp2go` are built in; a third is a file of the operator's.
 *
 * What a profile may not do: change a reply's class (its first digit); make or unmake a 421 (we
 * close then and only then), or a code that clients take for their own password's fault (432, 454,
 * 530, 534, 535, 538); change the code of anything below 400.
 *
 * Owns:   nothing; rows point into the arena that was given, or are constant.
 * Errors: a mistake is one sentence with the line where it stands.
 */
#include "wire/arena.h"
#include "wire/reply.h"

enum reply_id {
#define REPLY(id, code, enhanced, bad, ref, text, todo) SAY_##id,
#include "conf/reply.def"
#undef REPLY
	SAY_COUNT,
	SAY_NONE = SAY_COUNT
};

enum { REPLY_TEXT_MAX = 400, REPLY_NAME_MAX = 47 };

struct reply_row {
	const char *name; /* the id as logs, counters, profiles and the docs name it: lower case */
	int code;
	struct enhanced enhanced; /* cls 0: none */
	bool bad;                 /* counts against the session's budget of bad commands (P5) */
	bool ref;                 /* an id follows in a line of its own (L12) */
	const char *text;
	const char *todo; /* what a person can do, with $A, $M, $D in it; NULL: nothing known */
};

/* The names of the built-in profiles; ends with NULL. */
extern const char *const replies_built_in[];

/* The rows as reply.def has them: SAY_COUNT of them. */
const struct reply_row *replies_catalogue(void);
bool reply_find(struct slice name, enum reply_id *id_r) MUST_CHECK;

typedef void replies_wrong_fn(void *ctx, unsigned line, struct slice words);

/* INI over ROWS. All mistakes are told; false if there was any, or no memory (line 0). */
bool replies_read(struct reply_row rows[SAY_COUNT], struct slice ini, struct arena *mem,
    replies_wrong_fn *wrong, void *ctx) MUST_CHECK;
/* The INI of a built-in profile; empty, p NULL, for any other name. */
struct slice replies_of(struct slice name);
/* ROWS as a profile that says every row; JSON instead where asked. 64 KiB hold it. */
void replies_print(const struct reply_row rows[SAY_COUNT], bool json, struct text *out);

#endif
