/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/command.h"

static const struct slice words[VERB_COUNT] = {
	[VERB_UNKNOWN] = { "?", 1 },
#define VERB(name, word) [VERB_##name] = { word, sizeof(word) - 1 },
#include "wire/verb.def"
#undef VERB
};

static enum verb
verb_find(struct slice word)
{
	for (int v = VERB_UNKNOWN + 1; v < VERB_COUNT; v++)
		if (slice_eq_nocase(word, words[v]))
			return (enum verb)v;
	return VERB_UNKNOWN;
}

/*
 * A client's name for itself. It goes nowhere as it came: the log escapes it, and trace.c looks
 * at it.
 */
static bool
is_client_name(struct slice s)
{
	return slice_find(s, '\r') == s.n && slice_find(s, '\n') == s.n &&
	    slice_find(s, '\0') == s.n;
}

bool
command_parse(struct slice line, struct command *cmd_r)
{
	struct slice args = line;
	struct slice word = slice_cut(&args, ' ');
	enum verb verb = verb_find(word);
	bool greets = verb == VERB_EHLO || verb == VERB_HELO;

	if (word.n == 0 || !(greets ? is_client_name(args) : slice_is_text(line)))
		return false;
	*cmd_r = (struct command){
		.verb = verb,
		.word = word,
		.args = slice_trim(args),
	};
	return true;
}
