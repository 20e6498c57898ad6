/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

/*
 * option - option.def as data: sections, options, and what turns text into a field and back
 *
 * For the files conf/conf_*.c alone; others read struct conf.
 *
 * Owns:   nothing; the tables are constant. What a field points to lives in the room that was
 *         given.
 * Errors: one sentence with what was expected in WHY; never a secret.
 */
#include "conf/conf.h"
#include "conf/vault/secret.h"
#include "wire/arena.h"

enum conf_section {
#define SECTION(id, word, type, named, manual) SECTION_##id,
#define OPTION(...)
#define CHOICE(...)
#include "conf/option.def"
#undef SECTION
#undef OPTION
#undef CHOICE
	SECTION_COUNT,
};

enum option_type {
	OPTION_BOOL,
	OPTION_UNSIGNED,
	OPTION_SIZE,    /* octets, uint64_t */
	OPTION_MEMORY,  /* octets, size_t */
	OPTION_SECONDS, /* unsigned */
	OPTION_MILLIS,  /* unsigned */
	OPTION_CHOICE,  /* an enum; words in its order */
	OPTION_STRING,
	OPTION_DOMAIN, /* what may stand in EHLO: a name, or an address in brackets */
	OPTION_HOST,   /* what can be connected to: a name or an address */
	OPTION_PATH,
	OPTION_PIN,
	OPTION_SECRET,
	OPTION_SECRET_FILE,
	OPTION_NETWORKS,
	OPTION_PORTS,
	OPTION_WORDS,
	OPTION_ADDRESSES,
};

struct conf_option {
	enum conf_section section;
	enum option_type type;
	const char *key;
	size_t at;            /* of the field, in the section's struct */
	size_t count_at;      /* of a list's length */
	const char *fallback; /* default; NULL: must be given */
	uint64_t min, max;
	const char *const *words; /* OPTION_CHOICE, ended by NULL */
	bool reload;
	const char *manual;
};

struct conf_section_info {
	const char *word;
	bool named;
	size_t size; /* of a named one's struct */
	const char *manual;
};

extern const struct conf_section_info conf_sections[SECTION_COUNT];
extern const struct conf_option conf_options[];
extern const size_t conf_options_n;

/* NULL where there is none. */
const struct conf_option *option_find(enum conf_section section, struct slice key);
bool section_find(struct slice word, enum conf_section *section_r) MUST_CHECK;

/* A word of the table that is at most two slips of the pen from WORD, or of which WORD is the
 * beginning; NULL if none is. */
struct guess {
	struct slice word;
	const char *best;
	size_t distance;
};
void guess_try(struct guess *g, const char *candidate);

struct instance;

/* A conf with what it owns. */
struct conf_held {
	struct conf_held *next;
	struct secret secret;
};
struct conf_owned {
	struct conf c; /* first */
	struct arena mem;
	struct conf_held *held;
	struct slice dir; /* relative paths are relative to this, while reading */
	/* How the sections stood (conf/load.h); NULL where it was not read. */
	const struct instance *first;
	const char *const *files;
};

struct conf_owned *conf_owned_open(void) MUST_CHECK;
void conf_owned_close(struct conf_owned *o);
/* Sets all fields of a section to their defaults. */
bool section_defaults(struct conf_owned *o, enum conf_section section, void *base) MUST_CHECK;
/* What depends on others: names, ports, inherited numbers. All sections must be there. */
bool conf_settle(struct conf_owned *o) MUST_CHECK;
/* A conf of defaults with one instance of each named section; its required fields are empty. */
struct conf_owned *conf_defaults(void) MUST_CHECK;
/* The I-th struct of a section (0 for one without name); NULL where there are no more. NAME_R: NULL
 * without name. */
const void *section_at(const struct conf *c, enum conf_section section, size_t i,
    const char **name_r);

/* From large to small, ended by NULL; the one without word is what a bare number means. */
struct unit {
	const char *word;
	uint64_t factor;
};
const struct unit *value_units(enum option_type type);

/* TEXT into the field. */
bool value_set(struct conf_owned *o, const struct conf_option *opt, void *base, struct slice text,
    struct text *why) MUST_CHECK;
/* The field as it would stand in a file; nothing where it is empty. */
void value_write(const struct conf_option *opt, const void *base, struct text *out);
void value_json(const struct conf_option *opt, const void *base, struct text *out);
/* "yes or no", "1s to 1h": what is expected. */
void value_expected(const struct conf_option *opt, struct text *out);
/* The same as a manual says it: "list of ports", "path", or what is expected. */
void value_kind(const struct conf_option *opt, struct text *out);
bool value_is_secret(const struct conf_option *opt);
bool value_is_list(enum option_type type);
/* The field of an option that is a text; NULL where empty. */
const char *value_str(const struct conf_option *opt, const void *base);

#endif
