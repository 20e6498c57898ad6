/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

/*
 * reply - the catalogue of what we say: reply.def as an enum and a table
 */
#include "wire/reply.h"

enum reply_id {
#define REPLY(id, code, enhanced, bad, text) SAY_##id,
#include "proxy/reply.def"
#undef REPLY
	SAY_COUNT,
	SAY_NONE = SAY_COUNT
};

struct reply_row {
	const char *name; /* the id as logs, metrics and the docs name it, lower case */
	int code;
	struct enhanced enhanced;
	bool bad;
	const char *text;
};

const struct reply_row *reply_row(enum reply_id id);

#endif
