/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

/*
 * load - what is known while configuration is being read: files, sections as they stood, mistakes
 *
 * For conf.c, conf_file.c (files), conf_read.c (their lines) and conf_check.c (what no line shows)
 * alone. All memory is the new conf's.
 */
#include "conf/option.h"

/* LINE 0: not in a line of that file. */
struct place {
	unsigned file;
	unsigned line;
};

struct instance {
	struct instance *next;
	enum conf_section section;
	const char *name; /* NULL: a section without one */
	void *base;       /* its struct */
	struct place at;  /* of its header */
	struct place
	    *keys; /* where each option was set, in the order of conf_options; line 0: was not */
};

struct mistake {
	struct mistake *next;
	struct place at;
	unsigned order;
	const char *words;
};

struct load {
	struct conf_owned *o;
	bool deep;
	bool exhausted; /* memory: then mistakes may be missing */
	bool unread; /* a file was not there to be read: what seems to be missing may stand in it */
	const char **files;
	size_t files_n;
	struct instance *first;
	struct instance **last;
	size_t instances_n;
	struct mistake *mistakes;
	unsigned mistakes_n;
	/* The file being read. */
	struct slice rest;
	struct place here;
	struct instance *in; /* NULL: keys are passed over */
	bool began;          /* a section header has been seen */
};

/* Room for one mistake's words. */
enum { MISTAKE_MAX = 1024, SECTION_NAME_MAX = 32, FILE_MAX_OCTETS = 1 << 20 };

void load_mistake(struct load *l, struct place at, struct slice words);
/* "[listener x] address: WORDS"; KEY may be NULL. The key's place where it was set, else the
 * section's. */
void load_mistake_in(struct load *l, const struct instance *in, const char *key,
    struct slice words);
bool load_was_set(const struct instance *in, const char *key);
/* Makes instances for the sections without name. */
bool load_begin(struct load *l) MUST_CHECK;
/* The lines of the file that was begun last; sections and keys go to their instances. */
void load_lines(struct load *l, struct slice ini);
/* Mistakes stay in L. */
void load_file(struct load *l, const char *path);
void load_text(struct load *l, const char *path, struct slice ini);
/* The reply profile that [server] replies names. */
void load_replies(struct load *l);
/* conf.d beside PATH. */
void load_folder(struct load *l, const char *path);
/* What no single line shows; then, with l->deep, the files that are named. */
void load_check(struct load *l);
void load_check_deep(struct load *l);

#endif
