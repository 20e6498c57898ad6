/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_SENDGRID_PRIVATE_H
#define RELAY_WEB_SENDGRID_PRIVATE_H

/*
 * sendgrid_private - what sendgrid.c (all of it, header fields), sendgrid_people.c (who),
 * sendgrid_parts.c (bodies, attachments) and sendgrid_json.c (writing) share
 */
#include <gmime/gmime.h>

#include "relay/web/sendgrid.h"

enum { ATTACHMENTS_MAX = 100, BODIES_MAX = 3 };

struct attachment {
	GMimePart *part;
	bool in_place; /* shown in the body, by its Content-ID */
};

struct sendgrid {
	const struct sendgrid_job *job;
	struct text *why;
	bool failed; /* no memory */
	const char *subject;
	bool *placed;     /* recipients that stand in to or cc */
	GHashTable *seen; /* names of header fields, in lower case */
	/* plain, html, AMP: in the order in which the API wants them */
	GMimePart *bodies[BODIES_MAX];
	struct attachment attachments[ATTACHMENTS_MAX];
	size_t attachments_n;
};

/* False. WHY: the first counts. */
bool sendgrid_refuse(struct sendgrid *c, const char *why);
/* True where what WHY names may be mended; a strict job is refused for it. */
bool sendgrid_mend(struct sendgrid *c, const char *why);

/* sendgrid_json.c: what fails shows in c->failed. */
void sendgrid_put(struct sendgrid *c, const char *s);
/* Inside a string; S is valid UTF-8. */
void sendgrid_put_escaped(struct sendgrid *c, struct slice s);
void sendgrid_put_member(struct sendgrid *c, const char *before, const char *name,
    const char *value);
void sendgrid_put_base64(struct sendgrid *c, struct slice s);

/* sendgrid_people.c: personalizations, from, reply_to; the object's beginning. */
bool sendgrid_put_people(struct sendgrid *c, GMimeMessage *m) MUST_CHECK;
/* No header field of MESSAGE would have GMime go down without end. */
bool sendgrid_is_shallow(struct sendgrid *c, struct slice message) MUST_CHECK;

/* sendgrid_parts.c: finds bodies and attachments; writes them. */
bool sendgrid_take(struct sendgrid *c, GMimeObject *top) MUST_CHECK;
bool sendgrid_put_parts(struct sendgrid *c) MUST_CHECK;
/* windows-1252 as UTF-8; the caller frees it. */
char *sendgrid_from_windows(const char *s, gsize n, gsize *n_r);
/* NAME is in ALL, which ends with NULL, in any case. */
bool sendgrid_is_one_of(const char *name, const char *const *all);

#endif
