/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
is_whole(const char *word, const struct option *known)
{
	size_t n = strcspn(word, "=");

	for (; known->name; known++)
		if (strlen(known->name) == n && strncmp(known->name, word, n) == 0)
			return true;
	return false;
}

int
options_next(int argc, char **argv, const char *letters, const struct option *known)
{
	int at = -1;
	int got = getopt_long(argc, argv, letters, known, &at);
	/* Its value may have been a word of its own; a letter has no place in KNOWN. */
	bool behind = at >= 0 && optarg && optarg == argv[optind - 1];
	const char *word = got == -1 ? "" : argv[optind - 1 - behind];

	if ((at < 0 && got != ':') || strncmp(word, "--", 2) != 0 || is_whole(word + 2, known))
		return got;
	optind -= behind;
	optopt = 0;
	if (opterr && *letters != ':')
		fprintf(stderr, "%s: unrecognized option '%.*s'\n", argv[0],
		    (int)strcspn(word, "="), word);
	return '?';
}
