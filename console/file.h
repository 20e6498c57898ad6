/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_FILE_H
#define CONSOLE_FILE_H

/*
 * file - whole files, read and made; and the INI file of export and apply
 *
 *      [KIND NAME]
 *      key = value
 *
 * Comments stand on lines of their own, behind # or ;. A value goes to the end of its line, blanks
 * at both ends cut; a line may be of any length. In values of certificates, \n stands for a line
 * end and \\ for a backslash.
 *
 * Owns:   nothing; all is the cli's memory.
 * Errors: one sentence in *WHY_R, or all mistakes with file:line in a text.
 */
#include <stdio.h>

#include "console/kind.h"

/* As long as what `byway export` may write. */
enum { FILE_OCTETS_MAX = 1 << 30 };

/* NULL with a sentence in *WHY_R. PATH may be "-": standard input. A NUL inside is refused. */
const char *file_read(struct cli *c, const char *path, const char **why_r) MUST_CHECK;
/* A new file of that mode, whole or not at all; errno. EEXIST: it is there, and stays as it is. */
bool file_create(const char *path, struct slice content, unsigned mode) MUST_CHECK;
/* The same, but in the place of what was there. */
bool file_replace(struct cli *c, const char *path, struct slice content, unsigned mode) MUST_CHECK;

/* One section of the file. */
struct entry {
	struct object o;
	const char *path; /* of its file */
	unsigned line;
	unsigned lines[KIND_FIELDS_MAX]; /* of each value */
	const char *password_file;       /* NULL: not said */
	const char *password_hash;
	unsigned password_line;
	bool password_read; /* CRED.plain holds it already */
	/* apply's */
	void *row;
	struct object *was; /* NULL: it is new */
	struct object *now;
	struct credential cred;
};

struct ini {
	const char *path;
	struct entry **entries;
	size_t n, cap;
	struct entry **index; /* by kind and name: open addressing */
	size_t index_n, index_cap;
};

/* The sections of PATH, or where it is a folder of each *.ini in it, in order of name; what is
 * wrong goes to WRONG, a line each. EX_OK, or the exit status after having said which file cannot
 * be read. */
int ini_read_directory(struct cli *c, struct ini *ini, const char *path, struct text *wrong)
    MUST_CHECK;
/* A new section that a file at LINE says; NULL if there is one of that name. */
struct entry *ini_add(struct cli *c, struct ini *ini, const struct kind *k, const char *key,
    unsigned line);
/* VALUE for the field NAME of E's kind; false if it has none. */
bool ini_set(struct entry *e, const char *name, const char *value) MUST_CHECK;
/* The section of that name, ASCII case aside; NULL if there is none. */
struct entry *ini_find(const struct ini *ini, const struct kind *k, const char *key);
/* E can be found by the name that it has now, too. */
void ini_index(struct cli *c, struct ini *ini, struct entry *e);
/* One section. BRIEF: without what a new row would have anyway. */
void ini_write(FILE *f, struct cli *c, const struct object *o, bool brief);

#endif
