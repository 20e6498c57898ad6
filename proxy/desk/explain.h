/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_EXPLAIN_H
#define PROXY_DESK_EXPLAIN_H

/*
 * explain - why a mailbox cannot send: ten checks in the order of the help page, the first that
 * fails is the cause (BEHAVIOUR H1)
 *
 * The checks ask what the SMTP path asks (policy.h and its like), of the same snapshot; what only
 * others know (the recipient's server) is told from what was refused of late.
 *
 * Owns:   nothing.
 */
#include "conf/directory/directory.h"
#include "proxy/desk/recent.h"
#include "proxy/reply.h"
#include "relay/relay.h"
#include "wire/text.h"

/* The counters of one limit, as they are. */
struct explain_limit {
	const char *what; /* "this hour" */
	uint64_t used, cap;
	int64_t next_s; /* when there is room again */
	enum reply_id say;
};

enum { EXPLAIN_LIMITS_MAX = 8 };

struct explain_facts {
	struct slice name;           /* as asked */
	const struct sender *sender; /* NULL: there is no such mailbox */
	struct slice to;             /* whom the mail is for; may be empty */
	int64_t now_s;
	struct explain_limit limits[EXPLAIN_LIMITS_MAX];
	size_t limits_n;
	bool limits_known;  /* the counters were asked */
	bool owner_at_auth; /* [senders] unverified_owner = auth */
	const struct relay *relay;
	const struct recent *recent;
};

/* The whole answer as one JSON object:
 * {"ok":true,"name":...,"account":...,"plan":...,"route":...,"failing":3,"smtp":REPLY,"checks":[{"number":1,"name":"owner","title":...,"status":"ok","finding":...,"todo":...,"reply":REPLY}]}
 * status: ok, fail, or note (worth knowing); failing: the first that fails, or null; smtp: what
 * MAIL is answered with now, or null; REPLY: {"id":...,"code":...,"enhanced":...,"text":...} or
 * null. */
void explain_write(const struct explain_facts *f, struct text *out);

#endif
