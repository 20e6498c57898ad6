/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_KIND_H
#define CONSOLE_KIND_H

/*
 * kind - what the directory holds, told by columns: plans, accounts, domains, mailboxes, profiles,
 * IP identities
 *
 * A kind is a list of fields and five functions over conf/directory/admin.h. From it come the
 * commands `byway KIND add|list|show|set|remove`, their options, their JSON, and the sections of
 * export and apply. An object is a row as texts, so that any two can be compared.
 *
 * Owns:   nothing; objects are the cli's memory. A credential's secret is wiped by
 *         credential_fini().
 * Errors: enum admin_result; the sentence is admin_why()'s.
 */
#include "conf/directory/admin.h"
#include "console/field.h"
#include "console/store.h"

enum { KIND_FIELDS_MAX = 24 };

/* A password that is to be set. */
struct credential {
	bool given;
	bool machine; /* we made it */
	struct secret plain;
	const char
	    *hash; /* for mailboxes: made from PLAIN before the transaction, or from a file */
};

enum kind_password { KIND_NO_PASSWORD, KIND_HASHED, KIND_SEALED };

struct kind {
	const struct entity *of;
	const char *plural;
	const char *key;      /* what names one: "ADDRESS" */
	const char *key_json; /* "address" */
	enum kind_password password;
	const char *parts; /* what --whole removes with it; NULL: it has none */
	bool of_account;   /* its list can be cut to one account */
	/* After the fields of a new row were read: what depends on others. SAID: by kind_columns().
	 * What is wrong, behind a field's name, or NULL. May be NULL. */
	const char *(*settle)(struct cli *c, void *row, const char *const *said);
	/* What speaks against a row that could be stored: a sentence, or NULL. May be NULL. */
	const char *(*doubt)(struct cli *c, const void *row);
	/* What a row that was read shows and does not store. May be NULL. */
	void (*derive)(struct cli *c, void *row);
};

struct object {
	const struct kind *kind;
	const char *key;
	const char *values[KIND_FIELDS_MAX]; /* by the kind's fields; NULL: not said */
};

extern const struct kind kind_plan, kind_account, kind_domain, kind_mailbox, kind_profile, kind_ip;
extern const struct kind *const kinds[]; /* in the order of what needs what; ends with NULL */

/* The fields that people see: the entity's columns behind its keys; ends with an empty one. */
const struct column *kind_columns(const struct kind *k);
/* KEY into ROW; what is wrong with it, or NULL. */
const char *kind_set_key(struct cli *c, const struct kind *k, void *row, const char *key);
const char *kind_key_of(struct cli *c, const struct kind *k, const void *row);
/* As conf/directory/admin.h has them, with the kind's hooks. */
enum admin_result kind_get(struct store *s, const struct kind *k, const char *key, void *row_r);
enum admin_result kind_add(struct store *s, const struct kind *k, const void *row,
    const struct credential *cred);
enum admin_result kind_set(struct store *s, const struct kind *k, const void *row,
    const struct credential *cred);
enum admin_result kind_each(struct store *s, const struct kind *k, const char *account,
    admin_row_fn *fn, void *ctx);
/* Options for a new row (ADDS) or for a change. */
size_t kind_options(const struct kind *k, bool adds, struct cli_option *options_r, size_t max);
/* The words that the option of a field takes; NULL: no field's, or it takes others. */
const struct words *kind_words(const struct kind *k, const char *option);
size_t kind_fields(const struct kind *k);
const struct kind *kind_find(struct slice name);
struct object *object_of(struct cli *c, const struct kind *k, const void *row);
/* The command's options as the texts of one named KEY. */
struct object *object_said(struct cli *c, const struct kind *k, const char *key);
/* A certificate is named by its file on the command line: the file's text in its place. EX_OK, or
 * the exit status after having said why. */
int object_read_files(struct cli *c, struct object *o) MUST_CHECK;
/* The text of the field NAME; empty if the kind has none. */
const char *object_text(const struct object *o, const char *name);
bool object_has_password(const struct object *o);
/* True where a stored password cannot stay: one of the columns that it is bound to (COLUMN_BOUND)
 * changes. */
bool object_moves(const struct object *was, const struct object *now);
/* Texts into ROW; those that are NULL stay as they are. What is wrong goes to WRONG, a line each,
 * with PREFIX before the field's name. */
bool object_read(struct cli *c, const struct object *o, void *row, const char *prefix,
    struct text *wrong) MUST_CHECK;
/* A new row of presets, overlaid with O's texts. */
bool object_fresh(struct cli *c, const struct object *o, void *row, const char *prefix,
    struct text *wrong) MUST_CHECK;
/* O as a JSON object; MORE is written into it. */
void object_json(struct json *j, const char *key, const struct object *o);
void credential_fini(struct credential *cred);

#endif
