/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_APPLY_H
#define CONSOLE_APPLY_H

/*
 * apply - the directory is made as a file says
 *
 * read      the file, all mistakes gathered (file.c)
 * compare   each section with its row: new, changed or the same; what --prune would remove
 *           (apply_compare.c)
 * show      the difference, and ask (apply_show.c)
 * write     in one transaction, in the order of what needs what: rows with routes that hold
 *           already, then the accounts' new routes, then removals from the leaves up
 *           (apply_write.c)
 *
 * What the file does not say stays as it is in a row that is there, and is the default in a new
 * one. Passwords are written for rows that have none (with --passwords: for all).
 *
 * Owns:   the entries' secrets, wiped by credential_fini(); all else is the cli's memory.
 */
#include "console/file.h"

struct removal {
	const struct kind *kind;
	const char *key;
};

struct apply {
	struct cli *cli;
	struct store store;
	struct ini ini;
	struct text wrong;
	uint64_t revision; /* what we compared with */
	bool passwords;    /* all of them anew */
	bool generate;
	bool later;               /* a new profile may lack its password */
	const char *passwords_to; /* a file for the made ones; NULL: the terminal */
	size_t kept;              /* passwords in the file that were not looked at */
	const struct kind *kind;  /* of the rows that are now looked through for removal */
	struct removal *removals;
	size_t removals_n, removals_cap;
	size_t added, changed;
};

/* The sections of a->ini are compared, shown, asked for and written; the directory is opened for
 * it. Mistakes that are in a->wrong already are told with those that are found. The exit status. */
int apply_run(struct apply *a) MUST_CHECK;
/* EX_OK, or the exit status after all mistakes were said. */
int apply_compare(struct apply *a) MUST_CHECK;
bool apply_is_changed(const struct entry *e);
/* "FILE:LINE: [KIND NAME] "; the section's own line where LINE is 0. */
const char *apply_place(struct apply *a, const struct entry *e, unsigned line);
void apply_show(struct apply *a);
void apply_show_json(struct apply *a, bool applied);
void apply_show_passwords(struct apply *a);
/* EX_OK, or the exit status after having said why; nothing was changed then. */
int apply_write(struct apply *a) MUST_CHECK;

#endif
